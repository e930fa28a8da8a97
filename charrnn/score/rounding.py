"""The cost of rounded weights: the loss on the validation text with the weights as `to_web` stores them."""

from dataclasses import dataclass
from typing import Any

from charrnn.errors import UsageError
from charrnn.exchange.to_web import PRECISIONS, rounded
from charrnn.model.model import Model
from charrnn.score.evaluation import splits_of
from charrnn.score.scoring import mean_loss
from charrnn.text.batches import Text, size_of
from charrnn.text.items import Items

MOST_SYMBOLS = 20_000  # of the validation text that are scored


@dataclass(frozen=True)
class RoundingLosses:
    """The loss in nats per symbol, as trained and at each precision that can hold the weights.

    symbols : of the validation text that were read; why_not : the reason where nothing was measured
    """

    symbols: int
    trained: float
    rounded: dict[str, float]
    why_not: str = ""

    def to_json(self) -> dict[str, Any]:
        if self.why_not:
            return {"loss_nats": None}
        return {"loss_nats": {"trained": self.trained, **self.rounded}, "symbols": self.symbols}


def validation_part(model: Model, most: int) -> tuple[Text | None, str]:
    """Up to about `most` symbols of the validation text: its beginning, or every k-th item; or None and why not."""
    parts, why_not = splits_of(model)
    text = None if parts is None else parts["validation"]
    if text is None or len(text) < 2:
        return None, why_not or "the model was trained without a validation text"
    return text.spread(most) if isinstance(text, Items) else text[:most], ""


def losses_of_roundings(model: Model) -> RoundingLosses:
    """The losses on the validation text, or why they cannot be measured."""
    text, why_not = validation_part(model, MOST_SYMBOLS)
    if text is None:
        return RoundingLosses(0, 0.0, {}, why_not)
    found = {}
    for precision in PRECISIONS:
        try:
            found[precision] = mean_loss(rounded(model, precision).network, text)
        except UsageError:  # weights beyond its range
            continue
    return RoundingLosses(size_of(text), mean_loss(model.network, text), found)
