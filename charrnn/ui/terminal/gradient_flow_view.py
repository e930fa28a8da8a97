"""Gradient flow on a terminal: a logarithmic plot, a table by distance, spectral radii and clipping."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from charrnn.interpret.network_flow import Clipping, NetworkFlow
from charrnn.ui.terminal import tables
from charrnn.ui.terminal.card_view import card
from charrnn.ui.terminal.console import Console
from charrnn.ui.terminal.glyphs import glyphs_of
from charrnn.ui.terminal.letters import spelled
from charrnn.ui.terminal.log_chart import MARKS, Curve, log_chart

WIDEST_CHART = 100
CHART_ROWS = 10, 18  # at least and at most
DISTANCES = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500)


def view(flows: Sequence[NetworkFlow], title: str, console: Console) -> RenderableType:
    """The chart, the table and the remarks, below a title."""
    lines = list(series(flows))
    height = min(CHART_ROWS[1], max(CHART_ROWS[0], console.height // 2 - 1))
    first = flows[0].flow
    parts: list[RenderableType] = [
        Text(spelled(title, console), "bold"),
        Text(
            spelled(f"mean norm of ∂loss(t)/∂h[t−k] by distance k, over {first.places} places t", console),
            "dim",
        ),
        log_chart(lines, min(console.width, WIDEST_CHART), height, "k", glyphs_of(console)),
    ]
    if len(lines) > len(MARKS):
        parts.append(Text(f"the first {len(MARKS)} of {len(lines)} lines are drawn", "dim"))
    parts += [Text(), table(flows, console), Text(), card(remarks(flows), console)]
    return Group(*parts)


def series(flows: Sequence[NetworkFlow]) -> Iterator[Curve]:
    """A line for h of each layer, and for c of an LSTM's."""
    for flow in flows:
        arrays = {"h": flow.flow.h} | ({} if flow.flow.c is None else {"c": flow.flow.c})
        for array, values in arrays.items():
            for layer, by_distance in enumerate(values):
                yield Curve(_name(flow, array, layer, many=len(flows) > 1), by_distance.tolist())


def _name(flow: NetworkFlow, array: str, layer: int, *, many: bool) -> str:
    network = f"{flow.name.upper() if many else ''} "
    return f"{network}{array}{layer if flow.config.layers > 1 else ''}".strip()


def table(flows: Sequence[NetworkFlow], console: Console) -> Table:
    """A row per distance, a column per line; the last row is the factor per step."""
    lines = list(series(flows))
    shown = lines[: max(1, (min(console.width, WIDEST_CHART) - 12) // 11)]
    last = flows[0].flow.distance
    names = (f"{line.name:>9}" for line in shown)
    grid = tables.table(["distance k", *names], left=(), header_style="bold")
    for k in sorted({*(k for k in DISTANCES if k < last), last}):
        grid.add_row(str(k), *(f"{line.values[k]:.2e}" for line in shown))
    factors = [
        flow.factor(array, layer)
        for flow in flows
        for array in ("h", "c")
        if array == "h" or flow.flow.c is not None
        for layer in range(flow.config.layers)
    ]
    steps = [Text(spelled(_times(factor), console), "bold") for factor in factors[: len(shown)]]
    grid.add_row(Text("each step", "dim"), *steps)
    return grid


def _times(factor: float | None) -> str:
    return "–" if factor is None else f"×{factor:.3f}"


def remarks(flows: Sequence[NetworkFlow]) -> Iterator[tuple[str, str]]:
    """Spectral radii and clipping, a name and a value each."""
    for flow in flows:
        for layer, radii in enumerate(flow.spectral_radii):
            where = [flow.name.upper()] if len(flows) > 1 else []
            where += [f"layer {layer}"] if flow.config.layers > 1 else []
            gated = len(radii) > 1
            values = "  ".join(f"{f'{gate} ' if gated else ''}{rho:.3f}" for gate, rho in radii.items())
            yield " ".join(where), f"spectral radius of W_hh{' by gate' if gated else ''}: {values}"
    if flows[0].trained:
        yield "clipping", clipping_in_words(flows[0].clipping)


def clipping_in_words(clipping: Clipping | None) -> str:
    """How often clipping acted, according to the run's records."""
    if clipping is None:
        return "not recorded: this model has no run with gradient norms in its folder"
    if not clipping.clip_norm and not clipping.clip_value:
        return "off in this run"
    steps = f"{clipping.recorded:,} recorded steps"
    words = []
    if clipping.clip_norm:
        share = clipping.scaled / clipping.recorded
        words.append(f"--clip-norm {clipping.clip_norm:g} acted in {share:.0%} of {steps}")
    if clipping.clip_value:
        share = clipping.maybe_clipped / clipping.recorded
        words.append(
            f"--clip-value {clipping.clip_value:g} acted in "
            + (f"at most {share:.0%} of {steps}" if share else f"none of {steps}")
            + ": in those, the norm of the whole gradient is above it (single numbers are not recorded)"
            * bool(share)
        )
    return "; ".join(words)


def title_of(flows: Sequence[NetworkFlow], text: str) -> str:
    """The networks measured, and the text."""
    config = flows[0].config
    if len(flows) == 1:
        fresh = "" if flows[0].trained else "fresh "
        return f"{fresh}{config.in_words}, on {text}"
    names = ", ".join(flow.name.upper() for flow in flows)
    return f"fresh {names} {config.layers}×{config.hidden}, on {text}"
