"""Ground truth: cells built by hand, whose meaning is known, must get the verdict they deserve."""

import json
from functools import partial

import numpy as np
import pytest
from helpers import handmade

from charrnn.config import CELLS
from charrnn.errors import DataError, UsageError
from charrnn.interpret.concepts import BUILT_IN, telegraph
from charrnn.interpret.findings import ALPHA, CAUSAL_ALPHA, inspect_cells, response_profile
from charrnn.interpret.labels import Concept, Label
from charrnn.interpret.user_concepts import parse_concept

TEXT = handmade.dialogue(12_000)


def inspect(cell, plant=None, concept="quote", seed=0, text=TEXT, **options):
    weights = handmade.random_weights(cell, seed=seed)
    if plant:
        plant(weights, **options)
    weights = {name: w.astype(np.float32) for name, w in weights.items()}
    return inspect_cells(handmade.model_of(cell, weights), text, [parse_concept(concept)])


@pytest.mark.parametrize(
    ("cell", "plant", "concept"),
    [
        ("lstm", handmade.lstm_quote, "quote"),
        ("lstm", handmade.lstm_line_counter, "line_pos"),
        ("lstm", handmade.lstm_depth, "paren"),
        ("gru", handmade.gru_quote, "quote"),
        ("gru", handmade.gru_line_counter, "line_pos"),
        ("rnn", handmade.rnn_bracket, "aside=between:(..)"),
    ],
)
def test_planted_cells_come_out_first_and_are_trackers(cell, plant, concept):
    [finding] = inspect(cell, plant, concept).findings
    assert (finding.layer, finding.cell, finding.sign) == (0, 5, 1)
    assert finding.select_score > 0.999
    assert finding.confirm_score > 0.999
    assert finding.memory_score > 0.95
    assert finding.p_value < ALPHA
    assert finding.causal.effect > 1
    assert finding.causal.p_value == pytest.approx(1 / (1 + finding.causal.ignorant))
    assert finding.verdict == "tracker"


def test_the_next_cell_is_far_behind():
    weights = handmade.random_weights("gru")
    handmade.gru_quote(weights)
    first, second = inspect_cells(
        handmade.model_of("gru", weights), TEXT, [BUILT_IN["quote"]], top=2
    ).findings
    assert first.verdict == "tracker"
    assert second.confirm_score < 0.7
    assert second.verdict in ("none", "detector")


def test_a_mirrored_cell_has_the_other_sign():
    weights = handmade.random_weights("lstm")
    handmade.lstm_quote(weights, out=-3.0)
    # a toggle that begins at +1 and goes down at the first mark
    handmade.gate(weights, "lstm", "bias_ih_l0", 2, 5)[:] = -0.3 * handmade.G
    [finding] = inspect_cells(handmade.model_of("lstm", weights), TEXT, [BUILT_IN["quote"]]).findings
    assert (finding.cell, finding.sign, finding.verdict) == (5, -1, "tracker")
    assert finding.confirm_score > 0.999
    assert finding.causal.effect > 1


@pytest.mark.parametrize("out", [0.0, -3.0])
def test_a_cell_without_the_right_outgoing_weight_is_a_correlate(out):
    [finding] = inspect("lstm", handmade.lstm_quote, out=out).findings
    assert (finding.cell, finding.verdict) == (5, "correlate")
    assert finding.causal.effect <= 1e-3


def test_a_recent_quote_cell_is_a_detector():
    [finding] = inspect("lstm", handmade.lstm_leaky_quote).findings
    assert (finding.cell, finding.verdict) == (5, "detector")
    assert finding.matched_accuracy == pytest.approx(0.5, abs=0.05)
    assert finding.causal.effect > 0.1  # it is used, and is no tracker for all that
    assert finding.causal.p_value <= CAUSAL_ALPHA


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_random_weights_hold_no_tracker(cell):
    weights = {k: w.astype(np.float32) for k, w in handmade.random_weights(cell).items()}
    found = inspect_cells(handmade.model_of(cell, weights), TEXT)
    assert len(found.findings) >= 8
    assert {f.verdict for f in found.findings} <= {"none", "detector", "hidden"}


