"""The cost of rounded weights: the loss on the validation text with the weights as `to_web` stores them."""

from dataclasses import dataclass
from typing import Any

from charrnn.errors import UsageError
from charrnn.exchange.to_web import PRECISIONS, rounded
from charrnn.model.model import Model
from charrnn.score.evaluation import splits_of
from charrnn.score.scoring import mean_loss
from charrnn.text.items import Items

MOST_SYMBOLS = 20_000  # of the validation text that are scored, from its beginning


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


def losses_of_roundings(model: Model) -> RoundingLosses:
    """The losses on the validation text, or why they cannot be measured."""
    parts, why_not = splits_of(model)
    text = None if parts is None else parts["validation"]
    if text is None or len(text) < 2:
        return RoundingLosses(0, 0.0, {}, why_not or "the model was trained without a validation text")
    if isinstance(text, Items):
        within = int((text.scored.cumsum() <= MOST_SYMBOLS).sum())
        text = text[: max(1, within)]
        symbols = int(text.scored.sum())
    else:
        text = text[:MOST_SYMBOLS]
        symbols = len(text)
    found = {}
    for precision in PRECISIONS:
        try:
            found[precision] = mean_loss(rounded(model, precision).network, text)
        except UsageError:  # weights beyond its range
            continue
    return RoundingLosses(symbols, mean_loss(model.network, text), found)
