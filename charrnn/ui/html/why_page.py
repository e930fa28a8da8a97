"""An explained prediction as a page: the text before it in the colours of its parts, and tables to sort."""

from pathlib import Path

from charrnn.files.json_value import json_value
from charrnn.interpret.why import Why
from charrnn.ui.html.page import build_page, check_target, write_page
from charrnn.ui.terminal.findings_view import Look
from charrnn.ui.terminal.why_view import ROUGH, quoted

__all__ = ["check_target", "write_why"]


def write_why(target: str, file: Path, found: Why) -> int:
    """Write the page; returns its size in bytes. file : the model's. Raises what ``write_page`` does."""
    asked, other = (quoted(name, Look(True)) for name in (found.target, found.against))
    data = {"model": str(file), "text": found.text, "rough_nats": ROUGH, **found.to_json()}
    return write_page(target, build_page(f"Why {asked} rather than {other}", "why", json_value(data)))
