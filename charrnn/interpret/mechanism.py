"""How a cell does it: what writes, keeps and erases its state, what reads it, and what follows when an edge is cut.

The text is that of an inspection: edges are chosen on SELECT and cut on CONFIRM. Edges into a cell that follows a
concept are chosen by what they carry too, all others by strength.

    carries     how much more an edge raises the state, along the cell's direction, where the concept is high than where
                it is low, mean per step, in the units of the strength
    strength    how far an edge moves what it goes to in one step, root mean square over the text: the difference
                between the state as it is and as it would be if this edge passed on its mean, all else as it was.
                That is weight × how much the source moves, taken through the gate exactly. In units of c for gates i,
                f and g of an LSTM, of h for gate o and for GRU and vanilla cells, and of nats for the head
    input       the same in the gate's sum, before its sigmoid or tanh: |weight| × the standard deviation of the source;
                of a character, |weight less the mean of its row| × √(its share of the text)

A character's rise and fall are its shares of all that the state rises and falls by, along the cell's direction.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from charrnn.engines.threads import blas_threads
from charrnn.errors import DataError, UsageError
from charrnn.files.json_value import known
from charrnn.interpret.cause import WINDOWS_TO_CHOOSE, Experiment, Knowledge, screened
from charrnn.interpret.chance import chance
from charrnn.interpret.cutting import ALPHA, Bench, Cut, Target, corrected, least_p
from charrnn.interpret.edges import (
    Edge,
    Sources,
    edge_name,
    edited,
    gates_of,
    parse_edge,
    symbol_name,
    without_embedding,
)
from charrnn.interpret.equations import Equations, Steps, error_of, steps_of
from charrnn.interpret.findings import (
    CAUSAL_ALPHA,
    FEWEST_RUNS,
    LEVEL,
    MOST_CHARACTERS,
    Inspection,
    usual_concepts,
)
from charrnn.interpret.labels import Concept, Kind, Label
from charrnn.interpret.reading import Reading, reading_of, spread
from charrnn.interpret.recording import Recording, check_length, halves_of, record
from charrnn.interpret.scores import CHANCE, class_runs, excess, score, score_cells
from charrnn.interpret.targets import LARGE, check_expectation, classes_of, symbol_ids, targets_of
from charrnn.interpret.texts import as_trained
from charrnn.interpret.user_concepts import check_matches, parse_concept
from charrnn.model.model import Model
from charrnn.text.items import Items

CHARACTERS = 20_000  # each edge that is cut, and each control, reads them again
BLOCK = 64  # sources at once
STEPS = 512  # steps at once, of all cells of a layer
FAINT = 0.01  # of the strongest edge, or of all that the state moves by: what is less is not shown
MAIN = 0.1  # of all that the state rises, or falls, by: characters with less have no part of their own
SHOWN = 5  # writers, and as many readers among cells and in the head


@dataclass(frozen=True)
class Influence:
    """An edge with its figures; name : as for --cut; carries : of edges into the cell, if there is a concept;
    cut : None if it was not tested."""

    edge: Edge
    name: str
    weight: float
    input: float
    strength: float
    cut: Cut | None = None
    carries: float | None = None

    def to_json(self) -> dict[str, Any]:
        figures = {"edge": self.name, "weight": self.weight, "input": self.input}
        figures |= {"strength": self.strength, "carries": self.carries}
        return figures | {"cut": self.cut.to_json() if self.cut else None}


@dataclass(frozen=True)
class Written:
    """What happens to the state when a character is read, on SELECT.

    kept : the mean of the gate that keeps the state (f or z); None of a vanilla cell
    erased, written : means of (f − 1) c[t-1] and i g, or (z − 1) h[t-1] and (1 − z) n; of a vanilla cell, which has
        no such parts, written is the mean of h[t] − h[t-1]
    rise, fall : its shares of all that the state rises and falls by, along the cell's direction
    """

    character: str
    count: int
    kept: float | None
    erased: float | None
    written: float
    rise: float
    fall: float


@dataclass(frozen=True)
class Explanation:
    """The mechanism of one cell.

    error : the largest difference between the sums and what was recorded, relative to 1 + |value|
    concept : that the cell follows, with its score on CONFIRM along ``sign``; None if no concept occurs often enough
    chance_level : score that the best of all cells reaches by chance in 1 of 100 texts
    target, log_odds : symbols that the concept makes likelier or less likely, as ``cutting.Cut`` has them
    kept : the median of the gate that keeps the state
    constant : the mean change of the state, along ``sign``, at all characters whose rise and fall are below MAIN
    together : the score and the log-odds when all ``writers`` are cut at once
    """

    layer: int
    cell: int
    cell_kind: str
    characters_read: int
    error: float
    concept: str | None
    kind: Kind | None
    sign: int
    score: float | None
    chance_level: float | None
    target: str | None
    direction: int
    log_odds: float | None
    kept: float | None
    constant: float
    characters: tuple[Written, ...]
    writers: tuple[Influence, ...]
    shown_by: tuple[Influence, ...]
    readers: tuple[Influence, ...]
    head: tuple[Influence, ...]
    together: tuple[float, float | None] | None
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values, for JSON; unknown numbers are None."""
        lists = ("writers", "shown_by", "readers", "head")
        values = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in lists}
        values["characters"] = [asdict(one) for one in self.characters]
        score_after, odds_after = self.together or (None, None)
        values["together"] = self.together and {"score_after": score_after, "log_odds_after": odds_after}
        values |= {name: [one.to_json() for one in getattr(self, name)] for name in lists}
        return known(values)


