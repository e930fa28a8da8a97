"""What a notebook shows of models and results: the look of the pages, light and dark, without a script.

Texts, names and everything else that comes from a file or a model are escaped.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from charrnn.interpret.findings import Finding, Inspection
from charrnn.interpret.passages import Passage, of_findings
from charrnn.model.model import Model
from charrnn.model.scores import TextSurprise, in_bits
from charrnn.python.arguments import as_arguments
from charrnn.runs.card import info_of
from charrnn.runs.history import History
from charrnn.runs.verdict import Verdict
from charrnn.sampling.writer import Sample
from charrnn.score.evaluation import Evaluation, perplexity_of
from charrnn.training.result import TrainResult
from charrnn.ui.html.letters import escaped, letters, scale, step
from charrnn.ui.html.line_chart import Line, line_chart
from charrnn.ui.html.page import asset
from charrnn.ui.terminal.findings_view import explain
from charrnn.ui.terminal.info_view import rows
from charrnn.ui.terminal.training_view import duration

MOST_LETTERS = 4000  # characters of a text
MOST_BITS = 8  # the surprise that has the strongest colour
PASSAGES = 3  # findings with a passage
SETTLED = 0.1  # share of a run after which its losses must fit in the chart
SHOWN_AT_ONCE = ("model", "vocabulary", "text", "split", "saved at", "train", "validation", "temperature")


def html_of(result: object) -> str | None:
    """The HTML of a model or result; None where there is none."""
    for kind, draw in _DRAWN.items():
        if isinstance(result, kind):
            return framed(draw(result))
    return None


def framed(content: str) -> str:
    """Content in a panel, with the style that it needs."""
    return f'<div class="charrnn"><style>{style()}</style><div class="panel">{content}</div></div>'


@cache
def style() -> str:
    """The style sheet, all of it within .charrnn, so that it changes nothing else in a notebook."""
    sheet = asset("look.css").replace(":root {", "& {") + asset("notebook.css")
    lines = (line.strip() for line in sheet.splitlines())
    return f".charrnn {{ {' '.join(filter(None, lines))} }}"


def card(model: Model) -> str:
    """A model's card."""
    known = list(rows(info_of(model)))
    first = [fact for fact in known if fact[0] in SHOWN_AT_ONCE]
    others = [fact for fact in known if fact[0] not in SHOWN_AT_ONCE]
    more = f"<details><summary>more</summary>{facts(others)}</details>" if others else ""
    return f"{facts(first)}{more}"


def curve(history: History) -> str:
    """The loss curve with the verdict on it."""
    return f"{loss_chart(history)}{verdict(history.verdict)}"


def run(result: TrainResult) -> str:
    """What a run came to: its figures, its curve and the verdict."""
    bits = result.val_bits_per_char
    best = (
        []
        if bits is None
        else [("best validation", f"{bits:.3f} bits per character, step {result.best_step:,}")]
    )
    figures = [
        *best,
        ("steps", f"{result.steps:,}, {result.epochs:.2f} epochs"),
        ("time", f"{duration(result.seconds)}, {result.chars_per_second:,.0f} characters/s"),
        ("parameters", f"{result.parameters:,}"),
        ("run", str(result.run)),
    ]
    return f"{facts(figures)}{curve(result.history)}"


def loss_chart(records: Sequence[Mapping[str, Any]]) -> str:
    """Losses of training and validation by step; the ring marks the best."""
    train = [(r["step"], in_bits(r["train_loss_nats"])) for r in records if r["train_loss_nats"] is not None]
    held = [(r["step"], in_bits(r["val_loss_nats"])) for r in records if r["val_loss_nats"] is not None]
    if not train and not held:
        return '<p class="note">No reports yet.</p>'
    last = max(step for step, _ in [*train, *held])
    settled = [loss for step, loss in [*train, *held] if step >= SETTLED * last]
    chart = line_chart(
        [Line("training", train, 2), *([Line("validation", held, 1, dots=True)] if held else [])],
        label="Loss in bits per character, over steps",
        x="step",
        y="bits per character",
        best=min(held, key=lambda point: point[1], default=None),
        ceiling=max(settled),
    )
    return f'<div class="scroll">{chart}</div>'


def verdict(found: Verdict | None) -> str:
    """The verdict on a run, and the advice as arguments of `charrnn.train`."""
    if found is None:
        return ""
    return f'<p class="title">{escaped(found.sentence)}</p><p class="note">{escaped(as_arguments(found.advice))}</p>'


def evaluation(found: Evaluation) -> str:
    """The loss beside that of simple models, best first."""
    losses = {"model": found.loss_nats, **found.baselines}
    if found.tempered_loss_nats is not None:
        losses[f"model T={found.temperature:.2f}"] = found.tempered_loss_nats
    most = max(filter(math.isfinite, losses.values()), default=1.0) or 1.0
    table = _table(
        [
            ("", ""),
            ("bits per character", "number"),
            ("nats", "number"),
            ("perplexity", "number"),
            ("", "rail"),
        ],
        [
            ("model" * name.startswith("model"), [escaped(name), *_measures(nats), _bar(nats / most)])
            for name, nats in sorted(losses.items(), key=lambda one: one[1])
        ],
    )
    counted = f"{found.chars:,} characters"
    if found.items is not None:
        counted = f"{found.items.items:,} items, {counted} with the end of each"
    return f'<p class="title">{in_bits(found.loss_nats):.3f} bits per character</p><p class="note">{counted}</p>{table}'


