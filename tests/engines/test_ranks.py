"""Several processes train as one would, end together, and lose nothing when one of them dies.

The slow tests start real processes by torchrun, on this machine's loopback and, for two hosts, in two network
namespaces joined by a virtual cable.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.patience import PATIENCE
from helpers.small_runs import outcome, write_text

from charrnn.engines import ranks
from charrnn.engines.ranks import Leader, MappedIds, Ranks
from charrnn.errors import DataError, ModelError
from charrnn.runs import checkpoint
from charrnn.text.batches import Streams

MODEL = "--layers 2 --hidden 8 --batch-size 8 --seq-length 5 --threads 1 --eval-every 25 --backend torch"


# ------------------------------------------------------------------------------------------------
# Without other processes


def test_the_streams_of_all_ranks_are_all_streams() -> None:
    ids = np.random.default_rng(0).integers(0, 9, 1000)
    whole = Streams(ids, 6, 7)
    parts = [Streams(ids, 6, 7, slice(rank, None, 3)) for rank in range(3)]
    for k in range(whole.chunks):
        for together, shares in zip(
            whole.chunk(k), zip(*(part.chunk(k) for part in parts), strict=True), strict=True
        ):
            for rank, share in enumerate(shares):
                assert np.array_equal(together[:, rank::3], share)
                assert share.flags.c_contiguous
    assert {part.chunks for part in parts} == {whole.chunks}


class OneOfThree(Ranks):
    """One of three ranks whose others are made up: it notes what they would be told."""

    def __init__(self, rank: int = 0) -> None:
        super().__init__(rank, 3)

        self.told: list[Any] = []

    def order(self, name: str = "", chunk: int = 0, lr: float = 0.0) -> tuple[str, int, float]:
        self.told.append((name, chunk, lr))
        return name, chunk, lr

    def broadcast(self, value: Any = None) -> Any:
        self.told.append(value)
        return value

    def gather(self, value: Any) -> list[Any]:
        return [value, value + 1, value + 2] if self.rank == 0 else []


def test_the_state_of_all_streams_has_them_in_order() -> None:
    # Rank r has the streams r and r + 3; the made-up parts are all r.
    whole = OneOfThree().whole(np.zeros((1, 2, 2, 3)))
    assert whole.shape == (1, 2, 6, 3)
    assert (whole == np.array([0, 1, 2, 0, 1, 2])[:, None]).all()
    state = np.arange(2 * 2 * 6 * 3).reshape(2, 2, 6, 3)
    for rank in range(3):
        part = OneOfThree(rank).part(state)
        assert np.array_equal(part, state[:, :, [rank, rank + 3]])
        assert rank == 0 or OneOfThree(rank).whole(part) is part
    assert ranks.ALONE.whole(state) is state
    assert np.array_equal(ranks.ALONE.part(state), state)


class Engine:
    """Notes each call to it."""

    engine = "an engine"
    notes = ()

    def __init__(self) -> None:
        self.done: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: self.done.append((name, *arguments)) or name


def test_the_leader_has_the_others_do_what_its_engine_does() -> None:
    others, engine = OneOfThree(), Engine()
    leader = Leader(others, engine, Streams(np.arange(100) % 7, 6, 4, slice(0, None, 3)))
    x, y = leader.chunk(2)
    assert x.shape == (4, 2)
    assert leader.reset_state() is None
    results = leader.step(x, y, 0.5), leader.arrays(), leader.network(), leader.restore({"theta": 1})
    assert results == ("step", "arrays", "network", None)
    assert leader.last() == "last"
    assert engine.done == [
        ("reset_state",),
        ("step", x, y, 0.5),
        ("arrays",),
        ("network",),
        ("restore", {"theta": 1}),
        ("last",),
    ]
    orders = [("reset_state", 0, 0.0), ("step", 2, 0.5), ("arrays", 0, 0.0), ("restore", 0, 0.0)]
    assert others.told == [*orders, {"theta": 1}]


def test_large_texts_are_mapped_and_small_ones_sent(tmp_path: Path) -> None:
    ids = np.arange(1000, dtype=np.uint16)
    assert ranks.pack(ids) is ids
    ids.tofile(tmp_path / "ids")
    packed = ranks.pack(np.memmap(tmp_path / "ids", np.uint16, mode="r"))
    assert packed == MappedIds(str(tmp_path / "ids"), "<u2", 1000)
    never = lambda: pytest.fail("the text is here")  # noqa: E731
    assert np.array_equal(ranks.unpack(ranks.ALONE, packed, never), ids)
    (tmp_path / "ids").unlink()
    assert ranks.unpack(ranks.ALONE, packed, lambda: ids) is ids

    def absent() -> np.ndarray:
        raise DataError("no such text")

    with pytest.raises(DataError, match="no such text"):
        ranks.unpack(ranks.ALONE, packed, absent)


def test_who_follows_is_known_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for rank, size, expected in [("0", "1", False), ("0", "2", False), ("1", "2", True)]:
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("WORLD_SIZE", size)
        assert ranks.follows() == expected
    monkeypatch.delenv("RANK")
    assert not ranks.follows()
    with ranks.joined() as alone:  # some batch systems set WORLD_SIZE for purposes of their own
        assert alone.size == 1


# ------------------------------------------------------------------------------------------------
# With other processes


TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    return write_text(tmp_path_factory.mktemp("text") / "text.txt", words=1500)


def start(
    processes: int, *arguments: str, program: Sequence[str] = ("-m", "charrnn")
) -> subprocess.Popen[str]:
    """charrnn under torchrun, or by itself for one process."""
    launcher = (
        [*TORCHRUN, f"--nproc-per-node={processes}", "--standalone"] if processes > 1 else [sys.executable]
    )
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*launcher, *program, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr; a process that hangs is killed with all it started."""
    try:
        out, told = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        for pid in workers(process).values():
            os.kill(pid, signal.SIGKILL)
        process.kill()
        raise AssertionError(process.communicate()) from None
    return process.returncode, out, told


