"""Verdicts where the truth is known: cells built by hand that are used or not, shown or not, alone or in company."""

import numpy as np
import pytest
from helpers import handmade

from charrnn.config import CELLS, ModelConfig
from charrnn.interpret.chance import holm, own_p_value
from charrnn.interpret.concepts import BUILT_IN
from charrnn.interpret.findings import inspect_cells
from charrnn.interpret.labels import Label
from charrnn.interpret.recording import record
from charrnn.interpret.scores import score
from charrnn.interpret.strata import weakest_stratum
from charrnn.interpret.user_concepts import parse_concept
from charrnn.model.model import Model
from charrnn.nn.init import initialise
from charrnn.nn.network import Network
from charrnn.text.vocabulary import Vocabulary

ASIDE = "aside=between:(..)"
UP_AND_DOWN = {"(": 1.0, ")": -1.0}
MARKED = handmade.marked(12_000, 3, (20, 200), (20, 200), marks="()")
TALK = handmade.dialogue(12_000)


def inspect(cell, plant, concept, text, hidden=handmade.H, seed=0, **options):
    weights = handmade.random_weights(cell, hidden=hidden, seed=seed)
    plant(weights)
    weights = {name: w.astype(np.float32) for name, w in weights.items()}
    model = handmade.model_of(cell, weights, hidden=hidden)
    return inspect_cells(model, text, [parse_concept(concept)], **options).findings


def leaky_latch(weights, cell="lstm", k=5):
    """A latch that is used, and not quite exact."""
    handmade.fading(weights, cell, 0.99, UP_AND_DOWN, 0.1, k)
    weights["head.weight"][handmade.VOCAB.index(")"), k] = 3


def test_a_cell_that_holds_and_does_not_show_is_hidden_and_the_used_one_is_found():
    """Its output gate is shut: c follows the label exactly, h moves by 1e-13."""

    def plant(weights):
        leaky_latch(weights)
        handmade.latch(weights, "lstm", 7, UP_AND_DOWN, {}, seen=False)

    used, hidden = inspect("lstm", plant, ASIDE, MARKED)
    assert (used.cell, used.verdict) == (5, "tracker")
    assert (hidden.cell, hidden.verdict, hidden.causal) == (7, "hidden", None)
    assert hidden.visible < 1e-6
    assert hidden.select_score > used.select_score


def test_a_saturated_cell_that_moves_by_a_thousandth_is_hidden():
    """Ranks see a difference of .001 as well as one of 1."""

    def plant(weights):
        handmade.latch(weights, "lstm", 5, UP_AND_DOWN, {}, noise=0.3)
        handmade.follower(weights, "lstm", 4, 5, gain=0.02, bias=2.5)

    weights = handmade.random_weights("lstm")
    plant(weights)
    recording = record(handmade.model_of("lstm", weights), MARKED)
    label = parse_concept(ASIDE).label(MARKED)
    assert score(recording.signals[4], label.values, label.mask, "bool") > 0.97
    assert np.ptp(recording.shown[4, 500:].astype(float)) < 0.05
    found = inspect("lstm", plant, ASIDE, MARKED, top=6)
    assert found[0].cell == 5
    assert 4 not in [f.cell for f in found]  # though it follows the label better than all but one


def test_the_used_cell_is_found_where_another_follows_better():
    def plant(weights):
        leaky_latch(weights)
        handmade.latch(weights, "lstm", 7, UP_AND_DOWN, {})

    [finding] = inspect("lstm", plant, ASIDE, MARKED)
    assert (finding.cell, finding.verdict) == (5, "tracker")


def test_copies_are_all_trackers_whatever_their_order():
    """They are no controls of each other. The one with the least weight scores best."""
    weights_and_noise = {5: (1.5, 0.0), 6: (3.0, 0.3), 7: (2.5, 0.4), 8: (2.0, 0.5)}

    def plant(weights):
        for k, (out, noise) in weights_and_noise.items():
            handmade.toggle(weights, "lstm", k, '"', {'"': out}, noise=noise, seed=k)

    found = inspect("lstm", plant, "quote", TALK, top=4)
    assert {f.cell: f.verdict for f in found} == dict.fromkeys(weights_and_noise, "tracker")
    assert {f.causal.ignorant for f in found} == {28}


@pytest.mark.slow
@pytest.mark.parametrize("steps", [3, 8, 15, 25])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_source_of_delayed_copies_is_a_tracker(cell, steps):
    def plant(weights):
        handmade.toggle(weights, cell, 5, '"', {'"': 3.0}, hidden=64)
        for k in range(steps):
            handmade.follower(weights, cell, 6 + k, 5 + k, hidden=64)

    [finding] = inspect(cell, plant, "quote", TALK, hidden=64)
    assert (finding.cell, finding.verdict) == (5, "tracker")
    assert finding.causal.ignorant >= 30


