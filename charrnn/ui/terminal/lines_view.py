"""Lines of a text in a table on a terminal, each with its surprise."""

from rich.cells import cell_len, set_cell_size

from charrnn.model.scores import in_bits
from charrnn.score.lines import Line
from charrnn.ui.terminal.output import escape

LINE_FORMAT = "{:>8}  {:>8}  {:>7}  {:>9}{}  {}"
ALONE_FORMAT = "  {:>11}"  # of the model alone, where counts are mixed in
NARROWEST_TEXT = 10  # columns of the text, at least


def header(unit: str, mixed: bool = False) -> str:
    """The first line of a table of lines or items."""
    alone = ALONE_FORMAT.format("model alone") if mixed else ""
    return LINE_FORMAT.format("surprise", unit, "chars", "bits/char", alone, "text")


def row(line: Line, text: str, width: int) -> str:
    """A line of the table, cut to the width of the terminal."""
    surprise = "" if line.surprise is None else f"{line.surprise:.2f}"
    bits = f"{in_bits(line.loss_nats):.3f}"
    alone = ""
    if line.alone_nats is not None:
        alone = ALONE_FORMAT.format(f"{in_bits(line.alone_nats / line.predictions):.3f}")
    before = LINE_FORMAT.format(surprise, line.number, line.predictions, bits, alone, "")
    shown = escape(text).replace("\t", " ")
    room = max(NARROWEST_TEXT, width - cell_len(before))
    return before + (shown if cell_len(shown) <= room else set_cell_size(shown, room - 1) + "…")
