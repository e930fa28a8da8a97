"""Findings on a terminal: a table, then passages of text with each character coloured by the cell.

Inspected text is never rich markup. Each of its characters becomes one visible glyph: none that could move the
cursor, change direction or take no column reaches the terminal.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Literal

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.text import Text

from charrnn.interpret.concepts import BUILT_IN
from charrnn.interpret.findings import ALPHA, Finding, Inspection, Preview
from charrnn.interpret.passages import Passage
from charrnn.interpret.reading import END, MARKS
from charrnn.ui.terminal import tables
from charrnn.ui.terminal.colours import COLOUR_STEPS, step_of, step_style
from charrnn.ui.terminal.console import Console
from charrnn.ui.terminal.glyphs import ASCII, DIGITS, UNICODE, Glyphs, has_unicode
from charrnn.ui.terminal.sparkline import sparkline

Style = Literal["auto", "colour", "bars", "digits"]

GUESS_ROWS = 5
GUTTER = 6  # columns at the left for the name of a row
PROFILE = 12  # columns of a response profile


@dataclass(frozen=True)
class Look:
    """The abilities of the terminal: colours, or bars for the signal instead, and which glyphs."""

    colour: bool
    glyphs: Glyphs = UNICODE
    bars: str = UNICODE.bars

    @classmethod
    def of(cls, console: Console, style: Style = "auto") -> "Look":
        """The look for a console, or the requested one."""
        shows = console.color_system in ("256", "truecolor") and not console.no_color
        colour = shows and style in ("auto", "colour")
        if not has_unicode(console):
            return cls(colour, ASCII, DIGITS)
        return cls(colour, UNICODE, DIGITS if style == "digits" else UNICODE.bars)

    def glyph(self, ch: str) -> str:
        """One visible glyph of one or two columns for any character."""
        code = ord(ch)
        if ch in "\n\t":
            return self.glyphs.newline if ch == "\n" else self.glyphs.tab
        if ch in MARKS:
            return self.glyphs.item_end if ch == END else self.glyphs.item_begin
        if self.glyphs is ASCII:
            return ch if 32 <= code < 127 else self.glyphs.unknown
        if code < 32 or code == 127:
            return chr(0x2400 + code) if code < 32 else "␡"
        category = unicodedata.category(ch)
        if category in ("Mn", "Me") and cell_len("◌" + ch) == 1:
            return "◌" + ch
        if (category[0] in "CZ" and ch not in " \u3000") or cell_len(ch) not in (1, 2):
            return "␠" if category == "Zs" else self.glyphs.unknown
        return ch


def console_for(style: Style = "auto", *, stderr: bool = False) -> Console:
    """The console of stdout or stderr. Requested colours go to pipes too, and override NO_COLOR."""
    if style == "colour":
        return Console(highlight=False, markup=False, force_terminal=True, no_color=False, color_system="256")
    return Console(highlight=False, markup=False, stderr=stderr)


def rows(passage: Passage, width: int, look: Look) -> Iterator[tuple[int, int]]:
    """First and last + 1 character of each row of at most ``width`` columns; a newline ends its row."""
    start = used = 0
    for t, ch in enumerate(passage.text):
        columns = cell_len(look.glyph(ch))
        if used + columns > width and t > start:
            yield start, t
            start, used = t, 0
        used += columns
        if ch == "\n":
            yield start, t + 1
            start, used = t + 1, 0
    if start < len(passage.text):
        yield start, len(passage.text)


def passage_view(passage: Passage, width: int, look: Look) -> Text:
    """The text in rows, each between its labels and the signal of the cell.

    label  ━ where the concept is on, or bars for a count; left out if a row has none
    text   one glyph per character, on the colour of the cell's signal
    cell   without colour: a bar or digit for the signal, under its own name
    next   the likeliest next characters, best first
    """
    view = Text(no_wrap=True, overflow="crop")

    def add(name: str, line: Text | str) -> None:
        view.append(f"{name:<{GUTTER}}", "dim").append(line).append("\n")

    for start, stop in rows(passage, max(2, width - GUTTER), look):
        places = range(start, stop)
        glyphs = [look.glyph(passage.text[t]) for t in places]
        wide = [cell_len(glyph) for glyph in glyphs]
        if passage.values is not None:
            marks = (_label_mark(passage, t, look) * n for t, n in zip(places, wide, strict=True))
            if strip := "".join(marks).rstrip():
                add("label", strip)
        line = Text()
        steps = (step_of(float(passage.signal[t]), passage.scale) for t in places)
        for step, alike in groupby(zip(steps, glyphs, strict=True), key=itemgetter(0)):
            line.append("".join(glyph for _, glyph in alike), step_style(step) if look.colour else "")
        add("text", line)
        if not look.colour:
            sizes = (_bar(float(passage.signal[t]), passage.scale, look.bars) for t in places)
            add(passage.name, "".join(bar * n for bar, n in zip(sizes, wide, strict=True)))
        for row in range(GUESS_ROWS if passage.guesses else 0):
            guesses = (seen(g[row], look) if row < len(g := passage.guesses[t]) else " " for t in places)
            line_of = "".join(_fit(glyph, n) for glyph, n in zip(guesses, wide, strict=True))
            add("" if row else "next", Text(line_of.rstrip(), "dim"))
    view.rstrip()
    return view


def seen(ch: str, look: Look) -> str:
    """A character where a space must be told from nothing."""
    return look.glyphs.space if ch == " " else look.glyph(ch)


def _fit(glyph: str, columns: int) -> str:
    """A guess under its character; a wide one under a narrow one becomes a dot."""
    return glyph + " " * (columns - cell_len(glyph)) if cell_len(glyph) <= columns else "."


def _label_mark(passage: Passage, t: int, look: Look) -> str:
    if passage.values is None or passage.mask is None or not passage.mask[t]:
        return look.glyphs.masked
    value = float(passage.values[t])
    if passage.values.dtype == bool:
        return look.glyphs.on if value else " "
    return look.bars[round((len(look.bars) - 1) * min(1.0, value / passage.highest))] if value > 0 else " "


def _bar(value: float, scale: float, bars: str) -> str:
    """A signal between −scale and scale as one of ``bars``, the middle one at zero."""
    if value != value:
        return "?"
    share = value / scale if scale > 0 else 0.0
    return bars[round((len(bars) - 1) * (max(-1.0, min(1.0, share)) + 1) / 2)]


def legend(passage: Passage, look: Look) -> Text:
    """The meaning of the colours or bars, of the marks above the text and of those in it."""
    text = Text(f"{passage.name:<{GUTTER}}{-passage.scale:+.2f} ")
    if look.colour:
        for step in range(-COLOUR_STEPS, COLOUR_STEPS + 1):
            text.append("  ", step_style(step))
    else:
        text.append(look.bars)
    text.append(f" {passage.scale:+.2f}")
    if passage.values is not None:
        what = (
            f"{look.glyphs.on} on" if passage.values.dtype == bool else f"0 {look.bars} {passage.highest:g}"
        )
        text.append(f"   label {what}, {look.glyphs.masked} not counted")
    if set(passage.text) & set(MARKS):
        begin, end = look.glyphs.item_begin, look.glyphs.item_end
        text.append(f"\n{'':<{GUTTER}}{end} end of an item, {begin} what is read before it")
    return text


COLUMNS = (
    *("concept", "cell", "±", "verdict", "confirm", "select", "memory"),
    *("p", "cause", "controls", "local", "profile"),
)
LEAST_FIRST = ("profile", "local", "select", "controls", "cause", "p", "memory", "±")
COLUMN_GAP = 2
VERDICT_STYLES = {"tracker": "bold", "distributed": "bold", "none": "dim"}


def table(findings: Sequence[Finding], width: int, look: Look) -> RenderableType:
    """One line per finding, without columns that say nothing; narrow terminals lose the least important ones too."""
    lines = [_cells(f, look) for f in findings]
    told = tables.telling(COLUMNS, lines, always=("±",))
    shown = tables.fitting(told, lines, LEAST_FIRST, width, COLUMN_GAP)
    headers = ["+-" if name == "±" and look.glyphs is ASCII else name for name in shown]
    grid = tables.table(headers, left=("concept", "verdict", "profile"), gap=COLUMN_GAP, header_style="bold")
    for f, line in zip(findings, lines, strict=True):
        grid.add_row(*(Text(line[name], VERDICT_STYLES.get(f.verdict, "")) for name in shown))
    return grid


def _cells(f: Finding, look: Look) -> dict[str, str]:
    return {
        "concept": f.concept + ("*" if f.predictive else ""),
        "cell": f"{f.layer}:{f.cell}",
        "±": "+" if f.sign > 0 else "-",
        "verdict": f.verdict,
        "confirm": number(f.confirm_score),
        "select": number(f.select_score),
        "memory": number(f.memory_score),
        "p": "<.001" if f.p_value < 0.001 else number(f.p_value),
        "cause": f"{f.causal.effect:+.2f}" if f.causal else "-",
        "controls": f"{max(f.causal.controls):.2f}" if f.causal and f.causal.controls else "-",
        "local": number(f.locality, 2),
        "profile": sparkline(f.profile, PROFILE, look.glyphs.bars),
    }


def number(value: float, digits: int = 3) -> str:
    """A score without its leading zero; a dash if there is none."""
    if value != value:
        return "-"
    return f"{value:.{digits}f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.{digits}f}"


NOTE = (
    "confirm, select, memory: AUC for a concept that is on or off (chance .5), Spearman's rho for a count "
    "(chance 0). p: how often chance scores as high, corrected for the number of concepts."
)
NOTE_ON_HOLDING = (
    " cause: how far, in nats, holding the cell moves the log-odds of the expected character; "
    "controls: the most that similar cells move it."
)


def report(
    inspection: Inspection, passages: dict[int, tuple[Passage, Passage]], width: int, look: Look
) -> RenderableType:
    """The table, then the best and the worst passage of findings, by their place in the table."""
    parts: list[RenderableType] = []
    if inspection.findings:
        note = NOTE + NOTE_ON_HOLDING * any(f.causal is not None for f in inspection.findings)
        parts += [table(inspection.findings, width, look), Text(), Text(note, "dim")]
        if any(f.predictive for f in inspection.findings):
            parts.append(Text("* the label looks ahead in the text", "dim"))
    if inspection.nothing_found:
        parts += [Text()] * bool(parts) + [Text(f"nothing found: {inspection.nothing_found}")]
    for place, (best, worst) in passages.items():
        f = inspection.findings[place]
        parts += [Text(), Text(f"{f.concept}: cell {f.layer}:{f.cell}, {f.verdict}", "bold")]
        parts += [Text(explain(f)), legend(best, look)]
        for name, passage in (("agrees best", best), ("agrees worst", worst)):
            parts += [
                Text(),
                Text(f"where it {name}, starting at character {passage.start:,}", "dim"),
                passage_view(passage, width, look),
            ]
    return Group(*parts, Text())


def remarks(inspection: Inspection, *, refusals: bool = True) -> RenderableType:
    """Notes, and with ``refusals`` the concepts that were not judged and why."""
    lines = list(inspection.notes)
    for reason in dict.fromkeys(refusal.reason for refusal in inspection.refusals if refusals):
        names = ", ".join(r.concept for r in inspection.refusals if r.reason == reason)
        lines.append(f"not judged, {reason}: {names}")
    if refusals and inspection.wants_more_text:
        lines.append("A longer text (--text FILE) may have enough stretches of these concepts")
    return Group(*map(Text, lines))


WHERE = {
    ("bool", 1): "high where it is on",
    ("bool", -1): "low where it is on",
    ("count", 1): "rising with it",
    ("count", -1): "falling as it grows",
}


def explain(f: Finding) -> str:
    """A finding in one sentence."""
    score = "AUC" if f.kind == "bool" else "rho"
    clauses = [
        f"{score} {number(f.confirm_score)} on text it was not chosen on, {WHERE[f.kind, f.sign]} "
        f"(the best of all cells reaches {number(f.chance_level)} by chance"
        + (
            f", untrained networks {number(f.untrained_score)})"
            if f.untrained_score == f.untrained_score
            else ")"
        )
    ]
    if f.masked > 0.005:
        clauses.append(f"{100 * f.masked:.0f} % of the text is not counted")
    if f.verdict == "none":
        worse = f.p_value <= ALPHA
        return "; ".join(clauses) + f": no better than {'untrained networks' if worse else 'chance'}."
    if f.verdict == "hidden":
        clauses.append(f"what the network sees of it moves by {f.visible:.3f} only")
        return "; ".join(clauses) + "."
    if f.memory_score == f.memory_score:
        table = number(f.table_score)
        clauses.append(f"memory {number(f.memory_score)} (the last three characters alone: {table})")
    else:
        clauses.append("no memory score, since the concept does not last ten characters often enough")
    if f.weakest_stratum and f.weakest_stratum_score < f.confirm_score - 0.1:
        clauses.append(f"{number(f.weakest_stratum_score)} where {f.weakest_stratum.replace(' ', ' is ', 1)}")
    if f.causal is not None:
        target = _named(f.causal.target)
        clauses += [
            f"holding it at its value for {'on, not off,' if f.kind == 'bool' else 'high, not low,'} moves "
            f"{target} by {f.causal.direction * f.causal.effect:+.2f} nats, where "
            f"{'more' if f.causal.direction > 0 else 'less'} is expected (p {number(f.causal.p_value)})",
            f"holding it wrong costs {(f.causal.loss_low + f.causal.loss_high) / 2:+.3f} nats per character "
            f"(p {number(f.causal.loss_p)})",
        ]
    if f.together is not None:
        clauses.append(
            f"the best {len(f.together.cells)} cells together move {_named(f.together.target)} by "
            f"{f.together.effect:+.2f} nats as expected (p {number(f.together.p_value)})"
        )
    if (along := f.direction) is not None:
        clauses.append(
            f"holding all cells along the probe's direction moves {_named(along.target)} by {along.effect:+.2f} nats "
            f"as expected (p {number(along.p_value)}), and at its mean costs {along.loss:+.3f} nats per character "
            f"(p {number(along.loss_p)})"
        )
    return "; ".join(clauses) + "."


def _named(target: str) -> str:
    """The characters of a target, or their number."""
    if END in target:
        others = target.replace(END, "")
        return f"{_named(others)} and the end of the item" if others else "the end of the item"
    if len(target) <= 4:
        return repr(target)
    if set(filter(str.isupper, target)) == set(target):
        return "capitals"
    return f"{target[0]!r} and {len(target) - 1} others"


def preview_line(preview: Preview, look: Look) -> Text:
    """A concept's prevalence and first examples, every character a visible glyph."""
    shown = ("".join(map(look.glyph, example)) for example in preview.examples)
    text = Text(f"{preview.concept} = {preview.rule}: {100 * preview.prevalence:.1f} % of the text")
    if preview.masked > 0:
        text.append(f", {100 * preview.masked:.1f} % not counted")
    for example in shown:
        text.append("\n  ").append(example)
    return text


def concept_list() -> RenderableType:
    """The built-in concepts with their rules."""
    headers = ("concept", "kind", "rule")
    grid = tables.table(headers, left=headers, header_style="bold")
    grid.columns[-1].no_wrap = False
    for concept in BUILT_IN.values():
        kind = "control" if concept.control else concept.kind
        grid.add_row(Text(concept.name), Text(kind), Text(concept.rule))
    return grid


def single_cell(passage: Passage, layer: int, cell: int, width: int, look: Look) -> RenderableType:
    """One cell on a piece of text."""
    return Group(
        Text(f"cell {layer}:{cell}", "bold"),
        legend(passage, look),
        passage_view(passage, width, look),
    )
