"""The pictures of the lesson: for each chapter, functions that turn its results into something to print.

A picture is at most 12 rows by 76 columns, so that it fits a screen of 24 by 80 with the words around it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.cells import cell_len
from rich.console import RenderableType
from rich.text import Text

from charrnn.learn import counter, optimisers, streams, temperature, unrolling, vanishing
from charrnn.learn.backwards import Backwards
from charrnn.learn.break_it import WRONG, BreakIt
from charrnn.learn.counter import Counter
from charrnn.learn.gates import Gates
from charrnn.learn.hello import Hello, Unrolled
from charrnn.learn.losses import Losses
from charrnn.learn.one_hot import OneHot
from charrnn.learn.one_step import OneStep
from charrnn.learn.optimisers import Optimisers
from charrnn.learn.overfitting import Overfitting
from charrnn.learn.streams import Cut
from charrnn.learn.temperature import Temperature
from charrnn.learn.unrolling import Unrolling
from charrnn.learn.vanishing import Vanishing
from charrnn.ui.terminal.colours import step_of, step_style
from charrnn.ui.terminal.console import Console
from charrnn.ui.terminal.findings_view import Look
from charrnn.ui.terminal.glyphs import ASCII
from charrnn.ui.terminal.letters import spelled
from charrnn.ui.terminal.log_chart import Curve, log_chart
from charrnn.ui.terminal.sparkline import sparkline
from charrnn.ui.terminal.tables import table

WIDEST_PICTURE = 94  # at most, where the terminal has room
PICTURE_LABEL = 6
SHOWN_TARGETS = 20
MOST_CONCEPTS = 8
EMPHASIS = "bold magenta"


@dataclass(frozen=True)
class Pen:
    """Draws for one console; `look` has the colours and glyphs it can show."""

    console: Console
    look: Look

    @classmethod
    def of(cls, console: Console) -> "Pen":
        return cls(console, Look.of(console))

    @property
    def width(self) -> int:
        return min(WIDEST_PICTURE, self.console.width - 2)

    def text(self, content: str, style: str = "") -> Text:
        return Text(spelled(content, self.console), style)

    def glyph(self, character: str) -> str:
        """One column for any character; a space is seen."""
        if character == " ":
            return self.look.glyphs.space
        return self.look.glyph(character)

    def bar(self, share: float, width: int) -> str:
        """A bar of at most `width` columns."""
        return self.look.glyphs.full * round(width * share)

    def heat(self, values: Iterable[float], scale: float, columns: int = 1, low: float | None = None) -> Text:
        """A row of cells: colours from blue over nothing to orange, or, without colours, bars from low to high.

        scale : what is shown strongest; low : the other end, -scale unless it says otherwise
        """
        low = -scale if low is None else low
        row = Text()
        for value in values:
            if self.look.colour:
                row.append(" " * columns, step_style(step_of(float(value), scale)))
            else:
                share = max(0.0, min(1.0, (float(value) - low) / (scale - low)))
                bars = self.look.bars
                row.append(bars[round(share * (len(bars) - 1))] * columns)
        return row

    def rows(self, rows: Iterable[tuple[str, Text | str, str]]) -> Text:
        """Lines of a label, a row and a remark."""
        lines = []
        for label, row, remark in rows:
            line = Text().append(padded(spelled(label, self.console), PICTURE_LABEL) + " ", "dim").append(row)
            lines.append(line.append(spelled(f"  {remark}" if remark else "", self.console), "dim"))
        picture = Text("\n").join(lines)
        picture.no_wrap, picture.overflow = True, "crop"
        return picture

    def reading(self, text: str, columns: int = 1) -> str:
        """The characters over the columns of a heat map."""
        return "".join(padded(self.glyph(ch), -columns) for ch in text)

    def columns(self, text: str, least: int = 1) -> int:
        """The columns that each character of a text needs."""
        return max(least, *(cell_len(self.glyph(ch)) for ch in text))

    def sample(self, text: str) -> str:
        """A text on one line, with its spaces as they are."""
        return "".join(ch if ch == " " else self.glyph(ch) for ch in text)

    def legend(self, scale: float, low: float | None = None) -> Text:
        """The meaning of the colours, or bars, of a heat map."""
        low = -scale if low is None else low
        steps = np.linspace(low, scale, 9)
        key = self.heat(steps, scale, 2) if self.look.colour else Text(self.look.bars)
        return Text.assemble((f"{low:.2g} ", "dim"), key, (f" {scale:.2g}", "dim"))


def padded(text: str, columns: int) -> str:
    """At the right of so many columns of a terminal; at the left if they are negative."""
    space = " " * (abs(columns) - cell_len(text))
    return space + text if columns > 0 else text + space


# ------------------------------------------------------------------------------------------------
# 1. One-hot and look-up


def vocabulary(data: OneHot, pen: Pen) -> RenderableType:
    """The symbols with their ids below."""
    wide = _width(data)
    return pen.rows(
        [
            ("", "".join(padded(pen.glyph(data.symbols[k]), wide) for k in data.shown), ""),
            ("id", "".join(f"{k:>{wide}}" for k in data.shown), ""),
        ]
    )


def _width(data: OneHot) -> int:
    """The columns for a symbol and its id."""
    return 4 if len(data.shown) < len(data.symbols) else 3


def vectors(data: OneHot, pen: Pen) -> RenderableType:
    """A row for each character, with 1 at its id."""
    rows, wide = [], _width(data)
    dot = "." if pen.look.glyphs is ASCII else "·"
    for ch, id_, vector in zip(data.text.word, data.ids, data.vectors, strict=True):
        row = Text()
        for value in vector[data.shown]:
            row.append(padded("1" if value else dot, wide), EMPHASIS if value else "dim")
        rows.append((pen.glyph(ch), row, f"id {id_}"))
    return pen.rows(rows)


def column(data: OneHot, pen: Pen) -> RenderableType:
    """W_ih as a heat map, the column of the first character marked, and its numbers."""
    scale, marked = float(abs(data.weight).max()), data.shown.index(int(data.ids[0]))
    head = Text("".join(padded(f"{pen.glyph(data.symbols[k])} ", 3) for k in data.shown), "dim")
    head.stylize(EMPHASIS, *_third(data, pen, marked))
    rows: list[tuple[str, Text | str, str]] = [("", head, "W_ih x")]
    for unit, weights in enumerate(data.weight[:, data.shown]):
        row = Text()
        for k, weight in enumerate(weights):
            cell = pen.heat([weight], scale, 3)
            if k == marked:
                cell = Text(f"[{cell.plain[1]}]", cell.spans[0].style if cell.spans else "")
            row.append(cell)
        rows.append((f"unit {unit}", row, f"{data.columns[0, unit]:+.2f}"))
    return Text("\n").join([pen.rows(rows), pen.rows([("scale", pen.legend(scale), "")])])


def _third(data: OneHot, pen: Pen, marked: int) -> tuple[int, int]:
    """Where the marked symbol's three columns begin and end, in characters."""
    sizes = [len(padded(f"{pen.glyph(data.symbols[k])} ", 3)) for k in data.shown[: marked + 1]]
    return sum(sizes[:-1]), sum(sizes)