@pytest.mark.parametrize("concept", ["quote", "paren", "line_pos"])
def test_with_the_cell_deleted_there_is_no_tracker(concept):
    def plant_and_delete(weights):
        for plant in (handmade.lstm_quote, handmade.lstm_line_counter, handmade.lstm_depth):
            plant(weights)
        handmade.clear(weights, "lstm", 5)

    for finding in inspect("lstm", plant_and_delete, concept).findings:
        assert finding.verdict in ("none", "detector", "hidden")
        assert finding.cell != 5


@pytest.mark.slow
def test_telegraph_keeps_its_error_rate():
    """What nothing can know, with the runs of quotations, is confirmed no more often than promised."""
    weights = handmade.random_weights("lstm")
    handmade.lstm_quote(weights)
    weights = {k: w.astype(np.float32) for k, w in weights.items()}
    controls = [
        Concept(f"t{seed}", "bool", "", lambda text, seed=seed: telegraph(text, seed), '"', control=True)
        for seed in range(100)
    ]
    found = inspect_cells(handmade.model_of("lstm", weights), TEXT, controls)
    assert len(found.findings) == 100
    confirmed = [f for f in found.findings if f.verdict != "none"]
    # Holm's correction holds the risk of one or more among all 100 at ALPHA = .05.
    assert len(confirmed) <= 1
    assert not any(f.verdict == "tracker" for f in found.findings)


@pytest.mark.parametrize("cell", CELLS)
def test_an_echo_of_the_newline_is_no_counter(cell):
    """It fades within ten characters; in short lines that alone gives ranks that follow the place."""
    text, plant = handmade.lines(12_000, 1, 20, 45), partial(handmade.fading, cell=cell, noise=0.02)
    [finding] = inspect(cell, plant, "line_pos", text=text, keep=0.5, sets={"\n": 1.0}).findings
    assert (finding.cell, finding.verdict) == (5, "detector")
    assert finding.memory_score > 0.4
    assert abs(finding.steady_score) < 0.05
    [finding] = inspect(cell, plant, "line_pos", text=text, keep=0.95, sets={"\n": 1.0}).findings
    assert finding.steady_score > 0.7
    assert finding.verdict in ("correlate", "tracker")


@pytest.mark.slow
@pytest.mark.parametrize(
    "spans", [((5, 40), (100, 400)), ((20, 200), (20, 200)), ((100, 400), (10, 60))], ids=str
)
@pytest.mark.parametrize("cell", CELLS)
def test_no_flash_passes_for_a_memory(cell, spans):
    """Whatever the text: where spans are short and gaps long, or the other way round, its memory score is high."""
    text = handmade.marked(24_000, 3, *spans, marks="()")
    found = []
    for keep in (0.8, 0.9, 0.95, 0.98, 0.99):
        plant = partial(handmade.fading, cell=cell, keep=keep, noise=0.02)
        for finding in inspect(
            cell, plant, "aside=between:(..)", seed=3, text=text, sets={"(": 1.0, ")": 1.0}
        ).findings:
            assert finding.verdict in ("none", "detector", "hidden")
            if finding.cell == 5:
                assert finding.matched_accuracy < 0.6
                found.append(finding.memory_score)
    if spans[0] != spans[1]:
        assert max(found) > 0.8  # why the memory score does not do alone


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
def test_a_latch_is_believed_as_far_back_as_it_reaches(cell):
    text, matched = handmade.marked(24_000, 3, (20, 200), (20, 200), marks="()"), []
    for keep in (0.7, 0.9, 0.98, 0.995):
        plant = partial(handmade.fading, cell=cell, keep=keep, noise=0.02)
        [finding, *_] = inspect(
            cell, plant, "aside=between:(..)", seed=3, text=text, sets={"(": 1.0, ")": -1.0}
        ).findings
        matched.append(finding.matched_accuracy if finding.cell == 5 else 0.5)
    assert matched == sorted(matched)
    assert finding.verdict in ("correlate", "tracker")
    assert finding.matched_accuracy > 0.85


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
def test_random_networks_hold_no_memory_on_other_texts(cell):
    for seed in (1, 2, 3):
        weights = {k: w.astype(np.float32) for k, w in handmade.random_weights(cell, seed=seed).items()}
        for text in (handmade.dialogue(20_000, seed + 20), handmade.lines(20_000, seed, 20, 45)):
            found = inspect_cells(handmade.model_of(cell, weights), text, causal=False)
            assert {finding.verdict for finding in found.findings} <= {"none", "detector", "hidden"}


