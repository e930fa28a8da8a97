"""A model as a map of its whole state, against the model itself."""

import numpy as np
import pytest
from helpers.random_models import random_model

from charrnn.errors import DataError
from charrnn.model.steps import Steps
from charrnn.nn.loss import log_softmax

TEXT = "abcacbbacab" * 30


@pytest.mark.parametrize("embedding", [0, 3])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_states_and_predictions_are_the_models(cell: str, embedding: int) -> None:
    model = random_model("abc", cell=cell, hidden=5, embedding=embedding)
    steps, ids = Steps(model), model.vocab.encode(TEXT)
    states = steps.visited(ids)
    expected = model.activations(TEXT)
    N, L, H = expected["h"].shape
    assert steps.size == states.shape[1] == L * len(expected) * H
    arrays = states.reshape(N, L, len(expected), H)
    for number, letter in enumerate(model.network.cell.STATES):
        np.testing.assert_allclose(arrays[:, :, number], expected[letter], atol=1e-12)
    logits, _ = model.logits(ids[:, None])
    np.testing.assert_allclose(steps.log_p(states), log_softmax(logits[:, 0]), atol=1e-12)
    # One step from each state, by symbol and by its one-hot vector, leads to the next one.
    for x in (ids[1:].astype(np.intp), np.eye(3)[ids[1:]]):
        np.testing.assert_allclose(steps.forward(states[:-1], x), states[1:], atol=1e-12)
        after, jacobians = steps.jacobians(states[:-1], x)
        np.testing.assert_allclose(after, states[1:], atol=1e-12)
        push = 1e-6 * np.eye(steps.size)
        there, back = (
            steps.forward(states[7] + sign * push, np.repeat(x[7:8], steps.size, axis=0)) for sign in (1, -1)
        )
        np.testing.assert_allclose(jacobians[7], (there - back).T / 2e-6, atol=1e-7)


def test_states_that_overflow_are_refused() -> None:
    model = random_model("abc", cell="rnn", hidden=8, nonlinearity="relu")
    for value in model.network.params.values():
        value *= 1e3
    with pytest.raises(DataError, match="overflows"):
        Steps(model).visited(np.arange(600) % len(model.vocab))
