"""The equations of a layer against its own forward pass, and against that of a network with another weight."""

from itertools import product

import numpy as np
import pytest
from helpers import handmade
from helpers.random_models import random_model

from charrnn.config import CELLS
from charrnn.interpret.edges import SUM, Edge, Sources, cut_for_now, gates_of, without_embedding
from charrnn.interpret.equations import Equations, error_of, steps_of
from charrnn.interpret.reading import reading_of
from charrnn.interpret.recording import record
from charrnn.text.corpus import read_corpus
from charrnn.text.records import ItemForm
from charrnn.text.sources import in_memory

TEXT = handmade.dialogue(400)[:400]
KINDS = [(cell, "tanh") for cell in CELLS] + [("rnn", "relu")]


def model_of(cell, nonlinearity="tanh", **options):
    scale = 0.2 if nonlinearity == "relu" else 0.6
    return random_model(handmade.VOCAB, cell=cell, nonlinearity=nonlinearity, scale=scale, **options)


def busiest(model, layer):
    """The cells of a layer, those that move most first; some of a ReLU network may always be 0."""
    return np.argsort(-np.ptp(model.activations(TEXT)["h"][:, layer], axis=0)).tolist()


def trace_of(model, text):
    ids = model.vocab.encode(text)[:, None].astype(np.intp)
    _, _, trace = model.network.forward(ids, model.network.zero_state(1))
    return [{name: a.copy() for name, a in layer.items()} for layer in trace.layers]


@pytest.mark.parametrize(("cell", "nonlinearity"), KINDS)
@pytest.mark.parametrize("layer", [0, 1])
def test_sums_gates_and_state_are_those_of_the_forward_pass(cell, nonlinearity, layer):
    model = model_of(cell, nonlinearity)
    [steps], places = steps_of(model, reading_of(model, TEXT), [layer], [2, 5])
    assert places.tolist() == list(range(len(TEXT)))
    trace = trace_of(model, TEXT)[layer]
    found = Equations(model.network, layer, steps, [2, 5])
    for gate in gates_of(model.network):
        recorded = trace["h" if gate == SUM else gate][:, 0, [2, 5]]
        np.testing.assert_allclose(found.values[gate], recorded, atol=1e-13)
        back = {"tanh": np.arctanh, "sigma": lambda y: np.log(y / (1 - y))}
        if nonlinearity == "tanh":  # the sum itself is what the gate says
            kind = "tanh" if gate in ("g", "n", SUM) else "sigma"
            np.testing.assert_allclose(found.sums[gate], back[kind](recorded), atol=1e-6)
    state = trace["c" if cell == "lstm" else "h"][:, 0]
    moved = np.diff(state, axis=0, prepend=np.zeros((1, state.shape[1])))[:, [2, 5]]
    np.testing.assert_allclose(found.kept - found.before + found.written, moved, atol=1e-13)
    if cell == "lstm":
        erased = (trace["f"] - 1) * trace["c_prev"]
        np.testing.assert_allclose(moved, (erased + trace["i"] * trace["g"])[:, 0, [2, 5]], atol=1e-13)
    if cell == "gru":
        erased = (trace["z"] - 1) * trace["h_prev"]
        np.testing.assert_allclose(moved, (erased + (1 - trace["z"]) * trace["n"])[:, 0, [2, 5]], atol=1e-13)
    assert error_of(found, steps, [2, 5]) < 1e-13


@pytest.mark.parametrize(("cell", "nonlinearity"), KINDS)
def test_single_precision_is_exact_to_its_rounding_and_a_wrong_weight_shows(cell, nonlinearity):
    model = model_of(cell, nonlinearity, dtype=np.float32, embedding=4)
    model = without_embedding(model)
    cells = list(range(8))
    [steps], _ = steps_of(model, reading_of(model, TEXT), [1], cells)
    assert error_of(Equations(model.network, 1, steps, cells), steps, cells) < 1e-5
    model.network.layer(model.network.params, 1)["weight_hh"][:, 6] += 0.01
    assert error_of(Equations(model.network, 1, steps, cells), steps, cells) > 1e-4


@pytest.mark.parametrize(("cell", "nonlinearity"), KINDS)
@pytest.mark.parametrize("kind", ["symbol", "below", "before"])
def test_what_a_sum_without_a_part_comes_to_is_what_the_network_does_without_the_edge(
    cell, nonlinearity, kind
):
    """One step from the recorded state, by a network in which the edge is cut."""
    model = model_of(cell, nonlinearity)
    network, recording = model.network, record(model, TEXT)
    if kind == "symbol":
        layer, k, j = 0, 3, handmade.VOCAB.index("e")
    else:
        layer, k = 1, busiest(model, 1)[0]
        j = busiest(model, 1)[1] if kind == "before" else busiest(model, 0)[0]
    sources = Sources.of(recording, slice(0, len(TEXT)), len(model.vocab))
    [steps], _ = steps_of(model, reading_of(model, TEXT), [layer], [k])
    trace = trace_of(model, TEXT)
    found = Equations(network, layer, steps, [k])
    n, state_of = 20, "c" if cell == "lstm" else "h"
    params = network.layer(network.params, layer)
    for g, gate in enumerate(gates_of(network)):
        row = g * model.config.hidden + k
        if kind == "symbol":
            weights = params["weight_ih"][row]
            parts = (weights[j] - weights @ sources.shares) * (steps.x == j)
        else:
            matrix, values = ("weight_ih", steps.x) if kind == "below" else ("weight_hh", steps.before)
            source = values[:, j] - sources.means[layer - (kind == "below"), j]
            parts = params[matrix][row, j] * source
        moved = found.moved(gate, found.passed(kind, gate, parts[:, None]))[:, 0]
        with cut_for_now(model, [Edge(kind, layer, gate, j, k)], sources):
            for t in range(1, n):
                before = [[one[name][t - 1] for name in network.cell.STATES] for one in trace]
                x = model.vocab.encode(TEXT[t])[:, None].astype(np.intp)
                _, _, cut = network.forward(x, np.array(before))
                name = "h" if gate == "o" else state_of
                without = cut.layers[layer][name][0, 0, k]
                assert moved[t] == pytest.approx(trace[layer][name][t, 0, k] - without, abs=1e-10), gate
        assert np.abs(moved).max() > 1e-4


def test_every_item_begins_at_zero_and_its_end_is_not_read():
    corpus = read_corpus(in_memory("abc\nfade a bed\nc\n"), items=ItemForm("line"))
    model = random_model(corpus.vocabulary)
    reading = reading_of(model, corpus.items)
    [steps], places = steps_of(model, reading, [0], [1])
    begins, stops = reading.spans
    assert not set(stops) & set(places)
    first = np.isin(places, begins)
    assert first.sum() == len(begins)
    assert not steps.before[first].any()
    assert not steps.state_before[first].any()
    assert np.abs(steps.before[~first]).min(axis=1).max() > 0
    assert error_of(Equations(model.network, 0, steps, [1]), steps, [1]) < 1e-13


def test_all_cells_of_a_layer_at_once_are_each_alone():
    model = model_of("gru")
    [_, above], _ = steps_of(model, reading_of(model, TEXT), [0, 1], [1])
    whole = Equations(model.network, 1, above, slice(None))
    for cell, gate in product(range(8), "rzn"):
        alone = Equations(model.network, 1, above, [cell])
        np.testing.assert_allclose(whole.values[gate][:, [cell]], alone.values[gate], atol=1e-12)
    part = above.at(slice(7, 30))
    np.testing.assert_array_equal(part.before, above.before[7:30])