@blas_threads()
def explain_cell(
    model: Model,
    text: str | Items | Reading,
    cell: tuple[int, int],
    concept: Concept | str | None = None,
    *,
    top: int = SHOWN,
    cut: bool = True,
    begun: Callable[[str], None] = lambda what: None,
) -> Explanation:
    """Explain cell (layer, number) of ``model`` on ``text``, of which the first CHARACTERS are read.

    A concept that is named and occurs too seldom in so many has twice as many read, and again, up to MOST_CHARACTERS.

    concept : a built-in one, a definition in the form of --concept, or a Concept; None: the one that the cell follows
        best on SELECT
    top : writers to show, and as many readers among cells and in the head
    cut : whether to test each edge
    begun : called with the name of each step that begins

    Raises UsageError for a cell that does not exist or a concept that does not occur often enough, and DataError for a
    text that is too short or has characters that the model does not know.
    """
    case, found, bench, target = _case(model, text, cell, concept, top, begun)
    if bench is None or not cut:
        return found
    lists = found.writers, found.shown_by, found.readers, found.head
    cuts: list[Cut] = []
    for one in (one for its in lists for one in its):
        begun(f"cutting edge {len(cuts) + 1} of {sum(map(len, lists))}")
        its_target = target if one.edge.kind != "head" else case.own_target(one, bench)
        cuts.append(bench.test(one.edge, its_target))
    told = iter(corrected(cuts))
    writers, shown_by, readers, head = (tuple(replace(one, cut=next(told)) for one in its) for its in lists)
    together = bench.together([one.edge for one in writers], target) if writers else None
    notes = found.notes
    if (least := max(least_p(cuts), default=0.0)) > ALPHA:
        notes += (
            f"too few edges of other cells are left to compare with: p of some cannot be below {least:.2f}",
        )
    return replace(
        found, writers=writers, shown_by=shown_by, readers=readers, head=head, together=together, notes=notes
    )


def explain_findings(
    model: Model,
    text: str | Items | Reading,
    inspection: Inspection,
    concepts: Sequence[Concept] | None = None,
    *,
    cut: bool = True,
    begun: Callable[[str], None] = lambda what: None,
) -> tuple[list[Explanation | None], list[str]]:
    """The mechanism of each finding's cell, None where there is none to tell; and the reasons for that.

    concepts : those of one's own that were looked for
    cut : whether to test each edge of the trackers, which takes long; those of others are never cut
    """
    own = {concept.name: concept for concept in concepts or ()}
    mechanisms: list[Explanation | None] = []
    reasons = []
    for finding in inspection.findings:
        name = f"{finding.concept} {finding.layer}:{finding.cell}"
        if finding.verdict == "none":
            mechanisms.append(None)
            continue
        try:
            explained = explain_cell(
                model,
                text,
                (finding.layer, finding.cell),
                own.get(finding.concept, finding.concept),
                cut=cut and finding.verdict == "tracker",
                begun=lambda what, name=name: begun(f"explaining {name}, {what}"),  # type: ignore[misc]
            )
        except (UsageError, DataError) as error:  # too seldom, or still, in the characters that are read here
            mechanisms.append(None)
            reasons.append(f"{name} is not explained: {error}")
        else:
            mechanisms.append(explained)
    return mechanisms, reasons


