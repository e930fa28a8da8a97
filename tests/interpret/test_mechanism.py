"""How a cell does it, for cells whose mechanism is known: they are built by hand among random ones."""

import math
from dataclasses import replace

import numpy as np
import pytest
from helpers import handmade
from helpers.random_models import random_model

from charrnn.config import CELLS
from charrnn.errors import DataError, UsageError
from charrnn.interpret import cutting, mechanism
from charrnn.interpret.cutting import Bench, Cut, Target, corrected, least_p
from charrnn.interpret.edges import Edge, Sources, cut_edges, gates_of, without_embedding
from charrnn.interpret.mechanism import cut_cell, explain_cell
from charrnn.interpret.recording import record
from charrnn.interpret.targets import classes_of
from charrnn.interpret.user_concepts import parse_concept
from charrnn.text.corpus import read_corpus
from charrnn.text.records import ItemForm
from charrnn.text.sources import in_memory

TALK = handmade.dialogue(8_000)
MARKED = handmade.marked(8_000, 3, (20, 120), (20, 120), marks="()")
LINES = handmade.lines(5_000, 2, 20, 45)
ASIDE = "aside=between:(..)"
UP_AND_DOWN = {"(": 1.0, ")": -1.0}


def planted(cell, plant, **options):
    weights = handmade.random_weights(cell)
    plant(weights, **options)
    return handmade.model_of(cell, weights)


def latch(weights):
    handmade.latch(weights, "lstm", 5, UP_AND_DOWN, {")": 3.0})


