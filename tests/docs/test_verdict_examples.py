"""The page on cells shows an example of each verdict: its commands are those of the script, and their answers too."""

import importlib
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

from charrnn.cli.app import app
from charrnn.interpret.findings import VERDICTS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    """benchmarks/verdicts.py, imported as its neighbours do."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    yield importlib.import_module("verdicts")
    sys.path.remove(str(ROOT / "benchmarks"))


def shown() -> dict[str, tuple[str, str, str]]:
    """By the command shown on the page: concept, cell and verdict of the row below it."""
    page = (ROOT / "docs/cells.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\$ (charrnn inspect-cells .+)\nconcept .+\n(\S+) +(\S+) +[+-] +(\S+) ", page, re.MULTILINE
    )
    return {command: (concept, cell, verdict) for command, concept, cell, verdict in rows}


def test_the_page_shows_the_command_of_each_verdict(script: ModuleType, tmp_path: Path) -> None:
    commands = {shlex.join(["charrnn", *script.write(name, tmp_path)]): name for name in script.examples()}
    assert set(commands.values()) == set(VERDICTS)
    assert {command: verdict for command, (_, _, verdict) in shown().items()} == commands


@pytest.mark.slow
@pytest.mark.parametrize("verdict", VERDICTS)
def test_the_command_answers_as_shown(
    script: ModuleType, verdict: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = script.write(verdict, tmp_path)
    done = CliRunner().invoke(app, [*arguments, "--csv"])
    assert done.exit_code == 0, done.stderr
    header, row = (line.split(",") for line in done.stdout.splitlines()[:2])
    found = dict(zip(header, row, strict=True))
    expected = shown()[shlex.join(["charrnn", *arguments])]
    assert (found["concept"], f"{found['layer']}:{found['cell']}", found["verdict"]) == expected