def _case(
    model: Model,
    text: str | Items | Reading,
    cell: tuple[int, int],
    concept: Concept | str | None,
    top: int,
    begun: Callable[[str], None],
) -> tuple["_Case", Explanation, Bench | None, Target | None]:
    """A cell's explanation before anything is cut, and what it takes to cut; None if there is no concept."""
    model = without_embedding(model)
    layer, number = cell
    L, H = model.config.layers, model.config.hidden
    if not (0 <= layer < L and 0 <= number < H):
        raise UsageError(f"cell {layer}:{number} does not exist; layers are 0 to {L - 1}, cells 0 to {H - 1}")
    begun("reading")
    named = parse_concept(concept) if isinstance(concept, str) else concept
    if named is not None:
        check_expectation(model, named)
    recording = _recorded(model, text, named)
    sources = Sources.of(recording, recording.select, len(model.vocab))
    label, sign = _label(recording, layer * H + number, named)
    case = _Case(model, recording, sources, layer, number, label, sign)
    writers, shown_by, written, constant, kept, error = case.inside(top)
    readers, head = case.readers(top), case.heads(top)
    found = Explanation(
        *(layer, number, model.config.cell, len(recording.text), error),
        concept=label.name if label else None,
        kind=label.kind if label else None,
        sign=sign,
        score=None,
        chance_level=None,
        target=None,
        direction=1,
        log_odds=None,
        kept=kept,
        constant=constant,
        characters=tuple(written),
        writers=tuple(writers),
        shown_by=tuple(shown_by),
        readers=tuple(readers),
        head=tuple(head),
        together=None,
        notes=() if label else ("no concept occurs often enough in this text: no edge was cut",),
    )
    if label is None:
        return case, found, None, None
    begun("choosing what to predict")
    bench, target, level = case.bench(label)
    half = CHANCE[label.kind]
    log_odds = bench.log_odds(target) if target else None
    bench.level = level
    if log_odds is not None:
        bench.told = max(abs(log_odds), LARGE)
    found = replace(
        found,
        score=bench.score(),
        chance_level=half + (1 - half) * level,
        target=target.name if target else None,
        direction=target.direction if target else 1,
        log_odds=log_odds,
    )
    return case, found, bench, target


@blas_threads()
def cut_cell(
    model: Model,
    text: str | Items | Reading,
    cell: tuple[int, int],
    edges: Sequence[str],
    concept: Concept | str | None = None,
) -> tuple[Model, Explanation]:
    """A copy of a model in which edges of a cell are cut at once, and the cell's explanation before it.

    edges : as they are written for --cut; the others : as in ``explain_cell``, whose ``together`` tells what follows

    The copy has no embedding; its card says what was cut. Raises UsageError for an edge that does not exist, and the
    errors of ``explain_cell``.
    """
    layer, number = cell
    chosen = [parse_edge(edge, model, layer, number) for edge in edges]
    if len(set(chosen)) < len(chosen):
        raise UsageError("--cut names the same edge twice; give each edge once")
    case, found, bench, target = _case(model, text, cell, concept, SHOWN, lambda what: None)
    names = [f"{layer}:{number} {edge_name(model.vocab, edge, layer, number)}" for edge in chosen]
    if bench is not None:
        found = replace(found, together=bench.together(chosen, target))
    return edited(model, chosen, names, case.sources), found


def _recorded(model: Model, text: str | Items | Reading, concept: Concept | None) -> Recording:
    text, most = as_trained(model, text), CHARACTERS
    reading = reading_of(model, spread(text, most), most)
    while concept is not None and most < MOST_CHARACTERS and _too_few(concept, reading):
        most = min(2 * most, MOST_CHARACTERS)
        reading = reading_of(model, spread(text, most), most)
    check_length(reading)
    return record(model, reading)


def _too_few(concept: Concept, reading: Reading) -> bool:
    return (
        not _of_items_only(concept, reading) and _stretches(concept.label_of(reading), reading) < FEWEST_RUNS
    )


def _of_items_only(concept: Concept, reading: Reading) -> bool:
    return concept.of_items and reading.begins is None


