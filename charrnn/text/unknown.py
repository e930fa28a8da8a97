"""Encode text for a model that may not know all characters: refuse, skip or replace the unknown ones."""

import unicodedata
from collections.abc import Iterable, Mapping

import numpy as np

from charrnn.errors import DataError
from charrnn.text.vocabulary import REPLACEMENT, Vocabulary, describe, listing

WAYS_OUT = "--unknown skip leaves them out, --unknown nearest replaces them"
# Typographic characters and their plain ASCII replacements.
PLAIN = str.maketrans("“”„«»‘’‚‹›–—−…\u00a0\t\r", "\"\"\"\"\"'''''---. \x20\n")


def encode(text: str, vocabulary: Vocabulary, unknown: str = "error") -> tuple[np.ndarray, str | None]:
    """Ids of a text, and a note on skipped or replaced characters (None if there are none).

    unknown : how to treat characters the vocabulary lacks, see `replacement`; "error" refuses them if it has no
        U+FFFD

    Raises DataError naming the unknown characters if they are refused.
    """
    symbols: str | bytes = text
    if vocabulary.level == "byte":
        symbols = text.encode("utf-8", "surrogateescape")
    known = set(vocabulary.symbols)
    missing = list(dict.fromkeys(symbol for symbol in symbols if symbol not in known))
    if not missing:
        return vocabulary.encode(symbols), None
    if unknown == "error" and REPLACEMENT not in known:
        try:
            return vocabulary.encode(symbols), None
        except DataError as error:
            raise DataError(f"{error} ({WAYS_OUT})") from None
    replaced = {symbol: replacement(symbol, vocabulary, unknown) for symbol in missing}
    kept = [replaced.get(symbol, symbol) for symbol in symbols]
    place = {symbol: k for k, symbol in enumerate(vocabulary.symbols)}
    ids = np.array([place[symbol] for symbol in kept if symbol is not None], vocabulary.dtype)
    return ids, note(replaced)


def must_be_known(texts: Iterable[tuple[str, str]], vocabulary: Vocabulary, unknown: str) -> None:
    """Raise DataError, as `encode` does, with the place of the text that is refused.

    texts : (where the text stands, text), all of which a command is about to read
    """
    for place, text in texts:
        try:
            encode(text, vocabulary, unknown)
        except DataError as error:
            raise DataError(f"{place}: {error}") from None


def replacement(symbol: str | int, vocabulary: Vocabulary, unknown: str) -> str | int | None:
    """The replacement for a symbol that the vocabulary lacks; None to leave it out.

    unknown : "error" gives U+FFFD, as in the training text of a model with --min-count; "skip" gives None; "nearest"
        gives the plain form of a typographic character, the character without accents, either in the other case,
        or else the closest code point (byte value at byte level)
    """
    if unknown == "skip":
        return None
    return REPLACEMENT if unknown == "error" else nearest(symbol, vocabulary)


def note(replaced: Mapping[str | int, str | int | None]) -> str:
    """The message about skipped or replaced symbols."""
    changes = [
        f"{_name(old)} skipped" if new is None else f"{_name(old)} read as {_name(new)}"
        for old, new in replaced.items()
    ]
    return f"not known to the model: {listing(changes)}"


def nearest(symbol: str | int, vocabulary: Vocabulary) -> str | int:
    """The most similar symbol of the vocabulary for one that it lacks."""
    if isinstance(symbol, str):
        plain = symbol.translate(PLAIN)
        base = unicodedata.normalize("NFKD", plain)[:1]
        for candidate in (plain, base, plain.swapcase(), base.swapcase()):
            if candidate in vocabulary.symbols:
                return candidate
    code = ord(symbol) if isinstance(symbol, str) else symbol
    return vocabulary.symbols[int(np.abs(vocabulary.codes - code).argmin())]


def _name(symbol: str | int) -> str:
    return describe("char", ord(symbol)) if isinstance(symbol, str) else describe("byte", symbol)
