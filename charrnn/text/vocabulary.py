"""The symbols that a model knows, and the number (id) of each: characters or raw bytes, and the ends and labels of
items."""

import codecs
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
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
class ItemSymbols:
    """The symbols beside the characters where a text is made of items: the end of an item, the boundary between the
    two texts of a pair, and labels.

    pairs : whether there is a boundary
    labels : (column, its values in ascending order) for each column of labels

    Raises ModelError for columns or values that are repeated, out of order or not text.
    """

    pairs: bool = False
    labels: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def __post_init__(self) -> None:
        columns = [column for column, _ in self.labels]
        if not all(isinstance(column, str) for column in columns) or len(set(columns)) < len(columns):
            raise ModelError(
                f"vocabulary: the columns of labels are {columns!r}; they must be distinct names"
            )
        for column, values in self.labels:
            if not values or not all(isinstance(value, str) for value in values):
                raise ModelError(f"vocabulary: the labels of {column!r} must be texts, at least one")
            if any(a >= b for a, b in pairwise(values)):
                raise ModelError(
                    f"vocabulary: the labels of {column!r} are repeated or out of ascending order"
                )

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each of these symbols, in the order of their ids."""
        of_labels = (f"label {column}={value}" for column, values in self.labels for value in values)
        return ("end", *["boundary"] * self.pairs, *of_labels)

    @classmethod
    def from_json(cls, obj: Any) -> "ItemSymbols":
        """The symbols written by `to_json`. Raises ModelError if they are malformed."""
        if (
            not isinstance(obj, dict)
            or obj.keys() != {"pairs", "labels"}
            or not isinstance(obj["pairs"], bool)
        ):
            raise ModelError("vocabulary: items must be an object with exactly the keys 'pairs' and 'labels'")
        labels = obj["labels"]
        if not isinstance(labels, list) or not all(
            isinstance(one, dict) and one.keys() == {"column", "values"} and isinstance(one["values"], list)
            for one in labels
        ):
            raise ModelError("vocabulary: labels must be objects with exactly the keys 'column' and 'values'")
        return cls(obj["pairs"], tuple((one["column"], tuple(one["values"])) for one in labels))

    def to_json(self) -> dict[str, Any]:
        """Plain values for a file."""
        labels = [{"column": column, "values": list(values)} for column, values in self.labels]
        return {"pairs": self.pairs, "labels": labels}


@dataclass(frozen=True)
class Vocabulary:
    """What a model reads and writes: characters or bytes, and for items a few symbols that are neither.

    The characters are in ascending order and come first: the id of a character is its position. Those of `items`
    follow: the end, the boundary, the labels column by column. They have no text: `decode` leaves them out, and no
    text can contain them.

    level : "char" (symbols are 1-character strings) or "byte" (symbols are ints 0..255)
    symbols : the characters or bytes
    items : the other symbols; None for a text that is one stream

    Raises ModelError if there are no symbols, or they are repeated, out of order or of the wrong kind.
    """

    level: str
    symbols: tuple[str, ...] | tuple[int, ...]
    items: ItemSymbols | None = None

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
    def of_codes(cls, level: str, codes: Iterable[int], items: ItemSymbols | None = None) -> "Vocabulary":
        """The symbols with these code points, or byte values, in ascending order."""
        return cls(level, tuple(map(chr, codes)) if level == "char" else tuple(codes), items)

    @classmethod
    def from_json(cls, obj: Any) -> "Vocabulary":
        """The vocabulary written by `to_json`. Raises ModelError if it is malformed."""
        if not isinstance(obj, dict) or obj.keys() - {"items"} != {"level", "symbols"}:
            raise ModelError(
                "vocabulary: it must be an object with the keys 'level' and 'symbols', for items also 'items'"
            )
        if not isinstance(obj["symbols"], list):
            raise ModelError(f"vocabulary: symbols must be a list, not {type(obj['symbols']).__name__}")
        items = ItemSymbols.from_json(obj["items"]) if "items" in obj else None
        return cls(obj["level"], tuple(obj["symbols"]), items)

    def to_json(self) -> dict[str, Any]:
        """Plain values for a file: {"level": …, "symbols": […]}, for items also {"items": {…}}."""
        stream = {"level": self.level, "symbols": list(self.symbols)}
        return stream if self.items is None else {**stream, "items": self.items.to_json()}

    def __len__(self) -> int:
        """V: the number of all symbols, which is the size of a network's input and output."""
        return len(self.symbols) + (0 if self.items is None else len(self.items.names))

    @property
    def end(self) -> int:
        """The symbol after the last character of an item, and before the first where nothing else is."""
        assert self.items is not None
        return len(self.symbols)

    @property
    def boundary(self) -> int:
        """The symbol between the input and the output of a pair."""
        assert self.items is not None
        assert self.items.pairs
        return len(self.symbols) + 1

    def label(self, column: str, value: str) -> int:
        """The symbol of a label. Raises DataError naming the labels or columns that there are."""
        first = len(self.symbols) + 1 + self.pairs
        for known, values in self.items.labels if self.items else ():
            if known == column:
                if value in values:
                    return first + values.index(value)
                raise DataError(f"the model has no label {value!r}; its labels are {listing(values, 20)}")
            first += len(values)
        raise DataError(
            f"the model has no column of labels {column!r}; it has {listing([c for c, _ in self.labels]) or 'none'}"
        )

    @property
    def labels(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """(column, values) of each column of labels."""
        return self.items.labels if self.items else ()

    def labels_of(self, condition: np.ndarray | Sequence[int]) -> dict[str, str]:
        """The label of each column that a condition begins with."""
        found, first = {}, len(self.symbols) + 1 + self.pairs
        for symbol, (column, values) in zip(condition, self.labels, strict=False):
            found[column] = values[int(symbol) - first]
            first += len(values)
        return found

    @property
    def pairs(self) -> bool:
        """Whether there is a boundary between the input and the output of a pair."""
        return self.items is not None and self.items.pairs

    @property
    def unwritten(self) -> slice:
        """The symbols that are read and never written: boundary and labels."""
        return slice(len(self.symbols) + 1 if self.items else len(self), len(self))

    @property
    def written(self) -> int:
        """How many symbols can be predicted: all but the unwritten ones."""
        return self.unwritten.start

    @property
    def in_words(self) -> str:
        """How many symbols there are of each kind: 65 characters; of items 27 characters, end, 3 labels of region."""
        kinds = [f"{len(self.symbols):,} {'bytes' if self.level == 'byte' else 'characters'}"]
        if self.items is not None:
            kinds += ["end", *["boundary"] * self.items.pairs]
            kinds += [
                f"{len(values):,} label{'s' * (len(values) > 1)} of {column}"
                for column, values in self.items.labels
            ]
        return ", ".join(kinds)

    def name(self, id: int) -> str:
        """What a symbol is called where it must be seen: a character, a byte as 0xE9, end, label column=value."""
        if id < len(self.symbols):
            symbol = self.symbols[id]
            return symbol if isinstance(symbol, str) else f"0x{symbol:02X}"
        assert self.items is not None
        return self.items.names[id - len(self.symbols)]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest unsigned type that holds every id: uint8, uint16 or uint32."""
        return np.min_scalar_type(len(self) - 1)

    @cached_property
    def codes(self) -> np.ndarray:
        """Code point or byte value of each character, int32 of shape (len(symbols),)."""
        return np.array([ord(s) if isinstance(s, str) else s for s in self.symbols], np.int32)

    def table(self, unknown: int) -> np.ndarray:
        """The id of every code up to the largest known one, then one entry for all higher codes; `unknown` for codes
        without a symbol. `np.take(table, codes, mode="clip")` encodes."""
        table = np.full(int(self.codes[-1]) + 2, unknown, np.min_scalar_type(max(unknown, len(self) - 1)))
        table[self.codes] = np.arange(len(self.symbols))
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

    def ends(self, text: str) -> np.ndarray:
        """(N,) where in the ids of a text each of its characters ends."""
        if self.level == "char":
            return np.arange(len(text))
        lengths = [len(ch.encode("utf-8", "surrogateescape")) for ch in text]
        return np.cumsum(lengths, dtype=np.int64) - 1

    def decode(self, ids: np.ndarray | Sequence[int]) -> str:
        """The text of `ids`; at byte level, invalid UTF-8 becomes U+FFFD."""
        ids = np.asarray(ids, np.intp)
        codes = self.codes[ids if self.items is None else ids[ids < len(self.symbols)]]
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
        return self._symbols[id] if id < len(self._symbols) else ""

    def flush(self) -> str:
        return ""


class _ByteDecoder:
    def __init__(self, symbols: tuple[Any, ...]):
        self._symbols = symbols
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, id: int) -> str:
        return self._utf8.decode(bytes([self._symbols[id]])) if id < len(self._symbols) else ""

    def flush(self) -> str:
        return self._utf8.decode(b"", final=True)


def silent_symbol(vocab: Vocabulary) -> int:
    """The symbol that a model reads first if there is no text to continue: for items the end of the item before;
    otherwise newline, or else the first symbol."""
    if vocab.items is not None:
        return vocab.end
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
