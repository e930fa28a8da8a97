"""The symbols of a foreign model's ids, as given by `charrnn import --vocab`."""

import json

from charrnn.errors import DataError
from charrnn.files.reading import read_file

MOST_BYTES = 1 << 28  # largest text whose characters are the symbols


def read_symbols(given: str) -> tuple[list[str], str]:
    """The symbols that `--vocab` names, in the order of their ids, and a note if they were sorted.

    given : TEXT or @FILE; a file ending in .json has a list of characters, or an object {character: id}

    Characters without repeats are taken in their order. A text with repeats means its distinct characters in
    ascending order, as most programs build their vocabulary. Raises DataError if it cannot be read.
    """
    text, told = given, "--vocab"
    if given.startswith("@"):
        told = f"--vocab {given}"
        try:
            text = read_file(given[1:], MOST_BYTES).decode()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise DataError(f"{told} cannot be read as UTF-8 text: {why}") from error
        if given.endswith(".json"):
            return _symbols_of_json(text, told), ""
    if not text:
        raise DataError(f"{told} is empty: give the symbols in the order of their ids")
    distinct = sorted(set(text))
    if len(distinct) == len(text):
        return list(text), ""
    return distinct, f"vocabulary: the {len(distinct):,} distinct characters of the text, in ascending order"


def _symbols_of_json(text: str, told: str) -> list[str]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{told} is not valid JSON: {error}") from error
    if isinstance(content, dict) and all(type(id) is int for id in content.values()):
        if sorted(content.values()) != list(range(len(content))):
            raise DataError(f"{told}: the ids must be 0 to {len(content) - 1}, without repeats")
        content = sorted(content, key=content.__getitem__)
    if not isinstance(content, list) or not all(isinstance(s, str) and len(s) == 1 for s in content):
        raise DataError(f"{told} must hold a list of characters, or an object {{character: id}}")
    if not content or len(set(content)) < len(content):
        raise DataError(f"{told}: it must name at least one character, and none twice")
    return content
