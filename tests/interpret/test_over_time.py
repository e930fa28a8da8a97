"""The findings of a model in its snapshots: a planted cell appears when it is planted."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import handmade
from helpers.random_models import random_model

from charrnn.config import ModelConfig
from charrnn.errors import ModelError
from charrnn.interpret.findings import Inspection, inspect_cells
from charrnn.interpret.over_time import over_time
from charrnn.interpret.recording import record
from charrnn.interpret.scores import score
from charrnn.model.model import Model

H = 8
TEXT = handmade.dialogue(20_000, seed=3)


def snapshot(step, planted):
    """A model of a run at a step, with a bracket planted in one of its units."""
    weights = handmade.random_weights("rnn", H, scale=0.5)
    handmade.clear(weights, "rnn", planted, H)
    handmade.gate(weights, "rnn", "weight_hh_l0", 0, planted, H)[0, planted] = 3
    handmade.gate(weights, "rnn", "bias_ih_l0", 0, planted, H)[:] = -0.5
    for ch, weight in (("(", 10), (")", -10)):
        handmade.gate(weights, "rnn", "weight_ih_l0", 0, planted, H)[0, handmade.VOCAB.index(ch)] = weight
    card = {"step": step, "train_loss_nats": 3 - step / 1000, "val_loss_nats": 3.5 if step else None}
    return Model(ModelConfig("rnn", 1, H), handmade.VOCAB, weights, card)


def random(step):
    weights = handmade.random_weights("rnn", H, scale=0.5, seed=step)
    return Model(ModelConfig("rnn", 1, H), handmade.VOCAB, weights, {"step": step})


@pytest.fixture(scope="module")
def inspection() -> Inspection:
    return inspect_cells(snapshot(900, planted=5), TEXT, ["paren"], causal=False, untrained=False)


def test_a_cell_appears_and_another_takes_over(inspection):
    (finding,) = inspection.findings
    assert (finding.cell, finding.verdict) == (5, "correlate")
    begun = []
    moments = over_time(
        [snapshot(900, planted=5), random(100), snapshot(700, planted=2)], inspection, begun.append
    )
    assert [one.step for one in moments] == [100, 700, 900]
    assert begun == ["step 900", "step 100", "step 700"]
    before, elsewhere, now = (one.findings[0] for one in moments)
    assert now.score == pytest.approx(finding.confirm_score)
    assert (now.best, now.best_score) == ((0, 5), pytest.approx(finding.confirm_score))
    assert (elsewhere.best, elsewhere.best_score) == ((0, 2), pytest.approx(finding.confirm_score, abs=0.02))
    assert elsewhere.score < 0.8
    assert before.best_score < 0.8
    assert [one.train_loss_nats for one in moments] == [None, pytest.approx(2.3), pytest.approx(2.1)]
    assert [one.val_loss_nats for one in moments] == [None, 3.5, 3.5]


def test_scores_are_along_the_sign_of_the_finding(inspection):
    other = random(100)
    (moment,) = over_time([other], inspection)
    recording, label = record(other, TEXT), inspection.labels["paren"]
    part = recording.confirm
    own = score(recording.signals[5, part], label.values[part], label.mask[part], label.kind)
    assert inspection.findings[0].sign == 1
    assert moment.findings[0].score == pytest.approx(own)
    falling = replace(inspection, findings=(replace(inspection.findings[0], sign=-1, kind=label.kind),))
    assert over_time([other], falling)[0].findings[0].score == pytest.approx(-own)


def test_nothing_found_is_nothing_over_time(inspection):
    none = replace(inspection, findings=())
    assert over_time([snapshot(900, planted=5)], none)[0].findings == ()


def test_what_is_no_snapshot_is_refused(inspection):
    last = random(1)
    last.training.clear()
    with pytest.raises(ModelError, match="of which step"):
        over_time([last], inspection)
    wider = random_model(handmade.VOCAB, {"step": 1}, dtype=np.float64)
    with pytest.raises(ModelError, match="snapshot of step 1 has other layers"):
        over_time([wider], inspection)
