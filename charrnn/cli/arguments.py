"""Values of options that say more than one thing."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from charrnn.errors import DataError, UsageError
from charrnn.files.reading import check_file
from charrnn.ui.terminal.output import say

if TYPE_CHECKING:
    from charrnn.model.model import Model
    from charrnn.text.vocabulary import Vocabulary

FITTED = "fitted"  # as a value of --temp
LONGEST_PRIME = 1 << 24  # bytes: each character is read by the model before the first is drawn


def prime_of(prime: str, model: "Model") -> str:
    """The text that --prime means: itself, a file's (@FILE), or that of stdin (-). Raises DataError."""
    if prime == "-":
        return _from_file(prime, model)
    return _from_file(prime[1:], model) if _names_file(prime) else prime


def stop_of(stop: str, model: "Model") -> str:
    r"""The text that --stop means: a file's (@FILE), or itself with \n, \t and \\ for newline, tab and backslash.

    Raises DataError, and UsageError for an empty text.
    """
    from charrnn.text.escapes import unescape

    if not stop:
        raise UsageError("--stop is an empty text; it must be the text to stop before")
    return _from_file(stop[1:], model) if _names_file(stop) else unescape(stop)


def _names_file(value: str) -> bool:
    """Whether a value is @FILE; an @ alone is text."""
    return value.startswith("@") and len(value) > 1


def _from_file(name: str, model: "Model") -> str:
    """The text of a file, read as the model's training text was; stderr tells what was left out of it."""
    from charrnn.interpret.texts import read_text

    if name != "-":
        try:
            check_file(name, LONGEST_PRIME)
        except (OSError, ValueError) as error:
            raise DataError(f"@{name} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    text, notes = read_text(model, [name])
    for note in notes:
        say(note)
    return text


def fitted_temperature(models: "Sequence[Model]") -> float:
    """The number that --temp fitted means. Raises UsageError where there is none."""
    from charrnn.score.temperature import of_card

    if len(models) > 1:
        raise UsageError("--temp fitted needs one model; give a number for several models")
    if (found := of_card(models[0].training)) is None:
        raise UsageError(
            "--temp fitted: the model has no fitted temperature. It is fitted at the end of charrnn train, on the "
            "validation text. Give a number"
        )
    return found


def temperatures(temp: str) -> list[float]:
    """The numbers of --temp. Raises UsageError."""
    try:
        found = [float(part) for part in temp.split(",")]
    except ValueError:
        raise UsageError(
            f"--temp is {temp!r}; it must be a number, several with commas between, or fitted"
        ) from None
    for one in found:
        if not 0 <= one < math.inf:
            raise UsageError(f"--temp is {one:g}; it must be a finite number of at least 0")
    return found


def named(vocab: "Vocabulary", symbol: int | None) -> dict[str, Any]:
    """A symbol for JSON: as a character or a byte, or by its name; None is what follows the end of a text."""
    unit = "character" if vocab.level == "char" else "byte"
    if symbol is None or symbol < len(vocab.symbols):
        return {unit: None if symbol is None else vocab.symbols[symbol]}
    return {unit: None, "symbol": vocab.name(symbol)}
