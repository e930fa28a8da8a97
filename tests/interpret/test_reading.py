"""Cells of models of items: each item is read from the zero state, and nothing that is told of it reaches beyond it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from helpers import handmade
from helpers.random_models import random_model

from charrnn.errors import DataError, UsageError
from charrnn.interpret import cause
from charrnn.interpret.cause import Experiment, window_length
from charrnn.interpret.chance import ROTATIONS, chance
from charrnn.interpret.concepts import BUILT_IN
from charrnn.interpret.excerpt import read_excerpt
from charrnn.interpret.findings import FEWEST_STEADY, inspect_cells, response_profile
from charrnn.interpret.labels import Concept, examples
from charrnn.interpret.passages import (
    PASSAGE,
    best_and_worst,
    of_cell,
    signal_of,
    top_guesses,
)
from charrnn.interpret.reading import (
    BEGIN,
    BOUNDARY,
    END,
    LABEL,
    Reading,
    character_names,
    reading_of,
    spread,
)
from charrnn.interpret.recording import record
from charrnn.interpret.run_report import surprises_of
from charrnn.interpret.saturation import gate_saturation
from charrnn.interpret.scores import class_runs, score, steady, steady_places
from charrnn.interpret.targets import classes_of, symbol_ids
from charrnn.interpret.user_concepts import parse_concept
from charrnn.nn.loss import log_softmax
from charrnn.nn.network import Clamp
from charrnn.text.corpus import Corpus, read_corpus
from charrnn.text.records import ItemForm
from charrnn.text.sources import in_memory

LINE = ItemForm("line")
TABLE = ItemForm("csv", "out", ("tone",), "in")


def read(text: str, form: ItemForm = LINE, level: str = "char") -> Corpus:
    return read_corpus(in_memory(text), level=level, items=form)


def words(n: int, seed: int, least: int = 12, most: int = 45) -> str:
    """Lines of words, least to most characters long."""
    return handmade.lines(n, seed, least, most)


def model_of(corpus: Corpus, cell: str = "lstm", **shape: object):
    return random_model(corpus.vocabulary, scale=0.4, cell=cell, **{"hidden": 5, **shape})


def alone(model, ids, which="cell"):
    """The signals (L·H, t) of one item, read from the zero state."""
    _, _, trace = model.network.forward(np.asarray(ids)[:, None].astype(np.intp), model.network.zero_state(1))
    name = {"cell": "tanh_c" if model.config.cell == "lstm" else "h", "hidden": "h"}[which]
    return np.concatenate([layer[name][:, 0].T for layer in trace.layers])


# ------------------------------------------------------------------------------------------------
# Reading


def test_marks_stand_for_the_symbols_that_are_no_characters():
    corpus = read("ab\nc\n")
    reading = reading_of(model_of(corpus), corpus.items)
    assert reading.text == f"{BEGIN}ab{END}{BEGIN}c{END}"
    assert reading.begins.tolist() == [0, 4]
    assert reading.stretches.tolist() == [-1, 0, 0, -1, -1, 1, -1]
    assert [a.tolist() for a in reading.spans] == [[0, 4], [3, 6]]
    assert len(reading) == 2
    pairs = read("tone,in,out\nx,12,ab\ny,3,c\n", TABLE)
    reading = reading_of(model_of(pairs), pairs.items)
    assert reading.text == f"{LABEL}12{BOUNDARY}ab{END}{LABEL}3{BOUNDARY}c{END}"
    assert reading.stretches.tolist() == [-1, 0, 0, -1, 1, 1, -1, -1, 2, -1, 3, -1]
    assert np.flatnonzero(reading.inputs).tolist() == [0, 1, 2, 3, 7, 8, 9]
    assert character_names(model_of(pairs), reading)[:7] == [
        "label tone=x", "1", "2", "boundary", "a", "b", "end",
    ]  # fmt: skip


def test_bytes_of_items_are_characters_where_they_end():
    corpus = read('{"i": "é", "t": "a漢"}\n{"i": "b", "t": "ü"}\n', ItemForm("jsonl", "t", (), "i"), "byte")
    reading = reading_of(model_of(corpus), corpus.items)
    assert reading.text == f"é{BOUNDARY}a漢{END}b{BOUNDARY}ü{END}"
    assert reading.ends.tolist() == [1, 2, 3, 6, 7, 8, 9, 11, 12]
    assert reading.begins.tolist() == [0, 5]
    assert [a.tolist() for a in reading.spans] == [[0, 8], [7, 12]]
    part = reading.part(5, 9)
    assert (part.text, part.ends.tolist(), part.begins.tolist()) == (f"b{BOUNDARY}ü{END}", [0, 1, 3, 4], [0])
    np.testing.assert_array_equal(part.ids, reading.ids[8:])


def test_long_texts_are_read_in_part():
    corpus = read("\n".join(["abcdefgh"] * 50))
    model = model_of(corpus)
    some = reading_of(model, corpus.items, 109)
    assert some.text == f"{BEGIN}abcdefgh{END}" * 10
    assert corpus.items is not None
    assert spread(corpus.items, 100).starts.tolist() == corpus.items.starts[::5].tolist()
    assert spread(some, 10) is some
    assert reading_of(model, corpus.items).first(39).text == f"{BEGIN}abcdefgh{END}" * 3
    [only] = [reading_of(model, read("abc" * 50).items, 20)]
    assert len(only.text) == 20
    assert only.text.endswith(END)


# ------------------------------------------------------------------------------------------------
# Recording


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_each_item_is_read_from_the_zero_state(cell):
    corpus = read(words(3_000, 1, 1, 150))
    model = model_of(corpus, cell)
    found = record(model, corpus.items)
    assert corpus.items is not None
    for n, (start, stop) in enumerate(zip(*found.spans, strict=True)):
        np.testing.assert_allclose(
            found.signals[:, start:stop], alone(model, corpus.items.of(n)[:-1]), atol=1e-6
        )
        np.testing.assert_array_equal(found.signals[:, stop], found.signals[:, stop - 1])
    assert found.select.stop == found.confirm.start
    assert found.select.stop in found.begins
    assert abs(found.select.stop - len(found.text) / 2) < 100
    signal = signal_of(model, found, 0, 3)
    np.testing.assert_allclose(signal, found.signals[3], atol=1e-6)


def test_gates_are_counted_over_all_that_is_read():
    corpus = read(words(1_000, 2))
    model = model_of(corpus, layers=1)
    assert corpus.items is not None
    gates = []
    for n in range(len(corpus.items)):
        ids = corpus.items.of(n)[:-1, None].astype(np.intp)
        _, _, trace = model.network.forward(ids, model.network.zero_state(1))
        gates.append(trace.layers[0]["f"][:, 0].copy())
    forget = np.concatenate(gates)
    found = next(one for one in gate_saturation(model, corpus.items) if one.gate == "f")
    np.testing.assert_allclose(found.right, np.mean(forget > 0.9, axis=0))
    np.testing.assert_allclose(found.left, np.mean(forget < 0.1, axis=0))


# ------------------------------------------------------------------------------------------------
# Labels


@pytest.mark.parametrize("name", [name for name, one in BUILT_IN.items() if name != "telegraph"])
def test_an_item_is_labelled_as_if_it_were_alone(name):
    lines = [
        'He said "so (it',
        "is)\" and' l{",
        "2 }ft URL http://x.yz <b",
        "end> // it\tNOW",
        "  He",
        "x = (1",
    ]
    corpus = read("\n".join(lines))
    reading = reading_of(model_of(corpus), corpus.items)
    label = BUILT_IN[name].label_of(reading)
    place = 0
    for line in lines:
        mine = BUILT_IN[name].label(line)
        part = slice(place + 1, place + 1 + len(line))
        np.testing.assert_array_equal(label.values[part], mine.values)
        np.testing.assert_array_equal(label.mask[part], mine.mask)
        assert not label.mask[[place, part.stop]].any()
        place = part.stop + 1


@pytest.mark.parametrize(
    ("definition", "lines", "expected"),
    [
        ("x=between:(..)", "a(\n(\n)", "0110"),
        ("x=span:a.*b", "ab\nb\nab", "11011"),
        ("x=count:.;reset=q", "a(\n)\nb", "1211"),
        ("x=depth:(|)", "a(\n)\nb", "0100"),
    ],
)
def test_no_concept_of_the_users_reaches_across_an_end(definition, lines, expected):
    corpus = read(lines)
    label = parse_concept(definition).label_of(reading_of(model_of(corpus), corpus.items))
    assert "".join(str(int(v)) for v in label.values[label.stretches >= 0]) == expected


def test_labels_from_a_file_are_those_of_the_characters(tmp_path):
    np.save(tmp_path / "labels.npy", np.array([1, 2, 3]))
    corpus = read("ab\nc")
    concept = parse_concept(f"x=file:{tmp_path / 'labels.npy'}")
    label = concept.label_of(reading_of(model_of(corpus), corpus.items))
    assert label.values.tolist() == [0, 1, 2, 0, 0, 3, 0]
    assert label.mask.tolist() == [False, True, True, False, False, True, False]


def test_position_in_an_item():
    corpus = read("tone,in,out\nx,12,ab\ny,3,cde\n", TABLE)
    model = model_of(corpus)
    label = BUILT_IN["item_pos"].label_of(reading_of(model, corpus.items))
    assert label.values[label.mask].tolist() == [1, 2, 1, 2, 3]
    assert symbol_ids(model, label.target) == {END: model.vocab.end}
    assert BUILT_IN["word_pos"].label_of(reading_of(model, corpus.items)).target == " " + END
    with pytest.raises(UsageError, match="item_pos is for models of items"):
        inspect_cells(random_model("ab"), "ab" * 1000, ["item_pos"])


def test_ages_and_runs_end_with_an_item():
    stretches = np.repeat([0, -1, 1], [12, 1, 12])
    off = np.zeros(25, bool)
    assert np.flatnonzero(steady(off, stretches)).tolist() == [10, 11, 23, 24]
    assert class_runs(off, stretches >= 0, "bool", stretches) == (2, 0)


def test_examples_and_profiles_stay_within_an_item():
    long = "x" * 10 + "(" + "y" * 30
    corpus = read("\n".join([long, "(z", "(z", long, long]))
    reading = reading_of(model_of(corpus), corpus.items)
    label = parse_concept(r"x=span:\(.*").label_of(reading)
    assert examples(label, reading.text, 3, width=100) == ["(" + "y" * 30, "(z", "(z"]
    signal = np.where(np.isin(reading.stretches, (1, 2)), 9.0, 1.0)
    assert set(response_profile(signal, label, slice(0, len(reading.text)))) == {1.0}


# ------------------------------------------------------------------------------------------------
# Chance and cause


def test_chance_turns_the_label_within_each_item():
    """Of items of one length every shift by it is perfect; turned within each, a label loses its signal."""
    rng = np.random.default_rng(0)
    stretches = np.repeat(np.arange(200), 10)
    position = np.tile(np.arange(10), 200)
    mask = np.ones(2000, bool)
    signals = np.stack([position + 0.1, rng.normal(size=2000)]).astype(np.float32)
    [whole] = chance(signals, [(position, mask, "count")])
    [turned, noise] = chance(
        signals, [(position, mask, "count"), (rng.random(2000) > 0.5, mask, "bool")], stretches
    )
    assert whole is not None and turned is not None and noise is not None  # noqa: PT018
    assert whole.p_value(0, 1) > 0.05
    assert turned.p_value(0, 1) == pytest.approx(1 / (1 + ROTATIONS))
    assert turned.observed[0] == pytest.approx(1, abs=1e-5)
    assert turned.highest.max() < 0.2
    assert turned.p_value(1, 1) > 0.01
    assert noise.p_value(0, 1) > 0.01


def test_chance_ignores_marks_and_masked_places():
    rng = np.random.default_rng(1)
    stretches = np.where(np.arange(400) % 8 == 0, -1, np.arange(400) // 8)
    values, mask = rng.random(400) > 0.4, (stretches >= 0) & (rng.random(400) > 0.2)
    signals = rng.normal(size=(3, 400)).astype(np.float32)
    [found] = chance(signals, [(values, stretches >= 0, "bool")], stretches)
    assert found is not None
    expected = [2 * score(signal, values, stretches >= 0, "bool") - 1 for signal in signals]
    np.testing.assert_allclose(found.observed, expected, atol=1e-5)
    [masked] = chance(signals, [(values, mask, "bool")], stretches)
    assert masked is not None
    assert abs(masked.highest.mean()) < 0.3


@pytest.mark.parametrize("length", [3, 25, 260])
def test_windows_lie_in_one_item(length):
    corpus = read("\n".join(("abcdefgh" * 40)[:length] for _ in range(8)))
    model = model_of(corpus, hidden=6)
    assert corpus.items is not None
    recording = record(model, corpus.items)
    places = recording.begins[[1, 5]] + length  # the last character of two items
    watched = np.zeros(len(recording.text), bool)
    watched[places] = True
    label = replace(BUILT_IN["item_pos"].label_of(recording), mask=watched)
    whole = slice(0, len(recording.text))
    experiment = Experiment(model, recording, label, classes_of(recording, label), whole)
    [[held], [free]] = experiment.respond([{2: 0.6}, {}], [[model.vocab.end]]).logits
    ids = corpus.items.of(0)[:-1, None].astype(np.intp)  # all are alike
    begin = max(0, len(ids) - window_length(label))
    warm = model.network.zero_state(1)
    before = ids[max(0, begin - cause.WARM_UP) : begin]
    if len(before):
        _, warm, _ = model.network.forward(before, warm)
    for answer, clamp in ((free, None), (held, 0.6)):
        mask, values = np.zeros((1, 6), bool), np.zeros((1, 6))
        if clamp is not None:
            mask[0, 2], values[0, 2] = True, clamp
        logits, _, _ = model.network.forward(ids[begin:], warm, clamp=Clamp(0, mask, values))
        p = np.exp(log_softmax(logits[-1, 0]))[model.vocab.end]
        assert answer == pytest.approx(np.log(p / (1 - p)), abs=1e-5)


# ------------------------------------------------------------------------------------------------
# Findings


def counting(corpus: Corpus, k: int = 5, out: float = 3.0):
    """Among random cells of an LSTM one that adds .02 at each symbol and never forgets: the zero state resets it."""
    vocab = corpus.vocabulary
    weights = handmade.random_weights("lstm", vocab=vocab)
    handmade.clear(weights, "lstm", k)
    for gate in (0, 1, 3):
        handmade.gate(weights, "lstm", "bias_ih_l0", gate, k)[:] = handmade.B
    handmade.gate(weights, "lstm", "bias_ih_l0", 2, k)[:] = np.arctanh(0.02)
    weights["head.weight"][vocab.end, k] = out
    return handmade.model_of("lstm", {name: w.astype(np.float32) for name, w in weights.items()}, vocab=vocab)


def test_a_cell_that_counts_positions_is_found_in_items_and_not_in_a_stream():
    corpus = read(words(9_000, 3))
    model = counting(corpus)
    found = inspect_cells(model, corpus.items, ["item_pos"])
    [finding] = found.findings
    assert (finding.layer, finding.cell, finding.sign, finding.verdict) == (0, 5, 1, "tracker")
    assert finding.confirm_score > 0.999
    assert finding.steady_score > 0.9
    assert finding.p_value == pytest.approx(1 / (1 + ROTATIONS))
    assert finding.causal is not None
    assert finding.causal.effect > 0.5
    told = found.to_json()
    assert (told["findings"][0]["causal_target"], told["items"]) == ("∎", len(corpus.items))
    assert told["characters"] == len(found.recording.text) - 2 * len(corpus.items)
    json.dumps(told).encode("ascii")

    r = found.recording
    label = found.labels["item_pos"]
    same = Concept("pos", "count", "", lambda text: (label.values, label.mask), END)
    stream = inspect_cells(model, Reading(r.text, r.ids, r.ends, None), [same])
    assert not [one for one in stream.findings if one.cell == 5 and one.verdict in ("tracker", "correlate")]


@pytest.mark.parametrize(("least", "most"), [(12, 45), (3, 14)])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_random_weights_hold_no_tracker(cell, least, most):
    corpus = read(words(9_000, 4, least, most))
    weights = handmade.random_weights(cell, vocab=corpus.vocabulary)
    model = handmade.model_of(
        cell, {k: w.astype(np.float32) for k, w in weights.items()}, vocab=corpus.vocabulary
    )
    found = inspect_cells(model, corpus.items, ["item_pos", "word_pos", "number", "vowel", "space"])
    assert "item_pos" in {one.concept for one in found.findings}
    assert not [one for one in found.findings if one.verdict == "tracker"]


def test_a_memory_is_not_told_from_a_few_characters():
    """In short names a state that has just left zero follows the position: what no network remembers is no memory."""
    corpus = read(words(9_000, 8, 3, 14))
    model = counting(corpus)
    found = inspect_cells(model, corpus.items, ["item_pos"])
    [finding] = found.findings
    assert (finding.cell, finding.verdict) == (5, "detector")
    assert finding.confirm_score > 0.99
    place = steady_places(found.labels["item_pos"])
    told = int(place[found.recording.confirm].sum())
    assert 0 < told < FEWEST_STEADY
    few = f"{told} characters stand 10 or more after a change or the beginning of an item"
    told_few, controls = found.notes
    assert told_few == f"item_pos: {few}, too few to tell a memory"
    assert controls.startswith("item_pos: only ")  # in short names many a cell follows the place
    assert np.isnan([finding.memory_score, finding.steady_score]).all()


def test_runs_in_findings_end_with_an_item():
    """Each item is on from its beginning to its end: as one stream these would be few runs, since marks are masked."""
    corpus = read("\n".join((["12345678"] * 60 + ["abcdefgh"] * 60) * 2))
    found = inspect_cells(model_of(corpus), corpus.items, ["number"], causal=False)
    assert not found.refusals
    [finding] = found.findings
    assert finding.concept == "number"


def test_concepts_that_say_the_same_as_the_position_are_left_out():
    corpus = read("\n".join(f"name{'s' * (n % 9)}" for n in range(400)))
    found = inspect_cells(model_of(corpus), corpus.items, causal=False)
    assert found.notes[0] == "line_pos, word_pos: the same as item_pos in these items"
    assert not {"line_pos", "word_pos"} & set(found.labels)
    assert "item_pos" in found.labels
    assert inspect_cells(model_of(corpus), corpus.items, ["line_pos"], causal=False).labels.keys() == {
        "line_pos"
    }


def test_a_string_is_cut_as_the_training_text_was_and_a_single_item_is_refused():
    corpus = read(words(3_000, 5))
    model = counting(corpus)
    model.training = {"settings": {"items": "line"}}
    found = inspect_cells(model, words(3_000, 5), ["word_pos"], causal=False)
    assert found.recording.text == reading_of(model, corpus.items).text
    with pytest.raises(DataError, match="single item"):
        inspect_cells(model, words(3_000, 5).replace("\n", " "), ["word_pos"])


# ------------------------------------------------------------------------------------------------
# What is shown


def test_passages_are_whole_items():
    corpus = read(words(4_000, 6))
    model = counting(corpus)
    recording = record(model, corpus.items)
    label = BUILT_IN["word_pos"].label_of(recording)
    for passage in best_and_worst(recording, 5, label, 1, None):
        assert passage.text.startswith(BEGIN)
        assert passage.text.endswith(END)
        assert PASSAGE - 50 < len(passage.text) <= PASSAGE
    shown = of_cell(model, reading_of(model, corpus.items), 0, 5, 100)
    assert recording.text.startswith(shown.text)
    np.testing.assert_allclose(shown.signal, recording.signals[5, : len(shown.text)], atol=1e-6)


def test_guesses_of_items():
    corpus = read(words(2_500, 7))
    model = counting(corpus)
    assert corpus.items is not None
    recording = record(model, corpus.items)
    start = int(recording.begins[3]) + 2
    guesses = top_guesses(model, recording, start, start + 60)
    excerpt = read_excerpt(model, recording, [(start, start + 60)], [5])
    names = [*model.vocab.symbols, END]
    for n in (3, 4):
        ids = corpus.items.of(n)[:-1, None].astype(np.intp)
        logits, _, _ = model.network.forward(ids, model.network.zero_state(1))
        for t, row in enumerate(logits[:, 0]):
            place = int(recording.begins[n]) + t - start
            if 0 <= place < 60:
                best = np.argsort(-row, kind="stable")[:5]
                assert guesses[place] == "".join(names[k] for k in best)
                assert excerpt.guesses[place].tolist() == best.tolist()
                p = np.exp(log_softmax(row))[best]
                np.testing.assert_allclose(excerpt.probabilities[place], p, atol=1e-5)
    ended = [k for k, ch in enumerate(recording.text[start : start + 60]) if ch == END]
    assert ended
    for k in ended:
        assert guesses[k] == ""
        assert (excerpt.guesses[k] == -1).all()
        assert excerpt.details["f"][0, k] == excerpt.details["f"][0, k - 1]


def test_surprises_of_items_are_those_of_what_is_predicted():
    pairs = read("tone,in,out\nx,12,ab\ny,3,c\n", TABLE)
    model = model_of(pairs)
    found = surprises_of(model, pairs.items)
    assert found.text == f"{LABEL}12{BOUNDARY}ab{END}{LABEL}3{BOUNDARY}c{END}"
    predicted = [4, 5, 6, 10, 11]
    assert np.flatnonzero(np.isfinite(found.bits)).tolist() == predicted
    assert np.flatnonzero(found.ranks).tolist() == predicted
    ids = pairs.items.of(1)[:, None].astype(np.intp)
    logits, _, _ = model.network.forward(ids[:-1], model.network.zero_state(1))
    log_p = log_softmax(logits[:, 0].astype(np.float64))
    expected = [-log_p[t - 1, ids[t, 0]] / np.log(2) for t in (3, 4)]
    np.testing.assert_allclose(found.bits[[10, 11]], expected, atol=1e-6)