def training(corpus: Path, out: Path, steps: int, *more: str) -> list[str]:
    return ["train", str(corpus), "--out", str(out), *MODEL.split(), f"--max-steps={steps}", *more]


def workers(launcher: subprocess.Popen[str]) -> dict[int, int]:
    """Process ids of the ranks that a torchrun started."""
    found = {}
    with suppress(OSError):  # one of them has just ended
        for child in Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split():
            for variable in Path(f"/proc/{child}/environ").read_text().split("\0"):
                if variable.startswith("RANK="):
                    found[int(variable[5:])] = int(child)
    return found


def wait_for_checkpoint(out: Path, launcher: subprocess.Popen[str]) -> None:
    """Until there is one that was saved in mid-run."""
    while launcher.poll() is None:
        try:
            if checkpoint.load(out / "checkpoint.safetensors")[0]["progress"]["step"]:
                return
        except ModelError:
            pass
        time.sleep(0.1)
    raise AssertionError(launcher.communicate()[1])


@pytest.fixture(scope="module")
def whole(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """50 steps in one process."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    code, _, told = finish(start(1, *training(corpus, out, 50)))
    assert code == 0, told
    return outcome(out)


def assert_close(found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Losses, weights, state and memory to 1e-5; the same decisions."""
    assert len(found["metrics"]) == len(expected["metrics"])
    for one, other in zip(found["metrics"], expected["metrics"], strict=True):
        assert one["step"] == other["step"]
        for name in ("train_loss_nats", "val_loss_nats"):
            assert one[name] == pytest.approx(other[name], abs=1e-5)
    for name, (dtype, shape, content) in expected["arrays"].items():
        assert found["arrays"][name][:2] == (dtype, shape)
        numbers = (np.frombuffer(array, dtype) for array in (found["arrays"][name][2], content))
        np.testing.assert_allclose(*numbers, atol=1e-5, rtol=1e-4, err_msg=name)
    assert found["progress"]["best_step"] == expected["progress"]["best_step"]


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 4])
def test_processes_train_as_one_would(
    corpus: Path, tmp_path: Path, whole: dict[str, Any], processes: int
) -> None:
    code, out, told = finish(start(processes, *training(corpus, tmp_path / "out", 50, "--json")))
    assert code == 0, told
    assert_close(outcome(tmp_path / "out"), whole)
    (result,) = out.splitlines()  # one process prints
    assert json.loads(result)["steps"] == 50
    assert told.count("run folder") == 1
    assert f"; {processes} processes with {8 // processes} streams each" in told


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 4), (4, 2)])
def test_a_run_goes_on_with_another_number_of_processes(
    corpus: Path, tmp_path: Path, whole: dict[str, Any], before: int, after: int
) -> None:
    out = tmp_path / "out"
    assert finish(start(before, *training(corpus, out, 20)))[0] == 0
    code, _, told = finish(start(after, "train", "--resume", "--out", str(out), "--max-steps=50"))
    assert code == 0, told
    assert f"processes {before} -> {after}" in told
    resumed = outcome(out)
    # The first half ended with a validation of its own.
    assert resumed["progress"].pop("best_step") == whole["progress"]["best_step"]
    for name in ("theta", "state"):
        dtype = whole["arrays"][name][0]
        numbers = (np.frombuffer(run["arrays"][name][2], dtype) for run in (resumed, whole))
        np.testing.assert_allclose(*numbers, atol=1e-5, rtol=1e-4)


