"""Equal settings, seed and text give equal bits, alone or beside programs that keep every core busy."""

import importlib.util
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers.handmade import dialogue

from charrnn.engines.threads import available_cores
from charrnn.model.model import load_model
from charrnn.runs import checkpoint

pytestmark = pytest.mark.slow

SIZES = ("--hidden", "96", "--batch-size", "16", "--layers", "2", "--eval-every", "20", "--quiet")
fast = pytest.param(
    "fast", marks=pytest.mark.skipif(not importlib.util.find_spec("llvmlite"), reason="needs llvmlite")
)


@contextmanager
def busy_loops() -> Iterator[None]:
    """One on each core, and one more."""
    loop = [sys.executable, "-c", "print(flush=True)\nwhile True: pass"]
    loops = [subprocess.Popen(loop, stdout=subprocess.PIPE) for _ in range(available_cores() + 1)]
    try:
        for process in loops:
            assert process.stdout is not None
            process.stdout.readline()  # it runs
        yield
    finally:
        for process in loops:
            process.kill()
            process.communicate()


def charrnn(*arguments: str | Path) -> bytes:
    command = [sys.executable, "-m", "charrnn", *map(str, arguments)]
    return subprocess.run(
        command, check=True, stdout=subprocess.PIPE, env=os.environ | {"COLUMNS": "100"}
    ).stdout


def train(text: Path, out: Path, backend: str, steps: int) -> None:
    charrnn("train", text, "--out", out, "--backend", backend, "--max-steps", str(steps), *SIZES)


def bits(run: Path) -> dict[str, bytes]:
    """Everything that a run goes on from, and the model that it keeps."""
    _, arrays = checkpoint.load(run / "checkpoint.safetensors")
    model = load_model(run / "model.safetensors")
    return {name: array.tobytes() for name, array in {**arrays, **model.weights}.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text, labelled texts, and a model."""
    folder = tmp_path_factory.mktemp("equal")
    text = dialogue(60_000)
    (folder / "text.txt").write_text(text, encoding="utf-8")
    rng = random.Random(1)
    rows = [(at := rng.randrange(50_000), text[at : at + 60].replace("\n", " ")) for _ in range(80)]
    lines = [
        f'"{words.replace(chr(34), chr(39))}",{"early" if at < 25_000 else "late"}' for at, words in rows
    ]
    (folder / "labels.csv").write_text("\n".join(["text,label", *lines, ""]), encoding="utf-8")
    train(folder / "text.txt", folder / "model", "numpy", 60)
    return folder


@pytest.mark.parametrize("backend", ["numpy", fast])
def test_a_run_and_its_resume(folder: Path, tmp_path: Path, backend: str) -> None:
    alone, beside, halves = tmp_path / "alone", tmp_path / "beside", tmp_path / "halves"
    train(folder / "text.txt", alone, backend, 60)
    train(folder / "text.txt", halves, backend, 35)
    with busy_loops():
        train(folder / "text.txt", beside, backend, 60)
        charrnn("train", "--out", halves, "--resume", "--max-steps", "60", "--quiet")
    assert bits(alone) == bits(beside)
    assert bits(alone) == bits(halves)


COMMANDS = {
    "eval": "eval text.txt --model model --json",
    "per line": "eval text.txt --model model --per-line",
    "inspect-cells": "inspect-cells --model model --concept quote --concept line_pos --json",
    "gates": "inspect-cells --model model --gates --json",
    "sample": "sample --model model --length 200 --seed 7 --count 40 --json",
    "beam": "sample --model model --length 20 --beam 4 --json",
    "probe": "probe labels.csv --model model --unknown skip --out probe.safetensors --json",
    "gradient-flow": "gradient-flow --model model --json",
    "why": "why @text.txt --model model --context 40 --json",
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_command(folder: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    if command.startswith("probe"):
        pytest.importorskip("sklearn")
    monkeypatch.chdir(folder)
    alone = charrnn(*command.split())
    with busy_loops():
        beside = charrnn(*command.split())
    assert alone == beside
    assert alone.strip()
