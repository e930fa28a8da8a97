"""The search: what is tried, what is stopped early, and that nothing is lost or done twice."""

import json
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers import command_line
from helpers.patience import PATIENCE, wait_until

optuna = pytest.importorskip("optuna")
sqlalchemy = pytest.importorskip("sqlalchemy")

from charrnn.errors import CharRNNError, DataError, Interrupted, ModelError, UsageError  # noqa: E402
from charrnn.install.extras import how_to_install  # noqa: E402
from charrnn.tune import study  # noqa: E402
from charrnn.tune.board import Board, Trial, TuneResult  # noqa: E402
from charrnn.tune.study import tune  # noqa: E402
from charrnn.tune.trial import RUNGS, Failed, Job, Measured  # noqa: E402

SPACE = """
layers = 1
cell = ["lstm", "gru"]
lr = { log_uniform = [0.001, 1.0], points = 2 }
hidden = { int = [4, 64], step = 4, points = 2 }
"""


class Watcher:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.events: list[tuple[int, str, int]] = []
        self.notes: list[str] = []
        self.most_at_once = 0

    def begin(self, board: Board) -> None:
        self.board = board

    def changed(self, board: Board, trial: Trial) -> None:
        self.events.append((trial.number, trial.state, trial.rung))
        self.most_at_once = max(self.most_at_once, sum(t.state == "running" for t in board.trials))

    def tick(self, board: Board) -> None: ...

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text("".join(random.Random(1).choices("abc de\n", k=3000)))
    Path("space.toml").write_text(SPACE)

    def hurry(connection: Any, record: object) -> None:  # a power cut is not among what is tested
        connection.execute("PRAGMA synchronous = OFF")

    sqlalchemy.event.listen(sqlalchemy.engine.Engine, "connect", hurry)
    yield Path("text.txt")
    sqlalchemy.event.remove(sqlalchemy.engine.Engine, "connect", hurry)


Curve = Callable[[dict[str, Any], int], float]


def best_at_a_tenth(settings: dict[str, Any], rung: int) -> float:
    """A loss that falls as training goes on, towards one that is least at lr = 0.1."""
    from math import log10

    return 1 + abs(log10(settings["lr"]) + 1) + 1 / rung