@pytest.mark.slow
def test_dropout_goes_on_bit_for_bit(corpus: Path, tmp_path: Path) -> None:
    more = ("--dropout=0.3", "--optimizer=adam")
    for folder, steps in [("whole", 40), ("halves", 20)]:
        code, _, told = finish(start(2, *training(corpus, tmp_path / folder, steps, *more)))
        assert code == 0, told
    assert finish(start(2, "train", "--resume", "--out", str(tmp_path / "halves"), "--max-steps=40"))[0] == 0
    assert outcome(tmp_path / "halves")["arrays"] == outcome(tmp_path / "whole")["arrays"]


THREADS_AT_EXIT = """
import atexit, os
from pathlib import Path

def tell():
    tasks = Path("/proc/self/task")
    names = sorted((tasks / task / "comm").read_text().strip() for task in os.listdir(tasks))
    line = f"rank {os.environ['RANK']} ends with the threads: {' '.join(names)}\\n"
    os.write(1, line.encode())  # at once: both ranks write here

atexit.register(tell)  # before torch's own are, so that it comes after them
from charrnn.__main__ import main
main()
"""


@pytest.mark.slow
def test_no_thread_of_the_group_lives_until_python_shuts_down(corpus: Path, tmp_path: Path) -> None:
    # One that lets go of a tensor there aborts the process ("terminate called without an active exception"), and with
    # it a job that had succeeded. gloo's threads end with the group, once nothing holds it any more.
    program = tmp_path / "told.py"
    program.write_text(THREADS_AT_EXIT)
    code, out, told = finish(start(2, *training(corpus, tmp_path / "out", 5), program=[str(program)]))
    assert code == 0, told
    ends = sorted(line for line in out.splitlines() if line.startswith("rank"))
    assert [line.partition(":")[0] for line in ends] == [f"rank {k} ends with the threads" for k in (0, 1)]
    assert not [line for line in ends if "gloo" in line]


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_dead_process_ends_the_job_with_one_message(
    corpus: Path, tmp_path: Path, whole: dict[str, Any], victim: int
) -> None:
    """Whichever it is; and the checkpoint resumes to the result of a run that nothing happened to."""
    out = tmp_path / "out"
    process = start(2, *training(corpus, out, 1_000_000, "--checkpoint-every=0.2", "--eval-every=1000000"))
    wait_for_checkpoint(out, process)
    os.kill(workers(process)[victim], signal.SIGKILL)
    code, _, told = finish(process)
    assert code == 1
    assert told.count("charrnn: ") == 1
    assert told.count(f"died or cannot be reached, as process {1 - victim} noticed") == 1
    assert "Traceback" not in told.split("torch/distributed/elastic")[0]
    metadata, _ = checkpoint.load(out / "checkpoint.safetensors")
    step = metadata["progress"]["step"]
    assert step > 0
    if victim == 1:  # rank 0 could still tell
        assert f"The checkpoint of step {step} is intact" in told
    code, _, told = finish(start(1, "train", "--resume", "--out", str(out), f"--max-steps={step + 5}"))
    assert code == 0, told
    straight = tmp_path / "straight"
    code, _, told = finish(start(1, *training(corpus, straight, step + 5, "--eval-every=1000000")))
    assert code == 0, told
    thetas = (np.frombuffer(outcome(f)["arrays"]["theta"][2], np.float32) for f in (out, straight))
    np.testing.assert_allclose(*thetas, atol=1e-3)  # rounding grows over hundreds of steps


