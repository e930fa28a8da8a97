"""Numbers that no run of ours has, in options, settings, cards and records: one message or a view, no traceback."""

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.command_line import charrnn
from helpers.victims import REPORTS, TEXT, card_of, run_folder, small_model, write_lines

from charrnn.config import TrainConfig
from charrnn.errors import UsageError
from charrnn.runs import folder as runs

NUMBERS: list[Any] = [-1e308, 1e308, 5e-324, 2**62, -1, 0, "x", None, [5], {"a": 1}, True]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return run_folder(tmp_path / "run")


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where there is something in a tree of dicts and lists."""
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [path] * bool(path) + [p for key, child in children for p in places(child, (*path, key))]


@pytest.mark.slow
def test_cards(run: Path) -> None:
    card = card_of(run.with_suffix(".txt"))
    for place in places(card):
        for number in (1e308, -1e308, [5], 2**62):
            forged = json.loads(json.dumps(card))
            parent = forged
            for key in place[:-1]:
                parent = parent[key]
            parent[place[-1]] = number
            if not isinstance(forged["corpus"], dict) and place != ("corpus",):
                continue
            small_model(TEXT, forged).save(run / "model.safetensors")
            told = charrnn("info", "--model", run)
            assert told.code == 0, (place, number, told.err)


@pytest.mark.parametrize("name", REPORTS[0])
def test_records(run: Path, name: str) -> None:
    for number in NUMBERS:
        records = [dict(record) for record in REPORTS]
        records[-1][name] = number
        write_lines(run / "metrics.jsonl", records)
        for args in (["info", "--model", run], ["gradient-flow", "--model", run, "--distance", 5]):
            told = charrnn(*args)
            assert told.code in (0, 4), (name, number, told.err)


@pytest.mark.parametrize("number", ["1" + "0" * 400, "NaN", "Infinity", "1e999", "-" + "9" * 30])
def test_numbers_that_are_none_of_json(run: Path, number: str) -> None:
    for file in ("metrics.jsonl", "samples.jsonl"):
        (run / file).write_text('{"step": 1, "text": "a", "epoch": NUMBER}\n'.replace("NUMBER", number))
    told = charrnn("info", "--model", run)
    assert told.code == 4
    assert "metrics.jsonl: line 1 is not a JSON object with a step" in told.err
    assert charrnn("report", run, "--html", run / "page.html").code == 4


def test_splits_that_overflow(run: Path) -> None:
    card = card_of(run.with_suffix(".txt"))
    card["settings"]["val_fraction"] = -1e308
    small_model(TEXT, card).save(run / "model.safetensors")
    told = charrnn("eval", run.with_suffix(".txt"), "--model", run)
    assert told.code == 0
    assert "does not name its training text" in told.err


def test_steps_before_the_first(run: Path) -> None:
    write_lines(run / "metrics.jsonl", [{**record, "step": -1} for record in REPORTS])
    assert charrnn("info", "--model", run).code == 0


def test_a_line_or_a_file_without_an_end(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (run / "metrics.jsonl").write_text('{"step": 1, "x": "' + "y" * runs.LONGEST_RECORD + '"}\n')
    assert charrnn("info", "--model", run).code == 4
    with open(run / "metrics.jsonl", "wb") as file:
        file.truncate(runs.MOST_RECORDS + 1)
    told = charrnn("info", "--model", run)
    assert told.code == 4
    assert "268,435,457 bytes, more than the limit of 268,435,456" in told.err


OPTIONS = [
    ["train", "t.txt", "--epochs", "1e308"],
    ["train", "t.txt", "--max-minutes", "1e300"],
    ["train", "t.txt", "--seed", "1" + "0" * 400],
    ["train", "t.txt", "--threads", 10**9],
    ["train", "t.txt", "--hidden", 10**12],
    ["train", "t.txt", "--layers", 10**12],
    ["train", "t.txt", "--patience", 10**30],
    ["sample", "--count", 10**12],
    ["sample", "--length", 10**12],
    ["sample", "--beam", 10**12],
    ["gradcheck", "--vocab", 10**12],
    ["gradcheck", "--seq-length", 10**12],
    ["tune", "t.txt", "--max-minutes", "1e300"],
]


@pytest.mark.parametrize("args", OPTIONS, ids=lambda args: f"{args[0]} {args[-2]}")
def test_options(args: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = charrnn(*args)
    assert told.code == 2, told.err
    assert str(args[-2]) in told.err
    assert len(told.err) < 500


@pytest.mark.parametrize(
    "settings", [{"seed": 10**400}, {"lr": 10**400}, {"seed": -(10**400)}, {"l1": float("inf")}]
)
def test_settings(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(settings))} is"):
        TrainConfig(**settings)


def test_a_run_that_starts_anew_by_forged_settings(run: Path) -> None:
    for table, line in (("train", "seed = 1" + "0" * 400), ("train", "lr = nan"), ("model", "hidden = -inf")):
        (run / "config.toml").write_text(f"[{table}]\n{line}\n")
        assert charrnn("train", "--resume", "--out", run).code in (2, 4)


def test_a_name_of_300_characters(run: Path) -> None:
    told = charrnn("train", run.with_suffix(".txt"), "--out", run.parent / ("x" * 300), "--hidden", 4)
    assert told.code == 1
    assert "File name too long" in told.err
