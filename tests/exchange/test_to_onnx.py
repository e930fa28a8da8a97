"""The ONNX graphs give the logits and the state that the model gives."""

import json
import re
import sys

import numpy as np
import pytest
from helpers.exchanged import SHAPES, VOCAB, B, T, exchanged_model, random_reading
from helpers.random_models import random_model

from charrnn.errors import CharRNNError, UsageError
from charrnn.exchange import to_onnx as exchange
from charrnn.install.extras import how_to_install
from charrnn.nn.loss import NEVER
from charrnn.text.vocabulary import ItemSymbols, Vocabulary

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def session_of(content):
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(("cell", "nonlinearity", "layers", "embedding"), SHAPES)
def test_a_whole_sequence(cell, nonlinearity, layers, embedding):
    model = exchanged_model(cell, nonlinearity, layers, embedding)
    ids, state = random_reading(model)
    expected, expected_state = model.logits(ids, state)
    session = session_of(exchange.to_onnx(model, "sequence"))
    logits, new_state = session.run(["logits", "new_state"], {"ids": ids, "state": state})
    np.testing.assert_allclose(logits, expected, atol=1e-5, rtol=0)
    np.testing.assert_allclose(new_state, expected_state, atol=1e-5, rtol=0)
    # Another length and another number of streams, through the same session.
    logits, _ = session.run(None, {"ids": ids[:4, :2], "state": state[:, :, :2]})
    np.testing.assert_allclose(logits, expected[:4, :2], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("cell", "nonlinearity", "layers", "embedding"), SHAPES)
def test_step_by_step(cell, nonlinearity, layers, embedding):
    model = exchanged_model(cell, nonlinearity, layers, embedding)
    ids, state = random_reading(model)
    expected, expected_state = model.logits(ids, state)
    session = session_of(exchange.to_onnx(model, "step"))
    for t in range(T):
        logits, state = session.run(["logits", "new_state"], {"ids": ids[t], "state": state})
        assert logits.shape == (B, len(VOCAB))
        np.testing.assert_allclose(logits, expected[t], atol=1e-5, rtol=0)
    np.testing.assert_allclose(state, expected_state, atol=1e-5, rtol=0)


def test_float64_becomes_float32():
    model = exchanged_model("lstm", layers=2, dtype=np.float64)
    ids, state = random_reading(model)
    expected, _ = model.logits(ids, state.astype(np.float64))
    logits, _ = session_of(exchange.to_onnx(model)).run(None, {"ids": ids, "state": state})
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected, atol=1e-5, rtol=0)


def test_what_the_file_says_of_itself():
    model = exchanged_model("gru", embedding=4)
    proto = onnx.load_from_string(exchange.to_onnx(model, "step"))
    onnx.checker.check_model(proto, full_check=True)
    assert [(o.domain, o.version) for o in proto.opset_import] == [("", 17)]
    told = {entry.key: entry.value for entry in proto.metadata_props}
    assert Vocabulary.from_json(json.loads(told["vocab"])) == model.vocab
    assert json.loads(told["config"]) == {
        "cell": "gru",
        "layers": 1,
        "hidden": 5,
        "embedding": 4,
        "nonlinearity": "tanh",
    }
    assert told["graph"] == "step"
    free = [d.dim_param for value in proto.graph.input for d in value.type.tensor_type.shape.dim]
    assert free == ["B", "", "", "B", ""]


@pytest.mark.parametrize("graph", exchange.GRAPHS)
def test_a_model_of_items(graph):
    """Its symbols travel with it, and what is never written has no probability there either."""
    vocabulary = Vocabulary("char", tuple("abc"), ItemSymbols(True, (("region", ("north", "south")),)))
    model = random_model(vocabulary, dtype=np.float32)
    model.network.params["head.bias"][vocabulary.unwritten] = NEVER
    content = exchange.to_onnx(model, graph)
    told = {entry.key: entry.value for entry in onnx.load_from_string(content).metadata_props}
    assert Vocabulary.from_json(json.loads(told["vocab"])) == vocabulary
    ids, state = np.arange(len(vocabulary))[None], model.network.zero_state(len(vocabulary))
    expected, _ = model.logits(ids, state)
    logits, _ = session_of(content).run(None, {"ids": ids if graph == "sequence" else ids[0], "state": state})
    np.testing.assert_allclose(logits.reshape(expected.shape), expected, atol=1e-5, rtol=1e-6)
    assert (np.exp(logits - logits.max(axis=-1, keepdims=True))[..., vocabulary.unwritten] == 0).all()


@pytest.mark.parametrize("graph", exchange.GRAPHS)
def test_the_check_after_an_export_tells_another_model_apart(graph, monkeypatch):
    model = exchanged_model("gru", layers=2)
    content = exchange.checked_onnx(model, graph)
    assert exchange.largest_difference(content, model, graph)[0] < 1e-5
    other = exchanged_model("gru", layers=2)
    other.network.params["gru.bias_hn_l1"][0] += 0.5
    assert exchange.largest_difference(content, other, graph)[0] > 1e-3
    monkeypatch.setattr(exchange, "to_onnx", lambda *_: content)
    with pytest.raises(
        CharRNNError, match=f"the {graph} graph and the model differ by .*nothing was written"
    ):
        exchange.checked_onnx(other, graph)


def test_a_model_too_large_for_the_format(monkeypatch):
    monkeypatch.setattr(exchange, "MAX_BYTES", 1000)
    with pytest.raises(UsageError, match=r"parameters; an ONNX file holds at most 250.*--to torch"):
        exchange.to_onnx(exchanged_model("lstm"))


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_without_the_extra(missing, monkeypatch):
    model = exchanged_model("rnn")
    content = exchange.to_onnx(model)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UsageError, match=re.escape(how_to_install("onnx"))):
        exchange.to_onnx(model) if missing == "onnx" else exchange.largest_difference(
            content, model, "sequence"
        )
