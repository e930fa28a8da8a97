"""Saturation of gates on a terminal: one small map per gate, left-saturated across, right-saturated up."""

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from charrnn.interpret.saturation import LEFT, RIGHT, GateSaturation
from charrnn.ui.terminal.glyphs import UNICODE, Glyphs

MAP_COLUMNS, MAP_ROWS = 20, 10
EDGES = (1, 2, 4, 8, 16)  # units from which the next shade holds

ROLES = {
    "i": "input gate i",
    "f": "forget gate f",
    "o": "output gate o",
    "r": "reset gate r",
    "z": "update gate z",
}


def gate_map(gate: GateSaturation, glyphs: Glyphs) -> Text:
    """A map of the units of one gate, and the gate's mean shares of open and shut."""
    column = np.minimum((gate.left * MAP_COLUMNS).astype(int), MAP_COLUMNS - 1)
    row = np.minimum((gate.right * MAP_ROWS).astype(int), MAP_ROWS - 1)
    units = np.zeros((MAP_ROWS, MAP_COLUMNS), int)
    np.add.at(units, (row, column), 1)
    text = Text(no_wrap=True, overflow="crop")
    text.append(f"{ROLES[gate.gate]}\n", "bold")
    for r in reversed(range(MAP_ROWS)):
        line = "".join(glyphs.shades[np.searchsorted(EDGES, n, side="right")] for n in units[r])
        text.append(f"{'1' if r == MAP_ROWS - 1 else ' '}{glyphs.vertical}{line}\n")
    text.append(f"0{glyphs.corner}{glyphs.horizontal * MAP_COLUMNS}\n")
    text.append(f" 0{'1':>{MAP_COLUMNS}}\n")
    text.append(f"mean: open {gate.right.mean():.0%}, shut {gate.left.mean():.0%}", "dim")
    return text


def gates_view(gates: Sequence[GateSaturation], width: int, glyphs: Glyphs = UNICODE) -> RenderableType:
    """The maps of each layer, as many side by side as fit the width, and a legend."""
    beside = max(1, (width + 2) // (MAP_COLUMNS + 4))
    parts: list[RenderableType] = []
    for layer, group in groupby(gates, key=lambda gate: gate.layer):
        plots = [gate_map(gate, glyphs) for gate in group]
        parts.append(Text(f"layer {layer}, {len(gates[0].left)} units", "bold"))
        for first in range(0, len(plots), beside):
            grid = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
            grid.add_row(*plots[first : first + beside])
            parts += [grid, Text()]
    counts = ("1", "2-3", "4-7", "8-15", "16 or more")
    parts.append(
        Text(
            f"Across: share of the text at which a unit's gate is below {LEFT} (shut). "
            f"Up: share at which it is above {RIGHT} (open). Units in one place: "
            + ", ".join(f"{shade} {count}" for shade, count in zip(glyphs.shades[1:], counts, strict=True))
            + ".",
            "dim",
        )
    )
    return Group(*parts)
