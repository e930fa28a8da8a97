"""Why a model expected a character: the text before it, coloured by the part of each character, and the cells."""

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from charrnn.interpret.passages import Passage
from charrnn.interpret.why import CellPart, Why
from charrnn.ui.terminal import tables
from charrnn.ui.terminal.findings_view import GUTTER, Look, legend, passage_view, seen

CHARACTERS = 5  # listed with their numbers
CELLS = 5
OF_A_CELL = 3  # characters
SHOWN = 0.05  # of a cell's change: a character with a smaller part is not named
ROUGH = 1e-3  # completeness error in nats from which the parts are not to be trusted


def view(found: Why, width: int, look: Look) -> RenderableType:
    """The question, the text in three colourings, and the largest parts in numbers."""
    target, against = (quoted(name, look) for name in (found.target, found.against))
    kinds = {
        "replaced by what the model expected there": found.replaced,
        "removed": found.removed,
        f"integrated gradients: {found.log_odds - found.baseline_log_odds:+.2f} in all, from "
        f"{found.baseline_log_odds:+.2f} after average characters": found.integrated,
    }
    scale = max(float(np.abs(parts).max()) for parts in kinds.values())
    start = found.place - len(found.text)
    passages = {kind: Passage(found.text, start, parts, scale, name="nats") for kind, parts in kinds.items()}
    parts: list[RenderableType] = [
        Text(
            f"Why {target} ({found.target_probability:.1%}) rather than {against} "
            f"({found.against_probability:.1%}) at place {found.place:,}: log-odds {found.log_odds:+.2f} nats",
            "bold",
        ),
        legend(next(iter(passages.values())), look),
        Text(f"{'':<{GUTTER}}above 0: for {target}, below: for {against}"),
    ]
    for kind, passage in passages.items():
        parts += [Text(), Text(kind, "dim"), passage_view(passage, width, look)]
    parts += [
        Text(),
        _characters(found, look),
        Text(),
        _cells(found, look),
        Text(),
        Text(_error(found), "dim"),
    ]
    return Group(*parts)


def quoted(name: str, look: Look) -> str:
    """A character in quotation marks as one visible glyph; what a symbol is called that is none."""
    return f"'{seen(name, look)}'" if len(name) == 1 else name


def _characters(found: Why, look: Look) -> RenderableType:
    """The characters with the largest parts, in the order of the text."""
    headers = ("place", "character", "replaced", "removed", "integrated")
    grid = tables.table(headers, left=("character",), header_style="bold")
    largest = np.max(np.abs([found.replaced, found.removed, found.integrated]), axis=0)
    for k in sorted(np.argsort(-largest, kind="stable")[:CHARACTERS].tolist()):
        numbers = (f"{parts[k]:+.2f}" for parts in (found.replaced, found.removed, found.integrated))
        place = found.place - len(found.text) + k
        grid.add_row(*map(Text, (f"{place:,}", quoted(found.names[k], look), *numbers)))
    return grid


def _cells(found: Why, look: Look) -> RenderableType:
    """The cells with the largest changes, the others together, and the bias: the whole log-odds."""
    grid = tables.table(("cell", "part", "change", "by"), left=("cell", "by"), header_style="bold")
    shown, others = found.cells[:CELLS], found.cells[CELLS:]
    rows = [
        (f"{found.layer}:{one.cell}", one.contribution, one.change, _by(one, found, look)) for one in shown
    ]
    if others:
        part, change = sum(one.contribution for one in others), sum(one.change for one in others)
        rows.append((f"{len(others):,} others", part, change, ""))
    rows.append(("bias", found.bias, 0.0, ""))
    rows.append(("sum", found.log_odds, found.log_odds - found.baseline_log_odds, ""))
    for name, part, change, by in rows:
        grid.add_row(*map(Text, (name, f"{part:+.2f}", f"{change:+.2f}", by)))
    return grid


def _by(one: CellPart, found: Why, look: Look) -> str:
    """The characters that make most of a cell's change."""
    if one.characters is None:
        return ""
    order = np.argsort(-np.abs(one.characters), kind="stable")[:OF_A_CELL].tolist()
    start = found.place - len(found.text)
    return ", ".join(
        f"{quoted(found.names[k], look)} {one.characters[k]:+.2f} at {start + k:,}"
        for k in order
        if abs(one.characters[k]) >= SHOWN * abs(one.change)
    )


def _error(found: Why) -> str:
    told = f"completeness error {found.completeness_error:.1e} nats, with {found.gradients:,} gradients"
    if found.completeness_error <= ROUGH:
        return told
    return f"{told}: too large, so integrated gradients are rough here. A shorter --context may help"
