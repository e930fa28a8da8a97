"""Kill runs with kill -9 at random moments and check that nothing is lost.

    python benchmarks/kills.py [--kills 1000] [--seed 1] [--only numpy,fast,snapshots,cache,tune]

Every victim is a small run that saves after nearly every step, so that many kills hit a file being written. It is
killed, checked, and resumed with --resume until it ends by itself. Then its files must equal those of a run that
was not killed, bit for bit (except times), and no temporary file may be left. Then the next victim starts.

    numpy, fast   `charrnn train` by either engine; the compiled code of each fast run is new, so kills meet that too
    snapshots     `charrnn train --snapshots 3`: every snapshot there is must load
    cache         `charrnn train` on a text that is kept in the cache, which must then hold what it should
    tune          `charrnn tune`: the same trials with the same losses, none lost, none twice

Runs are forked from this process, which has imported everything, so that kills hit the work and not the imports; a
search is a separate process group, killed as a whole. The last line is one JSON object.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy: a process that forks has no other threads
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from helpers.small_runs import outcome, write_text

import charrnn.cli.app
import charrnn.ui.terminal.training_view
from charrnn.errors import ModelError
from charrnn.files.writing import TEMPORARY
from charrnn.model.model import load_model
from charrnn.runs import checkpoint
from charrnn.text import corpus

SMALL = "--layers 1 --hidden 8 --batch-size 2 --seq-length 8 --dropout 0.2 --optimizer adam --eval-every 20 --threads 1"
SMALL += " --quiet --checkpoint-every 0.001 --max-steps 60"
SPACE = 'layers = 1\nhidden = 8\ncell = ["lstm", "gru"]\nlr = { log_uniform = [0.001, 0.1] }\n'
SEARCH = "--trials 3 --trial-steps 90 --keep 1 --search random --jobs 1 --json"
SHARES = {"numpy": 0.4, "fast": 0.25, "snapshots": 0.2, "cache": 0.1, "tune": 0.05}


class Lost(Exception):
    """Something that was saved is not there any more, or not what it was."""


class Training:
    """A run of `charrnn train` that is a fork of this process.

    out : its folder; cache : of compiled code and encoded texts
    """

    def __init__(self, text: Path, folder: Path, more: str, large: bool = False) -> None:
        self.out, self.cache = folder / "run", folder / "cache"
        self._new = ["train", str(text), "--out", str(self.out), *SMALL.split(), *more.split()]
        self._large = large
        self._step = 0  # of the checkpoint

    def start(self) -> int:
        """The process that goes on with it."""
        resumes = (self.out / "config.toml").exists()
        arguments = ["train", "--resume", "--out", str(self.out), "--quiet"] if resumes else self._new
        if child := os.fork():
            return child
        try:
            os.environ["CHARRNN_CACHE"] = str(self.cache)
            if self._large:
                corpus.IN_MEMORY = 0
            sys.argv = ["charrnn", *arguments]
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            charrnn.cli.app.main()
        except SystemExit as end:
            os._exit(end.code if isinstance(end.code, int) else bool(end.code))
        except BaseException:
            os._exit(99)
        os._exit(0)

    def look(self) -> None:
        """Raise Lost unless all that was saved before the kill is whole."""
        file = self.out / "checkpoint.safetensors"
        step = 0
        if file.exists():
            try:
                step = checkpoint.load(file)[0]["progress"]["step"]
                for model in [*self.out.glob("model.safetensors"), *self.out.glob("snapshots/*.safetensors")]:
                    load_model(model)
            except ModelError as error:
                raise Lost(str(error)) from error
        if step < self._step:
            raise Lost(f"{file} was of step {self._step} and is of step {step}")
        self._step = step

    def left(self) -> dict[str, Any]:
        """All that it left, as it must be of every such run."""
        here = [entry for folder in (self.out, self.cache) for entry in folder.rglob("*") if entry.is_file()]
        if torn := [entry.name for entry in here if TEMPORARY.fullmatch(entry.name)]:
            raise Lost(f"left behind: {', '.join(torn)}")
        kept = {str(f.relative_to(self.out)): load_model(f).weights for f in self.out.glob("snapshots/*.s*")}
        snapshots = {name: {k: v.tobytes() for k, v in weights.items()} for name, weights in kept.items()}
        texts = {entry.name: entry.read_bytes() for entry in here if entry.name.endswith(".uint8")}
        return outcome(self.out) | {"snapshots": snapshots, "texts": texts}


class Search:
    """A run of `charrnn tune`, a process group of its own."""

    def __init__(self, text: Path, folder: Path) -> None:
        self._folder, self._out, self._told = folder, folder / "search", folder / "told.json"
        space = folder / "space.toml"
        folder.mkdir(exist_ok=True)
        space.write_text(SPACE)
        self._new = ["tune", str(text), "--space", str(space), "--out", str(self._out), *SEARCH.split()]

    def start(self) -> int:
        resumes = (self._out / "study.toml").exists()
        arguments = ["tune", "--resume", "--out", str(self._out), "--json"] if resumes else self._new
        if not resumes:
            shutil.rmtree(self._out, ignore_errors=True)
        with open(self._told, "wb") as told:
            process = subprocess.Popen(
                [sys.executable, "-m", "charrnn", *arguments, "--quiet"], stdout=told, start_new_session=True
            )
        return process.pid

    def look(self) -> None: ...

    def left(self) -> dict[str, Any]:
        trials = json.loads(self._told.read_text())["trials"]
        return {t["number"]: (t["settings"], t["state"], t["steps"], t["val_loss_nats"]) for t in trials}


Victim = Training | Search


def killed(process: int, at: float) -> int | None:
    """Wait for a process until it is to be killed; its exit code, or None when it had to be."""
    while time.perf_counter() < at:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    group = process != os.getpid() and os.getpgid(process) == process
    os.killpg(process, signal.SIGKILL) if group else os.kill(process, signal.SIGKILL)
    status = os.waitpid(process, 0)[1]
    code = os.waitstatus_to_exitcode(status)
    return None if code == -signal.SIGKILL else code


def kill(make: Callable[[Path], Victim], kills: int, rng: random.Random, folder: Path) -> dict[str, Any]:
    """Kill such victims so many times; returns how often, how many came to their end, and what was lost."""
    victim = make(folder / "undisturbed")
    began = time.perf_counter()
    if code := killed(victim.start(), began + 600):
        raise SystemExit(f"the undisturbed run ended with {code}")
    usual = time.perf_counter() - began
    whole, number, done, torn, lost = victim.left(), 0, 0, 0, []
    victim = make(folder / "0")
    while True:  # the last one comes to its end too
        left_to_live = rng.uniform(0, 1.1 * usual) if done < kills else 600
        code = killed(victim.start(), time.perf_counter() + left_to_live)
        try:
            if code is None:
                done += 1
                torn += any(TEMPORARY.fullmatch(entry.name) for entry in (folder / str(number)).rglob("*"))
                victim.look()
                continue
            if code:
                raise Lost(f"it ended with {code}")
            left = victim.left()
            if differs := [part for part in whole if left.get(part) != whole[part]]:
                raise Lost(f"{', '.join(map(str, differs))}: not the same as without kills")
        except Lost as error:
            lost.append(str(error))
            print(f"LOST: {error}", file=sys.stderr)
        shutil.rmtree(folder / str(number))
        number += 1
        if done >= kills:
            return {"kills": done, "kills_within_a_write": torn, "runs_compared": number, "lost": lost}
        victim = make(folder / str(number))


def victims(folder: Path) -> Iterator[tuple[str, Callable[[Path], Victim]]]:
    text = write_text(folder / "text.txt", words=800)
    large = write_text(folder / "large.txt", words=200_000)
    yield "numpy", lambda place: Training(text, place, "--backend numpy")
    yield "fast", lambda place: Training(text, place, "--backend fast")
    yield "snapshots", lambda place: Training(text, place, "--backend numpy --snapshots 3 --eval-every 10")
    yield "cache", lambda place: Training(large, place, "--backend numpy --max-steps 2 --eval-every 5", True)
    yield "tune", lambda place: Search(text, place)


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Kill runs with kill -9 at random moments and check that nothing is lost."
    )
    parser.add_argument(
        "--kills", type=int, default=1000, help="total number of kills, divided among the kinds of victims"
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of the random moments")
    parser.add_argument("--only", default=",".join(SHARES), help="kinds of victims, separated by commas")
    given = parser.parse_args()
    wanted = given.only.split(",")
    parts = sum(SHARES[kind] for kind in wanted)
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind, make in victims(Path(folder)):
            if kind in wanted:
                began = time.perf_counter()
                kills = max(1, round(given.kills * SHARES[kind] / parts))
                (here := Path(folder) / kind).mkdir()
                result[kind] = kill(make, kills, random.Random(given.seed), here)
                print(f"{kind}: {result[kind]} in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    lost = sum(len(of["lost"]) for of in result.values())
    print(json.dumps(result | {"kills": sum(of["kills"] for of in result.values()), "lost": lost}))
    sys.exit(bool(lost))


if __name__ == "__main__":
    main()
