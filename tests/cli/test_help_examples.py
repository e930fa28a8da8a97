"""Every example that --help shows runs as written, in a folder that holds the files it names."""

import csv
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.patience import PATIENCE
from typer.main import get_command

from charrnn.cli.app import app
from charrnn.text import known_processes
from charrnn.text.process_files import Written, make
from charrnn.training import session

ROOT = Path(__file__).parents[2]
TINY = 6000  # characters of a corpus: what trains for minutes in earnest does for seconds here
LONG = 20  # seconds after which a training is interrupted, as by Ctrl-C

QUICK = ("info",)  # the other commands take more than a few seconds
NEEDS_NETWORK = ("charrnn corpus tinyshakespeare",)
NEEDS_MODULE = {"probe": "sklearn", "export": "onnx", "import": "torch", "tune": "optuna"}
TRAINS = ("charrnn train", "charrnn tune")  # done when they are interrupted too

COMMANDS = get_command(app).commands  # type: ignore[attr-defined]


def examples(name: str) -> list[str]:
    """The lines under "Examples:" in the help of a command."""
    lines = (COMMANDS[name].help or "").splitlines()
    starts = [n for n, line in enumerate(lines) if line.strip() == "Examples:"]
    return [line.strip() for line in lines[starts[0] + 1 :] if line.strip()] if starts else []


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts, tables and trained runs, under the names that the examples give them."""
    folder = tmp_path_factory.mktemp("examples")
    book = (ROOT / "corpora/harbour.txt").read_text(encoding="utf-8")
    (folder / "corpora").mkdir()
    # Every character of the book, so that any part of it can be read; its dialogue for inspect-cells.
    rare = "".join(sorted(set(book) - set(book[:TINY])))
    (folder / "corpora/harbour.txt").write_text(book[:TINY] + rare + "\n", encoding="utf-8")
    for name in ("story.txt", "letters.txt", "server.log"):
        (folder / name).write_text(book[20_000:24_000], encoding="utf-8")
    places = (ROOT / "corpora/place-names.csv").read_text(encoding="utf-8")
    (folder / "corpora/place-names.csv").write_text(places, encoding="utf-8")
    (folder / "names.txt").write_text(
        "".join(line.split(",")[0] + "\n" for line in places.splitlines()[1:21]), encoding="utf-8"
    )
    (folder / "start.txt").write_text("The clock", encoding="utf-8")
    draw = random.Random(1)
    words = book[:TINY].split()
    for name in ("reviews.csv", "new.csv"):
        with open(folder / name, "w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["text", "sentiment"])
            for _ in range(60):
                label = draw.choice(["good", "bad"])
                rows.writerow([" ".join([label, *draw.choices(words, k=6)]), label])
    here = Path.cwd()
    os.chdir(folder)  # the runs remember where their text is
    try:
        (folder / "inputs.txt").write_text("12\n3\n", encoding="utf-8")
        (folder / "pairs.tsv").write_text("12\ttwelve\n3\tthree\n" * 9, encoding="utf-8")
        session.train(
            folder / "pairs.tsv", out="runs/numbers", items="pairs", hidden=8, max_steps=5, threads=1
        )
        make(Written(known_processes.process("mess3"), 3000, seed=1), Path("mess3.txt"), force=False)
        session.train("mess3.txt", out="runs/mess3-1", hidden=8, max_steps=5, threads=1)
        session.train(
            "corpora/place-names.csv",
            out="runs/places-1",
            text_column="name",
            label_column="region",
            hidden=8,
            max_steps=5,
            threads=1,
        )
        session.train(
            "corpora/harbour.txt",
            out="runs/harbour-20250101-120000",
            hidden=144,  # room for cell 1:137
            batch_size=4,
            max_steps=20,
            val_fraction=0.45,  # enough held-out text for the halves of inspect-cells
            threads=1,
        )
    finally:
        os.chdir(here)
    shutil.copytree(folder / "runs/harbour-20250101-120000", folder / "runs/tale-1")
    return folder


def state_dicts(folder: Path) -> None:
    """The files that `charrnn import` reads, as torch users have them."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    symbols = len(set((folder / "corpora/harbour.txt").read_text(encoding="utf-8")))
    for name, size in (("net", symbols), ("bytes", 256)):
        parts = {"rnn": torch.nn.LSTM(size, 8), "head": torch.nn.Linear(8, size)}
        save_file(torch.nn.ModuleDict(parts).state_dict(), folder / f"{name}.safetensors")


@pytest.fixture
def folder(prepared: Path, tmp_path: Path) -> Path:
    """A copy to work in, with a `charrnn` for the shell."""
    copy = tmp_path / "work"
    shutil.copytree(prepared, copy)
    (copy / "bin").mkdir()
    command = copy / "bin/charrnn"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m charrnn "$@"\n')
    command.chmod(0o755)
    return copy


def run(line: str, folder: Path) -> tuple[int, str]:
    """The exit code and stderr of a line given to the shell, without anyone to answer questions."""
    environment = os.environ | {
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHONIOENCODING": "utf-8",
        "OPENBLAS_NUM_THREADS": "1",
    }
    with subprocess.Popen(
        ["bash", "-o", "pipefail", "-c", line],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    ) as process:
        try:
            _, told = process.communicate(timeout=LONG if line.startswith(TRAINS) else PATIENCE)
        except subprocess.TimeoutExpired:
            if not line.startswith(TRAINS):
                os.killpg(process.pid, signal.SIGKILL)
                raise
            os.killpg(process.pid, signal.SIGINT)
            _, told = process.communicate(timeout=PATIENCE)
            assert process.returncode == 130, told
            return 0, told
        return process.returncode, told


def test_every_command_shows_examples() -> None:
    assert {name for name in COMMANDS if not examples(name)} == set()
    assert all(line.startswith("charrnn ") for name in COMMANDS for line in examples(name))


@pytest.mark.skipif(shutil.which("bash") is None, reason="the examples are written for a shell")
@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in COMMANDS]
)
def test_the_examples_of_a_command_run_as_written(name: str, folder: Path) -> None:
    """In their order: some go on with what the one before made."""
    pytest.importorskip(NEEDS_MODULE.get(name, "numpy"))
    if name == "import":
        state_dicts(folder)
    if name == "corpus":  # it writes this process itself, with other states
        for file in folder.glob("mess3.*"):
            file.unlink()
    for line in examples(name):
        if line in NEEDS_NETWORK or ("jq" in line and shutil.which("jq") is None):
            continue
        code, told = run(line, folder)
        assert code == 0, f"{line}\n{told}"


def test_a_failing_example_is_seen(folder: Path) -> None:
    code, told = run("charrnn info --model runs/nothing | cat", folder)
    assert code == 4
    assert "runs/nothing" in told
