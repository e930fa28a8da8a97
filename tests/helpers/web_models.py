"""Models for JavaScript to run, what it is to compute of them, and whether that is what Python computes."""

from typing import Any

import numpy as np

from charrnn.exchange.to_web import to_web
from charrnn.model.model import Model
from charrnn.sampling.writer import sample
from charrnn.text.vocabulary import Vocabulary
from helpers.random_models import random_model

TEXT = "\n !abcdeé漢\U0001f600"
BYTES = Vocabulary("byte", tuple(sorted({*TEXT.encode(), 0xFF})))
SHAPES = [
    (cell, nonlinearity, layers, embedding, level)
    for cell, nonlinearity in (("lstm", "tanh"), ("gru", "tanh"), ("rnn", "tanh"), ("rnn", "relu"))
    for layers in (1, 3)
    for embedding in (0, 4)
    for level in ("char", "byte")
]
Shape = tuple[str, str, int, int, str]

# With `load` of the module, and `given`: the symbols to read by the name of each model; it fills `found`.
COMPUTE = """
for (const name of Object.keys(given)) {
  const model = await load(name + ".bin");
  const logits = given[name].map((id) => Array.from(model.read(id)));
  const state = Array.from(model.memory);
  found[name] = { logits, state,
    likeliest: await model.generate({ seed: 1, length: 1000, temperature: 0, prime: "ab" }),
    drawn: await model.generate({ seed: 7, length: 1000, prime: "é" }),
    filtered: await model.generate({ seed: 2 ** 40 + 5, length: 300, temperature: 1.2, topP: 0.9, topK: 6,
      minP: 0.02 }) };
}
"""


def calm_model(cell: str, nonlinearity: str, layers: int, embedding: int, level: str) -> Model:
    """Random weights that forget the rounding of long ago; the head tells symbols well apart."""
    model = random_model(
        Vocabulary.of(TEXT) if level == "char" else BYTES,
        dtype=np.float32,
        scale=0.2,
        seed=layers + embedding,
        cell=cell,
        nonlinearity=nonlinearity,
        layers=layers,
        hidden=11,  # no multiple of the rows that JavaScript adds up together
        embedding=embedding,
    )
    model.network.params["head.weight"] *= 6
    return model


class Comparison:
    """Models of some shapes, their files by name, and the symbols that are read."""

    def __init__(self, shapes: list[Shape]) -> None:
        self.models = {"-".join(map(str, shape)): calm_model(*shape) for shape in shapes}
        self.files = {name: to_web(model, "float32") for name, model in self.models.items()}
        rng = np.random.default_rng(3)
        self.ids = {name: rng.integers(len(m.vocab), size=60).tolist() for name, m in self.models.items()}

    def check(self, found: dict[str, Any]) -> None:
        """Logits, states and texts are those of Python."""
        for name, model in self.models.items():
            logits, state = model.logits(np.array(self.ids[name])[:, None])
            np.testing.assert_allclose(found[name]["logits"], logits[:, 0], atol=1e-4, rtol=0)
            np.testing.assert_allclose(found[name]["state"], state[:, :, 0].ravel(), atol=1e-4, rtol=0)
            assert found[name]["likeliest"] == sample(model, length=1000, temperature=0, prime="ab"), name
            assert found[name]["drawn"] == sample(model, length=1000, seed=7, prime="é"), name
            assert found[name]["filtered"] == sample(
                model, length=300, seed=2**40 + 5, temperature=1.2, top_p=0.9, top_k=6, min_p=0.02
            ), name
            assert len(set(found[name]["drawn"])) > 3  # a text, not one letter
