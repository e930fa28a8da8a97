"""Cells of two models that do the same, as a page: the concepts that both have, and the pairs of cells."""

from collections.abc import Sequence
from pathlib import Path

from charrnn.files.json_value import json_value, known
from charrnn.interpret.matching import Matching
from charrnn.ui.html.page import build_page, check_target, write_page

__all__ = ["check_target", "write_matching"]

MOST_PAIRS = 2000  # rows of a table


def write_matching(target: str, files: Sequence[Path], found: Matching) -> int:
    """Write the page; returns its size in bytes. files : of the two models. Raises what ``write_page`` does."""
    data = known(json_value(found))
    data |= {
        "models": [str(file) for file in files],
        "pairs": data["pairs"][:MOST_PAIRS],
        "count": len(found.pairs),
    }
    return write_page(target, build_page("Cells of two models", "matching", data))
