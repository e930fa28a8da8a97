"""The mechanism of a cell on a terminal: in words, as a picture of its edges, and as tables."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.text import Text

from charrnn.interpret.cutting import Cut
from charrnn.interpret.edges import SUM
from charrnn.interpret.mechanism import MAIN, Explanation, Influence, Written
from charrnn.ui.terminal import tables
from charrnn.ui.terminal.colours import LOWERS, RAISES
from charrnn.ui.terminal.console import Console
from charrnn.ui.terminal.findings_view import WHERE, number
from charrnn.ui.terminal.glyphs import Glyphs, glyphs_of
from charrnn.ui.terminal.letters import shown, spelled

LONGEST_STROKE, SHORTEST_STROKE = 16, 5
STRONG, MEDIUM = 0.5, 0.15  # of the strongest edge of its side, from which a stroke is thicker
HALF = 0.5  # of all rises, or falls, that the named characters must make up
LONGEST_NAME = 8  # characters of a target of many
NAMED = 3  # characters or edges named in a sentence
READ = 0.25  # of the strongest edge to the head, from which it is named

NOTE = (
    "strength: how far the edge moves what it goes to in one step, root mean square over the text (weight × how much "
    "its source moves, through the gate). carries: how much more it raises the cell where the concept is high than "
    "where it is low, per step. score and log-odds: after the edge is cut, so that it passes on its mean; p: how often "
    "cutting an edge of like weight, of another cell, loses as large a share of either, corrected for the number of "
    "edges shown (Holm). * p of .05 at most, and a share of 2 % or more."
)
EDGES = ("edge", "weight", "strength", "carries", "score", "log-odds", "p")
CHARACTERS = ("character", "times", "kept", "erased", "written", "rise", "fall")
LEAST_FIRST = ("weight", "carries", "p", "erased", "times", "log-odds", "strength")


def view(found: Explanation, console: Console) -> RenderableType:
    """Summary, picture, tables."""
    width, glyphs = console.width, glyphs_of(console)
    parts: list[RenderableType] = [
        in_words(found, console),
        picture(found, width, glyphs, console),
        Text(),
        Text("what each character does to it", "bold"),
        characters(found.characters, width, console),
    ]
    sides = (
        ("what writes and erases it", found.writers),
        ("what shows it, through gate o", found.shown_by),
        ("predictions that read it", found.head),
        ("cells that read it", found.readers),
    )
    for title, influences in sides:
        if influences:
            parts += [Text(), Text(title, "bold"), edges(influences, width, console)]
    parts += [Text(), Text(spelled(NOTE, console), "dim")]
    parts.append(Text(f"largest error of the sums: {found.error:.1e}, relative to 1 + |value|", "dim"))
    return Group(*parts, *(Text(note, "dim") for note in found.notes))


def in_words(found: Explanation, console: Console) -> RenderableType:
    """Heading and summary."""
    return Group(Text(shown(heading(found), console), "bold"), Text(spelled(summary(found), console)), Text())


def heading(found: Explanation) -> str:
    """Cell and concept."""
    name = f"cell {found.layer}:{found.cell} ({found.cell_kind})"
    return name if found.concept is None else f"{name}, {found.concept}"


# ------------------------------------------------------------------------------------------------
# In words


def summary(found: Explanation) -> str:
    """The mechanism as one paragraph."""
    return " ".join(_sentences(found))


def _sentences(found: Explanation) -> Iterator[str]:
    yield _concept(found)
    up, down = "rises", "falls"
    if found.sign < 0 and found.concept is not None:
        up, down = down, up
    rises = [one for one in found.characters if one.rise >= MAIN][:NAMED]
    falls = [one for one in found.characters if one.fall >= MAIN][:NAMED]
    few_rise = sum(one.rise for one in rises) >= HALF
    few_fall = sum(one.fall for one in falls) >= HALF
    little, keeping = (
        f"a little at many characters ({found.sign * found.constant:+.3f} on average)",
        _kept(found),
    )
    if few_rise and {one.character for one in rises} == {one.character for one in falls}:
        yield f"It is switched to and fro by {_listed(found, rises)}{keeping}."
    elif few_rise or few_fall:
        higher = f"{up} " + (f"at {_listed(found, rises)}" if few_rise else little)
        lower = f"{down} " + (f"at {_listed(found, falls)}" if few_fall else little)
        yield f"It {higher} and {lower}{keeping}."
    else:
        yield f"It {up} and {down} a little at many characters{keeping}."
    if found.head:
        yield f"It is read by the head {_read(found)}."
    if found.readers:
        names = [one.name.removeprefix("->").rpartition(":") for one in found.readers[:NAMED]]
        yield f"Of the cells, {_join([f'{cell} ({gate})' for cell, _, gate in names])} read it most."
    yield from _told_by_cuts(found)


def _concept(found: Explanation) -> str:
    name = f"Cell {found.layer}:{found.cell}"
    if found.concept is None or found.kind is None or found.score is None or found.chance_level is None:
        return f"{name} was compared with no concept: none occurs often enough in this text."
    score = f"{'AUC' if found.kind == 'bool' else 'rho'} {number(found.score)}"
    chance = f"the best of all cells reaches {number(found.chance_level)} by chance"
    if found.score > found.chance_level:
        return f"{name} follows {found.concept}, {WHERE[found.kind, found.sign]} ({score}; {chance})."
    return f"{name} follows {found.concept} no better than chance ({score}; {chance})."


def after_cutting(found: Explanation) -> str:
    """What follows from cutting edges at once, as one line."""
    if found.together is None or found.score is None:
        return "no concept occurs often enough in this text to tell what changes"
    score, odds = found.together
    told = f"{found.concept}: score {number(found.score)} to {number(score)}"
    if found.log_odds is not None and odds is not None:
        told += f", log-odds of {quoted(found.target or '')} {found.log_odds:.2f} to {odds:.2f} nats"
    return told


def _kept(found: Explanation) -> str:
    """What keeps the state between, after a comma."""
    if found.kept is not None:
        gate = "f" if found.cell_kind == "lstm" else "z"
        return f", kept by {gate} ≈ {found.kept:.2f}"
    itself = f"{found.layer}:{found.cell}->"
    own = [one for one in found.writers if one.name.startswith(itself)]
    return f", kept by its own weight of {own[0].weight:+.2f}" if own else ""


def visible(name: str, console: Console) -> str:
    """The name of an edge or a character, in which a space is seen; --cut takes ␣ too."""
    if name.startswith(" ") or name.endswith(": "):
        name = name.replace(" ", glyphs_of(console).space)
    return shown(name, console)


def _listed(found: Explanation, characters: Sequence[Written]) -> str:
    """Characters, and the gates through which the strongest of their edges go."""
    told, direct = [], False
    for one in characters:
        gates = [e.edge.gate for e in found.writers if e.name == f"{one.character}->{e.edge.gate}"]
        direct = direct or bool(gates)
        through = f" through {_join(gates)}" if gates and SUM not in gates else ""
        told.append(quoted(one.character) + through)
    words = _join(told)
    if direct:
        return words
    cells = [f"{e.edge.source_layer}:{e.edge.source} ({e.edge.gate})" for e in found.writers if ":" in e.name]
    return words + (f", through {_join(cells[:NAMED])}" if cells else "")


def _read(found: Explanation) -> str:
    """For which characters and against which."""
    strong = [one for one in found.head if one.strength >= READ * found.head[0].strength]
    sign = found.sign if found.concept is not None else 1
    sides = []
    for word, wanted in (("for", 1), ("against", -1)):
        names = [one.name.removeprefix("->head:") for one in strong if one.weight * sign * wanted > 0]
        if names:
            sides.append(f"{word} {_join([quoted(name) for name in names[:NAMED]])}")
    return " and ".join(sides)


def _told_by_cuts(found: Explanation) -> Iterator[str]:
    tested = [one for one in (*found.writers, *found.shown_by) if one.cut is not None]
    holding = [one for one in tested if one.cut and one.cut.holds]
    for one in sorted(holding, key=lambda one: -(one.cut.lost if one.cut else 0))[:1]:
        assert one.cut is not None
        yield f"Cutting {one.name} takes the score from {_change(one.cut)}."
    if tested and not holding:
        together = ""
        if found.together and found.score is not None:
            together = f"; all of these writers cut at once take the score from {number(found.score)} to "
            together += number(found.together[0])
        yield f"No single edge into it is shown to do more, when cut, than edges of like weight{together}."
    read = [one for one in found.head if one.cut is not None and one.cut.holds]
    for one in sorted(read, key=lambda one: -(one.cut.fell if one.cut else 0))[:1]:
        assert one.cut is not None
        yield (
            f"Cutting {one.name} takes the log-odds of {quoted(one.cut.target or '')} from "
            f"{_odds(one.cut)} nats{_corrected(one.cut)}."
        )


def _change(cut: Cut) -> str:
    told = f"{number(cut.score)} to {number(cut.score_after)}"
    if cut.log_odds is not None:
        told += f" and the log-odds of {quoted(cut.target or '')} from {_odds(cut)} nats"
    return f"{told}{_corrected(cut)}"


def _corrected(cut: Cut) -> str:
    return "" if cut.p is None else f" (p {number(cut.p)}, corrected for all edges)"


def _odds(cut: Cut) -> str:
    assert cut.log_odds is not None
    assert cut.log_odds_after is not None
    return f"{cut.log_odds:.2f} to {cut.log_odds_after:.2f}"


def quoted(name: str) -> str:
    """A character in quotation marks; of many the first few."""
    if len(name) > LONGEST_NAME and " " not in name:
        return f"'{name[:LONGEST_NAME]}…'"
    return f"'{name}'"


def _join(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1])] * (len(names) > 1) + list(names[-1:]))


# ------------------------------------------------------------------------------------------------
# As a picture


@dataclass(frozen=True)
class _Stroke:
    """An edge as it is drawn: the name of its other end, what stands on its line, and the line's glyph and style."""

    name: str
    label: str
    line: str
    style: str

    def drawn(self, columns: int, arrow: str) -> tuple[str, str]:
        return f"{self.label}{self.line * (columns - cell_len(self.label))}{arrow}", self.style


