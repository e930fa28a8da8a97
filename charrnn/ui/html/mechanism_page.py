"""The mechanism of a cell as a page: in words, as a picture of its edges, and as tables to sort."""

from pathlib import Path

from charrnn.files.json_value import json_value
from charrnn.interpret.mechanism import Explanation
from charrnn.ui.html.page import build_page, check_target, write_page
from charrnn.ui.terminal.mechanism_view import heading, summary

__all__ = ["check_target", "write_mechanism"]


def write_mechanism(target: str, file: Path, found: Explanation) -> int:
    """Write the page; returns its size in bytes. file : the model's. Raises what ``write_page`` does."""
    title = heading(found)
    data = {"model": str(file), "summary": summary(found), **found.to_json()}
    return write_page(target, build_page(f"{title[0].upper()}{title[1:]}", "mechanism", json_value(data)))