class Trainers:
    """In place of processes: threads that tell losses of a curve."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.curve: Curve = best_at_a_tenth
        self.trained: list[dict[str, Any]] = []
        self.die: list[int] = []  # how often to end without a word, by order of start
        self.fail = ""
        monkeypatch.setattr(
            study.multiprocessing, "get_context", lambda kind: SimpleNamespace(Process=self.start)
        )

    def start(self, target: object, args: tuple[Connection, Job], daemon: bool) -> Any:
        talk, job = Connection(os.dup(args[0].fileno())), args[1]
        self.trained.append(dict(job.settings))
        dies = len(self.trained) - 1 in self.die
        thread = threading.Thread(target=self._train, args=(talk, dict(job.settings), dies))
        return SimpleNamespace(start=thread.start, join=thread.join, kill=lambda: None, exitcode=1)

    def _train(self, talk: Connection, settings: dict[str, Any], dies: bool) -> None:
        with talk:
            if self.fail:
                talk.send(Failed(self.fail))
                return
            for rung in range(1, RUNGS + 1):
                if dies and rung == 2:
                    return
                try:
                    talk.send(Measured(rung, self.curve(settings, rung), 10 * rung, rung))
                    if talk.recv() is not True:
                        return
                except (EOFError, OSError):
                    return


@pytest.fixture
def trainers(monkeypatch: pytest.MonkeyPatch) -> Trainers:
    return Trainers(monkeypatch)


def run(**more: Any) -> TuneResult:
    given: dict[str, Any] = {"space": "space.toml", "out": "here", "listener": Watcher(), "search": "random"}
    return tune("text.txt", **(given | more))


def settings_of(result: TuneResult) -> list[tuple[int, str, float, int]]:
    found = [(t.number, t.settings["cell"], t.settings["lr"], t.settings["hidden"]) for t in result.trials]
    return sorted(found)


# ------------------------------------------------------------------------------------------------
# What is tried


@pytest.mark.slow
def test_random_settings_are_within_the_space_and_of_the_seed(text: Path, trainers: Trainers) -> None:
    first = settings_of(run(trials=6))
    assert len(set(first)) == 6
    for _, cell, lr, hidden in first:
        assert cell in ("lstm", "gru")
        assert 0.001 <= lr <= 1.0
        assert hidden in range(4, 65, 4)
    assert {cell for _, cell, _, _ in first} == {"lstm", "gru"}
    assert sum(lr < 0.0316 for _, _, lr, _ in first) in range(1, 6)  # half of them, on a log scale
    assert settings_of(run(trials=6, out="again", jobs=3)) == first
    assert settings_of(run(trials=2, out="other", seed=2)) != first[:2]
    assert {(s["max_minutes"], s["layers"]) for s in trainers.trained} == {(1.0, 1)}


def test_a_grid_is_tried_whole_and_once(text: Path, trainers: Trainers) -> None:
    result = run(search="grid", keep=1, jobs=2)
    tried = [(cell, round(lr, 6), hidden) for _, cell, lr, hidden in settings_of(result)]
    expected = [(cell, lr, hidden) for cell in ("lstm", "gru") for lr in (0.001, 1.0) for hidden in (4, 64)]
    assert tried == expected
    assert result.stopped_because == "exhausted"
    assert result.best.settings["lr"] == 1.0


def test_coarse_to_fine_ends_near_the_best(text: Path, trainers: Trainers) -> None:
    result = run(search="coarse-to-fine", trials=12, keep=1)
    trials = sorted(result.trials, key=lambda t: t.number)
    coarse = min(trials[:6], key=lambda t: t.val_loss_nats or 0)
    best_so_far = coarse
    for trial in trials[6:]:
        assert trial.settings["cell"] == best_so_far.settings["cell"]
        width = 10 ** (3 / 3)  # a third of three powers of ten
        assert 1 / width <= trial.settings["lr"] / best_so_far.settings["lr"] <= width
        assert abs(trial.settings["hidden"] - best_so_far.settings["hidden"]) <= 20
        best_so_far = min(best_so_far, trial, key=lambda t: t.val_loss_nats or 0)
    assert (result.best.val_loss_nats or 0) <= (coarse.val_loss_nats or 0)


def test_no_setting_is_tried_twice_and_a_small_space_ends(text: Path, trainers: Trainers) -> None:
    Path("space.toml").write_text('cell = ["lstm", "gru"]\nlayers = [1, 2]\nlr = 0.1')
    for search in ("random", "coarse-to-fine"):
        result = run(trials=50, keep=1, out=search, search=search)
        tried = {(t.settings["cell"], t.settings["layers"]) for t in result.trials}
        assert len(tried) == len(result.trials) == 4
        assert result.stopped_because == "exhausted"


# ------------------------------------------------------------------------------------------------
# Stopping early, failing


@pytest.mark.slow
def test_successive_halving_stops_poor_trials(text: Path, trainers: Trainers) -> None:
    result = run(trials=12)
    states = [trial.state for trial in result.trials]
    assert set(states) == {"done", "stopped early"}
    early = [trial for trial in result.trials if trial.state == "stopped early"]
    assert {trial.rung for trial in early} <= {1, 3}  # a ninth, a third
    assert len(early) > 5
    # As each is compared with those before it: on it goes only with one of the best third of a rung.
    seen: dict[int, list[float]] = {1: [], 3: []}
    for trial in sorted(result.trials, key=lambda t: t.number):
        for rung in (1, 3):
            if trial.rung < rung:
                break
            loss = best_at_a_tenth(trial.settings, rung)
            seen[rung].append(loss)
            goes_on = loss <= sorted(seen[rung])[max(1, len(seen[rung]) // 3) - 1]
            assert goes_on == (trial.rung > rung), trial
    assert result.best.val_loss_nats == min(t.val_loss_nats for t in result.trials if t.state == "done")
    assert [t.state for t in run(trials=3, keep=1, out="all").trials] == ["done"] * 3


def test_failures_are_told(text: Path, trainers: Trainers) -> None:
    trainers.fail = "training diverged"
    with pytest.raises(CharRNNError, match="every trial failed; trial 0: training diverged"):
        run(trials=2)
    trainers.fail = ""
    result = run(trials=3, resume=True, space=None, search=None)
    assert sorted(t.state for t in result.trials) == ["done", "failed", "failed"]
    assert {t.why for t in result.trials} == {"", "training diverged"}


def test_a_trial_whose_process_dies_is_tried_once_more(text: Path, trainers: Trainers) -> None:
    trainers.die = [0, 2, 3]
    result = run(trials=3, keep=1)
    assert [(t.number, t.state) for t in sorted(result.trials, key=lambda t: t.number)] == [
        *((0, "done"), (1, "failed"), (2, "done"))
    ]
    assert "its process ended twice" in next(t.why for t in result.trials if t.state == "failed")
    assert trainers.trained[0] == trainers.trained[1]


@pytest.mark.slow
def test_a_time_limit_ends_the_search_and_nothing_is_lost(
    text: Path, trainers: Trainers, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_up = threading.Event()

    def first_is_done(search: Any) -> bool:
        if any(t.state == "done" for t in search.board.trials):
            is_up.set()
        return is_up.is_set()

    def only_the_first_goes_on(settings: dict[str, Any], rung: int) -> float:
        assert settings == trainers.trained[0] or is_up.wait(PATIENCE)
        return best_at_a_tenth(settings, rung)

    trainers.curve = only_the_first_goes_on
    with monkeypatch.context() as patch:
        patch.setattr(study._Search, "_time_is_up", first_is_done)
        result = run(max_minutes=60.0, keep=1, jobs=2)
    assert result.stopped_because == "max_minutes"
    assert [t.state for t in result.trials] == ["done", "interrupted"]
    total = len(result.trials)
    after = run(resume=True, space=None, search=None, trials=total + 1)
    assert [t.state for t in after.trials] == ["done"] * (total + 1)
    assert settings_of(after)[:total] == settings_of(result)


# ------------------------------------------------------------------------------------------------
# Going on


@pytest.mark.slow
def test_a_resume_goes_on_and_counts_on(text: Path, trainers: Trainers) -> None:
    whole = settings_of(run(trials=5, out="whole"))
    run(trials=2)
    assert settings_of(run(resume=True, space=None, search=None, trials=5)) == whole
    assert settings_of(run(resume=True, space=None, search=None)) == whole  # nothing is left to do
    stored = optuna.load_study(study_name="charrnn", storage="sqlite:///here/study.db").trials
    assert [t.number for t in stored] == list(range(5))


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({"space": "space.toml"}, UsageError, "--space cannot be combined with --resume"),
        ({"seed": 2}, UsageError, "here was begun with --seed 1, not 2. A resume may change --trials"),
        ({"out": "nowhere"}, ModelError, "--out nowhere holds no search"),
    ],
)
def test_what_a_resume_cannot_do(
    text: Path, trainers: Trainers, more: dict[str, Any], error: type[Exception], message: str
) -> None:
    run(trials=1)
    with pytest.raises(error, match=message):
        run(**({"resume": True, "space": None, "search": None} | more))


def test_a_resume_wants_the_same_text(text: Path, trainers: Trainers) -> None:
    run(trials=1)
    text.write_text(text.read_text()[:-1])
    with pytest.raises(DataError, match="the text has changed since here began"):
        run(resume=True, space=None, search=None, trials=2)


def test_a_damaged_storage(text: Path, trainers: Trainers) -> None:
    run(trials=1)
    Path("here/study.db").write_bytes(b"garbage")
    with pytest.raises(ModelError, match=r"here/study.db cannot be used: .*file is not a database"):
        run(resume=True, space=None, search=None, trials=2)
    Path("here/study.toml").write_text("[tune]\nseed = 0.5")
    with pytest.raises(ModelError, match=r"here/study.toml is damaged"):
        run(resume=True, space=None, search=None, trials=2)


def test_a_search_is_not_overwritten_and_the_command_that_goes_on_is_told(
    text: Path, trainers: Trainers
) -> None:
    run(trials=1, out="my search")
    with pytest.raises(UsageError, match="--out my search already holds a search") as told:
        run(trials=1, out="my search")
    [command] = re.findall("`charrnn (.*)`", str(told.value))
    code, _, err = command_line.charrnn(*shlex.split(command))
    assert code == 0
    train, config = f"charrnn train {text.absolute()}", Path("my search/best.toml")
    assert err.splitlines()[-1] == f"{train} --config {shlex.quote(str(config))}"
    assert len(trainers.trained) == 1


def test_a_run_is_not_searched_in(text: Path, trainers: Trainers) -> None:
    Path("run").mkdir()
    Path("run/metrics.jsonl").touch()
    going_on = "Continue it with `charrnn train --resume --out run`, or name another folder"
    with pytest.raises(UsageError, match=rf"--out run already holds a run \(metrics.jsonl\). {going_on}$"):
        run(trials=1, out="run")


@pytest.mark.slow
def test_the_best_is_a_file_for_config(text: Path, trainers: Trainers) -> None:
    result = run(trials=5)
    content = tomllib.loads(Path(result.best_toml).read_text())
    best = result.best.settings
    assert content == {
        "model": {"layers": 1, "cell": best["cell"], "hidden": best["hidden"]},
        "train": {"lr": best["lr"]},
    }


def test_what_cannot_be_searched(text: Path, trainers: Trainers) -> None:
    with pytest.raises(UsageError, match="--trial-minutes and --trial-steps cannot be combined"):
        run(trial_minutes=1.0, trial_steps=9)
    with pytest.raises(UsageError, match="it cannot be stdin"):
        tune("-", listener=Watcher())
    Path("space.toml").write_text("val_fraction = 0.0\nlayers = [1, 2]")
    with pytest.raises(UsageError, match="val_fraction is 0"):
        run()
    assert not Path("here").exists()


def test_without_optuna(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UsageError, match=re.escape(how_to_install("tune"))):
        run()


# ------------------------------------------------------------------------------------------------
# Real processes

COMMAND = [sys.executable, "-m", "charrnn", "tune"]
REAL = ["text.txt", "--space", "space.toml", "--out", "here", "--json", "--search", "random"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OPENBLAS_NUM_THREADS": "1"}


def charrnn(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE
    )


@pytest.mark.slow
def test_a_killed_search_loses_and_repeats_nothing(text: Path) -> None:
    budget = ["--trials", "4", "--trial-steps", "450", "--keep", "1"]
    whole = charrnn(*REAL, *budget, "--out", "whole")
    assert whole.returncode == 0, whole.stderr
    # Optuna and Python's own warnings are not for users: stderr holds our lines alone.
    assert all(line.startswith(("text: ", "folder ", "trial ", "all ", "best: ", "settings ", "charrnn "))
               for line in whole.stderr.splitlines()), whole.stderr  # fmt: skip
    killed = 0
    arguments = [*REAL, *budget]
    while True:
        with subprocess.Popen(
            [*COMMAND, *arguments], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            # Each time later into a trial: when it has begun, when it was measured.
            checkpoint = Path("here/trials") / f"{killed:04}" / "checkpoint.safetensors"
            folder = checkpoint.parent if killed % 2 else checkpoint
            if killed < 3:
                wait_until(lambda seen=folder, p=process: seen.exists() or p.poll() is not None)
                process.kill()
                process.wait()
                killed += 1
                arguments = ["--resume", "--out", "here", "--json", "--jobs", str(1 + killed % 2)]
                continue
            out, err = process.communicate()
            assert process.returncode == 0, err
            break
    assert "continuing interrupted trials" in err
    both = [json.loads(out), json.loads(whole.stdout)]
    tables = [
        {t["number"]: (t["settings"], t["state"], t["steps"], t["val_loss_nats"]) for t in answer["trials"]}
        for answer in both
    ]
    assert tables[0] == tables[1]  # to the last bit, since trials go on from checkpoints
    assert all(len(answer["trials"]) == 4 for answer in both)
    stored = optuna.load_study(study_name="charrnn", storage="sqlite:///here/study.db").trials
    assert [t.number for t in stored] == list(range(4))
    assert {t.state.name for t in stored} == {"COMPLETE"}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM])
def test_a_signal_stops_politely_and_tells_how_to_go_on(text: Path, number: int) -> None:
    """One to the whole group, as terminals and batch systems send them, while the trials still import."""
    with subprocess.Popen(
        [*COMMAND, *REAL, "--trials", "2", "--trial-minutes", "5", "--jobs", "2"],
        env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        wait_until(lambda: len(trainers_of(process.pid)) == 2)
        os.killpg(process.pid, number)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + number
    assert out == ""
    assert "Go on with:\n  charrnn tune --resume --out here" in err
    assert "Traceback" not in err
    stored = optuna.load_study(study_name="charrnn", storage="sqlite:///here/study.db").trials
    assert [t.state.name for t in stored] == ["RUNNING", "RUNNING"]


@pytest.mark.slow
def test_a_trial_that_a_signal_ends_is_saved_and_goes_on(text: Path) -> None:
    """As often as it comes, which is what a limit on CPU time does to each of its processes."""
    times = 3
    with subprocess.Popen(
        [*COMMAND, *REAL, "--trials", "1", "--trial-steps", "900", "--json"],
        env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        seen: set[int] = set()
        while len(seen) < times and process.poll() is None:
            for child in trainers_of(process.pid) - seen:
                seen.add(child)
                os.kill(child, signal.SIGXCPU)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert len(seen) == times
    (trial,) = json.loads(out)["trials"]
    assert (trial["state"], trial["steps"]) == ("done", 900)


def trainers_of(parent: int) -> set[int]:
    """The processes of trials that a search has started, by what Linux and others tell of them."""
    listed = subprocess.run(
        ["ps", "-eww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    )
    of_parent = re.compile(rf"^ *(\d+) +{parent} .*spawn_main", re.MULTILINE)
    return set(map(int, of_parent.findall(listed.stdout)))


@pytest.mark.slow
def test_two_at_once_and_the_best_trains(text: Path) -> None:
    watcher = Watcher()
    Path("space.toml").write_text(
        'lr = [0.01, 1e-7]\nhidden = 16\nlayers = 1\noptimizer = "adam"\nwarmup_steps = 0'
    )
    result = tune(
        "text.txt",
        space="space.toml",
        out="here",
        listener=watcher,
        search="grid",
        jobs=2,
        trial_steps=90,
        keep=1,
    )
    assert watcher.most_at_once == 2
    losses = {t.settings["lr"]: t.val_loss_nats for t in result.trials}
    assert losses[0.01] < losses[1e-7]
    assert result.best.settings == {"lr": 0.01}
    line = ["text.txt", "--config", "here/best.toml", "--max-steps", "90", "--threads", "1", "--out", "run"]
    done = subprocess.run(
        [sys.executable, "-m", "charrnn", "train", *line, "--json", "--quiet"],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    # The same run, straight, ends where the trial ended: the ninths it was measured at changed nothing.
    last = [
        Path(folder, "metrics.jsonl").read_text().splitlines()[-1] for folder in ("here/trials/0000", "run")
    ]
    losses_at_end = [json.loads(line)["val_loss_nats"] for line in last]
    assert losses_at_end[0] == losses_at_end[1]


@pytest.mark.slow
def test_real_trials_are_stopped_early(text: Path) -> None:
    Path("space.toml").write_text('lr = [0.01, 1e-6, 1e-7]\nhidden = 16\nlayers = 1\noptimizer = "adam"')
    result = tune(
        "text.txt", space="space.toml", out="here", listener=Watcher(), search="grid", trial_steps=180
    )
    states = {t.settings["lr"]: (t.state, t.rung) for t in result.trials}
    assert states == {0.01: ("done", 9), 1e-6: ("stopped early", 1), 1e-7: ("stopped early", 1)}


def test_a_search_that_was_killed_before_it_had_a_storage_goes_on(text: Path, trainers: Trainers) -> None:
    run(trials=2, keep=1)
    Path("here/study.db").unlink()
    assert len(run(resume=True, space=None, search=None).trials) == 2


@pytest.mark.slow
def test_interrupted_says_how_to_go_on(
    text: Path, trainers: Trainers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raise_signal(settings: dict[str, Any], rung: int) -> float:
        if rung == 3 and len(trainers.trained) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.1)
        return best_at_a_tenth(settings, rung)

    trainers.curve = raise_signal
    with pytest.raises(Interrupted, match="charrnn tune --resume --out here") as caught:
        run(trials=5, keep=1)
    assert caught.value.exit_code == 143
    trainers.curve = best_at_a_tenth
    assert len(run(resume=True, space=None, search=None).trials) == 5
