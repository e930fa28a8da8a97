"""One self-contained SVG file: shapes, their colours for light and dark, and safe text."""

import html
import os
from pathlib import Path

from charrnn.errors import UsageError
from charrnn.files.writing import atomic_write_named
from charrnn.ui.html.page import printable

STYLE = """
svg { background: #fff; color: #1f2123; font: 13px system-ui, sans-serif; }
.line { stroke: #6b7178; fill: none; } .fill { fill: #6b7178; } .muted { fill: #6b7178; }
.node { fill: #eef3f8; stroke: #14589c; } .dot { fill: #b9bec5; } .ink { fill: #1f2123; }
.stable { fill: #14589c; stroke: #fff; } .unstable { fill: none; stroke: #b35c00; stroke-width: 2; }
.mono { font-family: ui-monospace, monospace; } .halo { paint-order: stroke; stroke: #fff; stroke-width: 4px; }
text { text-anchor: middle; }
@media (prefers-color-scheme: dark) {
  svg { background: #15171a; color: #e9e7e3; } .ink { fill: #e9e7e3; } .halo { stroke: #15171a; }
  .line { stroke: #a3a8af; } .fill, .muted { fill: #a3a8af; } .node { fill: #1d2a38; stroke: #86b8f2; }
  .dot { fill: #50565e; } .stable { fill: #86b8f2; stroke: #15171a; } .unstable { stroke: #f0a04b; }
}
"""


def document(width: float, height: float, title: str, shapes: list[str]) -> str:
    """The file. title : for those who cannot see it; shapes : SVG elements, their text escaped by `text`"""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img">\n'
        f"<title>{escaped(title)}</title>\n<style>{STYLE}</style>\n" + "\n".join(shapes) + "\n</svg>\n"
    )


def text(x: float, y: float, words: str, classes: str = "ink") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{classes}">{escaped(words)}</text>'


def escaped(words: str) -> str:
    return html.escape(printable(words))


def check_target(path: str | os.PathLike[str]) -> None:
    """Raise UsageError, before any work, for an --out where no picture may be written."""
    target = Path(path)
    if target.suffix != ".svg":
        raise UsageError(f"--out {path}: the picture is an SVG file. Name a file that ends in .svg")
    if not target.parent.is_dir():
        raise UsageError(f"--out {path}: {target.parent} is not a folder. Make that folder first")


def write(path: str | os.PathLike[str], picture: str) -> None:
    """Write it durably. Raises CharRNNError where the system refuses."""
    with atomic_write_named(path) as file:
        file.write(picture.encode("utf-8"))