def test_too_few_runs_are_refused():
    found = inspect("lstm", concept="bracket")
    assert found.findings == ()
    [refusal] = found.refusals
    assert refusal.concept == "bracket"
    assert "fewer than 30 stretches" in refusal.reason


@pytest.mark.parametrize("bad", [np.nan, 0.0])
def test_dead_and_broken_models_have_no_findings(bad):
    model = handmade.model_of("lstm", handmade.random_weights("lstm"))
    for name, values in model.network.params.items():
        if name.startswith("lstm"):
            values[:] = bad
    with np.errstate(invalid="ignore"):
        found = inspect_cells(model, TEXT, [BUILT_IN["quote"]])
    assert found.findings == ()
    assert "no cell has a score" in found.refusals[0].reason


def test_no_causal_stops_at_correlate():
    weights = handmade.random_weights("lstm")
    handmade.lstm_quote(weights)
    [finding] = inspect_cells(
        handmade.model_of("lstm", weights), TEXT, [BUILT_IN["quote"]], causal=False
    ).findings
    assert (finding.verdict, finding.causal) == ("correlate", None)
    assert finding.to_json()["causal_effect"] is None


def test_the_json_keys_scripts_rely_on():
    [finding] = inspect("lstm", handmade.lstm_quote).findings
    shown = finding.to_json()
    assert {
        "concept",
        "layer",
        "cell",
        "sign",
        "select_score",
        "confirm_score",
        "memory_score",
        "p_value",
        "causal_effect",
        "causal_p",
        "verdict",
    } <= shown.keys()
    assert json.loads(json.dumps(shown, allow_nan=False)) == shown


def test_errors_name_what_is_wrong():
    with pytest.raises(DataError, match="at least 2,000"):
        inspect("lstm", text="short")
    with pytest.raises(UsageError, match="same concept twice"):
        inspect_cells(
            handmade.model_of("lstm", handmade.random_weights("lstm")), TEXT, ["a=span:x", "a=span:y"]
        )
    with pytest.raises(UsageError, match="matches nothing"):
        inspect("lstm", concept="x=span:@")


def test_previews_show_prevalence_and_examples():
    [preview] = inspect("rnn", concept="aside=between:(..)").previews
    inside = sum(1 for depth in np.cumsum([(c == "(") - (c == ")") for c in TEXT]) if depth)
    assert preview.prevalence == pytest.approx(inside / len(TEXT), abs=0.03)
    assert len(preview.examples) == 3
    assert all(example.startswith("(") for example in preview.examples)


def test_response_profiles():
    values = np.zeros(200, bool)
    values[50:70] = values[120:140] = True
    label = Label("x", "bool", values, np.ones(200, bool), "", 1)
    profile = response_profile(values.astype(float), label, slice(0, 200))
    assert profile == tuple([0.0] * 8 + [1.0] * 20 + [0.0] * 4)
    count = Label("x", "count", np.arange(200) % 10, np.ones(200, bool), "", 1)
    np.testing.assert_allclose(
        response_profile(np.arange(200) % 10 * 2.0, count, slice(0, 200)), np.arange(10) * 2
    )