# ------------------------------------------------------------------------------------------------
# 2. One step


def parts(data: OneStep, pen: Pen) -> RenderableType:
    """The sum and the squeeze, a row for each unit."""
    bars = [""] if pen.width >= 70 else []
    grid = table(("", "W_ih x[t]", "+ W_hh h[t-1]", "+ b", "= a[t]", "tanh", *bars), left=("",))
    arrays = zip(data.from_input, data.from_before, data.bias, data.a, data.h, strict=True)
    for unit, (x, before, b, a, h) in enumerate(arrays):
        grid.add_row(
            Text(f"unit {unit}", "dim"),
            f"{x:+.2f}",
            f"{before:+.2f}",
            f"{b:+.2f}",
            Text(f"{a:+.2f}", "bold"),
            Text(f"{h:+.2f}", EMPHASIS),
            *([_around_zero(float(h), pen)] if bars else []),
        )
    return grid


def _around_zero(value: float, pen: Pen, width: int = 8) -> Text:
    """A bar to the left or right of a middle line."""
    bar, middle = pen.bar(abs(value), width), pen.look.glyphs.vertical
    left, right = (bar, "") if value < 0 else ("", bar)
    text = Text(f"{left:>{width}}", "blue").append(middle, "dim")
    return text.append(f"{right:<{width}}", "yellow")