@pytest.mark.slow
@pytest.mark.parametrize(("cell", "out"), [("lstm", 0.07), ("gru", 0.08), ("rnn", 0.25)])
@pytest.mark.parametrize(
    ("units", "noise", "hidden"), [(3, 0.2, 32), (5, 0.2, 32), (7, 0.5, 32), (10, 0.8, 32), (30, 0.8, 64)]
)
def test_what_several_cells_hold_together_is_distributed(cell, out, units, noise, hidden):
    """One that is held is outvoted, and moves the prediction no more than other cells do."""

    def plant(weights):
        members = range(2, 2 + units)
        handmade.population(weights, cell, members, "(", ")", out, noise=noise, hidden=hidden)

    [finding] = inspect(cell, plant, ASIDE, MARKED, hidden=hidden)
    assert not finding.causal.holds(0.05)
    assert finding.verdict == "distributed"
    assert len(finding.together.cells) >= 2
    assert set(finding.together.cells) <= {(0, k) for k in range(2, 2 + units)}
    assert finding.together.effect > finding.together.effects[1]


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_cell_of_two_concepts_at_once_is_told_by_the_strata(cell):
    """In a quotation, or in parentheses, but not in both: where parentheses are open it says the opposite."""
    text = handmade.overlapping(20_000)
    [finding] = inspect(
        cell, lambda weights: handmade.toggle(weights, cell, 5, '"()', {'"': 3.0}), "quote", text
    )
    assert (finding.cell, finding.verdict) == (5, "detector")
    assert 0.65 < finding.confirm_score < 0.8
    assert finding.weakest_stratum in ("paren on", "depth on")
    assert finding.weakest_stratum_score < 0.01


