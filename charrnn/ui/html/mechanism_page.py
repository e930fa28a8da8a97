"""The mechanism of a cell as a page: in words, as a picture of its edges, and as tables to sort."""

from pathlib import Path
from typing import Any

from charrnn.files.json_value import json_value
from charrnn.interpret.mechanism import Explanation
from charrnn.ui.html.page import build_page, check_target, write_page
from charrnn.ui.terminal.mechanism_view import heading, summary

__all__ = ["SHARED", "check_target", "mechanism_data", "write_mechanism"]

SHARED = "cell_mechanism"  # style sheet and script of the picture and the tables


def write_mechanism(target: str, file: Path, found: Explanation) -> int:
    """Write the page; returns its size in bytes. file : the model's. Raises what ``write_page`` does."""
    title, data = heading(found), {"model": str(file), **mechanism_data(found)}
    page = build_page(f"{title[0].upper()}{title[1:]}", "mechanism", data, shared=[SHARED])
    return write_page(target, page)


def mechanism_data(found: Explanation) -> dict[str, Any]:
    """What the script SHARED shows of a mechanism, and its summary."""
    return {"summary": summary(found), **json_value(found)}
