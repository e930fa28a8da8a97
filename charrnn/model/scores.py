"""How probable a text is to a model that reads it, as a whole and character by character."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from charrnn.python.results import Pictured, Rows


@overload
def in_bits(nats: float) -> float: ...


@overload
def in_bits(nats: np.ndarray) -> np.ndarray: ...


@overload
def in_bits(nats: None) -> None: ...


def in_bits(nats: float | np.ndarray | None) -> float | np.ndarray | None:
    """Losses or log-probabilities in nats, in bits; None where none was measured."""
    return None if nats is None else nats / math.log(2)


@dataclass(frozen=True, eq=False, repr=False)
class Score:
    """Log-probability of a text in nats, and of each symbol (N,) given all before it; the end of an item is last."""

    log_probability_nats: float
    symbols_nats: np.ndarray

    @property
    def loss_nats(self) -> float:
        """-log p per symbol: per character, or per byte at byte level; NaN of a text without any."""
        return -self.log_probability_nats / len(self.symbols_nats) if len(self.symbols_nats) else math.nan

    @property
    def bits_per_char(self) -> float:
        """-log2 p per symbol."""
        return in_bits(self.loss_nats)

    def __repr__(self) -> str:
        return (
            f"<Score: log p {self.log_probability_nats:.4g} nats, {len(self.symbols_nats):,} symbols, "
            f"{self.bits_per_char:.3f} bits per character>"
        )


@dataclass(frozen=True, eq=False, repr=False)
class TextSurprise(Pictured, Rows):
    """How little a model expected each character of a text, having read all before it.

    text : N characters; bits : (N,) -log2 p of each
    end_bits : of the end symbol of an item; None for a text that is no item
    """

    text: str
    bits: np.ndarray
    end_bits: float | None = None

    @property
    def total_bits(self) -> float:
        """-log2 p of the whole text, its end included."""
        return float(self.bits.sum()) + (self.end_bits or 0.0)

    def __len__(self) -> int:
        return len(self.text)

    def __iter__(self) -> Iterator[tuple[str, float]]:
        return zip(self.text, self.bits.tolist(), strict=True)

    def rows(self) -> Sequence[dict[str, Any]]:
        """A row per character; the end of an item has one too, with the name end."""
        end = [] if self.end_bits is None else [("end", self.end_bits)]
        return [{"character": character, "bits": bits} for character, bits in [*self, *end]]

    def __repr__(self) -> str:
        counted = len(self) + (self.end_bits is not None)
        mean = self.total_bits / counted if counted else math.nan
        worst = ""
        if len(self):
            place = int(self.bits.argmax())
            worst = f", most at {place}: {self.text[place]!r}, {self.bits[place]:.1f} bits"
        return f"<TextSurprise: {len(self):,} characters, {mean:.3f} bits per character{worst}>"
