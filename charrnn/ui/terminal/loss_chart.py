"""Losses of a run against the step: nats left, bits right."""

import math
from collections.abc import Sequence

from rich.text import Text

from charrnn.model.scores import in_bits
from charrnn.ui.terminal.colours import BEST, TRAIN, VALIDATION
from charrnn.ui.terminal.glyphs import UNICODE, Glyphs
from charrnn.ui.terminal.plot import LABEL_WIDTH, Linear, Plot, thinned

Points = Sequence[tuple[float, float]]  # (step, loss), in order of the steps

BOTH_AXES = 60  # columns from which there is room for a second axis
SETTLED = 0.1  # the fall in this first part of a run may leave the chart, or the rest would be flat


def loss_chart(train: Points, validation: Points, width: int, height: int, glyphs: Glyphs = UNICODE) -> Text:
    """A line for train, marks for validation and its best.

    width, height : columns and rows of the whole, axes included; `train` must not be empty
    """
    both = [*train, *validation]
    last = max(step for step, _ in both)
    settled = [loss for step, loss in both if step >= SETTLED * last]
    last = max(last, 1)
    margin = 0.03 * max(max(settled) - min(settled), 0.01)
    scale = Linear(min(settled) - margin, max(settled) + margin)
    bits = width >= BOTH_AXES
    plot = Plot(width - LABEL_WIDTH - 1 - bits * (LABEL_WIDTH + 1), height - 2, glyphs)

    dots = thinned(train, plot.columns * glyphs.columns)
    plot.line([(step / last, scale.share(loss)) for step, loss in dots], TRAIN)
    for step, loss in thinned(validation, plot.columns // 2):
        plot.mark(step / last, scale.share(loss), glyphs.validation, VALIDATION)
    if validation:
        step, loss = min(validation, key=lambda point: point[1])
        plot.mark(step / last, scale.share(loss), glyphs.best, BEST)

    decimals = max(0, -math.floor(math.log10(scale.spacing(plot.rows))))
    ticks = {plot.place(0, scale.share(nats))[1]: nats for nats in scale.ticks(plot.rows)}
    left = {row: f"{nats:.{decimals}f}" for row, nats in ticks.items()}
    right = dict.fromkeys(range(plot.rows), (glyphs.vertical, "dim"))
    for row, nats in ticks.items():
        right[row] = f"{glyphs.right_tick}{in_bits(nats):.{max(2, decimals)}f}", "dim"
    return plot.text(left, right if bits else {}, plot.step_axis(last, beyond=LABEL_WIDTH if bits else 0))