def _stretches(label: Label, reading: Reading) -> int:
    """On or off, whichever are fewer, on both halves."""
    both = slice(halves_of(reading)[0].start, len(reading.text))
    within = None if label.stretches is None else label.stretches[both]
    return min(class_runs(label.values[both], label.mask[both], label.kind, within))


def _label(recording: Recording, index: int, given: Concept | None) -> tuple[Label | None, int]:
    """The label of the concept that is asked for, or that the cell follows best on SELECT; and the cell's direction."""
    part = recording.select
    best: tuple[float, Label | None, int] = (-1.0, None, 1)
    for one in usual_concepts(recording) if given is None else [given]:
        if _of_items_only(one, recording):
            raise UsageError(f"--concept {one.name} is for models of items, and this text is one stream")
        label = one.label_of(recording)
        few = _stretches(label, recording)
        found = score(recording.signals[index, part], label.values[part], label.mask[part], label.kind)
        if few < FEWEST_RUNS or found != found:
            if given is None:
                continue
            check_matches(one, label, recording)
            if few < FEWEST_RUNS:
                raise UsageError(
                    f"--concept {one.name}: fewer than {FEWEST_RUNS} stretches on or off in the "
                    f"{len(recording.text):,} characters that are read ({few}). Give a longer text (--text), or a rule "
                    "that matches more often"
                )
            raise DataError(f"the cell does not move in this text, so that it cannot follow {one.name}")
        sign = 1 if found >= CHANCE[label.kind] else -1
        strength = abs(float(excess(found, label.kind)))
        best = max(best, (strength, label, sign), key=lambda told: told[0])
    return best[1], best[2]


def _strongest(influences: Sequence[Influence]) -> list[Influence]:
    """The strongest first, without those that are next to nothing beside them."""
    ordered = sorted(influences, key=lambda one: -one.strength)
    return [one for one in ordered if one.strength > FAINT * ordered[0].strength]


def _chosen(influences: Sequence[Influence], count: int) -> list[Influence]:
    """The strongest, and in the second half those that carry most, if there is a concept; strongest first."""
    strong = _strongest(influences)
    carriers = sorted(
        (one for one in strong if (one.carries or 0.0) > 0), key=lambda one: -(one.carries or 0.0)
    )
    half = (count + 1) // 2
    chosen = list(dict.fromkeys([*strong[:half], *carriers[: count - half], *strong]))[:count]
    return sorted(chosen, key=lambda one: -one.strength)