def _measures(nats: float) -> list[str]:
    return [_number(in_bits(nats)), _number(nats, 4), _number(perplexity_of(nats))]


def _bar(share: float) -> str:
    return f'<i style="width:{100 * share:.1f}%"></i>' if math.isfinite(share) else ""


def surprise(found: TextSurprise) -> str:
    """A text, each character coloured by its surprise."""
    bits = found.bits[:MOST_LETTERS].tolist()
    counted = len(found) + (found.end_bits is not None)
    mean = f"{found.total_bits / counted:.3f} bits per character" if counted else "an empty text"
    shown = letters(
        found.text[:MOST_LETTERS],
        [step(one / MOST_BITS) for one in bits],
        [f"{one:.1f} bits" if step(one / MOST_BITS) else "" for one in bits],
    )
    end = "" if found.end_bits is None else f"; {found.end_bits:.1f} bits for its end"
    return (
        f'<div class="legend"><b>Surprise</b>{scale("0", f"{MOST_BITS} bits or more", 0)}'
        f"<span>{mean}{end}</span></div>{shown}{_rest(len(found))}"
    )


def sample(text: Sample) -> str:
    """A sampled text, coloured by surprise where that can be told."""
    if text.surprise is None:
        return f"{letters(text[:MOST_LETTERS], [''] * len(text[:MOST_LETTERS]))}{_rest(len(text))}"
    return surprise(text.surprise)


def inspection(found: Inspection) -> str:
    """The findings, and passages of the best ones."""
    if found.nothing_found is not None:
        told = f'<p class="title">No cell was found</p><p class="note">{escaped(as_arguments(found.nothing_found))}</p>'
    else:
        several = sum(finding.verdict != "none" for finding in found.findings)
        told = f'<p class="title">{several:,} cell{"s" * (several > 1)} with a concept</p>'
    table = _table(
        [(name, "") for name in ("concept", "cell", "verdict")]
        + [(name, "number") for name in ("confirm", "memory", "p", "cause")],
        [("", _finding(finding)) for finding in found.findings],
    )
    notes = "".join(f'<p class="note">{escaped(as_arguments(note))}</p>' for note in found.notes)
    passages = of_findings(None, found, PASSAGES)
    cells = [
        _cell(found.findings[place], best, is_open=k == 0)
        for k, (place, (best, _)) in enumerate(passages.items())
    ]
    return f"{told}{table if found.findings else ''}{''.join(cells)}{notes}"


def _finding(finding: Finding) -> list[str]:
    """The cells of the table for a finding."""
    effect = finding.causal.effect if finding.causal else math.nan
    p = "<0.001" if finding.p_value < 0.001 else _number(finding.p_value)
    return [
        escaped(finding.concept),
        f"{finding.layer}:{finding.cell}",
        f'<span class="verdict {finding.verdict}">{finding.verdict}</span>',
        _number(finding.confirm_score),
        _number(finding.memory_score),
        escaped(p),
        _number(effect, 2),
    ]


def _cell(finding: Finding, passage: Passage, *, is_open: bool) -> str:
    """A passage with the signal of the cell, underlined where the concept holds."""
    middle = 0.5 if finding.kind == "bool" else passage.highest / 2
    on = passage.values > middle if passage.values is not None else np.zeros(len(passage.text), bool)
    if passage.mask is not None:
        on = on & passage.mask
    shares = passage.signal / passage.scale if passage.scale else 0 * passage.signal
    classes = [
        " ".join(filter(None, (step(share), "on" * mark)))
        for share, mark in zip(shares.tolist(), on.tolist(), strict=True)
    ]
    is_on = "is on" if finding.kind == "bool" else "is in its upper half"
    return (
        f"<details{' open' * is_open}><summary>{escaped(finding.concept)}, cell {finding.layer}:{finding.cell}: "
        f'where it agrees best</summary><p class="note">{escaped(explain(finding))}</p>'
        f'<div class="legend">{scale(_number(-passage.scale, 2), _number(passage.scale, 2))}'
        f"<span>underlined: {escaped(finding.concept)} {is_on}</span></div>{letters(passage.text, classes)}</details>"
    )


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Names and values."""
    each = (
        f"<div{' class=wide' * (len(value) > 90)}><dt>{escaped(name)}</dt><dd>{escaped(value)}</dd></div>"
        for name, value in rows
    )
    return f'<dl class="facts">{"".join(each)}</dl>'


def _table(columns: Sequence[tuple[str, str]], rows: Iterable[tuple[str, Sequence[str]]]) -> str:
    """A table. columns : heading and class of each; rows : class and cells of each, which are HTML"""
    head = "".join(f'<th class="{look}">{escaped(name)}</th>' for name, look in columns)
    body = "".join(
        f'<tr class="{kind}">'
        + "".join(f'<td class="{look}">{cell}</td>' for cell, (_, look) in zip(cells, columns, strict=True))
        + "</tr>"
        for kind, cells in rows
    )
    return f'<div class="scroll"><table class="rows"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _number(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}f}".replace("-", "−") if math.isfinite(value) else "–"


def _rest(characters: int) -> str:
    left = characters - MOST_LETTERS
    return f'<p class="note">… {left:,} more characters</p>' if left > 0 else ""


_DRAWN: dict[type, Callable[[Any], str]] = {
    Model: card,
    TrainResult: run,
    History: curve,
    Evaluation: evaluation,
    Inspection: inspection,
    TextSurprise: surprise,
    Sample: sample,
}
