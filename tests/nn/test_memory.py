"""The memory of a layer is what the head of its file says."""

import re

import numpy as np
import pytest

from charrnn.nn import gru, lstm, rnn
from charrnn.nn.buffers import Buffers

T, B, H, V = 6, 3, 4, 5


@pytest.mark.parametrize("cell", [rnn, gru, lstm])
def test_a_layer_takes_as_many_numbers_as_its_file_says(cell):
    (said,) = re.findall(r"Memory: (\d+) T B H numbers per layer", cell.__doc__)
    shapes = cell.parameter_shapes(V, H)
    params = {name: np.ones(shape) for name, shape in shapes.items()}
    grads = {name: np.empty(shape) for name, shape in shapes.items()}
    buffers, state = Buffers(), np.zeros((len(cell.STATES), B, H))
    trace = cell.forward(np.zeros((T, B), int), state, params, buffers)
    cell.backward(trace, np.ones((T, B, H)), state, params, grads, buffers)
    taken = sum(array.size for array in buffers._arrays.values())
    assert taken == int(said) * T * B * H + state.size  # each state has one step more, that before the chunk
