"""The lesson's chapters, each computed once for all tests, on the text that ships and on two odd ones."""

from functools import cache
from typing import Any

from charrnn.learn.chapter import Chapter, chapters
from charrnn.learn.lesson_text import READ, TWISTER, LessonText

BY_NAME: dict[str, Chapter] = {chapter.name: chapter for chapter in chapters()}


def text_of_ones_own(name: str, text: str) -> LessonText:
    """A reader's text."""
    return LessonText(name, text[:READ], len(text), len(set(text)))


# One line without a space or a quotation, in a script of two columns; and pictures, signs that could be markup, lines.
CHINESE = text_of_ones_own(
    "诗",
    "床前明月光，疑是地上霜。举头望明月，低头思故乡。白日依山尽，黄河入海流。欲穷千里目，更上一层楼。春眠不觉晓，处处闻啼鸟。夜来风雨声，"
    "花落知多少。红豆生南国，春来发几枝。愿君多采撷，此物最相思。独在异乡为异客，每逢佳节倍思亲。遥知兄弟登高处，遍插茱萸少一人。月落乌啼"
    "霜满天，江枫渔火对愁眠。姑苏城外寒山寺，夜半钟声到客船。千山鸟飞绝，万径人踪灭。孤舟蓑笠翁，独钓寒江雪。",
)
SIGNS = text_of_ones_own(
    "[signs]",
    "I ❤️ 🐈 and 🐕! My 👧 says: *no* `more` {{ pets }} [b] 🙈\n\tBut 🐈 + 🐕 = *😀*, she said. `Why`? 🤔\n"
    * 3,
)
TEXTS = {"twister": TWISTER, "chinese": CHINESE, "signs": SIGNS}


@cache
def computed(name: str, text: LessonText = TWISTER) -> Any:
    """What the chapter works out about a text."""
    return BY_NAME[name].compute(text)
