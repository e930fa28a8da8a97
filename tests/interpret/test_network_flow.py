"""The gradient flow of models and fresh networks: which pieces of text, and what the records tell of clipping."""

import numpy as np
import pytest

from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import DataError
from charrnn.interpret.flow import state_gradients
from charrnn.interpret.network_flow import PLACES, WARM_UP, Clipping, clipping, of_fresh, of_model, over_text
from charrnn.model.model import Model
from charrnn.nn.init import initialise
from charrnn.nn.network import Network
from charrnn.runs.folder import RunFolder
from charrnn.text.vocabulary import Vocabulary


def network_of(cell="gru", hidden=5, vocab=6, dtype=np.float64):
    network = Network(ModelConfig(cell, 2, hidden), vocab, dtype)
    initialise(network, np.random.default_rng(4))
    return network


def test_every_place_is_read_from_the_text_before_it():
    """Each loss alone, on a stream of its own, from WARM_UP + K + 1 symbols back."""
    network, K = network_of(), 7
    ids = np.random.default_rng(5).integers(0, 6, 900)
    flow = over_text(network, ids, K)
    ends = np.linspace(WARM_UP + K + 1, len(ids) - 1, PLACES).astype(int)
    norms = []
    for end in ends:
        before = ids[end - K - 1 - WARM_UP : end - K - 1, None]
        _, state, _ = network.forward(before, network.zero_state(1))
        d_h, _ = state_gradients(network, ids[end - K - 1 : end, None], ids[end : end + 1], state)
        norms.append(np.sqrt((d_h[:, ::-1, 0] ** 2).sum(axis=2)))
    np.testing.assert_allclose(flow.h, np.mean(norms, axis=0), rtol=1e-10)
    assert (flow.places, flow.c) == (PLACES, None)


@pytest.mark.parametrize("symbols", [12, 13, 40, 111])
def test_a_short_text_has_fewer_places_and_less_before_them(symbols):
    ids = np.random.default_rng(5).integers(0, 6, symbols)
    flow = over_text(network_of(), ids, 10)
    assert flow.h.shape == (2, 11)
    assert 1 <= flow.places <= symbols - 11
    assert (flow.h > 0).all()


def test_a_text_that_is_too_short():
    with pytest.raises(DataError, match=r"the text has 11 symbols; a distance of 10 needs at least 12"):
        over_text(network_of(), np.zeros(11, int), 10)


def test_fresh_networks_side_by_side():
    flows = of_fresh(hidden=16, distance=25, layers=2)
    assert [flow.name for flow in flows] == ["rnn", "gru", "lstm"]
    assert not any(flow.trained for flow in flows)
    for flow in flows:
        assert flow.flow.h.shape == (2, 26)
        h = flow.flow.h[-1]
        assert flow.factor("h") == pytest.approx((h[25] / h[1]) ** (1 / 24))
    assert flows[0].factor() < flows[2].factor() < 1
    again = of_fresh(("gru",), hidden=16, distance=25, layers=2)[0]
    np.testing.assert_array_equal(again.flow.h, flows[1].flow.h)
    other = of_fresh(("gru",), hidden=16, distance=25, layers=2, seed=2)[0]
    assert not np.allclose(other.flow.h, again.flow.h)


def test_a_factor_that_cannot_be_told():
    flow = of_fresh(("rnn",), hidden=4, distance=1)[0]
    assert flow.factor() is None


def test_a_model_is_measured_in_float64_and_left_as_it_is():
    vocab = Vocabulary.of("abcdef")
    network = network_of("lstm", dtype=np.float32)
    model = Model.of_network(network, vocab, {})
    before = network.theta.copy()
    ids = np.random.default_rng(5).integers(0, 6, 300)
    found = of_model(model, ids, 12)
    double = Network(model.config, 6, np.float64)
    double.theta[...] = network.theta
    np.testing.assert_array_equal(found.flow.c, over_text(double, ids, 12).c)
    np.testing.assert_array_equal(network.theta, before)
    assert (found.trained, found.clipping) == (True, None)


def test_a_run_tells_of_its_clipping(tmp_path):
    folder = RunFolder(tmp_path)
    for step, norm in enumerate([0.5, 6.0, None, 12.0]):
        folder.append_metrics({"step": step, "grad_norm": norm})
    model = Model.of_network(network_of(), Vocabulary.of("abcdef"), {"settings": {"clip_value": 5.0}})
    model.save(folder.model)
    found = of_model(model, np.arange(200) % 6, 5, file=folder.model)
    assert found.clipping == Clipping(recorded=3, clip_norm=0.0, clip_value=5.0, scaled=0, maybe_clipped=2)


@pytest.mark.parametrize(
    ("norm", "value", "scaled", "maybe"),
    [(0, 5, 0, 2), (10, 0, 1, 0), (10, 5, 1, 2), (4, 5, 2, 0), (0, 0, 0, 0)],
)
def test_which_steps_were_clipped(norm, value, scaled, maybe):
    """Norms 1, 7, 20. Scaled down to 4 no number can be over 5."""
    records = [{"step": n, "grad_norm": g} for n, g in enumerate([1.0, 7.0, 20.0])]
    found = clipping(records, TrainConfig(clip_norm=norm, clip_value=value))
    assert (found.recorded, found.scaled, found.maybe_clipped) == (3, scaled, maybe)


def test_no_records_no_answer():
    assert clipping([], TrainConfig()) is None
    assert (
        clipping(
            [{"step": 1}, {"step": 2, "grad_norm": "much"}, {"step": 3, "grad_norm": float("nan")}],
            TrainConfig(),
        )
        is None
    )
