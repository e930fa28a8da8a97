"""Edges: their names, their weights, and what a network does without them."""

import numpy as np
import pytest
from helpers import handmade
from helpers.item_models import item_model
from helpers.random_models import random_model

from charrnn.config import CELLS
from charrnn.errors import UsageError
from charrnn.interpret.edges import (
    Edge,
    Sources,
    cut_edges,
    cut_for_now,
    edge_name,
    edited,
    gates_of,
    parse_edge,
    symbol_name,
    weight_told,
    without_embedding,
)
from charrnn.interpret.recording import record
from charrnn.text.vocabulary import Vocabulary

TEXT = handmade.dialogue(2_500)


def sources_of(model):
    recording = record(model, TEXT)
    return Sources.of(recording, slice(0, len(TEXT)), len(model.vocab))


def all_kinds(cell):
    """An edge of every kind into each gate, and one to the head, of a network of two layers."""
    gates = gates_of(random_model("ab", cell=cell).network)
    for gate in gates:
        yield Edge("symbol", 0, gate, handmade.VOCAB.index("e"), 3)
        yield Edge("below", 1, gate, 2, 5)
        yield Edge("before", 0, gate, 6, 3)
        yield Edge("before", 1, gate, 4, 4)
    yield Edge("head", 1, "", 7, handmade.VOCAB.index("t"))


@pytest.mark.parametrize("cell", CELLS)
def test_sources_are_shares_means_and_spreads(cell):
    model = random_model(handmade.VOCAB, cell=cell)
    found, h = sources_of(model), model.activations(TEXT)["h"]
    assert found.shares == pytest.approx([TEXT.count(ch) / len(TEXT) for ch in handmade.VOCAB])
    np.testing.assert_allclose(
        found.means, h.mean(axis=0), atol=1e-4
    )  # h of an LSTM is recorded in half precision
    np.testing.assert_allclose(found.spreads, h.std(axis=0), atol=1e-4)


@pytest.mark.parametrize("cell", CELLS)
def test_a_network_without_its_embedding_computes_the_same(cell):
    model = random_model(handmade.VOCAB, cell=cell, embedding=5)
    same = without_embedding(model)
    assert same.config.embedding == 0
    ids = model.vocab.encode(TEXT[:300])[:, None]
    np.testing.assert_allclose(same.logits(ids)[0], model.logits(ids)[0], atol=1e-12)
    assert same.network.theta is not model.network.theta


@pytest.mark.parametrize("cell", CELLS)
def test_a_cut_edge_passes_on_its_mean(cell):
    """The weight is gone, and what the gate's sum is on average is what it was, with the sources as they were."""
    for edge in all_kinds(cell):
        model = random_model(handmade.VOCAB, cell=cell)
        network, sources = model.network, sources_of(model)
        before = {name: value.copy() for name, value in network.params.items()}
        told = weight_told(network, edge, sources)
        cut_edges(network, [edge], sources)
        changed = {name: network.params[name] - before[name] for name in before}
        moved = {name: np.flatnonzero(change) for name, change in changed.items() if change.any()}
        block = gates_of(network).index(edge.gate) * 8 if edge.gate else 0
        if edge.kind == "symbol":
            name = f"{cell}.weight_ih_l0"
            row = before[name][block + edge.target]
            assert list(moved) == [name]
            assert told == pytest.approx(row[edge.source] - sum(row * sources.shares))
            assert network.params[name][block + edge.target, edge.source] == pytest.approx(
                sum(row * sources.shares)
            )
            assert np.count_nonzero(changed[name]) == 1
            continue
        suffix = {"before": f"weight_hh_l{edge.layer}", "below": "weight_ih_l1"}.get(edge.kind)
        weights = "head.weight" if edge.kind == "head" else f"{cell}.{suffix}"
        apart = edge.kind == "before" and edge.gate == "n"  # the reset gate acts on this bias
        bias = "head.bias" if edge.kind == "head" else f"{cell}.bias{'_hn' * apart}_l{edge.layer}"
        row = edge.target + (0 if edge.kind == "head" else block)
        assert set(moved) == {weights, bias}
        assert told == before[weights][row, edge.source]
        assert network.params[weights][row, edge.source] == 0
        assert np.count_nonzero(changed[weights]) == np.count_nonzero(changed[bias]) == 1
        mean = sources.means[edge.layer - (edge.kind == "below"), edge.source]
        assert changed[bias][edge.target if apart else row] == pytest.approx(told * mean)


