"""What is shown of a model now and then while it is trained."""

import numpy as np

from charrnn.model.model import Model
from charrnn.sampling.beam import search
from charrnn.sampling.sampler import Sampler, SamplingConfig
from charrnn.text.items import Items

LENGTH = 240  # characters
ITEMS = 8


def glimpse(model: Model, text: np.ndarray | Items) -> str:
    """A short text from a model: a passage, or some items with their labels, or for some inputs the likeliest outputs.

    text : a text like that of training, from whose pairs the inputs are taken

    The random numbers are always the same, so that two texts differ by what the model has learnt.
    """
    if isinstance(text, Items) and model.vocab.pairs:
        some = text[:: max(1, -(-len(text) // ITEMS))]
        return "\n".join(_answered(model, some, n) for n in range(len(some)))
    is_items = model.vocab.items is not None
    config = SamplingConfig(length=LENGTH, temperature=0.8, seed=0, count=ITEMS if is_items else 1)
    drawn = Sampler(model, config).draw(scored=False)
    return "\n".join((f"{', '.join(one.label.values())}: " if one.label else "") + one.text for one in drawn)


def _answered(model: Model, items: Items, n: int) -> str:
    condition = items.of(n)[: items.conditions[n]].astype(np.intp)
    [output], _, _ = search([model], condition[:, None], LENGTH, 1)
    return f"{model.vocab.decode(condition)} → {model.vocab.decode(output)}"
