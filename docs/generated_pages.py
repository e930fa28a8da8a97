"""Pages that mkdocs makes when it builds: every command's --help, and the log of what was tried.

They are made of the code and the log as they are, so they cannot be out of date.
"""

from pathlib import Path

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from typer.main import get_command
from typer.testing import CliRunner

from charrnn.cli.app import app

LOG = Path(__file__).parents[1] / "benchmarks/LOG.md"

# Links of the pages to files of the repository, and the pages of the site that stand for them.
IN_THE_SITE = {"../benchmarks/LOG.md": "log.md", "../README.md#what-you-can-do": "commands.md"}

HEAD = """# Every command

What `--help` says, for each command of this version.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Called by mkdocs once it knows the files of docs/."""
    files.append(File.generated(config, "commands.md", content=commands_page()))
    files.append(File.generated(config, "log.md", content=LOG.read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Called by mkdocs with the text of each page."""
    for link, target in IN_THE_SITE.items():
        markdown = markdown.replace(f"]({link})", f"]({target})")
    return markdown


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
