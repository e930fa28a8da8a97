"""A model file beside the text that its card names, which simple counts know well."""

import hashlib
from pathlib import Path

import numpy as np

from charrnn.model.model import Model
from helpers.random_models import random_model

VALIDATION = slice(500, 750)  # of the text; what stands before is its training part, the rest its test part


def save_model_with_text(folder: Path) -> Model:
    """Write m.safetensors, a model with random weights, and corpus.txt, 1,000 characters."""
    words = np.random.default_rng(5).choice(["abc ", "bad ", "cab\n", "face "], 300)
    corpus = "".join(words)[:1000]
    (folder / "corpus.txt").write_text(corpus)
    about = {
        "sources": [str(folder / "corpus.txt")],
        "sha256": hashlib.sha256(corpus.encode()).hexdigest(),
        "symbols": 1000,
    }
    settings = {"val_fraction": 0.25, "test_fraction": 0.25}
    made = random_model(corpus, training={"corpus": about, "settings": settings})
    made.save(folder / "m.safetensors")
    return made
