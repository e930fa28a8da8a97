"""Values of options that say more than one thing."""

import sys
from pathlib import Path

from charrnn.errors import DataError, UsageError


def text_of(prime: str) -> str:
    """The text that --prime means: itself, a file's (@FILE), or that of stdin (-). Raises DataError."""
    try:
        if prime == "-":
            return sys.stdin.buffer.read().decode()
        return Path(prime[1:]).read_bytes().decode() if prime.startswith("@") else prime
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"--prime {prime} cannot be read as UTF-8 text: {error}") from error


def temperatures(temp: str) -> list[float]:
    """The numbers of --temp. Raises UsageError."""
    try:
        return [float(part) for part in temp.split(",")]
    except ValueError:
        raise UsageError(f"--temp is {temp!r}; it must be a number, or several with commas between") from None
