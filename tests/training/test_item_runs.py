"""Whole runs on items."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

import charrnn
from charrnn.nn.init import NEVER

TABLE = "name,region\n" + "".join(
    f"{a}{b}a,{'north' if a in 'KT' else 'south'}\n" for a in "KTML" for b in "aeiou" * 4
)


@pytest.mark.parametrize("optimizer", ["adam", "momentum"])
def test_a_run_on_labelled_items(tmp_path: Path, optimizer: str) -> None:
    corpus, run = tmp_path / "places.csv", tmp_path / "run"
    corpus.write_text(TABLE)
    settings = {"text_column": "name", "label_column": "region", "backend": "numpy", "hidden": 8, "layers": 1}
    result = charrnn.train(
        corpus, out=run, max_steps=30, val_fraction=0.4, optimizer=optimizer, l2=0.01, **settings
    )
    assert result.val_loss_nats is not None
    model = charrnn.load_model(result.model)
    assert model.vocab.labels == (("region", ("north", "south")),)
    assert model.training["corpus"]["label_counts"] == {"region": {"north": 40, "south": 40}}
    assert model.training["settings"]["items"] == "csv"
    config = tomllib.loads((run / "config.toml").read_text())
    assert (config["train"]["text_column"], config["corpus"]["items"]) == ("name", 80)
    # A label is never written: its probability is exactly 0 after any number of steps.
    assert (model.weights["head.bias"][model.vocab.unwritten] == np.float32(NEVER)).all()
    logits, _ = model.logits(np.array([[model.vocab.label("region", "north")]]))
    assert np.exp(logits[0, 0] - logits[0, 0].max())[model.vocab.unwritten].tolist() == [0, 0]