# ------------------------------------------------------------------------------------------------
# 3. Unrolling in time


def states(data: Unrolling, pen: Pen) -> RenderableType:
    """h of every unit at every step."""
    line = data.text.line
    wide = pen.columns(line, 2 if pen.width > PICTURE_LABEL + 2 * len(line) else 1)
    rows: list[tuple[str, Text | str, str]] = [("", pen.reading(line, wide), "")]
    rows += [(f"h{unit}", pen.heat(values, 1.0, wide), "") for unit, values in enumerate(data.h.T)]
    return Text("\n").join([pen.rows(rows), pen.rows([("scale", pen.legend(1.0), "")])])


def gaps(data: Unrolling, pen: Pen) -> RenderableType:
    """The distance between the two readings, for the first steps after the cut."""
    shown = data.gaps[: unrolling.SHOWN]
    after = data.text.line[data.text.cut :]
    return pen.rows(
        [
            (pen.glyph(ch), Text(f"{pen.bar(gap / shown.max(), 40):<40}", "yellow"), f"{gap:.5f}")
            for ch, gap in zip(after, shown, strict=False)
        ]
    )


# ------------------------------------------------------------------------------------------------
# 4. The whole network on one word


def fresh_word(data: Hello, pen: Pen) -> RenderableType:
    """The network before training."""
    return _unrolled(data, data.fresh, pen)


def trained_word(data: Hello, pen: Pen) -> RenderableType:
    """The network after it."""
    return _unrolled(data, data.trained, pen)


def _unrolled(data: Hello, net: Unrolled, pen: Pen, column: int = 12) -> RenderableType:
    """A column per step, from the letter below over h and the logits to the target above."""
    right, read, symbols = data.targets, data.inputs, data.symbols

    def line(pieces: Iterable[tuple[str, str]], gap: str = " ") -> Text:
        row = Text()
        for k, (text, style) in enumerate(pieces):
            row.append(f"{gap if k else '':<4}", "dim").append(f"{text:>{column - 5}}", style).append(" ")
        return row

    arrow = f" {pen.look.glyphs.horizontal * 2}" if pen.look.glyphs is not ASCII else " --"
    rows: list[tuple[str, Text | str, str]] = [
        ("target", line((symbols[s], EMPHASIS) for s in right), ""),
        ("p", line((f"{p:.2f}", "yellow") for p in net.p_targets), "of the target"),
    ]
    for s, symbol in enumerate(symbols):
        values = (
            (f"{a:+.2f}", EMPHASIS if s == t else "") for a, t in zip(net.logits[:, s], right, strict=True)
        )
        rows.append((symbol, line(values), "logits" if s == 0 else ""))
    for unit, values in enumerate(net.h.T):
        remark = "h, handed on" if unit == 0 else ""
        rows.append((f"h{unit}", line(((f"{value:+.2f}", "") for value in values), arrow), remark))
    vectors = ("".join("1" if k == s else "0" for k in range(len(symbols))) for s in read)
    rows.append(("x", line((vector, "dim") for vector in vectors), "one-hot"))
    rows.append(("read", line((symbols[s], "bold") for s in read), ""))
    return pen.rows(rows)


# ------------------------------------------------------------------------------------------------
# 5. The loss


def targets(data: Losses, pen: Pen) -> RenderableType:
    """A line of the text, and below each character the one that comes next."""
    read = data.place[:SHOWN_TARGETS]
    wide = pen.columns(read) + 1
    return pen.rows(
        [
            ("read", pen.reading(read[:-1], wide), ""),
            ("target", Text(pen.reading(read[1:], wide), EMPHASIS), ""),
        ]
    )


