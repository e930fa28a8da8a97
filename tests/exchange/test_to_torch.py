"""The printed lines, run as they are in a fresh interpreter, give the model's logits."""

import subprocess
import sys

import numpy as np
import pytest
from helpers.exchanged import SHAPES, exchanged_model, random_reading

from charrnn.exchange.to_torch import loading_lines

pytest.importorskip("torch")

COMPARE = """
import sys, numpy, torch
torch.set_num_threads(1)
for lines, reading in zip(sys.argv[1::2], sys.argv[2::2]):
    exec(open(lines).read())
    arrays = numpy.load(reading)
    state = tuple(torch.tensor(arrays["state"][:, s]) for s in range(arrays["state"].shape[1]))
    with torch.no_grad():
        found, _ = logits(torch.tensor(arrays["ids"]), state if len(state) == 2 else state[0])
        from_zero, _ = logits(torch.tensor(arrays["ids"]))
    assert found.dtype == torch.tensor(arrays["expected"]).dtype
    numpy.testing.assert_allclose(found, arrays["expected"], atol=1e-5, rtol=0)
    numpy.testing.assert_allclose(from_zero, arrays["from_zero"], atol=1e-5, rtol=0)
    print("same")
"""


@pytest.mark.slow
def test_the_printed_lines_run_as_they_are(tmp_path):
    models = [exchanged_model(*shape) for shape in SHAPES]
    models += [exchanged_model("lstm", dtype=np.float64)]
    arguments = []
    for number, model in enumerate(models):
        path, lines, reading = (tmp_path / f"{number}'{end}" for end in (".safetensors", ".py", ".npz"))
        model.save(path)
        text = loading_lines(model.config, len(model.vocab), model.network.theta.dtype.name, path)
        assert len(text.splitlines()) == 5
        lines.write_text(text)
        ids, state = random_reading(model)
        state = state.astype(model.network.theta.dtype)
        expected, _ = model.logits(ids, state)
        from_zero, _ = model.logits(ids)
        np.savez(reading, ids=ids, state=state, expected=expected, from_zero=from_zero)
        arguments += [str(lines), str(reading)]
    done = subprocess.run([sys.executable, "-c", COMPARE, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["same"] * len(models)
