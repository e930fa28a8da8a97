"""The rooms of the code, from the top to the bottom: the list that the architecture test, CONTRIBUTING's table
and the README's tree are made from. What a room does is told by the docstring of its `__init__`, or of its file.

    python tests/helpers/rooms.py    writes the table and the tree anew
"""

import ast
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "charrnn"

ROOMS = [
    "cli",
    "ui",
    "learn",
    "tune",
    "training",
    "interpret",
    "novelty",
    "probe",
    "score",
    "sampling",
    "runs",
    "exchange",
    "model",
    "engines",
    "fast",
    "text",
    "nn",
    "python",
    "config",
    "files",
    "install",
    "errors",
]

BEGIN, END = "<!-- rooms: written by tests/helpers/rooms.py -->", "<!-- end of the rooms -->"


def purpose(room: str) -> str:
    """The first paragraph of a room's docstring, on one line."""
    folder = PACKAGE / room / "__init__.py"
    file = folder if folder.exists() else PACKAGE / f"{room}.py"
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return " ".join(docstring.split("\n\n")[0].split())


def name(room: str) -> str:
    return f"{room}/" if (PACKAGE / room).is_dir() else f"{room}.py"


def table() -> str:
    """The rooms as a Markdown table."""
    rows = [f"| `{name(room)}` | {purpose(room)} |" for room in ROOMS]
    return "\n".join(["| room | what it does |", "|---|---|", *rows])


def tree() -> str:
    """The rooms as a tree of folders."""
    lines = ["```", "charrnn/"]
    for room in ROOMS:
        words = textwrap.wrap(purpose(room), 100)
        lines += [f"  {name(room) if n == 0 else '':12} {line}" for n, line in enumerate(words)]
    return "\n".join([*lines, "```"])


MADE = {"CONTRIBUTING.md": table, "README.md": tree}


def written(page: str) -> str:
    """What stands between the marks on a page."""
    content = (ROOT / page).read_text(encoding="utf-8")
    return content.partition(BEGIN)[2].partition(END)[0].strip()


if __name__ == "__main__":
    for page, made in MADE.items():
        before, _, rest = (ROOT / page).read_text(encoding="utf-8").partition(BEGIN)
        (ROOT / page).write_text(
            f"{before}{BEGIN}\n{made()}\n{END}{rest.partition(END)[2]}", encoding="utf-8"
        )
