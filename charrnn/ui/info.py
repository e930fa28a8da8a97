"""What is known of a model, as its card tells it, and how its loss fell.

A card comes with the model file, perhaps from a stranger: every value is taken only where it has the type
expected, and its text is shown with control characters written out.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from charrnn.config import ModelConfig, TrainConfig, as_dict
from charrnn.train.verdict import Verdict
from charrnn.ui.charts import ASCII, BEST_STYLE, TRAIN_STYLE, UNICODE, VALIDATION_STYLE, loss_chart
from charrnn.ui.text import escape
from charrnn.ui.training import cell_name, duration, losses

CHART_ROWS = 10, 20  # fewest and most
PLAIN = str.maketrans({"×": "x", "–": "-", "…": "...", "→": "->"})


@dataclass(frozen=True)
class Info:
    """A model file, without its weights.

    training : its card; metrics : the records of its run, where they lie beside it
    """

    model: Path
    config: ModelConfig
    dtype: str
    level: str
    vocabulary: int
    parameters: int
    training: Mapping[str, Any]
    metrics: Sequence[Mapping[str, Any]]
    verdict: Verdict | None


def show(info: Info, console: Console) -> None:
    """Write the card, the loss curve and the verdict."""
    rows = list(_rows(info))
    card = Table.grid(padding=(0, 2))
    card.add_column(style="dim", no_wrap=True)
    card.add_column(overflow="fold")
    for name, value in rows:
        card.add_row(name, Text(value))
    parts: list[RenderableType] = [Text(escape(str(info.model)), "bold"), Text(), card]
    if info.metrics:
        parts += [Text(), curve(info.metrics, console)]
    if info.verdict is not None:
        parts += [Text(), verdict_text(info.verdict)]
    unicode = console.encoding.lower().startswith("utf")
    for line in console.render_lines(Group(*parts), pad=False):
        console.print(_plain(line) if not unicode else line)
