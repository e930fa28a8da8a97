"""The results of a probe."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from charrnn.probe.beliefs import BeliefResult
from charrnn.probe.probe import ProbeResult, Share
from charrnn.ui.terminal.output import json_text
from charrnn.ui.terminal.tables import lines


def report(result: ProbeResult) -> Iterator[str]:
    """A table of the share of held-out texts that each classifier labels correctly, the model's state first."""
    labels = ", ".join(f"{label} {count:,}" for label, count in result.labels.items())
    texts = sum(result.labels.values())
    yield f"{texts:,} texts of {len(result.labels)} labels ({labels})"
    if result.repeated_texts:
        yield f"fitted on {result.training_texts:,}, measured on {result.held_out_texts:,} different ones:"
    else:
        yield f"fitted on {result.training_texts:,}, measured on the other {result.held_out_texts:,}:"
    cell = result.cell
    rows = [
        ("state of the model", result.state),
        ("character n-grams", result.ngrams),
        (f"cell {cell.layer}:{cell.cell} alone", cell.held_out),
        (f"always {result.majority_label}", result.majority),
    ]
    cells = [(name, f"{share.accuracy:.1%}", _interval(share)) for name, share in rows]
    yield from lines([("", "right", "95 % interval"), *cells], gap=3)
    yield (
        f"cell {cell.layer}:{cell.cell} means {cell.above} above {cell.threshold:.3g} and {cell.below} otherwise; "
        f"with permuted labels {cell.chance:.1%} would be right (p = {cell.p_value:.2g})"
    )


def _interval(share: Share) -> str:
    low, high = share.interval
    return f"{low:.1%} – {high:.1%}"


def prediction_lines(
    predictions: Iterable[tuple[str, np.ndarray]], labels: Sequence[str], as_json: bool
) -> Iterator[str]:
    """Text, predicted label and probability of each label: CSV with a header, or one JSON object per line.

    predictions : each text, and p (K,) of its labels
    """
    if not as_json:
        yield _csv(["text", "label", *(f"p({label})" for label in labels)])
    for text, each in predictions:
        likeliest = labels[int(each.argmax())]
        if as_json:
            probabilities = dict(zip(labels, each.tolist(), strict=True))
            found = {"text": text, "label": likeliest, "probabilities": probabilities}
            yield json_text(found, ascii=False) + "\n"
        else:
            yield _csv([text, likeliest, *(f"{share:.6f}" for share in each)])


def _csv(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def belief_report(result: BeliefResult) -> Iterator[str]:
    """A table of the share of the beliefs' variance that each regression explains, and what it means."""
    yield (
        f"beliefs about {len(result.states)} hidden states, from the {result.numbers:,} numbers of the model's state; "
        f"fitted on {result.fitted_symbols:,} symbols, measured on the {result.held_out_symbols:,} after them:"
    )
    untrained, beyond = result.untrained_r2, result.beyond[-1]
    control = (
        f"control task: random beliefs for {result.contexts:,} contexts of {result.context_symbols} symbols"
    )
    yield from lines(
        [
            ("", "R²", f"beyond the last {beyond.symbols} symbols"),
            ("state of the model", f"{result.r2:.4f}", _known(beyond.r2)),
            (
                f"the best of {len(untrained)} untrained networks",
                f"{max(untrained):.4f}",
                _known(max(beyond.untrained_r2 or (), default=None)),
            ),
            (control, f"{result.control_r2:.4f}", ""),
            ("selectivity: the model less the control task", f"{result.selectivity:.4f}", ""),
        ],
        gap=3,
    )
    yield f"the last {beyond.symbols} symbols leave {beyond.left:.1%} of the beliefs' variance untold"
    known = [(r2, name) for r2, name in zip(result.r2_by_state, result.states, strict=True) if r2 is not None]
    if len(known) > 1:
        low, high = min(known), max(known)
        yield f"by hidden state: {low[0]:.4f} ({low[1] or 'empty'}) to {high[0]:.4f} ({high[1] or 'empty'})"


def _known(r2: float | None) -> str:
    return "-" if r2 is None else f"{r2:.4f}"
