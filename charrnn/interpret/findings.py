"""Find the cell, score it, prove it: from a model and a text to findings with verdicts.

    none        no cell follows the concept on CONFIRM better than chance
    detector    one does, but its memory score fails: it sees the marks and keeps no state
    correlate   confirmed, and its memory holds
    tracker     also causal: holding the cell moves the prediction as the concept expects

The cause is tested of every confirmed cell, and makes a tracker of a correlate alone.

Cell and sign are chosen on SELECT and frozen; every figure reported but ``select_score`` is of CONFIRM.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from charrnn.engines.threads import blas_threads
from charrnn.errors import UsageError
from charrnn.interpret.cause import CausalTest, causal_test
from charrnn.interpret.chance import Chance, chance
from charrnn.interpret.comparisons import character_table, probe_score
from charrnn.interpret.concepts import BUILT_IN
from charrnn.interpret.labels import Concept, Kind, Label, examples, runs
from charrnn.interpret.recording import Recording, check_length, record
from charrnn.interpret.scores import (
    Threshold,
    age_matched_accuracy,
    best_threshold,
    class_runs,
    eta_squared,
    excess,
    memory_score,
    score,
    score_cells,
    steady_score,
)
from charrnn.interpret.user_concepts import parse_concept
from charrnn.model.model import Model

Verdict = Literal["none", "detector", "correlate", "tracker"]
VERDICTS: tuple[Verdict, ...] = ("tracker", "correlate", "detector", "none")

ALPHA = 0.01  # family-wise over all cells, for one concept
CAUSAL_ALPHA = 0.05  # 50 controls cannot give less than 1/51
MOST_CHARACTERS = 100_000  # of a longer text the first ones are read: memory grows with cells × characters
FEWEST_RUNS = 30  # of either class
# Memory below this says little of the state, however unlikely by chance, on the scale of `excess`.
MEMORY_FLOOR: dict[Kind, float] = {"bool": 0.4, "count": 0.2}
CHANCE: dict[Kind, float] = {"bool": 0.5, "count": 0.0}  # AUC and ρ of a cell that knows nothing
BEFORE, AFTER = 8, 24  # characters around an opening in a bool's response profile
TOGETHER = 3
CSV_COLUMNS = (
    *("concept", "kind", "layer", "cell", "sign", "verdict", "select_score", "confirm_score", "memory_score"),
    *(
        "matched_accuracy",
        "steady_score",
        "table_score",
        "chance_level",
        "p_value",
        "probe_score",
        "locality",
    ),
    "eta_squared",
    *("causal_target", "causal_effect", "causal_p", "causal_effect_of_three", "threshold"),
    *("balanced_accuracy", "f1", "mcc", "prevalence", "predictive"),
)


@dataclass(frozen=True)
class Finding:
    """One cell that answers to one concept. Scores are AUC (bool) or Spearman's ρ (count), along ``sign``.

    matched_accuracy : balanced accuracy between places equally long after a bool's last change
    steady_score : the memory score of a count where it has gone on by the same step for 10 characters
    table_score : the memory score of the best order-3 character table
    probe_score : the score of a ridge probe on all cells
    chance_level : the score that the best of all cells reaches by chance in 1 of 100 texts
    locality : the cell's share of what the probe knows, both above chance
    eta_squared : share of the signal's variance between tenths of a count; for a bool, between its classes
    profile : mean signal around an opening (bool) or by tenths of the label (count)
    """

    concept: str
    kind: Kind
    layer: int
    cell: int
    sign: int
    select_score: float
    confirm_score: float
    memory_score: float
    matched_accuracy: float
    steady_score: float
    table_score: float
    chance_level: float
    p_value: float
    probe_score: float
    locality: float
    eta_squared: float
    threshold: Threshold | None
    profile: tuple[float, ...]
    predictive: bool
    causal: CausalTest | None
    verdict: Verdict

    def as_dict(self) -> dict[str, Any]:
        """Plain values; numbers that are not known are None."""
        values: dict[str, Any] = {
            "concept": self.concept,
            "kind": self.kind,
            "layer": self.layer,
            "cell": self.cell,
            "sign": self.sign,
            "select_score": self.select_score,
            "confirm_score": self.confirm_score,
            "memory_score": self.memory_score,
            "matched_accuracy": self.matched_accuracy,
            "steady_score": self.steady_score,
            "table_score": self.table_score,
            "chance_level": self.chance_level,
            "p_value": self.p_value,
            "probe_score": self.probe_score,
            "locality": self.locality,
            "eta_squared": self.eta_squared,
            "predictive": self.predictive,
            "causal_effect": self.causal.effect if self.causal else None,
            "causal_p": self.causal.p_value if self.causal else None,
            "causal_target": self.causal.target if self.causal else None,
            "causal_controls": list(self.causal.controls) if self.causal else None,
            "causal_others": self.causal.others if self.causal else None,
            "causal_doses": list(self.causal.doses) if self.causal else None,
            "causal_effect_of_three": self.causal.together if self.causal else None,
            "verdict": self.verdict,
            "threshold": self.threshold.cut if self.threshold else None,
            "balanced_accuracy": self.threshold.balanced_accuracy if self.threshold else None,
            "f1": self.threshold.f1 if self.threshold else None,
            "mcc": self.threshold.mcc if self.threshold else None,
            "prevalence": self.threshold.prevalence if self.threshold else None,
        }
        return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in values.items()}


@dataclass(frozen=True)
class Refusal:
    """A concept that cannot be judged on this text, and why.

    stretches : how many there are, on or off, whichever is fewer, where these are too few
    """

    concept: str
    reason: str
    stretches: int | None = None


@dataclass(frozen=True)
class Preview:
    """A concept on the text: how much of it is on (bool) or above 0 (count), and the first examples."""

    concept: str
    rule: str
    prevalence: float
    examples: tuple[str, ...]
    user_defined: bool


@dataclass(frozen=True)
class Inspection:
    """All that was found in one model on one text, best first."""

    findings: tuple[Finding, ...]
    refusals: tuple[Refusal, ...]
    previews: tuple[Preview, ...]
    labels: dict[str, Label]
    recording: Recording
    notes: tuple[str, ...]

    @property
    def nothing_found(self) -> str | None:
        """Why no cell is said to follow a concept, and what to do; None where one is."""
        if any(finding.verdict != "none" for finding in self.findings):
            return None
        told = []
        if names := dict.fromkeys(finding.concept for finding in self.findings):
            told.append(f"no cell follows {', '.join(names)} better than chance (p of at most {ALPHA:g})")
        if few := [f"{one.concept} ({one.stretches})" for one in self.refusals if one.stretches is not None]:
            told.append(
                f"too few stretches on or off, where {FEWEST_RUNS} of each are needed: {', '.join(few)}. "
                "Give a longer text (--text), or a rule that matches more often"
            )
        told += [f"{one.concept}: {one.reason}" for one in self.refusals if one.stretches is None]
        return "; ".join(told) or "no concept was given"

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "characters": len(self.recording.text),
            "findings": [finding.as_dict() for finding in self.findings],
            "nothing_found": self.nothing_found,
            "refused": [asdict(refusal) for refusal in self.refusals],
            "concepts": [
                {
                    "concept": p.concept,
                    "rule": p.rule,
                    "prevalence": p.prevalence,
                    "examples": list(p.examples),
                }
                for p in self.previews
            ],
            "notes": list(self.notes),
        }

    def as_csv(self) -> str:
        """One row per finding under a row of names; the lists of the JSON are left out."""
        table = io.StringIO()
        writer = csv.DictWriter(table, CSV_COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(finding.as_dict() for finding in self.findings)
        return table.getvalue()


@blas_threads()
def inspect_cells(
    model: Model,
    text: str,
    concepts: str | Sequence[Concept | str] | None = None,
    *,
    top: int = 1,
    causal: bool = True,
    signal: Literal["cell", "hidden"] = "cell",
) -> Inspection:
    """Find the cells of ``model`` that follow ``concepts`` (all built-in ones but controls) on ``text``.

    concepts : names of built-in ones, definitions as --concept takes them (``name=span:[A-Z][a-z]+``), or Concepts;
        a string is one concept
    text : should be text the model was not trained on; its first MOST_CHARACTERS are read
    top : findings per concept, at most
    causal : whether to hold cells and see how predictions change; needs ``signal`` "cell"
    signal : tanh(c) of an LSTM ("cell") or its h ("hidden"); RNN and GRU have h only

    Raises DataError for a text that is too short or has characters the model does not know, and UsageError
    for a concept that is unknown or malformed, and for a user-defined one that marks nothing.
    """
    check_length(text)
    notes = []
    if len(text) > MOST_CHARACTERS:
        notes.append(f"read the first {MOST_CHARACTERS:,} of {len(text):,} characters")
        text = text[:MOST_CHARACTERS]
    wanted = _wanted(concepts)
    labels = {concept.name: concept.label(text) for concept in wanted}
    previews = tuple(_preview(concept, labels[concept.name], text) for concept in wanted)
    recording = record(model, text, signal=signal)
    searches, refusals = _find(recording, list(labels.values()))
    judge = _Judge(model, recording, causal and (signal == "cell" or model.config.cell != "lstm"))
    findings = []
    for search in searches:
        probe = judge.probe(search.label)
        for index in search.ranked[:top]:
            confirmed = judge.confirm(search, index)
            test = judge.hold(search, confirmed)
            findings.append(judge.finding(search, confirmed, test, probe))
        if note := judge.not_monotone(search):
            notes.append(note)
    findings.sort(key=lambda f: (VERDICTS.index(f.verdict), -_strength(f)))
    return Inspection(tuple(findings), tuple(refusals), previews, labels, recording, tuple(notes))


def _wanted(concepts: str | Sequence[Concept | str] | None) -> list[Concept]:
    """The concepts that are asked for, each of its own name."""
    if concepts is None:
        return [concept for concept in BUILT_IN.values() if not concept.control]
    given = [concepts] if isinstance(concepts, str) else concepts
    wanted = [parse_concept(one) if isinstance(one, str) else one for one in given]
    if len({concept.name for concept in wanted}) < len(wanted):
        raise UsageError("--concept names the same concept twice; give each a name of its own")
    return wanted


@dataclass(frozen=True)
class _Search:
    """One label's search through the cells.

    scores : (M,), of SELECT; ranked : the cells that have one, best first; null : chance on CONFIRM
    """

    label: Label
    scores: np.ndarray
    ranked: list[int]
    null: Chance


def _find(recording: Recording, labels: list[Label]) -> tuple[list[_Search], list[Refusal]]:
    """Rank the cells by their scores on SELECT, for each label that the text can judge."""
    refusals, judged = [], []
    for label in labels:
        off, on = class_runs(*_part(label, slice(recording.select.start, len(recording.text))))
        if min(off, on) < FEWEST_RUNS:
            reason = f"fewer than {FEWEST_RUNS} stretches on or off in this text"
            refusals.append(Refusal(label.name, reason, min(off, on)))
        else:
            judged.append(label)
    select = score_cells(
        recording.signals[:, recording.select], [_part(one, recording.select) for one in judged]
    )
    nulls = chance(recording.signals[:, recording.confirm], [_part(one, recording.confirm) for one in judged])
    searches = []
    for label, scores, null in zip(judged, select, nulls, strict=True):
        strength = np.abs(excess(scores, label.kind))
        ranked = [int(m) for m in np.argsort(-strength, kind="stable") if np.isfinite(strength[m])]
        if null is None or not ranked:
            reason = "no cell has a score: one class only, or all signals constant"
            refusals.append(Refusal(label.name, reason))
        else:
            searches.append(_Search(label, scores, ranked, null))
    return searches, refusals


def _strength(finding: Finding) -> float:
    strength = float(excess(finding.confirm_score, finding.kind))
    return strength if np.isfinite(strength) else -1.0


def _part(label: Label, part: slice) -> tuple[np.ndarray, np.ndarray, Kind]:
    return label.values[part], label.mask[part], label.kind


def _preview(concept: Concept, label: Label, text: str) -> Preview:
    on = label.values[label.mask] > 0
    if concept.user_defined and not on.any():
        raise UsageError(
            f"--concept {concept.name}={concept.rule} matches nothing in the text ({len(text):,} characters)"
        )
    prevalence = float(on.mean()) if len(on) else 0.0
    pieces = tuple(examples(label, text))
    return Preview(concept.name, concept.rule, prevalence, pieces, concept.user_defined)


@dataclass(frozen=True)
class _Confirmed:
    """The figures of one cell on CONFIRM, along the sign that SELECT chose; level : of `excess`, by chance."""

    index: int
    sign: int
    score: float
    memory: float
    table: float
    matched: float
    steady: float
    threshold: Threshold | None
    p_value: float
    level: float
    verdict: Verdict  # as far as no cell is held


class _Judge:
    """Makes findings of chosen cells: the figures of CONFIRM, the causal test and the verdict."""

    def __init__(self, model: Model, recording: Recording, causal: bool) -> None:
        self.model, self.recording, self.causal = model, recording, causal
        self.characters = recording.characters()

    def probe(self, label: Label) -> float:
        r = self.recording
        return probe_score(r.signals, label.values, label.mask, label.kind, r.select, r.confirm)

    def not_monotone(self, search: _Search) -> str | None:
        """A note on a cell that follows a count up and down again, where that tells far more than the best rank."""
        r, label = self.recording, search.label
        if label.kind != "count":
            return None
        eta = eta_squared(r.signals[:, r.select], label.values[r.select], label.mask[r.select])
        best = int(np.nanargmax(eta))
        confirmed = self.eta_squared(label, best)
        if not confirmed > search.scores[search.ranked[0]] ** 2 + 0.1:
            return None
        layer, cell = r.place(best)
        how = f"without rising or falling all the way (η² {confirmed:.2f})"
        return f"{label.name}: cell {layer}:{cell} follows it {how}"

    def eta_squared(self, label: Label, index: int) -> float:
        """η² of one cell on CONFIRM."""
        values, mask, _ = _part(label, self.recording.confirm)
        return float(eta_squared(self.recording.signals[[index], self.recording.confirm], values, mask)[0])

    def confirm(self, search: _Search, index: int) -> _Confirmed:
        """Score a chosen cell on CONFIRM, and its memory."""
        r, label, kind = self.recording, search.label, search.label.kind
        signal, half = r.signals[index], CHANCE[kind]
        sign = 1 if search.scores[index] >= half else -1
        values, mask, _ = _part(label, r.confirm)
        confirmed = _along(sign, score(signal[r.confirm], values, mask, kind), kind)
        memory = _along(sign, memory_score(signal, label, self.characters, r.confirm), kind)
        table = character_table(self.characters, label.values, label.mask, r.select)
        table_memory = memory_score(table, label, self.characters, r.confirm)
        threshold, matched, steady = None, float("nan"), float("nan")
        if kind == "bool":
            seen = label.mask[r.select]
            cut = best_threshold(signal[r.select][seen], label.values[r.select][seen], sign)
            threshold = cut.applied(signal[r.confirm][mask], values[mask])
            matched = age_matched_accuracy(signal, label, cut, r.confirm)
        else:
            steady = _along(sign, steady_score(signal, label, self.characters, r.confirm), kind)
        p_value, level = search.null.p_value(index, sign), search.null.level(1 - ALPHA)
        verdict: Verdict = "none"
        if p_value <= ALPHA and np.isfinite(confirmed):
            floor = max(MEMORY_FLOOR[kind], level, float(np.nan_to_num(excess(table_memory, kind))))
            lasting = steady if kind == "count" else matched
            holds = excess(memory, kind) > floor and excess(lasting, kind) > MEMORY_FLOOR[kind]
            verdict = "correlate" if holds else "detector"
        return _Confirmed(
            index, sign, confirmed, memory, table_memory, matched, steady, threshold, p_value, level, verdict
        )

    def hold(self, search: _Search, confirmed: _Confirmed) -> CausalTest | None:
        """Hold a confirmed cell and see what is predicted; None where there is nothing to test."""
        if not self.causal or confirmed.verdict == "none":
            return None
        layer, cell = self.recording.place(confirmed.index)
        places = [self.recording.place(m) for m in search.ranked]
        best = [one for its_layer, one in places if its_layer == layer][:TOGETHER]
        return causal_test(self.model, self.recording, search.label, layer, cell, best)

    def finding(
        self, search: _Search, confirmed: _Confirmed, test: CausalTest | None, probe: float
    ) -> Finding:
        label, kind, half = search.label, search.label.kind, CHANCE[search.label.kind]
        layer, cell = self.recording.place(confirmed.index)
        known = float(excess(probe, kind))
        verdict = confirmed.verdict
        if verdict == "correlate" and test is not None and test.holds(CAUSAL_ALPHA):
            verdict = "tracker"
        return Finding(
            concept=label.name,
            kind=kind,
            layer=layer,
            cell=cell,
            sign=confirmed.sign,
            select_score=_along(confirmed.sign, float(search.scores[confirmed.index]), kind),
            confirm_score=confirmed.score,
            memory_score=confirmed.memory,
            matched_accuracy=confirmed.matched,
            steady_score=confirmed.steady,
            table_score=confirmed.table,
            chance_level=half + (1 - half) * confirmed.level,
            p_value=confirmed.p_value,
            probe_score=probe,
            locality=max(0.0, float(excess(confirmed.score, kind))) / known if known > 0 else float("nan"),
            eta_squared=self.eta_squared(label, confirmed.index),
            threshold=confirmed.threshold,
            profile=response_profile(self.recording.signals[confirmed.index], label, self.recording.confirm),
            predictive=label.predictive,
            causal=test,
            verdict=verdict,
        )


def _along(sign: int, value: float, kind: Kind) -> float:
    """A score of the signal as one of sign·signal."""
    return value if sign > 0 else 2 * CHANCE[kind] - value


def response_profile(signal: np.ndarray, label: Label, part: slice) -> tuple[float, ...]:
    """The mean signal from BEFORE characters before an opening to AFTER after it, or by tenths of a count."""
    values, x = label.values[part], signal[part].astype(float)
    if label.kind == "bool":
        starts, _ = runs(values)
        openings = starts[values[starts]]
        openings = openings[(openings >= BEFORE) & (openings + AFTER < len(x))]
        if len(openings) == 0:
            return ()
        return tuple(map(float, x[openings[:, None] + np.arange(-BEFORE, AFTER)].mean(axis=0)))
    seen = label.mask[part]
    edges = np.unique(np.quantile(values[seen], np.linspace(0, 1, 11))[1:-1])
    bins = np.searchsorted(edges, values[seen], side="left")
    return tuple(float(x[seen][bins == b].mean()) for b in np.unique(bins))