def guesses(data: Losses, pen: Pen) -> RenderableType:
    """The likeliest next characters, fresh and trained."""
    width = 20
    rows: list[tuple[str, Text | str, str]] = [("next", Text(f"{'fresh':<{width + 8}}trained", "dim"), "")]
    for symbol in data.likeliest:
        row = Text()
        for p, style in ((data.fresh[symbol], "blue"), (data.trained[symbol], "yellow")):
            row.append(f"{pen.bar(float(p), width):<{width}}", style).append(f" {p:.3f}  ")
        rows.append((pen.glyph(data.symbols[symbol]), row, "what came" if symbol == data.next else ""))
    return pen.rows(rows)


def curve(data: Losses, pen: Pen) -> RenderableType:
    """The training losses as a line of bars."""
    line = sparkline(data.curve, 50, pen.look.glyphs.bars)
    return pen.rows([("loss", Text(line, "yellow"), f"{data.curve[0]:.2f} → {data.curve[-1]:.2f}")])


# ------------------------------------------------------------------------------------------------
# 6. Backward through time


def flow(data: Backwards, pen: Pen) -> RenderableType:
    """∂loss/∂h at every step: a heat map, each step on its own scale, and the norms."""
    text = pen.reading(data.read, 4)
    rows: list[tuple[str, Text | str, str]] = [("read", text, "")]
    for unit in range(data.d_h.shape[1]):
        # Square roots, so that steps a thousand times apart are still seen.
        signed = np.sign(data.d_h[:, unit]) * np.sqrt(abs(data.d_h[:, unit]))
        rows.append((f"dh{unit}", pen.heat(signed, float(np.sqrt(abs(data.d_h).max())), 4), ""))
    shown = "".join(f"{_short(n):<8}" if k % 2 == 0 else "" for k, n in enumerate(data.norms))
    rows.append(("norm", shown.rstrip(), ""))
    return Text("\n").join(
        [
            pen.rows(rows),
            pen.rows([("", Text("shade: the square root of dh; backward is to the left", "dim"), "")]),
        ]
    )


def followed(data: Backwards, pen: Pen) -> RenderableType:
    """One weight's share of the gradient at the last steps, and their sum over all."""
    unit, other = data.checked[0]
    grid = table(
        ("step", f"dh[{unit}]", spelled("1 - h²", pen.console), f"da[{unit}]", f"h[t-1][{other}]", "share"),
        left=("step",),
    )
    rows, shown = data.followed, 4
    for back, (d_h, slope, d_a, before, share) in enumerate(rows[:shown]):
        name = pen.glyph(data.read[-1 - back]) + (f", {back} back" if back else ", last")
        grid.add_row(name, f"{d_h:+.4f}", f"{slope:.4f}", f"{d_a:+.4f}", f"{before:+.4f}", f"{share:+.6f}")
    rest = sum(row[-1] for row in rows[shown:])
    grid.add_row(pen.text(f"{len(rows) - shown} earlier"), "", "", "", "", f"{rest:+.6f}")
    grid.add_row("sum", "", "", "", "", Text(f"{sum(row[-1] for row in rows):+.6f}", EMPHASIS))
    return grid


def _short(value: float) -> str:
    return f"{value:.2f}" if value >= 0.01 else f"{value:.0e}"


def check(data: Backwards, pen: Pen) -> RenderableType:
    """Analytic and numeric gradient of a few weights."""
    grid = table(("weight", "by backward", "by nudging", "difference"), left=("weight",), gap=3)
    for (row, col), analytic, numeric in zip(data.checked, data.analytic, data.numeric, strict=True):
        grid.add_row(
            f"W_hh[{row}, {col}]", f"{analytic:+.9f}", f"{numeric:+.9f}", f"{abs(analytic - numeric):.0e}"
        )
    return grid


# ------------------------------------------------------------------------------------------------
# 7. Steps downhill


