"""What the rounded weights of a sampler cost in nats per character."""

from typing import TYPE_CHECKING

from charrnn.sampling import half
from charrnn.score.evaluation import splits_of
from charrnn.score.scoring import mean_loss
from charrnn.text.items import Items

if TYPE_CHECKING:
    from charrnn.sampling.sampler import Sampler

MEASURED = 4096  # symbols of the validation text: the two losses are of the same text, so that few will do


def rounding_cost(sampler: "Sampler") -> tuple[float, str]:
    """The cost, and the text that it was measured on: the validation text of a single model, if it is still there,
    otherwise texts that the models write."""
    [given, *others], [rounded, *_] = sampler.given_models, sampler.models
    parts, _ = (None, "") if others else splits_of(given)
    if parts is None or len(parts["validation"]) < 2:
        own = f"{half.TEXTS} texts of {half.LENGTH} characters that the model wrote itself"
        return half.cost_nats(sampler), own
    text = parts["validation"]
    text = text.spread(MEASURED) if isinstance(text, Items) else text[:MEASURED]
    symbols = text.symbols if isinstance(text, Items) else len(text)
    cost = mean_loss(rounded.network, text) - mean_loss(given.network, text)
    return cost, f"{symbols:,} characters of the validation text"
