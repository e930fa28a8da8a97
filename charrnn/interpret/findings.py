"""Find cells, score them, test their effect: from a model and a text to findings with verdicts.

    none         no cell follows the concept on CONFIRM better than chance, and than cells of untrained networks
    hidden       a cell does, but by differences that the rest of the network hardly sees
    detector     a cell does, but its memory score fails: it reacts to the marks and keeps no state
    correlate    confirmed, and its memory score holds
    tracker      also causal: holding the cell moves the prediction as the text shows, or raises the loss
    distributed  no cell alone is causal; all cells together know and remember the concept, and it is used: the best
                 few, held together, move the prediction more than random sets do; or, where no few cells do on SELECT,
                 the whole state, held along the probe's direction, moves it or raises the loss more than along random
                 ones

The causal test is made for every confirmed cell, but only a correlate can become a tracker.

Cell, sign and target are chosen on SELECT and frozen; all reported figures except ``select_score`` are from CONFIRM.
"""

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np

from charrnn.engines.threads import blas_threads
from charrnn.errors import UsageError
from charrnn.interpret.cause import (
    FEWEST_CONTROLS,
    WINDOWS_TO_CHOOSE,
    CausalTest,
    Experiment,
    Knowledge,
    causal_test,
    dose_levels,
    screened,
)
from charrnn.interpret.chance import EVERY, Chance, chance, holm, own_p_value
from charrnn.interpret.comparisons import Probe, character_table, finite, fit_probes
from charrnn.interpret.concepts import BUILT_IN
from charrnn.interpret.direction import Direction, DirectionTest, StateSpace, numbers_of
from charrnn.interpret.labels import Concept, Kind, Label, examples, runs
from charrnn.interpret.reading import SHOWN, Reading, reading_of, spread
from charrnn.interpret.recording import Recording, check_length, record
from charrnn.interpret.scores import (
    CHANCE,
    STEADY,
    Threshold,
    age_matched_accuracy,
    along,
    best_threshold,
    class_runs,
    eta_squared,
    excess,
    memory_score,
    score,
    score_cells,
    steady_places,
    steady_score,
)
from charrnn.interpret.strata import weakest_stratum
from charrnn.interpret.targets import Target, check_expectation, classes_of, targets_of
from charrnn.interpret.texts import as_trained
from charrnn.interpret.together import SIZES, Together, TogetherTest
from charrnn.interpret.untrained import Reach, untrained_reach
from charrnn.interpret.user_concepts import check_matches, parse_concept
from charrnn.model.model import Model
from charrnn.python.results import Pictured, Rows
from charrnn.text.items import Items

Verdict = Literal["none", "detector", "hidden", "correlate", "distributed", "tracker"]
VERDICTS: tuple[Verdict, ...] = ("tracker", "distributed", "correlate", "hidden", "detector", "none")

ALPHA = 0.05  # for all concepts of one inspection together
LEVEL = 0.01  # the chance level shown: what the best of all cells reaches in so many texts
VISIBLE = 0.05  # in h, between the medians of the classes: a cell that moves less is hidden
CANDIDATES = 5  # cells per layer that are tried
WITHIN = 0.1  # score within the weakest stratum, on the scale of `excess`, from which a concept is its own
CAUSAL_ALPHA = 0.05  # the smallest p with 50 controls is 1/51
MOST_CHARACTERS = 100_000  # characters read, from the start of a text: memory grows with cells × characters
FEWEST_RUNS = 30  # stretches per class
FEWEST_STEADY = 400  # characters of items at which a memory can show: the standard error of a score is .05
# A memory score below this says little about the state, even if it is significant; on the scale of `excess`.
MEMORY_FLOOR: dict[Kind, float] = {"bool": 0.4, "count": 0.2}
BEFORE, AFTER = 8, 24  # characters around an opening in a bool's response profile
CSV_COLUMNS = (
    *("concept", "kind", "layer", "cell", "sign", "verdict", "select_score", "confirm_score", "memory_score"),
    *("matched_accuracy", "steady_score", "table_score", "chance_level", "p_value", "p_alone"),
    *("untrained_score", "untrained_memory", "weakest_stratum", "weakest_stratum_score", "visible", "masked"),
    *("probe_score", "probe_memory", "locality", "eta_squared"),
    *("causal_target", "causal_direction", "causal_effect", "causal_p"),
    *(
        "loss_low",
        "loss_high",
        "loss_right",
        "loss_p",
        "causal_p_of_two",
        "loss_p_of_two",
        "ignorant_controls",
    ),
    *("together_target", "together_effect", "together_p"),
    *(
        "direction_target",
        "direction_effect",
        "direction_p",
        "direction_loss",
        "direction_loss_p",
        "direction_p_of_two",
    ),
    *("threshold", "balanced_accuracy", "f1", "mcc", "prevalence", "predictive"),
)


