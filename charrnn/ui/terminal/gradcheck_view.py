"""The check of the gradients as a table: one line per array, with its error and whether it passed."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from charrnn.config import ModelConfig, as_dict
from charrnn.interpret.tensor_checks import LIMIT, TensorCheck
from charrnn.nn.gradcheck import EPSILON
from charrnn.ui.terminal.console import Console
from charrnn.ui.terminal.glyphs import has_unicode
from charrnn.ui.terminal.letters import spelled
from charrnn.ui.terminal.tables import table

WIDTH_OF_ALL_COLUMNS = 62  # columns; below this a row has its name, error and verdict alone


def view(title: str, checks: Sequence[TensorCheck], console: Console) -> RenderableType:
    """A title, the table, and the verdict in one line."""
    headers = ("gradient of", "shape", "checked", "norm", "error", "")
    shown = range(len(headers)) if console.width >= WIDTH_OF_ALL_COLUMNS else (0, 4, 5)
    grid = table([headers[k] for k in shown], left=("gradient of", "shape", ""))
    wide = console.width >= 80
    for check in checks:
        size = math.prod(check.shape)
        checked = f"{check.checked:,}" + (f" of {size:,}" if check.checked < size and wide else "")
        cells = (
            Text(check.name),
            Text(spelled("×".join(map(str, check.shape)), console), "dim"),
            Text("all" if check.checked == size else checked),
            Text(f"{check.norm:.3g}"),
            Text(f"{check.relative_error:.1e}"),
            _mark(check, console),
        )
        grid.add_row(*(cells[k] for k in shown))
    failed = [check.name for check in checks if not check.passed]
    if failed:
        names = ", ".join(failed)
        verdict = Text(f"FAILED: {names}. The backward pass of these is wrong.", "bold red")
    else:
        verdict = Text(f"All {len(checks)} agree: backward is the derivative of forward.", "bold green")
    return Group(
        Text(spelled(title, console), "bold"),
        Text(),
        grid,
        Text(),
        verdict,
        Text(
            spelled(
                f"error: ‖analytic − numeric‖ over the larger norm; up to {LIMIT:.0e} passes.\n"
                f"numeric: (loss(w + ε) − loss(w − ε)) / 2ε with ε = {EPSILON:.0e}, in float64.",
                console,
            ),
            "dim",
        ),
    )


def _mark(check: TensorCheck, console: Console) -> Text:
    good, bad = ("✓ pass", "✗ FAIL") if has_unicode(console) else ("pass", "FAIL")
    if not check.passed:
        return Text(bad, "bold red")
    return Text(good, "green").append("" if check.relative_error <= LIMIT else ", to rounding", "dim")


def as_json(config: ModelConfig, vocab_size: int, checks: Sequence[TensorCheck]) -> dict[str, Any]:
    """The same as JSON."""
    return {
        "config": as_dict(config),
        "vocabulary": vocab_size,
        "limit": LIMIT,
        "epsilon": EPSILON,
        "passed": all(check.passed for check in checks),
        "tensors": [asdict(check) | {"passed": check.passed} for check in checks],
    }
