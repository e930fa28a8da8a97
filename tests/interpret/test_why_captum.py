"""Integrated gradients are those that Captum finds in the model as torch loads it."""

from pathlib import Path

import numpy as np
import pytest
from helpers.random_models import random_model

from charrnn.exchange.to_torch import loading_lines
from charrnn.interpret.reading import beginning
from charrnn.interpret.why import why

torch = pytest.importorskip("torch")
attr = pytest.importorskip("captum.attr")

TEXT = "the cat sat on a mat"


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_as_captum_has_them(cell: str, tmp_path: Path) -> None:
    ours = random_model(TEXT, cell=cell)
    ids = ours.vocab.encode(TEXT).astype(int)
    logits, _ = ours.logits(ids[:, None])
    C, D = np.argsort(-logits[-1, 0])[:2].tolist()
    found = why(ours, beginning(ours, TEXT, ()), C, D)

    ours.save(tmp_path / "model.safetensors")
    names: dict = {}
    exec(loading_lines(ours.config, len(ours.vocab), "float64", tmp_path / "model.safetensors"), names)

    def log_odds(x):  # (B, T, V)
        last = names["model"]["head"](names["model"][cell](x.transpose(0, 1))[0][-1])
        return last[:, C] - last[:, D]

    log_p = torch.log_softmax(torch.tensor(logits[:-1, 0]), -1)
    first = torch.softmax(names["model"]["head"].bias.detach(), -1)
    baseline = torch.cat([first[None], log_p.exp()]).mean(0)
    x = torch.nn.functional.one_hot(torch.tensor(ids), len(ours.vocab)).double()
    theirs = attr.IntegratedGradients(log_odds).attribute(
        x[None], baseline.expand_as(x)[None].clone(), n_steps=256, method="gausslegendre"
    )
    np.testing.assert_allclose(found.integrated, theirs[0].sum(-1).detach().numpy(), atol=1e-4)
    assert np.abs(found.integrated).max() > 0.03