@dataclass(frozen=True)
class Finding:
    """One cell that follows one concept. Scores are AUC (bool) or Spearman's ρ (count), along ``sign``.

    matched_accuracy : balanced accuracy between places equally long after a bool's last change
    memory_score, steady_score : NaN where items are too short to tell a memory
    steady_score : memory score of a count where it has changed by the same step for 10 characters
    table_score : memory score of the best order-3 character table
    chance_level : score that the best of all cells reaches by chance in 1 of 100 texts
    p_alone : share of shifts at which this cell scores as high; p_value : after Holm's correction for all concepts
    untrained_score, untrained_memory : what the best cells of untrained networks reach; NaN if not measured
    weakest_stratum : the stratum of another concept, such as "paren on", within which the score is lowest
    visible : difference of the medians of h between the classes, or the first and the last tenth
    masked : share of CONFIRM that counts for nothing
    probe_score, probe_memory : of a ridge probe on h and c of all cells
    locality : the cell's score divided by the probe's, both above chance, at most 1
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
    p_alone: float
    untrained_score: float
    untrained_memory: float
    weakest_stratum: str
    weakest_stratum_score: float
    visible: float
    masked: float
    probe_score: float
    probe_memory: float
    locality: float
    eta_squared: float
    threshold: Threshold | None
    profile: tuple[float, ...]
    predictive: bool
    causal: CausalTest | None
    together: TogetherTest | None
    direction: DirectionTest | None
    verdict: Verdict

    def to_json(self) -> dict[str, Any]:
        """Plain values; unknown numbers are None."""
        parts = (
            "threshold",
            "profile",
            "causal",
            "together",
            "direction",
            "verdict",
        )  # under names of their own, or for a picture
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in parts}
        test, several, along_probe, cut = self.causal, self.together, self.direction, self.threshold
        values |= {
            "causal_effect": test.effect if test else None,
            "causal_p": test.p_value if test else None,
            "causal_target": test.target.translate(SHOWN) if test else None,
            "causal_direction": test.direction if test else None,
            "causal_controls": list(test.controls) if test else None,
            "causal_others": {ch.translate(SHOWN): v for ch, v in test.others.items()} if test else None,
            "causal_doses": list(test.doses) if test else None,
            "loss_low": test.loss_low if test else None,
            "loss_high": test.loss_high if test else None,
            "loss_right": test.loss_right if test else None,
            "loss_p": test.loss_p if test else None,
            "causal_p_of_two": test.p_of_two if test else None,
            "loss_p_of_two": test.loss_p_of_two if test else None,
            "loss_controls": list(test.loss_controls) if test else None,
            "ignorant_controls": test.ignorant if test else None,
            "together_target": several.target.translate(SHOWN) if several else None,
            "together_effect": several.effect if several else None,
            "together_p": several.p_value if several else None,
            "together_cells": [list(one) for one in several.cells] if several else None,
            "together_controls": list(several.controls) if several else None,
            "together_effects": {str(k): v for k, v in several.effects.items()} if several else None,
            "direction_target": along_probe.target.translate(SHOWN) if along_probe else None,
            "direction_effect": along_probe.effect if along_probe else None,
            "direction_p": along_probe.p_value if along_probe else None,
            "direction_controls": list(along_probe.controls) if along_probe else None,
            "direction_loss": along_probe.loss if along_probe else None,
            "direction_loss_p": along_probe.loss_p if along_probe else None,
            "direction_loss_controls": list(along_probe.loss_controls) if along_probe else None,
            "direction_p_of_two": along_probe.p_of_two if along_probe else None,
            "direction_variance": along_probe.variance if along_probe else None,
            "verdict": self.verdict,
            "threshold": cut.cut if cut else None,
            "balanced_accuracy": cut.balanced_accuracy if cut else None,
            "f1": cut.f1 if cut else None,
            "mcc": cut.mcc if cut else None,
            "prevalence": cut.prevalence if cut else None,
        }
        return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in values.items()}


@dataclass(frozen=True)
class Refusal:
    """A concept that cannot be judged on this text, and why.

    stretches : the number of stretches on or off, whichever is smaller, if that is the reason
    """

    concept: str
    reason: str
    stretches: int | None = None


@dataclass(frozen=True)
class Preview:
    """A concept on the text: the share that is on (bool) or above 0 (count), and the first examples.

    masked : the share of places that count for nothing
    """

    concept: str
    rule: str
    prevalence: float
    examples: tuple[str, ...]
    user_defined: bool
    masked: float = 0.0


@dataclass(frozen=True, repr=False)
class Inspection(Pictured, Rows):
    """All findings for one model on one text, best first."""

    findings: tuple[Finding, ...]
    refusals: tuple[Refusal, ...]
    previews: tuple[Preview, ...]
    labels: dict[str, Label]
    recording: Recording
    notes: tuple[str, ...]

    @property
    def nothing_found(self) -> str | None:
        """The reason for having no findings, and what to do; None if there are findings."""
        if any(finding.verdict != "none" for finding in self.findings):
            return None
        told = []
        if names := dict.fromkeys(finding.concept for finding in self.findings):
            told.append(
                f"no cell follows {', '.join(names)} better than chance (p of at most {ALPHA:g}) and than untrained "
                "networks do"
            )
        if few := [f"{one.concept} ({one.stretches})" for one in self.refusals if one.stretches is not None]:
            told.append(
                f"too few stretches on or off, where {FEWEST_RUNS} of each are needed: {', '.join(few)}. "
                "Give a longer text (--text), or a rule that matches more often"
            )
        told += [f"{one.concept}: {one.reason}" for one in self.refusals if one.stretches is None]
        return "; ".join(told) or "no concept was given"

    @property
    def wants_more_text(self) -> bool:
        """Whether a concept occurs too seldom in a text of which all was read."""
        few = any(refusal.stretches is not None for refusal in self.refusals)
        return few and len(self.recording.text) < MOST_CHARACTERS

    def to_json(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "characters": len(self.recording.text) - int(self.recording.marks.sum()),
            **({} if self.recording.begins is None else {"items": len(self.recording.begins)}),
            "findings": [finding.to_json() for finding in self.findings],
            "nothing_found": self.nothing_found,
            "refused": [asdict(refusal) for refusal in self.refusals],
            "concepts": [
                {
                    "concept": p.concept,
                    "rule": p.rule,
                    "prevalence": p.prevalence,
                    "masked": p.masked,
                    "examples": list(p.examples),
                }
                for p in self.previews
            ],
            "notes": list(self.notes),
        }

    def rows(self) -> list[dict[str, Any]]:
        """One row per finding, without the lists of the JSON."""
        each = [finding.to_json() for finding in self.findings]
        return [{name: values[name] for name in CSV_COLUMNS} for values in each]

    def as_csv(self) -> str:
        """A header and the rows."""
        table = io.StringIO()
        writer = csv.DictWriter(table, CSV_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows())
        return table.getvalue()

    def __repr__(self) -> str:
        counts = Counter(finding.verdict for finding in self.findings)
        found = ", ".join(f"{counts[kind]} {kind}" for kind in VERDICTS if counts[kind]) or "no finding"
        refused = f", {len(self.refusals)} concepts not judged" if self.refusals else ""
        return f"<Inspection: {found}{refused}, {len(self.recording.text):,} characters>"


@blas_threads()
def inspect_cells(
    model: Model,
    text: str | Path | Items | Reading,
    concepts: str | Sequence[Concept | str] | None = None,
    *,
    top: int = 1,
    causal: bool = True,
    untrained: bool = True,
    signal: Literal["cell", "hidden"] = "cell",
    begun: Callable[[str], None] = lambda what: None,
) -> Inspection:
    """Find the cells of ``model`` that follow ``concepts`` on ``text``.

    concepts : names of built-in ones, definitions in the form of --concept (``name=span:[A-Z][a-z]+``), or Concepts;
        a string is one concept; None means all built-in ones except controls
    text : should be text that the model was not trained on; its first MOST_CHARACTERS are read. A file, as a Path, is
        read as the training text was. For a model of items, items; a string is cut into them as in `charrnn.evaluate`
    top : most findings per concept, beside a hidden one
    causal : whether to hold cells and measure how predictions change; needs ``signal`` "cell"
    untrained : whether to compare with untrained networks of the same shape
    signal : tanh(c) of an LSTM ("cell") or its h ("hidden"); RNN and GRU have only h
    begun : called with the name of each step that begins

    Raises DataError for a text that is too short or has characters that the model does not know, and UsageError
    for a concept that is unknown or malformed, or user-defined and without a match or a symbol that it expects.
    """
    text = as_trained(model, text)
    reading = reading_of(model, spread(text, MOST_CHARACTERS), MOST_CHARACTERS)
    check_length(reading)
    notes = []
    if len(text) > len(reading):
        whole = (
            f"{len(text):,} characters" if reading.begins is None else f"{len(text):,} items, spread over all"
        )
        notes.append(f"read {'the first ' * (reading.begins is None)}{len(reading):,} of {whole}")
    wanted = _wanted(concepts, reading)
    labels = {concept.name: concept.label_of(reading) for concept in wanted}
    for concept in wanted:
        check_expectation(model, concept)
        check_matches(concept, labels[concept.name], reading)
    if concepts is None and (same := _same_as_position(labels)):
        notes.append(f"{', '.join(same)}: the same as item_pos in these items")
        wanted = [concept for concept in wanted if concept.name not in same]
        labels = {concept.name: labels[concept.name] for concept in wanted}
    previews = tuple(_preview(concept, labels[concept.name], reading.text) for concept in wanted)
    begun("reading")
    recording = record(model, reading, signal=signal)
    searches, refusals = _find(recording, list(labels.values()))
    reach: Mapping[str, Reach] = {}
    if untrained and searches:
        begun("untrained networks")
        reach = untrained_reach(model, recording, [search.label for search in searches])
    beside = {one.name: one.label_of(reading) for one in usual_concepts(reading) if one.name not in labels}
    strata = [*labels.values(), *beside.values()] if not all(one.control for one in wanted) else []
    judge = _Judge(
        model, recording, causal and (signal == "cell" or model.config.cell != "lstm"), reach, strata
    )
    choices = []
    for search in searches:
        begun(f"choosing, {search.label.name}")
        choices.append(judge.choose(search))
    alone = [judge.p_alone(search, chosen[0].index) for search, chosen in zip(searches, choices, strict=True)]
    begun("probes on all cells")
    probes = judge.probes(searches)
    findings = []
    for search, chosen, p_first, p_value, probe in zip(
        searches, choices, alone, holm(alone), probes, strict=True
    ):
        begun(f"confirming, {search.label.name}")
        for choice in chosen[:top]:
            p = p_first if choice is chosen[0] else judge.p_alone(search, choice.index)
            corrected = p_value if choice is chosen[0] else min(1.0, p * len(searches))
            confirmed = judge.confirm(search, choice.index, p, corrected)
            findings.append(judge.finding(search, confirmed, choice, probe, first=choice is chosen[0]))
        if (hidden := judge.hidden(search, chosen, len(searches))) is not None:
            findings.append(judge.finding(search, hidden, Choice(hidden.index), probe, first=False))
        told = (judge.not_monotone(search), judge.too_short(search.label))
        notes += [note for note in told if note]
    notes += judge.too_few_controls(findings)
    findings.sort(key=lambda f: (VERDICTS.index(f.verdict), -_strength(f)))
    return Inspection(tuple(findings), tuple(refusals), previews, labels, recording, tuple(notes))


def usual_concepts(reading: Reading) -> list[Concept]:
    """The built-in concepts that are looked for where none is named."""
    stream = reading.begins is None
    return [one for one in BUILT_IN.values() if not one.control and not (one.of_items and stream)]


def _wanted(concepts: str | Sequence[Concept | str] | None, reading: Reading) -> list[Concept]:
    """The requested concepts. Raises UsageError if two have the same name, or one makes no sense of this text."""
    if concepts is None:
        return usual_concepts(reading)
    given = [concepts] if isinstance(concepts, str) else concepts
    wanted = [parse_concept(one) if isinstance(one, str) else one for one in given]
    if len({concept.name for concept in wanted}) < len(wanted):
        raise UsageError("--concept names the same concept twice; give each a different name")
    for concept in wanted:
        if concept.of_items and reading.begins is None:
            raise UsageError(f"--concept {concept.name} is for models of items, and this text is one stream")
    return wanted


def _same_as_position(labels: Mapping[str, Label]) -> list[str]:
    """The concepts that say of each character what item_pos does, as line_pos where an item is one line."""
    position = labels.get("item_pos")
    if position is None:
        return []

    def equal(other: Label) -> bool:
        return np.array_equal(position.mask, other.mask) and np.array_equal(position.values, other.values)

    return [name for name, label in labels.items() if label is not position and equal(label)]


@dataclass(frozen=True)
class _Search:
    """The search for one label.

    scores : (M,), on SELECT; ranked : the cells with a score, best first; null : chance on CONFIRM
    """

    label: Label
    scores: np.ndarray
    ranked: list[int]
    null: Chance


def _find(recording: Recording, labels: list[Label]) -> tuple[list[_Search], list[Refusal]]:
    """Rank the cells by their scores on SELECT, for each label that occurs often enough."""
    refusals, judged = [], []
    for label in labels:
        both = slice(recording.select.start, len(recording.text))
        within = None if label.stretches is None else label.stretches[both]
        off, on = class_runs(*_part(label, both), within)
        if min(off, on) < FEWEST_RUNS:
            reason = f"fewer than {FEWEST_RUNS} stretches on or off in this text"
            refusals.append(Refusal(label.name, reason, min(off, on)))
        else:
            judged.append(label)
    select = score_cells(
        recording.signals[:, recording.select], [_part(one, recording.select) for one in judged]
    )
    stretches = recording.stretches
    nulls = chance(
        recording.signals[:, recording.confirm],
        [_part(one, recording.confirm) for one in judged],
        None if stretches is None else stretches[recording.confirm],
        every=EVERY,
    )
    searches = []
    for label, scores, null in zip(judged, select, nulls, strict=True):
        strength = np.abs(excess(scores, label.kind))
        ranked = [int(m) for m in np.argsort(-strength, kind="stable") if np.isfinite(strength[m])]
        if null is None or not ranked:
            reason = "no cell has a score: there is only one class, or all signals are constant"
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
    prevalence = float(on.mean()) if len(on) else 0.0
    pieces = tuple(examples(label, text))
    masked = 1 - float(label.mask.mean()) if len(label.mask) else 0.0
    return Preview(concept.name, concept.rule, prevalence, pieces, concept.user_defined, masked)


@dataclass(frozen=True)
class Choice:
    """A cell chosen on SELECT, and the target that it moves there; None if nothing was held or expected."""

    index: int
    target: Target | None = None


@dataclass(frozen=True)
class _Confirmed:
    """The figures of one cell on CONFIRM, along the sign chosen on SELECT; level : `excess` reached by chance."""

    index: int
    sign: int
    score: float
    memory: float
    table: float
    matched: float
    steady: float
    threshold: Threshold | None
    p_alone: float
    p_value: float
    level: float
    weakest: tuple[float, str]
    verdict: Verdict  # before the causal test


@dataclass(frozen=True)
class _AllCells:
    """What all cells together know: the score and the memory on CONFIRM, and whether both hold.

    fitted : the regression; None without a usable cell
    """

    score: float
    memory: float
    holds: bool
    fitted: Probe | None


class _Judge:
    """Makes findings of chosen cells: figures on CONFIRM, causal tests and verdict.

    reach : of untrained networks, by concept; strata : labels within which scores are taken
    """

    def __init__(
        self,
        model: Model,
        recording: Recording,
        causal: bool,
        reach: Mapping[str, Reach],
        strata: Sequence[Label],
    ) -> None:
        self.model, self.recording, self.causal = model, recording, causal
        self.reach, self.strata = reach, strata
        self.characters = recording.characters()

    @cached_property
    def space(self) -> StateSpace:
        return StateSpace(self.recording)

    def visible(self, search: "_Search", index: int) -> float:
        """How far h moves between the medians of the classes, or of the first and the last tenth, on SELECT."""
        shown = self.recording.shown[index].astype(np.float32)
        levels = dose_levels(shown, search.label, self.recording.select)
        return float(abs(levels[-1] - levels[0])) if len(levels) > 1 else 0.0

    def candidates(self, search: "_Search") -> list[int]:
        """The best CANDIDATES cells of each layer that are visible, best first."""
        found: list[int] = []
        layers = [0] * self.model.config.layers
        for index in search.ranked:
            layer, _ = self.recording.place(index)
            if layers[layer] < CANDIDATES and self.visible(search, index) >= VISIBLE:
                found.append(index)
                layers[layer] += 1
                if min(layers) == CANDIDATES:
                    break
        return found

    def knowledge(self, search: "_Search") -> Knowledge:
        strengths = np.asarray(excess(search.scores, search.label.kind))
        return Knowledge(strengths, search.null.level(1 - LEVEL))

    def experiment(self, search: "_Search", part: slice, **options: int) -> Experiment:
        classes = classes_of(self.recording, search.label)
        return Experiment(self.model, self.recording, search.label, classes, part, **options)

    def choose(self, search: "_Search") -> list[Choice]:
        """Cells for a concept: first the best that moves its target on SELECT, then the others by score."""
        candidates = self.candidates(search)
        if not candidates:
            return [Choice(search.ranked[0])]
        if not self.causal:
            return [Choice(index) for index in candidates]
        classes = classes_of(self.recording, search.label)
        targets = targets_of(self.model, self.recording, search.label, classes)
        experiment = self.experiment(search, self.recording.select, windows=WINDOWS_TO_CHOOSE)
        told = screened(experiment, search.label, candidates, targets, self.knowledge(search), CAUSAL_ALPHA)
        choices = [Choice(index, told[index][0] if index in told else None) for index in candidates]
        moving = [one for one in choices if one.index in told and told[one.index][1]]
        return [*moving[:1], *(one for one in choices if one not in moving[:1])]

    def p_alone(self, search: "_Search", index: int) -> float:
        """The share of shifts of the label at which a cell scores as high on CONFIRM."""
        r = self.recording
        stretches = None if search.label.stretches is None else search.label.stretches[r.confirm]
        sign = self.sign(search, index)
        return own_p_value(r.signals[index, r.confirm], _part(search.label, r.confirm), sign, stretches)

    @staticmethod
    def sign(search: "_Search", index: int) -> int:
        return 1 if search.scores[index] >= CHANCE[search.label.kind] else -1

    def hidden(self, search: "_Search", chosen: Sequence[Choice], family: int) -> _Confirmed | None:
        """The best cell of SELECT, if the rest of the network hardly sees it and it is confirmed."""
        index = search.ranked[0]
        if index in [one.index for one in chosen] or self.visible(search, index) >= VISIBLE:
            return None
        p = self.p_alone(search, index)
        confirmed = self.confirm(search, index, p, min(1.0, p * family))
        return None if confirmed.verdict == "none" else replace(confirmed, verdict="hidden")

    def probes(self, searches: "Sequence[_Search]") -> list[_AllCells]:
        """A ridge probe for each search on what all cells show and hold."""
        r = self.recording
        layers = [r.signals] if r.shown is r.signals else [r.signals, r.shown]
        labels = [(one.label.values, one.label.mask, one.label.kind) for one in searches]
        usable = finite(layers, r.select, r.confirm)
        fitted = fit_probes(lambda places: numbers_of(r, places), usable, labels, r.select)
        return [self._all_cells(search, probe) for search, probe in zip(searches, fitted, strict=True)]

    def _all_cells(self, search: "_Search", fitted: Probe | None) -> _AllCells:
        """The figures of what a probe says of each place."""
        r, label = self.recording, search.label
        if fitted is None:
            return _AllCells(float("nan"), float("nan"), False, None)
        p = own_p_value(
            fitted.told[r.confirm],
            _part(label, r.confirm),
            1,
            None if label.stretches is None else label.stretches[r.confirm],
        )
        found = self.figures(search, fitted.told, 1, p, p, -1)
        return _AllCells(found.score, found.memory, found.verdict == "correlate", fitted)

    def too_few_controls(self, findings: Iterable[Finding]) -> list[str]:
        """A note on the concepts that so many cells know that too few are left to compare with."""
        few = {
            f.concept: f.causal.ignorant
            for f in findings
            if f.causal is not None and f.causal.ignorant < FEWEST_CONTROLS
        }
        return [
            f"{name}: only {n} similar cells do not follow it; those that follow it least were controls too"
            for name, n in few.items()
        ]

    def too_short(self, label: Label) -> str | None:
        """A note on items in which no cell can show that it remembers; None where they are long enough, or a stream.

        In a few places a state that has just left zero follows a count by luck: their standard error is 1/√n.
        """
        if label.stretches is None:
            return None
        n = int(steady_places(label)[self.recording.confirm].sum())
        if n >= FEWEST_STEADY:
            return None
        where = "after a change or the beginning of an item"
        return f"{label.name}: {n:,} characters stand {STEADY} or more {where}, too few to tell a memory"

    def not_monotone(self, search: _Search) -> str | None:
        """A note on a cell that rises and falls with a count, if it follows it far better than the best rank."""
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

    def confirm(self, search: _Search, index: int, p_alone: float, p_value: float) -> _Confirmed:
        """Score a chosen cell and its memory on CONFIRM."""
        sign = self.sign(search, index)
        return self.figures(search, self.recording.signals[index], sign, p_alone, p_value, index)

    def figures(
        self, search: _Search, signal: np.ndarray, sign: int, p_alone: float, p_value: float, index: int
    ) -> _Confirmed:
        """Score a signal (N,) and its memory on CONFIRM."""
        r, label, kind = self.recording, search.label, search.label.kind
        values, mask, _ = _part(label, r.confirm)
        confirmed = along(sign, score(signal[r.confirm], values, mask, kind), kind)
        memory = along(sign, memory_score(signal, label, self.characters, r.confirm), kind)
        table = character_table(self.characters, label.values, label.mask, r.select)
        table_memory = memory_score(table, label, self.characters, r.confirm)
        threshold, matched, steady = None, float("nan"), float("nan")
        if kind == "bool":
            seen = label.mask[r.select]
            cut = best_threshold(signal[r.select][seen], label.values[r.select][seen], sign)
            threshold = cut.applied(signal[r.confirm][mask], values[mask])
            matched = age_matched_accuracy(signal, label, cut, r.confirm)
        else:
            steady = along(sign, steady_score(signal, label, self.characters, r.confirm), kind)
        level = search.null.level(1 - LEVEL)
        short = self.too_short(label) is not None
        reach = self.reach.get(label.name, Reach(0.0, 0.0))
        weakest = weakest_stratum(signal, sign, label, self.strata, r.confirm)
        verdict: Verdict = "none"
        if p_value <= ALPHA and excess(confirmed, kind) > reach.score:
            floor = max(
                *(MEMORY_FLOOR[kind], level, reach.memory),
                float(np.nan_to_num(excess(table_memory, kind))),
            )
            lasting = steady if kind == "count" else matched
            holds = excess(memory, kind) > floor and excess(lasting, kind) > MEMORY_FLOOR[kind]
            its_own = not weakest[0] < WITHIN
            verdict = "correlate" if holds and its_own and not short else "detector"
        if short:
            memory = steady = float("nan")  # a number would say more than the note beside it
        return _Confirmed(
            *(index, sign, confirmed, memory, table_memory, matched, steady, threshold),
            *(p_alone, p_value, level, weakest, verdict),
        )

    def hold(self, search: _Search, confirmed: _Confirmed, choice: Choice) -> CausalTest | None:
        """Hold a confirmed cell and measure the predictions; None if there is nothing to test."""
        if choice.target is None or confirmed.verdict in ("none", "hidden"):
            return None
        experiment = self.experiment(search, self.recording.confirm)
        return causal_test(experiment, search.label, confirmed.index, choice.target, self.knowledge(search))

    def hold_together(self, search: _Search) -> TogetherTest | None:
        """Hold the best few cells of all layers together; None if none of their sets passes on SELECT."""
        visible = (index for index in search.ranked if self.visible(search, index) >= VISIBLE)
        best = list(islice(visible, max(SIZES)))
        classes = classes_of(self.recording, search.label)
        targets = targets_of(self.model, self.recording, search.label, classes)
        choosing = self.experiment(search, self.recording.select, windows=WINDOWS_TO_CHOOSE)
        several = Together(choosing, search.label, best, self.knowledge(search))
        chosen = several.chosen(choosing, targets, CAUSAL_ALPHA)
        if chosen is None:
            return None
        return several.test(self.experiment(search, self.recording.confirm), *chosen)

    def hold_direction(self, search: _Search, fitted: Probe) -> DirectionTest | None:
        """Hold the whole state along the probe's direction; None if nothing is expected, or there is one class."""
        r, label = self.recording, search.label
        targets = targets_of(self.model, r, label, classes_of(r, label))
        direction = Direction(r, self.space, label, fitted.weights, fitted.told)
        choosing, judging = (self.experiment(search, part) for part in (r.select, r.confirm))
        if not (targets and direction.usable and choosing.watched.any() and judging.has_both_classes):
            return None
        return direction.test(judging, direction.chosen(choosing, targets))

    def finding(
        self, search: _Search, confirmed: _Confirmed, choice: Choice, probe: _AllCells, *, first: bool
    ) -> Finding:
        """A finding with its verdict; ``first`` : whether the cell stands for the concept."""
        label, kind, half = search.label, search.label.kind, CHANCE[search.label.kind]
        layer, cell = self.recording.place(confirmed.index)
        known = float(excess(probe.score, kind))
        verdict, test = confirmed.verdict, self.hold(search, confirmed, choice)
        several, along_probe = None, None
        visible = self.visible(search, confirmed.index)
        if verdict not in ("none", "hidden") and visible < VISIBLE:
            verdict = "hidden"
        alone = test is not None and test.holds(CAUSAL_ALPHA)
        if verdict == "correlate" and alone:
            verdict = "tracker"
        elif first and self.causal and probe.holds and not alone and verdict != "hidden":
            several = self.hold_together(search)
            if probe.fitted is not None:
                along_probe = self.hold_direction(search, probe.fitted)
            # one of the two is judged, as SELECT says: a second chance would have to be paid for
            p = along_probe.p_of_two if along_probe is not None else 1.0
            if (p if several is None else several.p_value) <= CAUSAL_ALPHA:
                verdict = "distributed"
        reach = self.reach.get(label.name)
        return Finding(
            concept=label.name,
            kind=kind,
            layer=layer,
            cell=cell,
            sign=confirmed.sign,
            select_score=along(confirmed.sign, float(search.scores[confirmed.index]), kind),
            confirm_score=confirmed.score,
            memory_score=confirmed.memory,
            matched_accuracy=confirmed.matched,
            steady_score=confirmed.steady,
            table_score=confirmed.table,
            chance_level=half + (1 - half) * confirmed.level,
            p_value=confirmed.p_value,
            p_alone=confirmed.p_alone,
            untrained_score=half + (1 - half) * reach.score if reach else float("nan"),
            untrained_memory=half + (1 - half) * reach.memory if reach else float("nan"),
            weakest_stratum=confirmed.weakest[1],
            weakest_stratum_score=half + (1 - half) * confirmed.weakest[0],
            visible=visible,
            masked=1 - float(np.mean(label.mask[self.recording.confirm])),
            probe_score=probe.score,
            probe_memory=probe.memory,
            locality=min(1.0, max(0.0, float(excess(confirmed.score, kind))) / known)
            if known > 0
            else float("nan"),
            eta_squared=self.eta_squared(label, confirmed.index),
            threshold=confirmed.threshold,
            profile=response_profile(self.recording.signals[confirmed.index], label, self.recording.confirm),
            predictive=label.predictive,
            causal=test,
            together=several,
            direction=along_probe,
            verdict=verdict,
        )


def response_profile(signal: np.ndarray, label: Label, part: slice) -> tuple[float, ...]:
    """The mean signal from BEFORE characters before an opening to AFTER after it, or by tenths of a count."""
    values, x = label.values[part], signal[part].astype(float)
    if label.kind == "bool":
        its = np.zeros(len(x), int) if label.stretches is None else label.stretches[part]
        starts, _ = runs(values, its)
        openings = starts[values[starts]]
        openings = openings[(openings >= BEFORE) & (openings + AFTER < len(x))]
        openings = openings[
            its[openings - BEFORE] == its[openings + AFTER - 1]
        ]  # in one item, or in the stream
        if len(openings) == 0:
            return ()
        return tuple(map(float, x[openings[:, None] + np.arange(-BEFORE, AFTER)].mean(axis=0)))
    seen = label.mask[part]
    edges = np.unique(np.quantile(values[seen], np.linspace(0, 1, 11))[1:-1])
    bins = np.searchsorted(edges, values[seen], side="left")
    return tuple(float(x[seen][bins == b].mean()) for b in np.unique(bins))
