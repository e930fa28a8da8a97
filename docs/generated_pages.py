"""Pages that mkdocs makes when it builds: every command's --help, the log of what was tried, the notebook with what it
shows, and two models that write; and the pictures of real runs.

They are made of the code and the log as they are, so they cannot be out of date. The models are trained on the spot,
for CHARRNN_DOCS_STEPS steps: few for a look at the site, more where it is built to be read.
"""

import os
import tempfile
from pathlib import Path

import notebook_page  # beside this file: mkdocs looks there while it imports this one
import pictures
import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from typer.main import get_command
from typer.testing import CliRunner

from charrnn.cli.app import app
from charrnn.interpret.findings import inspect_cells
from charrnn.interpret.texts import held_out_text
from charrnn.model.model import load_model
from charrnn.text import library
from charrnn.training.session import train
from charrnn.ui.html.play_page import page_of, usable

LOG = Path(__file__).parents[1] / "benchmarks/LOG.md"

# Links of the pages to files of the repository, and the pages of the site that stand for them.
IN_THE_SITE = {"../benchmarks/LOG.md": "log.md", "../README.md#what-you-can-do": "commands.md"}

MOST_BYTES = 300_000  # of a text that a live page's model is trained on
LIVE = {
    "harbour": "shipped",
    "python": "python-stdlib",
}  # page -> text of the library that its model is trained on

HEAD = """# Every command

What `--help` says, for each command of this version.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Called by mkdocs once it knows the files of docs/."""
    files.append(File.generated(config, "commands.md", content=commands_page()))
    files.append(File.generated(config, "log.md", content=LOG.read_text(encoding="utf-8")))
    steps = int(os.environ.get("CHARRNN_DOCS_STEPS", "20"))
    files.append(File.generated(config, "notebook.md", content=notebook_page.page(steps)))
    for name in LIVE:
        files.append(File.generated(config, f"live/{name}.html", content=live_page(name, steps)))
    for name, picture in pictures.made(pictures.PICTURES, pictures.of_steps(steps)).items():
        files.append(File.generated(config, f"pictures/{name}", content=picture))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Called by mkdocs with the text of each page."""
    for link, target in IN_THE_SITE.items():
        markdown = markdown.replace(f"]({link})", f"]({target})")
    return pictures.placed(markdown, lambda name: files.get_file_from_path(f"pictures/{name}") is not None)


def live_page(name: str, steps: int) -> str:
    """The page of a small model of a text, with the cells that have a name."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, name)
        corpus = library.make(
            library.find(library.texts(MOST_BYTES), LIVE[name]), Path(folder, f"{name}.txt")
        )
        train(corpus, preset="quick", cell="gru", max_steps=steps, max_minutes=60, out=run, seed=1, threads=1)
        model = load_model(run / "model.safetensors")
        found = inspect_cells(model, held_out_text(model), causal=False)
        findings = usable({"findings": [one.to_json() for one in found.findings]}, model, name)
        return page_of(run / "model.safetensors", model, "float16", findings, told=f"runs/{name}")


def commands_page() -> str:
    """The help of charrnn and of each command, as Markdown."""
    parts = [HEAD, _help()]
    for name in get_command(app).commands:  # type: ignore[attr-defined]  # a group, since it has several
        parts.append(f"## charrnn {name}\n\n{_help(name)}")
    return "\n".join(parts)


def _help(*command: str) -> str:
    shown = CliRunner().invoke(
        app, [*command, "--help"], prog_name="charrnn", env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"}
    )
    if shown.exit_code:
        raise typer.Exit(shown.exit_code) from shown.exception
    return f"```text\n{shown.stdout.strip()}\n```\n"
