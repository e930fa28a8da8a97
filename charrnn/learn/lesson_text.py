"""The text that the lesson is about: the twister that ships, or one of the reader's own, and what is picked from it."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from charrnn.errors import DataError
from charrnn.learn.characters import is_wide
from charrnn.text.vocabulary import Vocabulary

SHORTEST = 4 * 43 + 1  # characters of the passage: four chunks of 43 and the target of the last
READ = 8_000  # characters of a whole text: more than any chapter needs
LINE, WIDE_LINE = 38, 24  # characters of a line in a picture; of one in a script of two columns per character
EARLIEST_CUT, LATEST_CUT = 12, 16


@dataclass(frozen=True)
class LessonText:
    """A text of at most READ characters.

    length, kinds : characters of the whole, and how many different ones; own : whether it is the reader's

    Raises DataError if it is too short, or its first line repeats one character.
    """

    name: str
    text: str
    length: int
    kinds: int
    own: bool = True

    def __post_init__(self) -> None:
        if len(self.text) < SHORTEST:
            raise DataError(
                f"{self.name} has {len(self.text)} characters; the lesson needs at least {SHORTEST}. Name a longer text"
            )
        if len(set(self.line)) < 2:
            raise DataError(
                f"{self.name} begins with {len(self.line)} times {self.line[0]!r}; the lesson needs different "
                "characters. Name another text"
            )

    @property
    def title(self) -> str:
        """What the words call it."""
        return "your text" if self.own else self.name

    @property
    def own_flag(self) -> str:
        """Not empty where the text is the reader's, for the facts of a chapter."""
        return "yes" if self.own else ""

    @property
    def passage(self) -> str:
        """The beginning, SHORTEST characters: what the small networks learn."""
        return self.text[:SHORTEST]

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The symbols of the passage."""
        return Vocabulary.of(self.passage)

    @cached_property
    def is_wide(self) -> bool:
        """Whether a character of the passage takes two columns of a terminal."""
        return any(map(is_wide, self.passage))

    @property
    def line(self) -> str:
        """The first line, or as much of the passage as a picture has room for."""
        return self.passage[: WIDE_LINE if self.is_wide else LINE]

    @property
    def cut(self) -> int:
        """Where the line is cut in two: after a space if there is one near."""
        after = self.line.find(" ", EARLIEST_CUT, LATEST_CUT) + 1
        return after or EARLIEST_CUT + 2

    @cached_property
    def word(self) -> str:
        """Three different letters that follow one another."""
        words = "".join(ch if ch.isalpha() else " " for ch in self.passage).split()
        return next((word[:3] for word in words if len(set(word[:3])) == 3), self.passage[:3])

    @cached_property
    def two_befores(self) -> tuple[str, str, str]:
        """Two characters that come before the same third one, most often; letters if there are such."""
        pairs = Counter(pairwise(self.passage))
        found = []
        for now in map(str, self.vocabulary.symbols):
            befores = sorted(
                ((n, one) for (one, two), n in pairs.items() if two == now and not one.isspace()),
                reverse=True,
            )
            if len(befores) > 1 and not now.isspace():
                (_, before), (n, other) = befores[:2]
                found.append(((now + before + other).isalpha(), n, before, other, now))
        if not found:
            first, second = map(str, self.vocabulary.symbols[:2])
            return first, second, first
        _, _, before, other, now = max(found)
        return before, other, now

    @cached_property
    def commonest(self) -> str:
        """The most frequent character of the passage that is not white space; of several, the first one."""
        counts = Counter(self.passage)
        return min(counts, key=lambda ch: (ch.isspace(), -counts[ch], ch))

    @cached_property
    def divider(self) -> str:
        """What stands between the words of the line: a space, or its most frequent character."""
        if " " in self.line[:-1]:
            return " "
        counts = Counter(self.line)
        return min(counts, key=lambda ch: (-counts[ch], ch))

    def column(self, text: str) -> np.ndarray:
        """The ids of a text in symbols of the passage as one stream, (T, 1)."""
        return self.vocabulary.encode(text).astype(np.intp)[:, None]


# Terry Sullivan's song of 1908.
TEXT = (
    "she sells sea shells by the sea shore.\n"
    "the shells she sells are sea shells, i'm sure.\n"
    "so if she sells sea shells on the sea shore,\n"
    "then i'm sure she sells sea shore shells.\n"
)
TWISTER = LessonText("the twister", TEXT, len(TEXT), len(set(TEXT)), own=False)