def test_edges_are_cut_for_now_alone():
    model = random_model(handmade.VOCAB)
    before, sources = model.network.theta.copy(), sources_of(model)
    edges = list(all_kinds("lstm"))
    with cut_for_now(model, edges, sources):
        assert all(weight_told(model.network, edge, sources) == 0 for edge in edges if edge.kind != "symbol")
    np.testing.assert_array_equal(model.network.theta, before)
    with pytest.raises(ZeroDivisionError), cut_for_now(model, edges, sources):
        raise ZeroDivisionError
    np.testing.assert_array_equal(model.network.theta, before)


def test_the_card_of_an_edited_model_tells_every_cut():
    model = random_model(handmade.VOCAB, {"step": 7}, embedding=4)
    sources = sources_of(model)
    once = edited(model, [Edge("before", 1, "i", 4, 4)], ["1:4 1:4->i"], sources)
    twice = edited(once, [Edge("head", 1, "", 4, 2)], ["1:4 ->head:x"], sources)
    assert twice.training == {"step": 7, "edits": ["cut 1:4 1:4->i", "cut 1:4 ->head:x"]}
    assert "edits" not in model.training
    assert weight_told(twice.network, Edge("before", 1, "i", 4, 4), sources) == 0


@pytest.mark.parametrize("cell", CELLS)
def test_names_of_edges_are_read_back(cell):
    model = random_model("\n\t\\ -:>e", cell=cell)
    vocab, gates = model.vocab, gates_of(model.network)
    for gate in gates:
        for symbol in range(len(vocab)):
            edge = Edge("symbol", 0, gate, symbol, 3)
            assert parse_edge(edge_name(vocab, edge, 0, 3), model, 0, 3) == edge
        for edge, name, at in [
            (Edge("before", 0, gate, 3, 3), f"0:3->{gate}", (0, 3)),
            (Edge("before", 0, gate, 6, 3), f"0:6->{gate}", (0, 3)),
            (Edge("before", 0, gate, 6, 3), f"->0:3:{gate}", (0, 6)),
            (Edge("below", 1, gate, 2, 5), f"0:2->{gate}", (1, 5)),
            (Edge("below", 1, gate, 2, 5), f"->1:5:{gate}", (0, 2)),
        ]:
            assert edge_name(vocab, edge, *at) == name
            assert parse_edge(name, model, *at) == edge
    for symbol in range(len(vocab)):
        edge = Edge("head", 1, "", 4, symbol)
        assert parse_edge(edge_name(vocab, edge, 1, 4), model, 1, 4) == edge
    first = gates[0]
    assert parse_edge(f"\n->{first}", model, 0, 3) == parse_edge(f"\\n->{first}", model, 0, 3)
    assert parse_edge(f"␣->{first}", model, 0, 3) == parse_edge(f" ->{first}", model, 0, 3)


def test_symbols_have_names_to_be_seen():
    letters = random_model("\n\t\\ e").vocab
    assert [symbol_name(letters, k) for k in range(5)] == ["\\t", "\\n", " ", "\\\\", "e"]
    as_bytes = Vocabulary.all_bytes()
    assert [symbol_name(as_bytes, k) for k in (10, 34, 92, 233)] == ["\\n", '"', "\\\\", "0xE9"]
    items = item_model("ab", (("origin", ("Irish",)),), pairs=True).vocab
    assert [symbol_name(items, k) for k in range(len(items))] == [
        *("a", "b", "end", "boundary", "label origin=Irish")
    ]


@pytest.mark.parametrize(
    ("text", "at", "why"),
    [
        ("e", (0, 3), "there is no ->"),
        ("e->q", (0, 3), "'q' is no gate of this model (it has i, f, g, o)"),
        ("Z->i", (0, 3), "the model has no symbol 'Z'"),
        ("e->i", (1, 3), "characters are read by layer 0"),
        ("0:8->i", (0, 3), "cell 0:8 has no such edge"),
        ("1:2->i", (0, 3), "cell 1:2 has no such edge"),
        ("->head:e", (0, 3), "the head reads layer 1"),
        ("->head:Z", (1, 3), "the model has no symbol 'Z'"),
        ("->0:2:i", (1, 3), "cell 0:2 has no such edge"),
        ("->2:2:i", (1, 3), "cell 2:2 has no such edge"),
        ("->1:2:z", (1, 3), "'1:2:z' is no target"),
    ],
)
def test_an_edge_that_does_not_exist_is_refused(text, at, why):
    model = random_model(" e")
    with pytest.raises(UsageError) as told:
        parse_edge(text, model, *at)
    assert f"--cut {text!r}: {why}; an edge of {at[0]}:{at[1]} is written" in str(told.value)
