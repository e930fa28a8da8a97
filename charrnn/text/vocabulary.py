"""The symbols that a model knows, characters or raw bytes, and the number (id) of each."""

import codecs
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from charrnn.errors import DataError, ModelError

REPLACEMENT = "\ufffd"  # Unicode's replacement character, for unknown characters and invalid bytes


class Decoder(Protocol):
    """Turns ids into text one at a time."""

    def push(self, id: int) -> str:
        """The text completed by this id; empty inside an unfinished UTF-8 sequence."""

    def flush(self) -> str:
        """The rest at the end: U+FFFD for an incomplete sequence, otherwise empty."""


@dataclass(frozen=True)
class Vocabulary:
    """Symbols in ascending order; the id of a symbol is its position.

    level : "char" (symbols are 1-character strings) or "byte" (symbols are ints 0..255)

    Raises ModelError if there are no symbols, or they are repeated, out of order or of the wrong kind.
    """

    level: str
    symbols: tuple[str, ...] | tuple[int, ...]

    def __post_init__(self) -> None:
        if self.level not in ("char", "byte"):
            raise ModelError(f"vocabulary: level is {self.level!r}; it must be 'char' or 'byte'")
        if not self.symbols:
            raise ModelError("vocabulary: it has no symbols")
        is_symbol = _is_character if self.level == "char" else _is_byte
        previous: Any = None
        for place, symbol in enumerate(self.symbols):
            if not is_symbol(symbol):
                raise ModelError(f"vocabulary: symbol {place} is {symbol!r}, which is not a {self.level}")
            if previous is not None and symbol <= previous:
                fault = "repeated" if symbol == previous else "out of ascending order"
                raise ModelError(f"vocabulary: symbol {place}, {symbol!r}, is {fault}")
            previous = symbol

    @classmethod
    def of(cls, text: str) -> "Vocabulary":
        """The characters of `text`."""
        return cls("char", tuple(sorted(set(text))))

    @classmethod
    def all_bytes(cls) -> "Vocabulary":
        """Every byte: the id of a byte is its value."""
        return cls("byte", tuple(range(256)))

    @classmethod
    def of_codes(cls, level: str, codes: Iterable[int]) -> "Vocabulary":
        """The symbols with these code points, or byte values, in ascending order."""
        return cls(level, tuple(map(chr, codes)) if level == "char" else tuple(codes))

    @classmethod
    def from_json(cls, obj: Any) -> "Vocabulary":
        """The vocabulary written by `to_json`. Raises ModelError if it is malformed."""
        if not isinstance(obj, dict) or obj.keys() != {"level", "symbols"}:
            raise ModelError("vocabulary: it must be an object with exactly the keys 'level' and 'symbols'")
        if not isinstance(obj["symbols"], list):
            raise ModelError(f"vocabulary: symbols must be a list, not {type(obj['symbols']).__name__}")
        return cls(obj["level"], tuple(obj["symbols"]))

    def to_json(self) -> dict[str, Any]:
        """Plain values for a file: {"level": …, "symbols": […]}."""
        return {"level": self.level, "symbols": list(self.symbols)}

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest unsigned type that holds every id: uint8, uint16 or uint32."""
        return np.min_scalar_type(len(self) - 1)

    @cached_property
    def codes(self) -> np.ndarray:
        """Code point or byte value of each symbol, int32 of shape (V,)."""
        return np.array([ord(s) if isinstance(s, str) else s for s in self.symbols], np.int32)

    def table(self, unknown: int) -> np.ndarray:
        """The id of every code up to the largest known one, then one entry for all higher codes; `unknown` for codes
        without a symbol. `np.take(table, codes, mode="clip")` encodes."""
        table = np.full(int(self.codes[-1]) + 2, unknown, np.min_scalar_type(max(unknown, len(self) - 1)))
        table[self.codes] = np.arange(len(self))
        return table

    @cached_property
    def _table(self) -> np.ndarray:
        return self.table(unknown=len(self))

    def encode(self, text: str | bytes) -> np.ndarray:
        """Ids of `text`, of shape (len(text),) and type `dtype`; at byte level, of its UTF-8 bytes.

        Raises DataError naming the characters that the vocabulary lacks.
        """
        codes = self._codes_of(text)
        ids = np.take(self._table, codes, mode="clip")
        unknown = np.flatnonzero(ids == len(self))
        if unknown.size:
            values, first = np.unique(codes[unknown], return_index=True)
            in_order = sorted(zip(unknown[first].tolist(), values.tolist(), strict=True))
            listed = listing([f"{describe(self.level, c)} at position {at}" for at, c in in_order])
            raise DataError(
                f"the text has {self.level}s that the model does not know: {listed}. Its vocabulary has "
                f"{len(self):,} symbols; remove these, or use a model trained on text that has them"
            )
        return ids.astype(self.dtype, copy=False)

    def _codes_of(self, text: str | bytes) -> np.ndarray:
        if self.level == "char":
            if isinstance(text, bytes):
                raise DataError("a vocabulary of characters encodes text, not bytes: decode the bytes first")
            return code_points(text)
        if isinstance(text, str):
            try:  # U+DC80…U+DCFF are undecodable bytes of an argument; restore them
                return np.frombuffer(text.encode("utf-8", "surrogateescape"), np.uint8)
            except UnicodeEncodeError as error:
                half = f"{describe('char', ord(error.object[error.start]))} at position {error.start}"
                raise DataError(f"{half} is half a character and has no bytes: remove it") from None
        return np.frombuffer(text, np.uint8)

    def decode(self, ids: np.ndarray | Sequence[int]) -> str:
        """The text of `ids`; at byte level, invalid UTF-8 becomes U+FFFD."""
        codes = self.codes[np.asarray(ids, np.intp)]
        if self.level == "char":
            return codes.astype("<i4").tobytes().decode("utf-32-le")
        return codes.astype(np.uint8).tobytes().decode("utf-8", "replace")

    def decoder(self) -> Decoder:
        """A decoder for ids that arrive one by one; its pieces joined equal `decode` of all ids."""
        return _CharDecoder(self.symbols) if self.level == "char" else _ByteDecoder(self.symbols)


class _CharDecoder:
    def __init__(self, symbols: tuple[Any, ...]):
        self._symbols = symbols

    def push(self, id: int) -> str:
        return self._symbols[id]

    def flush(self) -> str:
        return ""


class _ByteDecoder:
    def __init__(self, symbols: tuple[Any, ...]):
        self._symbols = symbols
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, id: int) -> str:
        return self._utf8.decode(bytes([self._symbols[id]]))

    def flush(self) -> str:
        return self._utf8.decode(b"", final=True)


def silent_symbol(vocab: Vocabulary) -> int:
    """The symbol that a model reads first if there is no text to continue: newline, or else its first symbol."""
    newline = "\n" if vocab.level == "char" else ord("\n")
    return vocab.symbols.index(newline) if newline in vocab.symbols else 0


def code_points(text: str) -> np.ndarray:
    """The code points of `text`, int32 of shape (len(text),)."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<i4")


def describe(level: str, code: int) -> str:
    """A symbol in a message: 'é' (U+00E9), or 0xE9 for a byte."""
    return f"{chr(code)!r} (U+{code:04X})" if level == "char" else f"0x{code:02X}"


def listing(items: Sequence[str], most: int = 5) -> str:
    """The first few items, and the number of others."""
    more = f" and {len(items) - most:,} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more


def _is_character(symbol: object) -> bool:
    """Whether this is one character; surrogates are refused, since no decoded file has them."""
    return isinstance(symbol, str) and len(symbol) == 1 and not "\ud800" <= symbol <= "\udfff"


def _is_byte(symbol: object) -> bool:
    return type(symbol) is int and 0 <= symbol <= 255