# Cell, what is planted, text, concept, writers (a set), the keeping gate, head, characters that raise and lower it
QUOTE = {"0:5->g", '"->i', '"->f'}
CASES = {
    "lstm toggle": ("lstm", handmade.lstm_quote, TALK, "quote", QUOTE, 1, '"', '"', '"'),
    "lstm counter": (
        "lstm",
        handmade.lstm_line_counter,
        LINES,
        "line_pos",
        {"\\n->f", "\\n->i"},
        1,
        "\\n",
        "",
        "\\n",
    ),
    "lstm depth": ("lstm", handmade.lstm_depth, TALK, "paren", {"(->g", ")->g"}, 1, ")", "(", ")"),
    "gru toggle": ("gru", handmade.gru_quote, TALK, "quote", {'"->z', "0:5->n"}, 1, '"', '"', '"'),
    "gru counter": (
        "gru",
        handmade.gru_line_counter,
        LINES,
        "line_pos",
        {"\\n->z", "\\n->n"},
        0.99,
        "\\n",
        "",
        "\\n",
    ),
    "rnn switch": (
        "rnn",
        handmade.rnn_bracket,
        MARKED,
        ASIDE,
        {"0:5->a", "(->a", ")->a"},
        None,
        ")",
        "(",
        ")",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_writers_and_readers_of_a_planted_cell_are_named(case):
    cell, plant, text, concept, writers, kept, head, up, down = CASES[case]
    found = explain_cell(planted(cell, plant), text, (0, 5), concept, cut=False)
    assert found.error < 1e-12
    names = {one.name for one in found.writers}
    assert writers <= names
    # At a newline c is 0 anyway, and a letter keeps a little more of h than the mean of all characters.
    idle = {"lstm counter": {"\\n->i"}, "gru counter": names}.get(case, set())
    assert names <= writers | idle
    assert found.writers[0].name in writers
    assert [one.name for one in found.head] == [f"->head:{head}"]
    assert (found.readers, found.shown_by) == ((), ())
    assert (found.kept is None) == (kept is None)
    assert kept is None or found.kept == pytest.approx(kept, abs=1e-9)
    assert "".join(one.character for one in found.characters if one.rise > 0.5) == up
    assert "".join(one.character for one in found.characters if one.fall > 0.5) == down
    assert found.target == head
    assert found.score == pytest.approx(1, abs=0.01 if case != "lstm depth" else 0.4)
    assert found.sign == 1


def test_the_figures_of_a_planted_cell():
    """A latch: + at an opening, − at a closing; c is ±1, set through f and g, and shown as it is."""
    model = planted("lstm", latch)
    found = explain_cell(model, MARKED, (0, 5), ASIDE, cut=False)
    recording = record(model, MARKED)
    part, symbols = recording.select, model.vocab.symbols
    ids = recording.ids[part]
    share = {ch: float(np.mean(ids == symbols.index(ch))) for ch in "()"}
    by_name = {one.name: one for one in found.writers}
    tanh_b = math.tanh(handmade.B)
    # without its weight into g, a mark writes tanh(the mean of the row): nearly 0 here, since + and − cancel
    mean = handmade.B * (share["("] - share[")"])
    for ch, size in (("(", 1), (")", -1)):
        one = by_name[f"{ch}->g"]
        assert one.weight == pytest.approx(size * handmade.B - mean)
        assert one.input == pytest.approx(abs(one.weight) * math.sqrt(share[ch]))
        assert one.strength == pytest.approx(
            abs(size * tanh_b - math.tanh(mean)) * math.sqrt(share[ch]), rel=1e-6
        )
    # an opening raises the state where the label is on, a closing one lowers it where it is off
    label = parse_concept(ASIDE).label_of(recording)
    on = {ch: np.mean(label.values[part] == (ch == "(")) for ch in "()"}
    for ch in "()":
        moved = abs(tanh_b - math.tanh(mean)) if ch == "(" else abs(-tanh_b - math.tanh(mean))
        assert by_name[f"{ch}->g"].carries == pytest.approx(moved * share[ch] / on[ch], rel=1e-6)
    [head] = found.head
    h = model.activations(MARKED)["h"][part, 0, 5]
    assert head.weight == 3
    assert head.strength == head.input == pytest.approx(3 * h.std(), rel=1e-3)
    up = next(one for one in found.characters if one.character == "(")
    assert up.count == int(np.sum(ids == symbols.index("(")))
    assert up.kept == pytest.approx(0, abs=1e-9)
    assert (up.rise, up.fall) == (pytest.approx(1, abs=1e-3), 0)
    assert up.written == pytest.approx(tanh_b)
    assert up.erased == pytest.approx(1, abs=1e-3)  # what it was: −1


@pytest.mark.parametrize("cell", CELLS)
def test_strengths_of_readers_are_what_each_does_in_one_step_without_the_edge(cell):
    """Every edge from a cell to gates of its own layer and of the one above, by a pass of one step each."""
    model = random_model(handmade.VOCAB, cell=cell, hidden=4)
    text = handmade.dialogue(2_100)[:2_100]
    found = explain_cell(model, text, (0, 2), "line_pos", top=1000, cut=False)
    recording = record(model, text)
    part = recording.select
    sources = Sources.of(recording, part, len(model.vocab))
    edges = {one.edge: one for one in found.readers}
    assert found.head == ()
    assert {edge.kind for edge in edges} == {"before", "below"}
    ids = recording.ids[:, None].astype(np.intp)
    _, _, trace = model.network.forward(ids, model.network.zero_state(1))
    names = model.network.cell.STATES
    layers = [{name: layer[name].copy() for name in names} for layer in trace.layers]
    steps = np.arange(part.start, part.stop)
    state = np.array([[layer[name][steps - 1, 0] for name in names] for layer in layers])  # (L, S, B, H)
    some = [e for e in edges if e.gate == gates_of(model.network)[0] or e.target == 1][:12]
    assert len(some) >= 5
    for edge in some:
        copy = without_embedding(model)
        cut_edges(copy.network, [edge], sources)
        _, _, cut = copy.network.forward(ids[steps].T, state)
        name = "h" if edge.gate == "o" or cell != "lstm" else "c"
        without = cut.layers[edge.layer][name][0, :, edge.target]
        moved = layers[edge.layer][name][steps, 0, edge.target] - without
        # to o, c of the reader is another one too where the edge comes from below: no edge to o moves c
        assert edges[edge].strength == pytest.approx(np.sqrt(np.mean(moved**2)), rel=1e-3), edge


def test_the_weight_of_an_edge_to_the_head_is_what_a_nudge_of_the_cell_does():
    model = random_model(handmade.VOCAB, hidden=4)
    found = explain_cell(model, handmade.dialogue(2_100), (1, 2), "line_pos", top=3, cut=False)
    ids = model.vocab.encode("The sea")[:, None].astype(np.intp)
    _, state = model.logits(ids)
    top, params = state[1, 0, 0], model.network.params

    def logits(nudge):
        h = top.copy()
        h[2] += nudge
        return params["head.weight"] @ h + params["head.bias"]

    slopes = (logits(1e-4) - logits(-1e-4)) / 2e-4
    for one in found.head:
        assert one.weight == pytest.approx(slopes[one.edge.target], rel=1e-6)
    assert [one.edge.target for one in found.head] == np.argsort(-np.abs(slopes))[:3].tolist()


# ------------------------------------------------------------------------------------------------
# Cutting


def bench_of(model, text, concept, cell, ignorant=None):
    recording = record(model, text)
    label = parse_concept(concept).label_of(recording)
    sources = Sources.of(recording, recording.select, len(model.vocab))
    ignorant = np.ones((1, handmade.H), bool) if ignorant is None else ignorant
    return Bench(
        without_embedding(model), recording, label, classes_of(recording, label), 1, cell, ignorant, sources
    )


@pytest.mark.parametrize(
    ("case", "edge", "score_after"),
    [
        ("lstm toggle", '"->i', 0.5),
        ("lstm toggle", "0:5->g", 0.5),
        ("lstm counter", "\\n->f", 0.0),
        ("gru toggle", '"->z', 0.5),
        ("gru toggle", "0:5->n", 0.5),
        ("rnn switch", "(->a", 0.56),
        ("rnn switch", "0:5->a", 0.52),
    ],
)
def test_cutting_a_writer_kills_score_and_prediction(case, edge, score_after, monkeypatch):
    monkeypatch.setattr(cutting, "CONTROLS", 3)
    cell, plant, text, concept, *_, head, _, _ = CASES[case]
    model = planted(cell, plant)
    found = mechanism.parse_edge(edge, model, 0, 5)
    bench = bench_of(model, text, concept, (0, 5))
    symbol = mechanism.parse_edge(f"->head:{head}", model, 0, 5).target
    cut = bench.test(found, Target(head, (symbol,), 1))
    assert cut.score > 0.98
    assert cut.score_after == pytest.approx(score_after, abs=0.03)
    assert cut.log_odds > 0.6
    assert abs(cut.log_odds_after) < 0.1 * cut.log_odds
    assert (cut.score_p, cut.log_odds_p, cut.controls) == (0.25, 0.25, 3)
    assert cut.score_controls < 0.01
    assert cut.log_odds_controls < 0.05
    assert cut.share == pytest.approx(
        max(cut.lost / cut.known, cut.fell)
    )  # of 1 nat, as nothing else is told
    assert not cut.holds  # with three controls no p is small enough
    assert replace(cut, p=0.05).holds


def test_cutting_what_a_cell_does_not_depend_on_changes_nothing(monkeypatch):
    monkeypatch.setattr(cutting, "CONTROLS", 2)
    model = planted("lstm", handmade.lstm_quote)
    bench = bench_of(model, TALK, "quote", (0, 5))
    e, mark = model.vocab.symbols.index("e"), model.vocab.symbols.index('"')
    cut = bench.test(Edge("symbol", 0, "i", e, 7), Target('"', (mark,), 1))
    assert cut.score_after == cut.score == pytest.approx(1)
    assert cut.score_p == 1
    assert abs(cut.fell) < 0.05
    assert not replace(cut, p=0.01, share=0.019).holds
    assert replace(cut, p=0.01, share=0.02).holds


def test_cutting_an_edge_to_the_head_moves_its_symbol_and_not_the_cell(monkeypatch):
    monkeypatch.setattr(cutting, "CONTROLS", 4)
    model = planted("gru", handmade.gru_quote)
    bench = bench_of(model, TALK, "quote", (0, 5))
    mark = model.vocab.symbols.index('"')
    reads = []
    monkeypatch.setattr(Bench, "_read", lambda self: reads.append(1))
    cut = bench.test(Edge("head", 0, "", 5, mark), Target('"', (mark,), 1))
    assert not reads
    assert (cut.score_after, cut.score_p, cut.score_controls) == (cut.score, None, None)
    assert cut.log_odds == pytest.approx(6, abs=0.1)  # h is ±1, the weight 3
    assert abs(cut.log_odds_after) < 0.1
    assert cut.log_odds_p == 0.2


def test_a_share_of_next_to_nothing_is_nothing(monkeypatch):
    """It is of half a nat at least, and of a score that chance does not reach."""
    monkeypatch.setattr(cutting, "CONTROLS", 2)
    weights, mark = handmade.random_weights("gru"), handmade.VOCAB.index('"')
    handmade.gru_quote(weights)
    weights["head.weight"][mark] = 0.02 * (np.arange(handmade.H) == 5)
    model, concept = handmade.model_of("gru", weights), parse_concept('own=between:".."', '"=+')
    _, found, bench, target = mechanism._case(model, TALK, (0, 5), concept, 1, lambda what: None)
    cut = bench.test(Edge("head", 0, "", 5, mark), target)
    assert 0.03 < cut.log_odds < 0.05
    assert cut.share == pytest.approx(cut.fell / 0.5)
    assert cut.fell > 0.03
    weights["head.weight"][mark, 5] = 3
    *_, plain, _ = mechanism._case(
        handmade.model_of("gru", weights), TALK, (0, 5), concept, 1, lambda what: None
    )
    assert plain.told == pytest.approx(6, abs=0.1)
    assert bench.level == plain.level == pytest.approx(2 * found.chance_level - 1)
    writer = mechanism.parse_edge('"->z', model, 0, 5)
    kills = bench.test(writer, target)
    bench.level = 4.0
    assert kills.share == pytest.approx(kills.lost / kills.known)
    assert bench.test(writer, target).share == pytest.approx(kills.lost / 4)


def test_the_log_odds_are_those_of_the_predictions():
    model = planted("lstm", handmade.lstm_quote)
    bench = bench_of(model, TALK, "quote", (0, 5))
    recording, part = bench.recording, bench.recording.confirm
    label = parse_concept("quote").label_of(recording)
    logits, _ = model.logits(recording.ids[:, None])
    p = np.exp(logits[:, 0]) / np.exp(logits[:, 0]).sum(axis=1, keepdims=True)
    mark = model.vocab.symbols.index('"')
    odds, on = np.log(p[:, mark] / (1 - p[:, mark]))[part], label.values[part]
    counted = label.mask[part]
    expected = odds[on & counted].mean() - odds[~on & counted].mean()
    assert bench.log_odds(Target('"', (mark,), 1)) == pytest.approx(expected, abs=1e-6)
    assert bench.log_odds(Target('"', (mark,), -1)) == pytest.approx(-expected, abs=1e-6)


def test_a_cell_that_stops_moving_has_the_score_of_chance():
    bench = bench_of(planted("lstm", handmade.lstm_quote), TALK, "quote", (0, 5))
    still = replace(bench.whole, signal=np.zeros_like(bench.whole.signal))
    assert bench.score(still) == 0.5
    backwards = replace(bench.whole, signal=-bench.whole.signal)
    assert (bench.score(), bench.score(backwards)) == (pytest.approx(1), pytest.approx(0))


@pytest.mark.parametrize("kind", ["symbol", "before", "head"])
def test_controls_are_the_most_similar_edges_of_other_cells_that_know_nothing(kind, monkeypatch):
    monkeypatch.setattr(cutting, "CONTROLS", 6)
    model = handmade.model_of("lstm", handmade.random_weights("lstm"))
    ignorant = np.ones((1, handmade.H), bool)
    ignorant[0, ::3] = False
    bench = bench_of(model, TALK, "quote", (0, 5), ignorant)
    sources, params, H = bench.sources, bench.model.network.params, handmade.H
    edge = {
        "symbol": Edge("symbol", 0, "f", model.vocab.symbols.index("e"), 5),
        "before": Edge("before", 0, "g", 7, 5),
        "head": Edge("head", 0, "", 5, 20),
    }[kind]
    usable = [k for k in range(H) if k % 3 and k != 5]
    if kind == "symbol":
        matrix = params["lstm.weight_ih_l0"][H : 2 * H]
        weight = matrix - (matrix @ sources.shares)[:, None]
        pairs = [(k, s) for k in usable for s in np.flatnonzero(sources.shares)]
        spread = np.sqrt(sources.shares)
    elif kind == "before":
        weight, spread = params["lstm.weight_hh_l0"][2 * H : 3 * H], sources.spreads[0]
        pairs = [(k, j) for k in usable for j in usable]
    else:
        weight, spread = params["head.weight"], sources.spreads[0]
        pairs = [(20, j) for j in usable]
    own = np.log([abs(weight[edge.target, edge.source]), spread[edge.source]])
    features = np.log([[abs(weight[t, s]), spread[s]] for t, s in pairs])
    distance = (((features - own) / features.std(axis=0)) ** 2).sum(axis=1)
    expected = [pairs[n] for n in np.argsort(distance)[:6]]
    found = bench.alike(edge)
    others = bench.alike(edge, found[:4])
    assert (others[:2], len(others), others[2:] == found[4:]) == (found[4:], 6, False)
    assert not set(others) & set(found[:4])
    assert [(one.target, one.source) for one in found] == expected
    assert {(one.kind, one.layer, one.gate) for one in found} == {(edge.kind, 0, edge.gate)}


def cut_of(share, shares):
    """A cut that loses a share, and controls that do."""
    return Cut(
        None, 1.0, 0.5, None, None, None, None, None, None, len(shares), 1.0, share, share, tuple(shares)
    )


def test_p_is_corrected_for_the_edges_of_a_cell():
    idle = np.linspace(0, 0.1, 20)
    strong, middling, weak = cut_of(0.9, idle), cut_of(0.5, idle / 2), cut_of(0.04, idle / 4)
    bare = cut_of(0.9, [])
    found = corrected([weak, strong, middling, bare])
    more = (1 + (np.r_[idle, idle / 2, idle / 4] >= 0.04).sum()) / 61
    # 4 edges: of the three strongest the smallest p's are 1/61, by Holm 4/61; but each is no less than its own, 1/21
    assert [one.p for one in found] == [pytest.approx(one) for one in (max(more, 1 / 21), 4 / 61, 4 / 61)] + [
        None
    ]
    assert [one.holds for one in found] == [False, False, False, False]
    twice = corrected([strong, middling])
    assert [one.p for one in twice] == [pytest.approx(2 / 41)] * 2  # of one kind: not below 1/21 either
    assert all(one.holds for one in twice)
    alone, *_ = corrected([cut_of(0.05, [0.06, *np.zeros(39)]), cut_of(0.01, np.zeros(40))])
    assert alone.p == pytest.approx(2 * 2 / 81)  # which its own controls do as often: 2/41
    (own,) = corrected([cut_of(0.05, [0.06, *np.zeros(19)])])
    assert own.p == pytest.approx(2 / 21)


def test_the_least_p_is_that_of_an_edge_that_loses_most():
    cuts = [cut_of(0.9, np.zeros(20)), cut_of(0.0, np.zeros(25)), cut_of(0.0, np.zeros(5))]
    assert least_p(cuts) == pytest.approx([3 / 51, 3 / 51, 1 / 6])
    assert corrected(cuts)[0].p == pytest.approx(3 / 51)
    few = [replace(one, share=0.9 * (k == 2)) for k, one in enumerate(cuts)]
    assert corrected(few)[2].p == pytest.approx(1 / 6)
    assert least_p([]) == []


def test_it_is_said_when_no_p_can_be_small(monkeypatch):
    monkeypatch.setattr(cutting, "CONTROLS", 2)
    weights = handmade.random_weights("rnn")
    handmade.rnn_bracket(weights)
    found = explain_cell(handmade.model_of("rnn", weights), TALK, (0, 5), "paren", top=1)
    assert found.notes == (
        "too few edges of other cells are left to compare with: p of some cannot be below 0.40",
    )


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_every_claim_about_a_planted_cell_is_tested(case):
    cell, plant, text, concept, writers, _, head, _, _ = CASES[case]
    found = explain_cell(planted(cell, plant), text, (0, 5), concept)
    kept = {"\\n->i"}  # at a newline c is 0 once f is
    for one in found.writers:
        assert one.cut.controls == 25
        if one.name in writers:
            assert one.cut.holds == (one.name not in kept), one.name
    assert found.head[0].cut.holds
    assert found.together[0] < 0.6
    assert abs(found.together[1]) < 0.1
    assert found.notes == ()
    assert writers <= {one.name for one in found.writers}
    assert found.head[0].cut.target == head


# ------------------------------------------------------------------------------------------------
# The whole


def test_the_concept_is_the_one_that_the_cell_follows_best():
    found = explain_cell(planted("lstm", handmade.lstm_quote), TALK, (0, 5), cut=False)
    assert (found.concept, found.kind, found.target, found.direction) == ("quote", "bool", '"', 1)
    assert 0.5 < found.chance_level < 0.9
    none = explain_cell(planted("lstm", handmade.lstm_quote), "said the sea " * 300, (0, 5), cut=True)
    assert (none.concept, none.score, none.together) == (None, None, None)
    assert none.notes == ("no concept occurs often enough in this text: no edge was cut",)


def test_a_cell_that_falls_is_explained_along_its_direction():
    weights = handmade.random_weights("lstm")
    handmade.latch(weights, "lstm", 5, {"(": -1.0, ")": 1.0}, {")": -3.0})
    found = explain_cell(handmade.model_of("lstm", weights), MARKED, (0, 5), ASIDE, cut=False)
    assert (found.sign, found.score) == (-1, pytest.approx(1))
    assert [one.character for one in found.characters if one.rise > 0.5] == ["("]
    assert found.log_odds > 4
    assert found.to_json()["sign"] == -1


def test_json_has_every_figure():
    found = explain_cell(planted("gru", handmade.gru_quote), TALK, (0, 5), "quote", cut=False)
    told = found.to_json()
    assert told["writers"][0].keys() == {"edge", "weight", "input", "strength", "carries", "cut"}
    assert told["characters"][0].keys() == {
        *("character", "count", "kept", "erased", "written", "rise", "fall")
    }
    assert told["writers"][0]["strength"] == found.writers[0].strength
    assert told["error"] == found.error
    assert told["together"] is None


def test_a_cut_copy_scores_as_told():
    model = planted("lstm", handmade.lstm_quote)
    model.training["step"] = 3
    changed, found = cut_cell(model, TALK, (0, 5), ['"->i', "->head:e"], "quote")
    assert changed.training == {"step": 3, "edits": ['cut 0:5 "->i', "cut 0:5 ->head:e"]}
    signal = record(changed, TALK).signals[5]
    assert np.ptp(signal) < 1e-6  # never written: the score of chance
    assert found.together == (0.5, pytest.approx(0, abs=0.1))
    assert found.score == pytest.approx(1)
    with pytest.raises(UsageError, match="names the same edge twice"):
        cut_cell(model, TALK, (0, 5), ['"->i', '"->i'], "quote")


def test_a_model_with_an_embedding_and_items():
    corpus = read_corpus(in_memory(handmade.lines(6_000, 4, 12, 45)), items=ItemForm("line"))
    model = random_model(corpus.vocabulary, hidden=5, embedding=4, dtype=np.float32, cell="gru")
    found = explain_cell(model, corpus.items, (1, 2), "item_pos", top=2, cut=False)
    assert found.error < 1e-5
    assert found.concept == "item_pos"
    assert len(found.writers) == len(found.head) == 2
    assert all(one.edge.kind in ("below", "before") for one in found.writers)


def test_more_is_read_for_a_concept_that_is_rare(monkeypatch):
    """No more than it takes; a tracker of `inspect-cells`, which reads 100,000 characters, can be explained."""
    monkeypatch.setattr(mechanism, "CHARACTERS", 2000)
    model = planted("lstm", latch)
    few = explain_cell(model, MARKED, (0, 5), "word_pos", cut=False)
    assert few.characters_read == 2000
    read = explain_cell(model, MARKED, (0, 5), ASIDE, cut=False)
    assert read.characters_read in (4000, 8000)
    assert read.score == pytest.approx(1)
    with pytest.raises(UsageError, match="fewer than 30 stretches"):
        explain_cell(model, MARKED[: read.characters_read // 2], (0, 5), ASIDE, cut=False)


@pytest.mark.parametrize(
    ("cell", "concept", "error", "message"),
    [
        ((1, 0), "quote", UsageError, "cell 1:0 does not exist; layers are 0 to 0, cells 0 to 31"),
        ((0, 32), "quote", UsageError, "cell 0:32 does not exist"),
        (
            (0, 5),
            "bracket",
            UsageError,
            "--concept bracket: fewer than 30 stretches on or off in the 8,",
        ),
        ((0, 5), "x=span:ZQ", UsageError, "--concept x=span:ZQ matches nothing in the text (8,"),
        (
            (0, 5),
            parse_concept("x=span:a", "\x00=+"),
            UsageError,
            "--expect: the model has no single symbol for '\\x00'",
        ),
        ((0, 5), "item_pos", UsageError, "--concept item_pos is for models of items"),
        ((0, 5), "quote", DataError, "the cell does not move in this text"),
    ],
)
def test_errors(cell, concept, error, message):
    weights = handmade.random_weights("lstm")
    handmade.clear(weights, "lstm", 5)
    with pytest.raises(error) as told:
        explain_cell(handmade.model_of("lstm", weights), TALK, cell, concept)
    assert message in str(told.value)


def test_a_text_in_memory_is_checked_for_its_length():
    with pytest.raises(DataError, match="at least 2,000"):
        explain_cell(planted("lstm", handmade.lstm_quote), "short", (0, 5))
