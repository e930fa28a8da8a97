"""How a search looks: the leaderboard at a fixed width, the lines, the summary."""

import io
from pathlib import Path

import pytest

pytest.importorskip("optuna")

from rich.console import Console

from charrnn.tune.board import Board, Trial, TuneResult
from charrnn.tune.tune_config import TuneConfig
from charrnn.ui.terminal.tune_view import PlainView, leaderboard, summary

TRIALS = [
    Trial(0, "done", {"cell": "gru", "lr": 0.0123456, "batch_size": 8}, 1.91234, 9, 900, 60.0),
    Trial(1, "stopped early", {"cell": "lstm", "lr": 0.5, "batch_size": 8}, 1.5, 3, 300, 20.0),
    Trial(2, "done", {"cell": "lstm", "lr": 0.02, "batch_size": 16}, 1.81234, 9, 900, 60.0),
    Trial(3, "failed", {"cell": "lstm", "lr": 0.9, "batch_size": 16}, why="training [/diverged]"),
    Trial(4, "running", {"cell": "lstm", "lr": 0.03, "batch_size": 16}, 1.7, 6, 600, 40.0),
]


def board() -> Board:
    return Board(Path("tuning/[x]"), "[/b]text", TuneConfig(trials=9, jobs=2), 9, list(TRIALS), 150.0)


def shown(width: int = 100, encoding: str = "utf-8") -> str:
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    console = Console(file=out, width=width, force_terminal=False, color_system=None)
    console.print(leaderboard(board(), console))
    return out.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]


def test_the_leaderboard() -> None:
    lines = [line.rstrip() for line in shown().splitlines()]
    assert lines == [
        "[/b]text: coarse-to-fine search, 4 of 9 trials of 1:00 each, elapsed 2:30, 2 at once",
        "folder tuning/[x]",
        "",
        "rank  trial    nats   far  state          cell  lr      batch size",
        "   1      2  1.8123  100%  done           lstm  0.02    16",
        "   2      0  1.9123  100%  done           gru   0.0123  8",
        "   3      4  1.7000   67%  running        lstm  0.03    16",
        "   4      1  1.5000   33%  stopped early  lstm  0.5     8",
        "   5      3       -    0%  failed         lstm  0.9     16",
    ]


def test_narrow_and_ascii() -> None:
    assert all(len(line) <= 60 for line in shown(60).splitlines())
    assert "1.8123" in shown(60)
    assert shown(encoding="ascii")


def test_plain_lines() -> None:
    out = io.StringIO()
    view = PlainView(Console(file=out, width=40))
    for trial in TRIALS:
        view.changed(board(), trial)
    assert out.getvalue().splitlines() == [
        "trial   0  done          1.9123 nats  100%  --cell gru --lr 0.0123 --batch-size 8",
        "trial   1  stopped early 1.5000 nats   33%  --cell lstm --lr 0.5 --batch-size 8",
        "trial   2  done          1.8123 nats  100%  --cell lstm --lr 0.02 --batch-size 16 *",
        "trial   3  failed             - nats    0%  --cell lstm --lr 0.9 --batch-size 16  training [/diverged]",
    ]


def test_the_summary() -> None:
    result = TuneResult("f", "f/best.toml", TRIALS[2], board().ranking, 150.0, "trials")
    assert summary(result) == (
        "all trials done after 2:30: 2 done, 1 stopped early, 1 failed\n"
        "best: trial 2, 1.8123 nats: --cell lstm --lr 0.02 --batch-size 16\nsettings f/best.toml"
    )
