"""charrnn info: the card, the curve, the verdict; hostile cards; every width and encoding."""

import io
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.patience import PATIENCE
from helpers.random_models import random_model
from rich.console import Console
from typer.testing import CliRunner

from charrnn.cli.app import app
from charrnn.errors import ModelError
from charrnn.runs.card import read_info
from charrnn.training import session
from charrnn.ui.terminal.info_view import view

COMMAND = ["charrnn", "train", "[red]text[/red].txt", "--lr", "0.2"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose corpus has a name that is rich markup."""
    folder = tmp_path_factory.mktemp("info")
    corpus = folder / "[red]text[bold].txt"
    corpus.write_text("to be or not to be, that is the question. " * 40)
    session.train(
        corpus,
        out=folder / "run",
        command_line=COMMAND,
        hidden=16,
        layers=1,
        batch_size=4,
        lr=0.2,
        max_steps=60,
        threads=1,
    )
    return folder / "run"


def shown(path: Path, width: int = 100, encoding: str = "utf-8") -> str:
    buffer = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="backslashreplace", newline="")
    console = Console(file=buffer, width=width, height=40, highlight=False)
    console.print(view(read_info(path), console))
    buffer.seek(0)
    return buffer.read()


def test_it_shows_the_card(run: Path) -> None:
    text = shown(run / "model.safetensors", 200)
    # 4H (V + H + 1) + V (H + 1) with H = 16
    symbols = set("to be or not to be, that is the question. ")
    V = len(symbols)
    assert f"LSTM 1×16, {64 * (V + 17) + 17 * V:,} parameters, float32" in text
    assert "[red]text[bold], 1,680 characters" in text  # nothing was taken for markup
    assert "1,512 train · 168 validation" in text
    assert "lr 0.2" in text
    assert "max steps 60" in text
    assert "hidden" not in text.split("settings")[1].split("command")[0]
    assert "charrnn train '[red]text[/red].txt' --lr 0.2" in text
    assert f"numpy {np.__version__}" in text
    card = read_info(run / "model.safetensors").training
    assert f"{card['val_loss_nats']:.4f} nats  {card['val_loss_nats'] / np.log(2):.4f} bits/char" in text
    assert "● validation" in text
    assert read_info(run / "model.safetensors").verdict.sentence in " ".join(text.split())


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_it_fits_and_uses_only_what_the_encoding_has(run: Path, width: int, encoding: str) -> None:
    text = shown(run / "model.safetensors", width, encoding)
    assert max(len(line) for line in text.splitlines() if not line.startswith("  charrnn train")) <= width
    assert "\x1b" not in text
    if encoding == "ascii":
        assert "\\u" not in text  # all of our own characters have a stand-in
        assert "LSTM 1x16" in text


def test_its_command_to_go_on_can_be_pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "40")
    Path("text.txt").write_text("to be or not to be, that is the question. " * 40)
    result = session.train("text.txt", out="my runs/first", hidden=4, layers=1, max_steps=3, threads=1)
    line = "charrnn train --resume --out 'my runs/first' --max-steps 6"
    assert f"  {line}\n" in CliRunner().invoke(app, ["info", "my runs/first"]).stdout
    assert line in result.verdict.advice
    resumed = CliRunner().invoke(app, shlex.split(line)[1:])
    assert resumed.exit_code == 0, resumed.output
    assert read_info(Path("my runs/first/model.safetensors")).metrics[-1]["step"] == 6


def test_one_record_is_no_curve(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    records = (copy / "metrics.jsonl").read_text().splitlines(keepends=True)
    for kept, drawn in ((records[-1:], False), (records[-2:], True)):
        (copy / "metrics.jsonl").write_text("".join(kept))
        assert ("nats/char left" in shown(copy / "model.safetensors")) == drawn


def test_json_has_card_curve_and_verdict(run: Path) -> None:
    result = CliRunner().invoke(app, ["info", "--model", str(run), "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert told["metrics"] == records
    assert told["config"] == {
        "cell": "lstm",
        "layers": 1,
        "hidden": 16,
        "embedding": 0,
        "nonlinearity": "tanh",
    }
    assert told["training"]["split"] == {"train": 1512, "validation": 168, "test": 0}
    assert told["verdict"].keys() == {"kind", "sentence", "advice"}
    assert told["val_bits_per_char"] == pytest.approx(told["training"]["val_loss_nats"] / np.log(2))


def test_without_a_model_named_it_takes_the_newest_and_says_which(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert isinstance(CliRunner().invoke(app, ["info"]).exception, ModelError)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/one").symlink_to(run)
    result = CliRunner().invoke(app, ["info"])
    assert "runs/one/model.safetensors" in result.stderr


def save_model(path: Path, training: dict) -> Path:
    random_model("ab", training, dtype=np.float32, cell="rnn", layers=1, hidden=2).save(path)
    return path


@pytest.mark.parametrize(
    "training",
    [
        {},
        {"corpus": "x", "split": [1], "settings": {"lr": "high"}, "versions": 3, "changes": {}},
        {"corpus": {"name": 7, "sources": [1, None]}, "step": "4", "split": {"train": "many"}},
        {"settings": {"unknown": 1}, "val_loss_nats": True, "init_from": 1, "split": {"train": -5}},
    ],
)
def test_a_card_of_any_form_is_shown_as_far_as_it_makes_sense(tmp_path: Path, training: dict) -> None:
    path = save_model(tmp_path / "made.safetensors", training)
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2, "train_loss_nats": "x"}\n')
    assert "tanh RNN 1×2, 16 parameters, float32" in shown(path)
    assert read_info(path).verdict is None


def test_control_characters_of_a_card_do_not_reach_the_terminal(tmp_path: Path) -> None:
    name = "\x1b]0;owned\x07[bold]\u202e"
    path = save_model(tmp_path / "m.safetensors", {"corpus": {"name": name}, "command_line": "\x1b[2J"})
    text = shown(path)
    assert "\\x1b]0;owned\\x07[bold]\\u202e" in text
    assert not {"\x1b", "\x07", "\u202e"} & set(text)


def test_an_ascii_terminal_gets_ascii(run: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "80", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "charrnn", "info", "--model", str(run)]
    done = subprocess.run(command, capture_output=True, env=environment, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert b"nats/char left" in done.stdout
