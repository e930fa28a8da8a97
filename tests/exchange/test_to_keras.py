"""The exported arrays, put into Keras' own equations, give the model's logits.

The equations here are those of the `call` of Keras 3's LSTMCell, GRUCell(reset_after=True) and
SimpleRNNCell, written out over `x @ kernel`.
"""

import io
import json

import numpy as np
import pytest
from helpers.exchanged import SHAPES, VOCAB, B, E, H, exchanged_model, random_reading

from charrnn.exchange.to_keras import keras_weights, to_keras


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_cell(x, h, c, kernel, recurrent_kernel, bias):
    z = x @ kernel + h @ recurrent_kernel + bias
    z0, z1, z2, z3 = np.split(z, 4, axis=1)
    i, f = sigmoid(z0), sigmoid(z1)
    c = f * c + i * np.tanh(z2)
    o = sigmoid(z3)
    return o * np.tanh(c), c


def gru_cell(x, h, kernel, recurrent_kernel, bias):
    input_bias, recurrent_bias = bias
    x_z, x_r, x_h = np.split(x @ kernel + input_bias, 3, axis=1)
    recurrent_z, recurrent_r, recurrent_h = np.split(h @ recurrent_kernel + recurrent_bias, 3, axis=1)
    z, r = sigmoid(x_z + recurrent_z), sigmoid(x_r + recurrent_r)
    hh = np.tanh(x_h + r * recurrent_h)
    return z * h + (1 - z) * hh


def simple_rnn_cell(x, h, kernel, recurrent_kernel, bias, activation):
    return activation(x @ kernel + bias + h @ recurrent_kernel)


def keras_logits(arrays, cell, nonlinearity, layers, ids, state):
    x = arrays.get("embedding/embeddings", np.eye(len(VOCAB)))[ids]
    for k in range(layers):
        weights = [arrays[f"{cell}_{k}/{name}"] for name in ("kernel", "recurrent_kernel", "bias")]
        h, c, outputs = state[k, 0], state[k, -1], []
        for x_t in x:
            if cell == "lstm":
                h, c = lstm_cell(x_t, h, c, *weights)
            elif cell == "gru":
                h = gru_cell(x_t, h, *weights)
            else:
                activation = {"tanh": np.tanh, "relu": lambda a: np.maximum(a, 0)}[nonlinearity]
                h = simple_rnn_cell(x_t, h, *weights, activation)
            outputs.append(h)
        x = np.stack(outputs)
    return x @ arrays["head/kernel"] + arrays["head/bias"]


@pytest.mark.parametrize(("cell", "nonlinearity", "layers", "embedding"), SHAPES)
def test_keras_equations_give_our_logits(cell, nonlinearity, layers, embedding):
    model = exchanged_model(cell, nonlinearity, layers, embedding)
    ids, state = random_reading(model)
    expected, _ = model.logits(ids, state)
    arrays = dict(np.load(io.BytesIO(to_keras(model)), allow_pickle=False))
    found = keras_logits(arrays, cell, nonlinearity, layers, ids, state)
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)
    assert found.shape == (len(ids), B, len(VOCAB))


def test_shapes_are_what_set_weights_takes():
    V = len(VOCAB)
    shapes = {
        name: a.shape for name, a in keras_weights(exchanged_model("gru", layers=2, embedding=E)).items()
    }
    assert shapes == {
        "embedding/embeddings": (V, E),
        "gru_0/kernel": (E, 3 * H),
        "gru_0/recurrent_kernel": (H, 3 * H),
        "gru_0/bias": (2, 3 * H),
        "gru_1/kernel": (H, 3 * H),
        "gru_1/recurrent_kernel": (H, 3 * H),
        "gru_1/bias": (2, 3 * H),
        "head/kernel": (H, V),
        "head/bias": (V,),
    }
    shapes = {name: a.shape for name, a in keras_weights(exchanged_model("lstm")).items()}
    assert shapes["lstm_0/kernel"] == (V, 4 * H)
    assert shapes["lstm_0/bias"] == (4 * H,)


def test_the_file_knows_its_vocabulary():
    model = exchanged_model("lstm")
    card = json.loads(str(np.load(io.BytesIO(to_keras(model)), allow_pickle=False)["charrnn"]))
    assert card["vocab"] == {"level": "char", "symbols": list(VOCAB)}
    assert card["config"]["cell"] == "lstm"