class _Case:
    """One cell on one text: its edges and their strengths on SELECT."""

    def __init__(
        self,
        model: Model,
        recording: Recording,
        sources: Sources,
        layer: int,
        cell: int,
        label: Label | None,
        sign: int,
    ) -> None:
        self.model, self.network, self.recording, self.sources = model, model.network, recording, sources
        self.layer, self.cell, self.label, self.sign = layer, cell, label, sign
        self.classes = np.full(len(recording.ids), -1, np.int8)  # of each symbol
        if label is not None:
            self.classes[recording.ends] = classes_of(recording, label)
        above = [layer + 1] * (layer + 1 < model.config.layers)
        first = recording.part(0, recording.select.stop)
        steps, places = steps_of(model, first, [layer, *above], [cell])
        start = 0 if recording.begins is not None else int(recording.ends[recording.select.start - 1]) + 1
        counted = places >= start
        self.symbols = first.ids[places[counted]].astype(np.intp)
        self.steps = dict(zip([layer, *above], (one.at(counted) for one in steps), strict=True))

        high, low = self.classes[places[counted]] == 1, self.classes[places[counted]] == 0
        # Σ contrast·x is the mean of x where the concept is high, less the mean where it is low
        self.contrast = sign * (high / max(1, high.sum()) - low / max(1, low.sum()))

    def influence(
        self, edge: Edge, weight: float, passed: float, strength: float, carries: float | None = None
    ) -> Influence:
        name = edge_name(self.model.vocab, edge, self.layer, self.cell)
        told = None if carries is None or self.label is None else float(carries)
        return Influence(edge, name, float(weight), float(passed), float(strength), carries=told)

    def inside(
        self, top: int
    ) -> tuple[list[Influence], list[Influence], list[Written], float, float | None, float]:
        """The edges into the cell that are strongest or carry most; those into gate o of an LSTM; what each character
        does; the mean change elsewhere; the median of the gate that keeps; and the error."""
        steps, network, k = self.steps[self.layer], self.network, self.cell
        own = Equations(network, self.layer, steps, [k])
        found: dict[bool, list[Influence]] = {False: [], True: []}
        params, H = network.layer(network.params, self.layer), network.config.hidden
        for g, gate in enumerate(gates_of(network)):
            row = g * H + k
            lists = found[gate == "o"]
            if self.layer == 0:
                lists += self._from_symbols(own, gate, params["weight_ih"][row].astype(float))
            else:
                lists += self._from_cells(own, "below", gate, params["weight_ih"][row].astype(float))
            lists += self._from_cells(own, "before", gate, params["weight_hh"][row].astype(float))
        chosen = [_chosen(found[shows], size) for shows, size in ((False, top), (True, max(1, top // 2)))]
        written, constant = self._written(own, steps, top)
        keeping = None if own.keeping is None else float(np.median(own.keeping))
        error = error_of(own, steps, [k])
        return chosen[0], chosen[1], written, constant, keeping, error

    def _from_symbols(self, own: Equations, gate: str, weights: np.ndarray) -> list[Influence]:
        shares = self.sources.shares
        weights = weights - weights @ shares
        symbols = self.symbols
        moved = own.moved(gate, weights[symbols][:, None])[:, 0]
        squares = np.bincount(symbols, moved * moved, minlength=len(weights))
        strengths = np.sqrt(squares / max(1, len(symbols)))
        carries = np.bincount(symbols, self.contrast * moved, minlength=len(weights))
        return [
            self.influence(
                Edge("symbol", 0, gate, s, self.cell),
                weights[s],
                abs(weights[s]) * np.sqrt(shares[s]),
                strengths[s],
                carries[s],
            )
            for s in np.flatnonzero(shares).tolist()
        ]

    def _from_cells(self, own: Equations, kind: Any, gate: str, weights: np.ndarray) -> list[Influence]:
        steps = self.steps[self.layer]
        values = steps.x if kind == "below" else steps.before
        source_layer = self.layer - (kind == "below")
        means, spreads = self.sources.means[source_layer], self.sources.spreads[source_layer]
        strengths, carries = np.zeros(len(weights)), np.zeros(len(weights))
        for first in range(0, len(weights), BLOCK):
            block = slice(first, first + BLOCK)
            parts = own.passed(kind, gate, (values[:, block] - means[block]) * weights[block])
            moved = own.moved(gate, parts)
            strengths[block] = np.sqrt(np.mean(moved * moved, axis=0))
            carries[block] = self.contrast @ moved
        return [
            self.influence(
                Edge(kind, self.layer, gate, j, self.cell),
                weights[j],
                abs(weights[j]) * spreads[j],
                strengths[j],
                carries[j],
            )
            for j in range(len(weights))
        ]

    def _written(self, own: Equations, steps: Steps, top: int) -> tuple[list[Written], float]:
        """The characters with the largest shares of what the state moves by, and what is written elsewhere."""
        symbols, V = self.symbols, len(self.model.vocab)
        counts = np.bincount(symbols, minlength=V)
        erased, written = own.kept[:, 0] - own.before[:, 0], own.written[:, 0]
        change = self.sign * (erased + written)

        def shares(values: np.ndarray) -> np.ndarray:
            total = np.bincount(symbols, np.maximum(values, 0), minlength=V)
            return total / max(total.sum(), np.finfo(float).tiny)

        def means(values: np.ndarray) -> np.ndarray:
            return np.bincount(symbols, values, minlength=V) / np.maximum(counts, 1)

        rises, falls = shares(change), shares(-change)
        keeping = own.keeping
        kept = None if keeping is None else means(keeping[:, 0])
        erased_of, written_of = means(erased), means(written if keeping is not None else erased + written)
        largest = np.maximum(rises, falls)
        marked = (largest >= MAIN)[symbols]
        constant = float(np.mean(change[~marked])) if not marked.all() else 0.0
        told = [
            Written(
                character=symbol_name(self.model.vocab, s),
                count=int(counts[s]),
                kept=None if kept is None else float(kept[s]),
                erased=None if kept is None else float(erased_of[s]),
                written=float(written_of[s]),
                rise=float(rises[s]),
                fall=float(falls[s]),
            )
            for s in np.argsort(-largest, kind="stable")[: top + 1].tolist()
            if largest[s] >= FAINT
        ]
        return told, constant

    def readers(self, top: int) -> list[Influence]:
        """The strongest edges from the cell to gates of other cells: of its layer in the next step, of the one above in
        the same."""
        found = []
        H, dtype = self.network.config.hidden, self.network.theta.dtype
        mean, spread = self.sources.means[self.layer, self.cell], self.sources.spreads[self.layer, self.cell]
        for layer, steps in self.steps.items():
            kind: Any = "before" if layer == self.layer else "below"
            params = self.network.layer(self.network.params, layer)
            matrix = params["weight_hh" if kind == "before" else "weight_ih"]
            weights = matrix[:, self.cell].reshape(-1, H)  # (gates, H)
            total = np.zeros(weights.shape)
            n = len(steps.before)
            for start in range(0, n, STEPS):
                part = steps.at(slice(start, start + STEPS))
                equations = Equations(self.network, layer, part, slice(None), dtype)
                source = (part.before if kind == "before" else part.x)[:, [self.cell]] - dtype.type(mean)
                for g, gate in enumerate(gates_of(self.network)):
                    moved = equations.moved(gate, equations.passed(kind, gate, source * weights[g]))
                    total[g] += np.sum(moved * moved, axis=0, dtype=float)
            strengths = np.sqrt(total / max(1, n))
            for g, gate in enumerate(gates_of(self.network)):
                for j in range(H):
                    if (layer, j) != (self.layer, self.cell) and strengths[g, j] > 0:
                        edge = Edge(kind, layer, gate, self.cell, j)
                        weight = weights[g, j]
                        found.append(self.influence(edge, weight, abs(weight) * spread, strengths[g, j]))
        return _strongest(found)[:top]

    def heads(self, top: int) -> list[Influence]:
        """The strongest edges from the cell to what is predicted; none below the last layer."""
        if self.layer + 1 < self.model.config.layers:
            return []
        weights = self.network.params["head.weight"][:, self.cell].astype(float)
        spread = self.sources.spreads[self.layer, self.cell]
        strengths = np.abs(weights) * spread
        strengths[self.model.vocab.unwritten] = 0
        order = np.argsort(-strengths, kind="stable")[:top].tolist()
        return [
            self.influence(Edge("head", self.layer, "", self.cell, s), weights[s], strengths[s], strengths[s])
            for s in order
            if strengths[s] > FAINT * strengths.max()
        ]

    def bench(self, label: Label) -> tuple[Bench, Target | None, float]:
        """The bench for cutting; what the concept should make likelier, None if nothing is expected; and the
        strength, on the scale of ``excess``, that chance reaches on SELECT."""
        recording, model = self.recording, self.model
        classes, part = self.classes[recording.ends], recording.select
        labels = [(label.values[part], label.mask[part], label.kind)]
        strengths = np.asarray(excess(score_cells(recording.signals[:, part], labels)[0], label.kind))
        within = None if label.stretches is None else label.stretches[part]
        [null] = chance(recording.signals[:, part], labels, within)
        knowledge = Knowledge(strengths, null.level(1 - LEVEL) if null is not None else 1.0)
        ignorant = knowledge.ignorant.reshape(model.config.layers, -1)
        cell = self.layer, self.cell
        bench = Bench(model, recording, label, classes, self.sign, cell, ignorant, self.sources)
        expected = targets_of(model, recording, label, classes)
        if not expected or not (bench.classes == 0).any() or not (bench.classes == 1).any():
            return bench, None, knowledge.level
        experiment = Experiment(model, recording, label, classes, part, windows=WINDOWS_TO_CHOOSE)
        index = self.layer * recording.hidden + self.cell
        moved = screened(experiment, label, [index], expected, knowledge, CAUSAL_ALPHA)
        chosen = moved[index][0] if index in moved else expected[0]
        symbols = tuple(symbol_ids(model, chosen.characters).values())
        name = "".join(symbol_name(model.vocab, s) for s in symbols)
        return bench, Target(name, symbols, chosen.direction), knowledge.level

    def own_target(self, influence: Influence, bench: Bench) -> Target:
        """The symbol that an edge to the head goes to, in the direction in which the cell moves it."""
        symbol = influence.edge.target
        direction = self.sign * (1 if influence.weight > 0 else -1)
        return Target(symbol_name(self.model.vocab, symbol), (symbol,), direction)
