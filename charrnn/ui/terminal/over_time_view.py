"""When cells came to follow their concepts: a table by step, and a chart with the loss."""

from collections.abc import Sequence

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from charrnn.interpret.findings import Finding
from charrnn.interpret.over_time import AtStep, Moment
from charrnn.interpret.scores import excess
from charrnn.ui.terminal import tables
from charrnn.ui.terminal.colours import VALIDATION
from charrnn.ui.terminal.findings_view import number
from charrnn.ui.terminal.glyphs import Glyphs
from charrnn.ui.terminal.log_chart import MARKS, lettered
from charrnn.ui.terminal.plot import LABEL_WIDTH, Linear, Plot

HEIGHT = 16
GAP = 2


def view(
    findings: Sequence[Finding], moments: Sequence[Moment], width: int, glyphs: Glyphs
) -> RenderableType:
    """The findings that are more than none, at most as many as there are letters for lines."""
    shown = [k for k, finding in enumerate(findings) if finding.verdict != "none"][: len(MARKS)]
    if not shown:
        return Text("no cell follows a concept at the end, so there is none to go back to")
    table = _table(findings, moments, shown, width)
    return Group(table, Text(), *_chart(findings, moments, shown, width, glyphs), Text(_NOTE, "dim"))


_NOTE = (
    "Below a concept: the score (AUC or rho) of the finding's cell at that step; best: of the cell that was best then. "
    "The chart has the former above chance: 2 AUC - 1, or rho."
)


def _table(
    findings: Sequence[Finding], moments: Sequence[Moment], shown: Sequence[int], width: int
) -> RenderableType:
    """A row per snapshot. A narrow terminal loses the best cells, then the last concepts; JSON has them all."""
    columns: list[tuple[str, list[str]]] = [("step", [f"{one.step:,}" for one in moments])]
    for name, losses in (
        ("train", [one.train_loss_nats for one in moments]),
        ("validation", [one.val_loss_nats for one in moments]),
    ):
        columns.append((name, ["-" if loss is None else f"{loss:.3f}" for loss in losses]))
    for with_best in (True, False):
        wanted = list(columns)
        for k in shown:
            each = [_scores(one.findings[k]) for one in moments]
            wanted.append(
                (f"{findings[k].concept} {findings[k].layer}:{findings[k].cell}", [own for own, _ in each])
            )
            if with_best:
                wanted.append(("best", [best for _, best in each]))
        widths = [max(map(len, (head, *cells))) + GAP for head, cells in wanted]
        if sum(widths) - GAP <= width:
            break
    while sum(widths) - GAP > width and len(wanted) > len(columns) + 1:
        wanted.pop(), widths.pop()
    grid = tables.table([head for head, _ in wanted], left=(), gap=GAP, header_style="bold")
    for row in zip(*(cells for _, cells in wanted), strict=True):
        grid.add_row(*map(Text, row))
    return grid


def _scores(at: AtStep) -> tuple[str, str]:
    layer, cell = at.best
    return number(at.score), f"{layer}:{cell} {number(at.best_score)}"


def _chart(
    findings: Sequence[Finding], moments: Sequence[Moment], shown: Sequence[int], width: int, glyphs: Glyphs
) -> list[Text]:
    """The score above chance of each finding's cell against the step, and the loss on a scale of its own."""
    last = max(1, moments[-1].step)
    names = [findings[k].concept for k in shown]
    plot = Plot(width - LABEL_WIDTH - 1 - (max(map(len, names)) + 3), HEIGHT - 2, glyphs)
    scale = Linear(0.0, 1.0)
    lines = []
    for k, name in zip(shown, names, strict=True):
        above = [float(excess(moment.findings[k].score, findings[k].kind)) for moment in moments]
        places = [
            (moment.step / last, scale.share(max(0.0, value)))
            for moment, value in zip(moments, above, strict=True)
            if np.isfinite(value)
        ]
        lines.append((name, places))
    kind = "validation"
    losses = [(one.step, one.val_loss_nats) for one in moments if one.val_loss_nats is not None]
    if len(losses) < 2:  # few validations are made in a short run
        kind = "train"
        losses = [(one.step, one.train_loss_nats) for one in moments if one.train_loss_nats is not None]
    caption = []
    if losses:
        low, high = min(loss for _, loss in losses), max(loss for _, loss in losses)
        own = Linear(low, high if high > low else low + 1)
        for step, loss in losses:
            plot.mark(step / last, own.share(loss), glyphs.validation, VALIDATION)
        caption = [
            Text(f"{glyphs.validation} {kind} loss, {high:.3f} nats at the top, {low:.3f} at the bottom")
        ]
    ends = lettered(plot, lines)
    left = {plot.place(0, scale.share(tick))[1]: f"{tick:.1f}" for tick in scale.ticks(plot.rows)}
    return [plot.text(left, ends, plot.step_axis(last, "step")), *caption]