def test_the_score_within_strata():
    rng = np.random.default_rng(0)
    n = 16_000
    one, two = (np.repeat(rng.random(n // 20) < share, 20) for share in (0.5, 0.25))
    everywhere = np.ones(n, bool)
    label, other = (
        Label(name, "bool", values, everywhere, "", 1) for name, values in (("a", one), ("b", two))
    )
    part = slice(0, n)
    lowest, where = weakest_stratum((one ^ two).astype(float), 1, label, [label, other], part)
    assert (lowest, where) == (pytest.approx(-1), "b on")
    assert weakest_stratum(one.astype(float), 1, label, [other], part)[0] == pytest.approx(1)
    assert weakest_stratum(-one.astype(float), -1, label, [other], part)[0] == pytest.approx(1)
    follows_other = weakest_stratum(two.astype(float), 1, label, [other], part)
    assert np.isnan(follows_other[0])  # within a stratum of b it never moves
    noisy = two + rng.normal(size=n)
    assert abs(weakest_stratum(noisy, 1, label, [other], part)[0]) < 0.1
    rare = Label("c", "bool", np.arange(n) < 40, everywhere, "", 1)
    assert np.isnan(weakest_stratum(one.astype(float), 1, label, [rare], slice(0, 60))[0])


def test_a_stratum_that_the_label_itself_tells_is_none():
    """Within the last tenth of a line a noisy counter cannot be told from chance; it counts all the same."""
    rng = np.random.default_rng(0)
    position = np.tile(np.arange(70), 100)
    everywhere = np.ones(len(position), bool)
    line_pos = Label("a", "count", position, everywhere, "", 0)
    near_eol = Label("b", "bool", position >= 63, everywhere, "", 0)
    far_from_eol = Label("b", "bool", position < 7, everywhere, "", 0)
    noisy = position + 20 * rng.normal(size=len(position))
    for other in (near_eol, far_from_eol):
        assert weakest_stratum(noisy, 1, line_pos, [other], slice(0, 7000))[1] == ""
    by_chance = Label("b", "bool", rng.random(7000) < 0.1, everywhere, "", 0)
    lowest, where = weakest_stratum(noisy, 1, line_pos, [by_chance], slice(0, 7000))
    assert where in ("b on", "b off")
    assert lowest == pytest.approx(0.7, abs=0.1)


def test_a_cell_that_moves_what_the_text_names_is_a_tracker_whatever_the_hint():
    """Here a comma comes in quotations alone, and the cell has no weight on the closing mark."""
    rng = np.random.default_rng(1)
    words = [", ".join(rng.choice(handmade.WORDS, 12)) for _ in range(90)]
    plain = [" ".join(rng.choice(handmade.WORDS, 16)) for _ in range(90)]
    text = "".join(f'"{said}" {told}.\n\n' for said, told in zip(words, plain, strict=True))
    [finding] = inspect(
        "lstm", lambda weights: handmade.toggle(weights, "lstm", 5, '"', {",": 3.0}), "quote", text
    )
    assert (finding.cell, finding.verdict, finding.causal.target) == (5, "tracker", ",")
    assert finding.causal.direction == 1


@pytest.mark.parametrize(("expected", "moves"), [("a=+", False), (")=+", True), (")=-", False)])
def test_an_expectation_of_ones_own_stands(expected, moves):
    weights = handmade.random_weights("rnn")
    handmade.rnn_bracket(weights)
    model = handmade.model_of("rnn", {k: w.astype(np.float32) for k, w in weights.items()})
    [finding] = inspect_cells(model, MARKED, [parse_concept(ASIDE, expected)], untrained=False).findings
    assert finding.causal.target == expected[0]
    assert finding.causal.direction == (1 if expected[-1] == "+" else -1)
    assert finding.causal.moves_target(0.05) == moves


# --- texts in which a toggle is hard to follow


SINGLE_LINES = handmade.dialogue(16_000).replace("\n\n", "\x00").replace("\n", " ").replace("\x00", "\n\n")


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize(
    "text",
    [
        handmade.dialogue(16_000).replace("\n\n", " "),
        'was said" and ' + handmade.dialogue(16_000),
        'was said" and ' + handmade.dialogue(16_000).replace("\n\n", " "),
    ],
    ids=["no blank line", "from inside", "from inside without a blank line"],
)
def test_an_exact_toggle_is_followed(cell, text):
    """From inside a quotation it is inverted: low inside."""
    sign = -1 if text.startswith("was") else 1
    out = 3.0 * sign
    [finding] = inspect(cell, lambda w: handmade.toggle(w, cell, 5, '"', {'"': out}), "quote", text)
    assert (finding.cell, finding.sign, finding.verdict) == (5, sign, "tracker")
    assert finding.confirm_score >= 0.99
    assert finding.masked < 0.05


@pytest.mark.parametrize("place", [0.2, 0.5, 0.8])
def test_one_stray_mark_costs_a_stretch(place):
    at = SINGLE_LINES.index(". ", int(place * len(SINGLE_LINES)))
    text = SINGLE_LINES[:at] + '"' + SINGLE_LINES[at:]
    [finding] = inspect(
        "lstm", lambda w: handmade.toggle(w, "lstm", 5, '"', {'"': 3.0}, reset="\n"), "quote", text
    )
    assert (finding.cell, finding.verdict) == (5, "tracker")
    assert finding.confirm_score >= 0.99
    label, right = BUILT_IN["quote"].label(text), BUILT_IN["quote"].label(SINGLE_LINES)
    assert 0 < 1 - label.mask.mean() < 0.1
    kept = np.delete(label.mask, at) & right.mask
    np.testing.assert_array_equal(np.delete(label.values, at)[kept], right.values[kept])


# --- nothing to find


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
def test_untrained_networks_hold_nothing(cell):
    for seed in (11, 12):  # not those that it is compared with
        network = Network(ModelConfig(cell=cell, layers=1, hidden=48), len(handmade.VOCAB))
        initialise(network, np.random.default_rng(seed))
        model = Model.of_network(network, Vocabulary("char", tuple(handmade.VOCAB)), {})
        found = inspect_cells(model, handmade.dialogue(16_000, seed)).findings
        assert {f.verdict for f in found} <= {"none", "detector", "hidden"}


def test_a_cell_that_untrained_networks_reach_is_no_finding():
    """The class of the last character: any network shows it."""
    weights = {k: w.astype(np.float32) for k, w in handmade.random_weights("gru").items()}
    model = handmade.model_of("gru", weights)
    with_them, without = (
        inspect_cells(model, TALK, ["caps_run"], causal=False, untrained=untrained).findings[0]
        for untrained in (True, False)
    )
    assert with_them.p_value <= 0.05
    assert (with_them.verdict, without.verdict) == ("none", "detector")
    assert with_them.untrained_score > with_them.confirm_score
    assert np.isnan(without.untrained_score)


def test_p_is_corrected_once():
    """Of labels that have nothing to do with a signal, p is below .05 as often as it says."""
    rng = np.random.default_rng(7)
    n, small = 3000, 0
    for _ in range(300):
        noise = rng.normal(size=n)
        signal = np.convolve(noise, 0.9 ** np.arange(60), "same")
        label = np.repeat(rng.random(n // 30) < 0.4, 30)
        small += own_p_value(signal, (label, np.ones(n, bool), "bool"), 1) < 0.05
    assert 0.02 <= small / 300 <= 0.08


def test_holm():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.001]) == pytest.approx([0.5, 0.002])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])


def test_several_concepts_share_the_risk():
    weights = handmade.random_weights("lstm")
    handmade.lstm_quote(weights)
    model = handmade.model_of("lstm", {k: w.astype(np.float32) for k, w in weights.items()})
    names = ["quote", "line_pos", "paren"]
    found = inspect_cells(model, TALK, names, causal=False, untrained=False).findings
    by_name = {f.concept: f for f in found}
    corrected = holm([by_name[name].p_alone for name in names])
    assert [by_name[name].p_value for name in names] == pytest.approx(corrected)
    assert by_name["quote"].p_value == pytest.approx(3 * by_name["quote"].p_alone)
