"""The rules that pages and help show for concepts of one's own find cells in the book they are shown with."""

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from charrnn.cli.app import app
from charrnn.training.session import train

ROOT = Path(__file__).parents[2]


def shown_rules() -> list[str]:
    """Every command line of the pages and of --help that defines a concept."""
    texts = [page.read_text(encoding="utf-8") for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]]
    texts.append(get_command(app).commands["inspect-cells"].help or "")  # type: ignore[attr-defined]
    lines = [line.strip() for text in texts for line in text.splitlines()]
    return sorted({line for line in lines if re.match(r"charrnn inspect-cells .*--concept '?[\w-]+=", line)})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small GRU, after some seconds on the book."""
    folder = tmp_path_factory.mktemp("book")
    train(
        ROOT / "corpora/harbour.txt",
        out=folder / "runs/harbour",
        cell="gru",
        layers=1,
        hidden=192,
        seq_length=40,
        batch_size=16,
        optimizer="adam",
        lr=0.008,
        schedule="cosine",
        max_steps=600,
        seed=1,
        threads=1,
        backend="numpy",
    )
    return folder


def test_rules_are_shown() -> None:
    assert len(shown_rules()) >= 3


@pytest.mark.slow
@pytest.mark.parametrize("line", shown_rules())
def test_a_rule_that_is_shown_finds_a_cell(line: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(app, [*shlex.split(line)[1:], "--quick", "--json"])
    assert done.exit_code == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["nothing_found"] is None
    assert [finding["verdict"] != "none" for finding in answer["findings"]] == [True]
