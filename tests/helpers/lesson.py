"""The lesson's chapters, each computed once for all tests."""

from functools import cache
from typing import Any

from charrnn.learn.chapter import Chapter, chapters

BY_NAME: dict[str, Chapter] = {chapter.name: chapter for chapter in chapters()}


@cache
def computed(name: str) -> Any:
    """What the chapter works out."""
    return BY_NAME[name].compute()