def _strokes(influences: Sequence[Influence], glyphs: Glyphs, console: Console) -> list[_Stroke]:
    """The thickness is by strength beside the strongest of them; yellow raises, blue lowers."""
    strongest = max((one.strength for one in influences), default=1.0)
    drawn = []
    for one in influences:
        level = sum(one.strength >= share * strongest for share in (MEDIUM, STRONG))
        into = one.name.startswith("->")
        name = one.name.removeprefix("->") if into else one.name.rpartition("->")[0]
        label = ("" if into else one.edge.gate) + ("+" if one.weight > 0 else "-")
        style = RAISES if one.weight > 0 else LOWERS
        drawn.append(_Stroke(visible(name, console), label, glyphs.strokes[level], style))
    return drawn


def picture(found: Explanation, width: int, glyphs: Glyphs, console: Console) -> Text:
    """Writers, the cell, readers; a gate and the sign of the weight stand on the stroke of an edge."""
    left, right = (
        [stroke for group in groups for stroke in _strokes(group, glyphs, console)]
        for groups in ((found.writers, found.shown_by), (found.head, found.readers))
    )
    middle = [f"{found.layer}:{found.cell}", *([found.concept] if found.concept else [])]
    box = max(map(cell_len, middle)) + 2
    names = [max((cell_len(one.name) for one in side), default=0) for side in (left, right)]
    room = width - sum(names) - box - 8  # blanks, sides of the box, points of arrows
    columns = max(SHORTEST_STROKE, min(LONGEST_STROKE, room // 2))
    rows = max(len(left), len(right), len(middle))
    first = (rows - len(middle)) // 2
    text = Text(no_wrap=True, overflow="crop")
    for row in range(rows):
        if row < len(left):
            name = left[row].name
            text.append(" " * (names[0] - cell_len(name)) + f"{name} ")
            text.append(*left[row].drawn(columns, glyphs.arrow)).append(" ")
        elif left:
            text.append(" " * (names[0] + columns + 3))
        name = middle[row - first] if 0 <= row - first < len(middle) else ""
        text.append(f"{glyphs.vertical}{name:^{box}}{glyphs.vertical}", "bold")
        if row < len(right):
            text.append(" ").append(*right[row].drawn(columns, glyphs.arrow)).append(f" {right[row].name}")
        text.append("\n" * (row + 1 < rows))
    return text


# ------------------------------------------------------------------------------------------------
# As tables


def edges(influences: Sequence[Influence], width: int, console: Console) -> RenderableType:
    """One line per edge."""
    rows = [_row(one, console) for one in influences]
    return _table(EDGES, rows, ("edge",), width, [bool(one.cut and one.cut.holds) for one in influences])


def _row(one: Influence, console: Console) -> dict[str, str]:
    cut = one.cut
    return {
        "edge": visible(one.name, console),
        "weight": f"{one.weight:+.2f}",
        "strength": f"{one.strength:.3f}",
        "carries": "-" if one.carries is None else f"{one.carries:+.3f}",
        "score": f"{number(cut.score)} to {number(cut.score_after)}"
        if cut and cut.score_p is not None
        else "-",
        "log-odds": _odds(cut) if cut and cut.log_odds is not None else "-",
        "p": number(cut.p) if cut and cut.p is not None else "-",
    }


def characters(written: Sequence[Written], width: int, console: Console) -> RenderableType:
    """One line per character."""
    rows = [
        {
            "character": visible(one.character, console),
            "times": f"{one.count:,}",
            "kept": "-" if one.kept is None else f"{one.kept:.2f}",
            "erased": "-" if one.erased is None else f"{one.erased:+.3f}",
            "written": f"{one.written:+.3f}",
            "rise": f"{one.rise:.0%}",
            "fall": f"{one.fall:.0%}",
        }
        for one in written
    ]
    return _table(CHARACTERS, rows, ("character",), width, [False] * len(rows))


def _table(
    headers: Sequence[str],
    rows: Sequence[dict[str, str]],
    left: Sequence[str],
    width: int,
    marked: Sequence[bool],
) -> RenderableType:
    """A table without the columns that say nothing or do not fit; marked rows are bold and begin with a star."""
    kept = tables.fitting(tables.telling(headers, rows), rows, LEAST_FIRST, width - 3)  # after the star
    grid = tables.table(["", *kept], left=("", *left), gap=2, header_style="dim")
    for row, mark in zip(rows, marked, strict=True):
        style = "bold" if mark else ""
        grid.add_row(Text("*" if mark else " ", style), *(Text(row[name], style) for name in kept))
    return grid
