"""The notebook of the docs, run from top to bottom, and as a page of the site with what it showed."""

import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).parent / "notebook.ipynb"
CORPORA = Path(__file__).parents[1] / "corpora"
LONGEST_CELL = 600  # seconds, on the slowest machine
WITHOUT = "This site was built without nbclient and ipykernel, so what the notebook shows is missing here."


def read() -> dict[str, Any]:
    """The notebook as it is kept, without outputs."""
    found: dict[str, Any] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return found


def executed(steps: int | None = None) -> Mapping[str, Any]:
    """The notebook with its outputs. steps : most steps of each training

    It runs in a folder of its own beside a copy of the texts, and leaves nothing behind. Raises CellExecutionError for
    a cell that fails, ImportError without nbclient or ipykernel.
    """
    import ipykernel  # noqa: F401  # which nbclient starts
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.from_dict(read())
    sources = [cell["source"] for cell in notebook["cells"]]
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(CORPORA, Path(folder, "corpora"))
        Path(folder, "docs").mkdir()
        for cell in notebook["cells"]:
            cell["source"] = _shortened("".join(cell["source"]), steps)
        resources = {"metadata": {"path": str(Path(folder, "docs"))}}
        quiet = ["--IPKernelApp.log_level=40"]  # it would warn of its connection, which stays on this machine
        NotebookClient(
            notebook,
            timeout=LONGEST_CELL,
            kernel_name="python3",
            resources=resources,
            extra_arguments=quiet,
        ).execute()
    for cell, source in zip(notebook["cells"], sources, strict=True):
        cell["source"] = source
    return notebook  # type: ignore[no-any-return]


def _shortened(source: str, steps: int | None) -> str:
    if steps is None:
        return source
    return re.sub(r"(?<=max_steps=)\d+", lambda found: str(min(int(found[0]), steps)), source)


def page(steps: int | None = None) -> str:
    """The notebook as Markdown; its pictures are HTML."""
    try:
        notebook, told = executed(steps), ""
    except ImportError:
        notebook, told = read(), f"\n{WITHOUT}\n"
    title, *cells = notebook["cells"]
    head = f"{_source(title)}\n\nThe notebook itself: [notebook.ipynb](notebook.ipynb).\n{told}"
    return "\n\n".join([head, *(part for cell in cells for part in _parts(cell))]) + "\n"


def _source(cell: Mapping[str, Any]) -> str:
    return "".join(cell["source"])


def _parts(cell: Mapping[str, Any]) -> Iterator[str]:
    """A cell and its outputs as Markdown. What is drawn anew in one place comes with its last picture."""
    if cell["cell_type"] == "markdown":
        yield _source(cell)
        return
    yield f"```python\n{_source(cell)}\n```"
    for output in cell["outputs"]:
        data = output.get("data", {})
        if "text/html" in data:
            # A blank line would end the HTML for Markdown; the sign of the newline before it keeps the line.
            yield re.sub(r"\n(?=\s*\n)", "\n&#8203;", "".join(data["text/html"]))
        else:
            shown = "".join(output.get("text", data.get("text/plain", "")))
            yield f"```text\n{shown.rstrip()}\n```"