@pytest.mark.slow
@pytest.mark.parametrize("who", [None, 0, 1])
def test_a_signal_to_any_process_stops_all_after_a_checkpoint(
    corpus: Path, tmp_path: Path, who: int | None
) -> None:
    """To torchrun itself, to rank 0, or to another: as when one host of several is to be shut down."""
    out = tmp_path / "out"
    process = start(2, *training(corpus, out, 1_000_000, "--checkpoint-every=0.2"))
    wait_for_checkpoint(out, process)
    os.kill(process.pid if who is None else workers(process)[who], signal.SIGTERM)
    code, _, told = finish(process)
    assert code
    assert told.count("everything is saved. Go on with:") == 1, told
    step = checkpoint.load(out / "checkpoint.safetensors")[0]["progress"]["step"]
    assert f"stopped at step {step};" in told


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--batch-size=7",), "7 streams cannot be shared evenly by 2 processes"),
        (("--backend=numpy",), "--backend numpy trains in one process, and torchrun started 2"),
        (("--val-fraction=2",), "--val-fraction"),
    ],
)
def test_mistakes_are_told_once(corpus: Path, tmp_path: Path, more: tuple[str, ...], message: str) -> None:
    code, _, told = finish(start(2, *training(corpus, tmp_path / "out", 5, *more)))
    assert code == 1  # torchrun's own; rank 0 ended with 2, as torchrun tells
    assert told.count("charrnn: ") == 1
    assert message in told
    assert "exitcode  : 2" in told
    assert not (tmp_path / "out").exists()


RANK_1_HAS_NO_ENGINE = """
import os
from charrnn.cli.app import main
from charrnn.errors import UsageError
from charrnn.training import session

def none(plan, ranks):
    raise UsageError("no such device")

if os.environ["RANK"] == "1":
    session._engine = none
main()
"""


@pytest.mark.slow
def test_a_mistake_in_another_process_is_told_by_the_first(corpus: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(RANK_1_HAS_NO_ENGINE)
    code, _, told = finish(
        start(3, *training(corpus, tmp_path / "out", 5, "--batch-size=9"), program=[str(program)])
    )
    assert code == 1
    assert told.count("charrnn: ") == 1
    assert "charrnn: rank 1: no such device" in told


@pytest.mark.slow
def test_a_large_text_is_encoded_once_and_mapped_by_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    text = tmp_path / "large.txt"
    text.write_bytes(b"It was the best of times, it was the worst of times.\n" * 700_000)  # 37 MB
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "cache"))
    process = start(2, *training(text, tmp_path / "out", 300, "--val-fraction=0.00001"))
    mapped = set()
    while process.poll() is None:
        for rank, pid in workers(process).items():
            with suppress(OSError):  # it has just ended
                if str(tmp_path / "cache") in Path(f"/proc/{pid}/maps").read_text():
                    mapped.add(rank)
        time.sleep(0.1)
    code, _, told = finish(process)
    assert code == 0, told
    (cached,) = (
        file for file in (tmp_path / "cache").iterdir() if file.is_file()
    )  # beside the folder of kernels
    assert cached.stat().st_size == text.stat().st_size
    assert told.count("encoded text kept") == 1
    assert mapped == {0, 1}