def by_hand(data: Optimisers, pen: Pen) -> RenderableType:
    """Adagrad's numbers for one weight."""
    grid = table(("step", "g", "m", spelled("lr / √m", pen.console), "step taken", "weight"), left=("step",))
    grid.add_row("", "", "", "", "", f"{data.start:+.4f}")
    for k, one in enumerate(data.by_hand[: optimisers.SHOWN], 1):
        rate = optimisers.LR / float(np.sqrt(one.m))
        grid.add_row(
            str(k), f"{one.g:+.4f}", f"{one.m:.6f}", f"{rate:.3f}", f"{one.step:+.4f}", f"{one.weight:+.4f}"
        )
    return grid


def curves(data: Optimisers, pen: Pen) -> RenderableType:
    """The loss of each pass by each rule."""
    lines = [Curve(rule, curve) for rule, curve in data.curves.items()]
    return log_chart(lines, pen.width, 10, "passes", pen.look.glyphs)


# ------------------------------------------------------------------------------------------------
# 8. Vanishing, exploding, clipping


def norms(data: Vanishing, pen: Pen) -> RenderableType:
    """The three flows over a logarithmic scale."""
    lines = [
        Curve(spelled(f"ρ = {radius:g}", pen.console), values.tolist())
        for radius, values in zip(vanishing.RADII, data.norms, strict=True)
    ]
    return _chart(lines, pen)


def _chart(lines: Sequence[Curve], pen: Pen) -> Text:
    return log_chart(lines, pen.width, 10, "steps back", pen.look.glyphs)


def burst(data: Vanishing, pen: Pen) -> RenderableType:
    """Losses of both trainings at a few steps."""
    at = (1, 2, 3, 10, 30, 60, vanishing.STEPS) if pen.width >= 70 else (1, 2, 3, vanishing.STEPS)
    grid = table(("loss at step", *map(str, at)), left=("loss at step",))
    for name, losses in (
        ("not clipped", data.burst.free),
        (f"clipped to ±{vanishing.CLIP:g}", data.burst.clipped),
    ):
        values = [
            Text(_loss(losses[step - 1])) if step <= len(losses) else Text("burst", "red") for step in at
        ]
        grid.add_row(pen.text(name), *values)
    return grid


def _loss(value: float) -> str:
    return f"{value:.1e}" if value >= 1e5 else f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


# ------------------------------------------------------------------------------------------------
# 9. Gates


def gate_rows(data: Gates, pen: Pen) -> RenderableType:
    """Gates, c and h of one cell over the text."""
    wide = pen.columns(data.text.line)
    rows: list[tuple[str, Text | str, str]] = [("", pen.reading(data.text.line, wide), "")]
    remarks = {
        "i": "input gate: write?",
        "f": "forget gate: keep?",
        "g": "what to write",
        "o": "output gate: show?",
        "c": "the cell",
        "h": "what others see",
    }
    for name, values in data.rows.items():
        scale = float(abs(values).max()) if name == "c" else 1.0
        rows.append(
            (name, pen.heat(values, scale, wide, low=0.0 if name in "ifo" else -scale), remarks[name])
        )
    rows.append(("i f o", pen.legend(1.0, low=0.0), ""))
    rows.append(("g c h", pen.legend(1.0), f"c: ±{abs(data.rows['c']).max():.1f}"))
    return pen.rows(rows)


def gate_flows(data: Gates, pen: Pen) -> RenderableType:
    """The flows of fresh networks over a logarithmic scale."""
    return _chart([Curve(name, values.tolist()) for name, values in data.flows.items()], pen)


# ------------------------------------------------------------------------------------------------
# 10. Streams and mini-batches


