"""Cells of two models that do the same, as tables."""

from rich.console import Group, RenderableType
from rich.text import Text

from charrnn.interpret.findings import Finding
from charrnn.interpret.matching import Matching, Pair
from charrnn.ui.terminal import tables
from charrnn.ui.terminal.findings_view import number

PAIRS = 10


def view(found: Matching) -> RenderableType:
    """How near the cells of the two models are, each concept in both, and the closest pairs."""
    return Group(
        Text(
            f"{len(found.pairs):,} pairs of cells: median |r| {number(found.median)}, "
            f"by chance {number(found.chance)}"
        ),
        Text(),
        _concepts(found),
        Text(),
        _pairs(found),
    )


def _concepts(found: Matching) -> RenderableType:
    headers = ("concept", "first", "verdict", "confirm", "second", "verdict", "confirm", "r", "pair")
    grid = tables.table(headers, left=("concept", "verdict"), header_style="bold")
    for one in found.shared:
        style = "bold" if one.both else "dim"
        sides = [*_side(one.first), *_side(one.second)]
        r = "-" if one.r != one.r else f"{one.r:+.2f}"
        row = (one.concept, *sides, r, "yes" if one.paired else "no")
        grid.add_row(*(Text(cell, style) for cell in row))
    return grid


def _side(finding: Finding | None) -> tuple[str, str, str]:
    if finding is None:
        return "-", "not judged", "-"
    return f"{finding.layer}:{finding.cell}", finding.verdict, number(finding.confirm_score)


def _pairs(found: Matching) -> RenderableType:
    grid = tables.table(("first", "second", "r"), left=(), header_style="bold")
    for pair in found.pairs[:PAIRS]:
        grid.add_row(*map(Text, (_name(pair, "first"), _name(pair, "second"), f"{pair.r:+.3f}")))
    return grid


def _name(pair: Pair, side: str) -> str:
    layer, cell = getattr(pair, side)
    return f"{layer}:{cell}"
