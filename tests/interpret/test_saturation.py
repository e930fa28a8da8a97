"""Saturation of gates against gates computed one symbol at a time, and its plot letter by letter."""

import io

import numpy as np
import pytest
from helpers import handmade
from helpers.random_models import random_model
from rich.console import Console

from charrnn.errors import DataError, UsageError
from charrnn.interpret.recording import WARM_UP
from charrnn.interpret.saturation import GateSaturation, gate_saturation
from charrnn.ui.terminal.glyphs import ASCII
from charrnn.ui.terminal.saturation_view import gates_view


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gates_one_by_one(model, text):
    """{(layer, gate): (N, H)} from the tensors of the model file."""
    w, (L, H), kind = model.weights, (model.config.layers, model.config.hidden), model.config.cell
    names = {"lstm": "ifgo", "gru": "rzn"}[kind]
    h, c = np.zeros((L, H)), np.zeros((L, H))
    seen = {}
    for k in model.vocab.encode(text):
        x = np.eye(len(model.vocab))[k]
        for layer in range(L):
            part = {
                n: w[f"{kind}.{n}_l{layer}"].reshape(len(names), H, -1) for n in ("weight_ih", "weight_hh")
            }
            bias = {n: w[f"{kind}.{n}_l{layer}"].reshape(len(names), H) for n in ("bias_ih", "bias_hh")}
            a, u = part["weight_ih"] @ x + bias["bias_ih"], part["weight_hh"] @ h[layer] + bias["bias_hh"]
            if kind == "lstm":
                i, f, o, g = *sigmoid((a + u)[[0, 1, 3]]), np.tanh((a + u)[2])
                c[layer] = f * c[layer] + i * g
                h[layer] = o * np.tanh(c[layer])
                gates = {"i": i, "f": f, "o": o}
            else:
                r, z = sigmoid((a + u)[:2])
                n = np.tanh(a[2] + r * u[2])
                h[layer] = (1 - z) * n + z * h[layer]
                gates = {"r": r, "z": z}
            for name, value in gates.items():
                seen.setdefault((layer, name), []).append(value)
            x = h[layer]
    return {key: np.array(values) for key, values in seen.items()}


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_saturation_equals_direct_counting(cell):
    model, text = random_model(handmade.VOCAB, scale=1, cell=cell), handmade.dialogue(1_500)
    expected = gates_one_by_one(model, text)
    found = gate_saturation(model, text)
    assert [(one.layer, one.gate) for one in found] == list(expected)
    for one in found:
        gate = expected[one.layer, one.gate][WARM_UP:]
        np.testing.assert_allclose(one.left, np.mean(gate < 0.1, axis=0), atol=1e-9)
        np.testing.assert_allclose(one.right, np.mean(gate > 0.9, axis=0), atol=1e-9)
    assert 0 < np.mean([one.left for one in found]) < 1


def test_side_by_side_reading_counts_every_symbol_once():
    """Biases alone decide the gates: shares are exactly 0 or 1, over a text read in several segments."""
    weights = handmade.random_weights("lstm")
    for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0"):
        weights[f"lstm.{name}"][:] = 0
    bias = weights["lstm.bias_ih_l0"].reshape(4, handmade.H)
    bias[0, :3], bias[1, 5], bias[3, :] = -9, 9, 9
    found = {g.gate: g for g in gate_saturation(handmade.model_of("lstm", weights), handmade.dialogue(9_000))}
    assert found["i"].left.tolist() == [1.0] * 3 + [0.0] * 29
    assert found["f"].right.tolist() == [float(k == 5) for k in range(32)]
    assert found["o"].right.tolist() == [1.0] * 32
    assert not found["o"].left.any()


def test_what_has_no_gates_or_no_text():
    with pytest.raises(UsageError, match="rnn cells has no gates"):
        gate_saturation(handmade.model_of("rnn", handmade.random_weights("rnn")), "a" * 500)
    with pytest.raises(DataError, match="200 symbols"):
        gate_saturation(random_model(handmade.VOCAB, cell="gru"), "a" * 200)


def shown(gates, width=80, **options):
    out = io.StringIO()
    Console(file=out, width=width).print(gates_view(gates, width, **options))
    return [line.rstrip() for line in out.getvalue().split("\n")]


def test_the_plot():
    left = np.array([0.0, 0.0, 0.04, 0.5, 1.0, *[0.26] * 16])
    right = np.array([1.0, 0.95, 0.91, 0.5, 0.0, *[0.1] * 16])
    lines = shown([GateSaturation(0, "f", left, right)])
    assert lines[:14] == [
        "layer 0, 21 units",
        "forget gate f",
        "1│░",
        " │",
        " │",
        " │",
        " │          ·",
        " │",
        " │",
        " │",
        " │     █",
        " │                   ·",
        "0└────────────────────",
        " 0                   1",
    ]
    assert lines[14] == "mean: open 24%, shut 27%"
    plain = shown([GateSaturation(0, "f", left, right)], glyphs=ASCII)
    assert "\n".join(plain).isascii()
    assert plain[2] == "1|:"


def test_plots_stand_beside_each_other_where_there_is_room():
    gates = [GateSaturation(0, name, np.zeros(2), np.ones(2)) for name in "ifo"]
    for width, beside in ((80, 3), (50, 2), (30, 1)):
        assert next(line.count("gate") for line in shown(gates, width) if "gate" in line) == beside
    assert all(len(line) <= 30 for line in shown(gates, 30))
