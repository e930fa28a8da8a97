"""The yardstick of a run: losses of simple models on its validation text."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from charrnn.model.scores import in_bits

LIKENESS_ORDER = 2  # long enough to know a language, short enough that no text is learnt by heart
UNLIKE = (
    0.25  # texts of one kind differ by up to a tenth; two languages, or A and W of a list, by more than half
)


@dataclass(frozen=True)
class Yardstick:
    """Losses on a validation text, in nats per symbol, of simple models fitted to the training text.

    order_2, held_out : losses of a model fitted to the training text without some pieces, on the validation text
        and on those pieces; None if the texts are too short to compare
    """

    uniform: float
    unigram: float
    order_5: float
    order_2: float | None = None
    held_out: float | None = None

    @classmethod
    def from_card(cls, values: Mapping[str, Any] | None) -> "Yardstick | None":
        """The yardstick in a model's card; None if it is missing or malformed."""
        names = [f.name for f in fields(cls)]
        if values is None or not {"uniform", "unigram", "order_5"} <= values.keys() <= set(names):
            return None
        compared = values.get("order_2"), values.get("held_out")
        numbers = [
            value for name, value in values.items() if name not in names[3:] or compared != (None, None)
        ]
        if not all(type(value) in (int, float) and 0 <= value < 1e6 for value in numbers):
            return None
        return cls(**values)

    @property
    def in_bits(self) -> "Yardstick":
        """The same losses in bits per symbol."""
        losses: dict[str, Any] = vars(self) | {k: in_bits(loss) for k, loss in vars(self).items() if loss}
        return Yardstick(**losses)

    @property
    def unlike(self) -> bool:
        """Whether the validation text is of another kind than the training text."""
        if self.order_2 is None or self.held_out is None:
            return False
        return self.order_2 > (1 + UNLIKE) * self.held_out