def stream_rows(data: Cut, pen: Pen) -> RenderableType:
    """The text of each stream, cut into chunks."""
    T, bar, wide = streams.T, pen.look.glyphs.vertical, pen.columns("".join(data.rows))
    rows: list[tuple[str, Text | str, str]] = []
    for b, text in enumerate(data.rows):
        row = Text()
        for start in range(0, len(text), T):
            row.append(pen.reading(text[start : start + T], wide)).append(bar, EMPHASIS)
        row.right_crop(1)
        rows.append((f"b = {b}", row, ""))
    chunks = "".join(f"{f'chunk {k}':<{T * wide + 1}}" for k in range(len(data.rows[0]) // T))
    return pen.rows([("", chunks, ""), *rows])


def cosines(data: Cut, pen: Pen) -> RenderableType:
    """How well a mini-batch points, by the number of streams."""
    return pen.rows(
        (f"B = {B}", Text(f"{pen.bar(value, 40):<40}", "yellow"), f"{value:.2f}")
        for B, value in zip(streams.COMPARED, data.cosines, strict=True)
    )


# ------------------------------------------------------------------------------------------------
# 11. A real text


def both_losses(data: Overfitting, pen: Pen) -> RenderableType:
    """The losses of both parts after each pass, as bars from zero, every second pass and the best."""
    most = max(max(look.train, look.validation) for look in data.looks)
    wide = 24 if pen.width >= 70 else 14
    rows: list[tuple[str, Text | str, str]] = [("pass", Text(f"{'read':<{wide + 6}}held out", "dim"), "")]
    for k, look in enumerate(data.looks):
        if k % 2 and look is not data.best and look is not data.looks[-1]:
            continue
        row = Text()
        for value, style in ((look.train, "blue"), (look.validation, "yellow")):
            row.append(f"{pen.bar(value / most, wide - 2):<{wide}}", style).append(f"{value:.2f}  ")
        rows.append((str(look.passes), row, "best" if look is data.best else ""))
    return pen.rows(rows)


def texts_meanwhile(data: Overfitting, pen: Pen) -> RenderableType:
    """What was written after some of the passes."""
    best, last = data.looks.index(data.best), len(data.looks) - 1
    shown = sorted({0, 1, best, (best + last) // 2, last})
    return pen.rows((f"{data.looks[k].passes}", pen.sample(data.looks[k].sample), "") for k in shown)


# ------------------------------------------------------------------------------------------------
# 12. Sampling and temperature


def bars(data: Temperature, pen: Pen) -> RenderableType:
    """The likeliest next characters at each temperature."""
    width = 10
    head = "".join(f"{f'T = {T:g}':<{width + 7}}" for T in temperature.TEMPERATURES)
    rows: list[tuple[str, Text | str, str]] = [("next", Text(head.rstrip(), "dim"), "")]
    for symbol in data.likeliest:
        row = Text()
        for p in data.p[:, symbol]:
            row.append(f"{pen.bar(float(p), width):<{width}}", "yellow").append(f" {p:.2f}  ")
        row.rstrip()
        rows.append((pen.glyph(data.symbols[symbol]), row, ""))
    rows.append(
        ("bits", Text("".join(f"{f'{bits:.2f}':<{width + 7}}" for bits in data.entropies).rstrip()), "")
    )
    return pen.rows(rows)


def samples(data: Temperature, pen: Pen) -> RenderableType:
    """A text at each temperature, on one line."""
    return pen.rows(
        (f"T={T:g}", pen.sample(text), "")
        for T, text in zip(temperature.TEMPERATURES, data.samples, strict=True)
    )


# ------------------------------------------------------------------------------------------------
# 13. Break it


def faults(data: BreakIt, pen: Pen) -> RenderableType:
    """What the check of gradients and the curve say of each fault."""
    grid = table(("fault", "error", "in", "loss"), left=("fault", "in"), gap=3)
    for one in data.outcomes:
        wrong = one.error > WRONG
        error = Text(
            f"{one.error:.0e}" if not wrong else f"{one.error:.2f}", "bold red" if wrong else "green"
        )
        grid.add_row(one.fault, error, one.tensor if wrong else "", f"{one.loss:.2f}")
    return grid


# ------------------------------------------------------------------------------------------------
# 14. A cell that counts


def trace(data: Counter, pen: Pen) -> RenderableType:
    """c of every cell along the string, the true count, and the counter's numbers."""
    rows: list[tuple[str, Text | str, str]] = [
        ("read", pen.reading(data.text, 3), ""),
        ("count", "".join(f"{n:<3}" for n in data.count).rstrip(), ""),
    ]
    for unit, values in enumerate(data.c.T):
        rows.append(
            (f"c{unit}", pen.heat(values, float(abs(values).max()), 3), f"r {data.correlations[unit]:+.2f}")
        )
    rows.append(("scale", pen.legend(1.0), "times the row's largest"))
    steps = Text("".join(f"{round(value):<3}" for value in data.counted), EMPHASIS)
    rows.append((f"c{data.cell}", steps, f"in steps of {data.step:+.2f}"))
    most = max(1.0, float(data.counted.max()))
    rows.append(("", pen.heat(data.counted, most, 3, low=0.0), f"from 0 to {most:.1f}"))
    return pen.rows(rows)


def reach(data: Counter, pen: Pen) -> RenderableType:
    """Which strings ended in the right place."""
    marks = Text()
    for is_right in data.right[1:]:
        mark = pen.look.glyphs.right if is_right else pen.look.glyphs.wrong
        marks.append(f"{mark:<4}", "green" if is_right else "bold red")
    numbers = "".join(f"{n:<4}" for n in range(1, counter.TRIED + 1))
    seen = pen.look.glyphs.horizontal * (4 * counter.LONGEST - 2)
    return pen.rows(
        [("n", numbers.rstrip(), ""), ("right?", marks, ""), ("", Text(seen, "dim"), "seen in training")]
    )


def real(data: Counter, pen: Pen) -> RenderableType:
    """A stretch of the real text with the concept and the cell that follows it; or how often each concept comes."""
    best = data.real.best
    if best is None:
        rows = sorted(data.real.begins.items(), key=lambda pair: -pair[1])
        return pen.text("\n".join(f" {name:<12}{n:>4}" for name, n in rows[:MOST_CONCEPTS]))
    wide = pen.columns(best.text)
    shown = slice(0, min(len(best.text), (pen.width - PICTURE_LABEL - 2) // wide))
    most = max(1.0, float(best.values.max()))
    largest = float(abs(best.h).max())
    return pen.rows(
        [
            ("read", pen.reading(best.text[shown], wide), ""),
            ("truth", pen.heat(best.values[shown], most, wide, low=0.0), ""),
            (f"{'-' if best.sign < 0 else ''}h{best.cell}", pen.heat(best.h[shown], largest, wide), ""),
            ("scale", pen.legend(largest), f"truth: from 0 to {most:.0f}"),
        ]
    )


# Chapter and name of a picture -> the function that draws it.
PICTURES: dict[tuple[str, str], Callable[[Any, Pen], RenderableType]] = {
    ("one_hot", "vocabulary"): vocabulary,
    ("one_hot", "vectors"): vectors,
    ("one_hot", "column"): column,
    ("one_step", "parts"): parts,
    ("unrolling", "states"): states,
    ("unrolling", "gaps"): gaps,
    ("hello", "fresh"): fresh_word,
    ("hello", "trained"): trained_word,
    ("losses", "targets"): targets,
    ("losses", "guesses"): guesses,
    ("losses", "curve"): curve,
    ("backwards", "flow"): flow,
    ("backwards", "followed"): followed,
    ("backwards", "check"): check,
    ("optimisers", "by_hand"): by_hand,
    ("optimisers", "curves"): curves,
    ("vanishing", "norms"): norms,
    ("vanishing", "burst"): burst,
    ("gates", "rows"): gate_rows,
    ("gates", "flows"): gate_flows,
    ("streams", "rows"): stream_rows,
    ("streams", "cosines"): cosines,
    ("overfitting", "losses"): both_losses,
    ("overfitting", "samples"): texts_meanwhile,
    ("temperature", "bars"): bars,
    ("temperature", "samples"): samples,
    ("break_it", "faults"): faults,
    ("counter", "trace"): trace,
    ("counter", "reach"): reach,
    ("counter", "real"): real,
}
