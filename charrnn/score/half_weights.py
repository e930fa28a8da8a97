"""What the rounded weights of a sampler cost in nats per character."""

from typing import TYPE_CHECKING

from charrnn.sampling import half
from charrnn.score.rounding import validation_part
from charrnn.score.scoring import mean_loss
from charrnn.text.batches import size_of

if TYPE_CHECKING:
    from charrnn.sampling.sampler import Sampler

MEASURED = 4096  # symbols of the validation text: the two losses are of the same text, so that few will do


def rounding_cost(sampler: "Sampler") -> tuple[float, str]:
    """The cost, and the text that it was measured on: the validation text of a single model, if it is still there,
    otherwise texts that the models write."""
    [given, *others], [rounded, *_] = sampler.given_models, sampler.models
    text, _ = (None, "") if others else validation_part(given, MEASURED)
    if text is None:
        own = f"{half.TEXTS} texts of {half.LENGTH} characters that the model wrote itself"
        return half.cost_nats(sampler), own
    cost = mean_loss(rounded.network, text) - mean_loss(given.network, text)
    return cost, f"{size_of(text):,} characters of the validation text"