# ------------------------------------------------------------------------------------------------
# Two hosts


@pytest.fixture
def two_hosts() -> Iterator[tuple[str, str]]:
    """Two network namespaces, 10.231.77.1 and 10.231.77.2, joined by a virtual cable; gone afterwards."""
    pytest.importorskip("torch")
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("network namespaces need root and ip")
    tag = uuid.uuid4().hex[:6]
    hosts = (f"charrnn-{tag}-1", f"charrnn-{tag}-2")
    made = []
    try:
        for host in hosts:
            if subprocess.run(["ip", "netns", "add", host], capture_output=True).returncode:
                pytest.skip("network namespaces cannot be made here")
            made.append(host)
        cables = [f"c{tag}1", f"c{tag}2"]
        ip(
            "link",
            "add",
            cables[0],
            "netns",
            hosts[0],
            "type",
            "veth",
            "peer",
            "name",
            cables[1],
            "netns",
            hosts[1],
        )
        for number, (host, cable) in enumerate(zip(hosts, cables, strict=True), 1):
            ip("-n", host, "link", "set", cable, "name", "cable")
            ip("-n", host, "addr", "add", f"10.231.77.{number}/24", "dev", "cable")
            ip("-n", host, "link", "set", "cable", "up")
            ip("-n", host, "link", "set", "lo", "up")
        yield hosts
    finally:
        for host in made:
            subprocess.run(["ip", "netns", "delete", host], check=False)


def ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"ip {' '.join(arguments)}: {done.stderr}")


@pytest.mark.slow
def test_two_hosts_train_as_one_process_would(
    corpus: Path,
    tmp_path: Path,
    two_hosts: tuple[str, str],
    whole: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "cable")
    nodes = [
        subprocess.Popen(
            [
                *("ip", "netns", "exec", host, *TORCHRUN, "--nproc-per-node=2", "--nnodes=2"),
                *(
                    f"--node-rank={number}",
                    "--master-addr=10.231.77.1",
                    "--master-port=29500",
                    "-m",
                    "charrnn",
                ),
                *training(corpus, tmp_path / "out", 50),
            ],
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number, host in enumerate(two_hosts)
    ]
    results = [finish(node) for node in nodes]
    assert [code for code, _, _ in results] == [0, 0], results
    assert "4 processes with 2 streams each" in results[0][2]
    assert "run folder" not in results[1][2]
    assert_close(outcome(tmp_path / "out"), whole)


# ------------------------------------------------------------------------------------------------
# Items


@pytest.mark.slow
@pytest.mark.parametrize("items", ["line", "pairs"])
def test_items_are_shared_row_by_row(tmp_path: Path, items: str) -> None:
    """The last batch has fewer items than rows, and some rows end before others."""
    pytest.importorskip("torch")
    lists = {
        "line": [f"{n * 7919:x}" * (1 + n % 3) for n in range(77)],
        "pairs": [f"{n}\t{'ab' * (n % 7)}{n % 3}" for n in range(77)],
    }
    corpus = tmp_path / "list.txt"
    corpus.write_text("\n".join(lists[items]))
    for processes in (1, 2, 4):
        out = tmp_path / f"run-{processes}"
        arguments = training(corpus, out, 40, f"--items={items}", "--optimizer=adam")
        code, _, told = finish(start(processes, *arguments))
        assert code == 0, told
        if processes == 2:
            code, _, told = finish(start(processes, "train", "--resume", "--out", str(out), "--max-steps=60"))
            assert code == 0, told
    assert_close(outcome(tmp_path / "run-4"), outcome(tmp_path / "run-1"))
    code, _, told = finish(start(1, "train", "--resume", "--out", str(tmp_path / "run-4"), "--max-steps=60"))
    assert code == 0, told
    theta = [outcome(tmp_path / f"run-{n}")["arrays"]["theta"] for n in (2, 4)]
    np.testing.assert_allclose(*(np.frombuffer(one[2], one[0]) for one in theta), atol=1e-5, rtol=1e-4)
