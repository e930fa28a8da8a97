"""Which engine is used, and what is told where the fast one is missing."""

import importlib.metadata
import importlib.util
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.blas import blas_now
from helpers.small_runs import Recorder, run

from charrnn.cli.app import main
from charrnn.config import PRESETS, TrainConfig, configs
from charrnn.engines.choice import limited, settle, threads_for
from charrnn.engines.threads import VARIABLES
from charrnn.errors import UsageError
from charrnn.install.extras import how_to_install
from charrnn.runs.folder import RunFolder
from charrnn.training.session import train
from charrnn.ui.terminal.training_view import opening_lines

installed = pytest.mark.skipif(not importlib.util.find_spec("llvmlite"), reason="llvmlite is not installed")


pytestmark = pytest.mark.usefixtures("short_samples")


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """llvmlite is not there."""
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "llvmlite" else real(name, *rest)
    )


def test_auto_is_the_fast_path_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    for preset in PRESETS:
        assert settle(configs(preset)[1]).backend == "fast"
    assert settle(TrainConfig(backend="numpy")).backend == "numpy"
    assert settle(TrainConfig(backend="torch", precision="bfloat16")).backend == "torch"


def test_auto_is_numpy_where_it_is_not(missing: None) -> None:
    for preset in PRESETS:
        assert settle(configs(preset)[1]).backend == "numpy"
    with pytest.raises(UsageError) as told:
        settle(TrainConfig(backend="fast"))
    assert how_to_install("fast") in str(told.value)
    assert "--backend numpy" in str(told.value)


def test_the_command_tells_how_to_install_it(
    missing: None,
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr(
        sys, "argv", ["charrnn", "train", str(corpus), "--out", str(out), "--backend", "fast"]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert how_to_install("fast") in " ".join(capsys.readouterr().err.split())
    assert not out.exists()


@installed
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_run_remembers_its_engine(corpus: Path, tmp_path: Path, precision: str) -> None:
    recorder = Recorder()
    run(corpus, tmp_path / "run", max_steps=2, backend="auto", precision=precision, observers=[recorder])
    assert recorder.plan is not None
    assert recorder.engine.startswith("fast (llvmlite ")
    assert f", {precision}, compiled in " in recorder.engine
    assert RunFolder(tmp_path / "run").read_config()["train"]["backend"] == "fast"


@installed
def test_a_run_of_the_fast_path_goes_on_without_it(
    corpus: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """As on a machine where it is not installed: told what to do, and once it is done, told what changed."""
    run(corpus, tmp_path / "run", max_steps=2, backend="auto")
    request.getfixturevalue("missing")
    before = (tmp_path / "run" / "checkpoint.safetensors").read_bytes()
    with pytest.raises(UsageError, match=r"pip install .*--backend numpy"):
        train(out=tmp_path / "run", resume=True, max_steps=4)
    assert (tmp_path / "run" / "checkpoint.safetensors").read_bytes() == before
    for given in ({"backend": "numpy"}, {}):  # it need be named once only
        recorder = Recorder()
        steps = 4 + 2 * (not given)
        assert (
            train(out=tmp_path / "run", resume=True, max_steps=steps, observers=[recorder], **given).steps
            == steps
        )
        change = "changed at this resume: --backend fast -> numpy"
        assert (change in recorder.notes) == bool(given)
        assert recorder.plan is not None
        assert recorder.engine.startswith("numpy")


@installed
def test_asking_for_what_it_has_is_no_change(corpus: Path, tmp_path: Path) -> None:
    run(corpus, tmp_path / "run", max_steps=2, backend="auto")
    for backend in ("fast", "auto"):
        recorder = Recorder()
        train(out=tmp_path / "run", resume=True, max_steps=2, backend=backend, observers=[recorder])
        assert not [note for note in recorder.notes if "changed" in note]


def test_the_opening_says_what_computes_and_why(
    corpus: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    def opening(name: str, **settings: str) -> str:
        recorder = Recorder()
        run(corpus, tmp_path / name, max_steps=2, observers=[recorder], **settings)
        assert recorder.plan is not None
        return opening_lines(recorder.plan, recorder.engine).splitlines()[-1]

    numpy = f"numpy {np.__version__}, float32; 1 thread: "
    if importlib.util.find_spec("llvmlite"):
        assert opening("asked", backend="numpy") == numpy + "as --backend numpy asks"
        fast = opening("fast", backend="auto")
        version = re.escape(importlib.metadata.version("llvmlite"))
        form = rf"fast \(llvmlite {version}, for .+\), float32, compiled in \d+\.\d s; 1 thread"
        assert re.fullmatch(form, fast)
    request.getfixturevalue("missing")
    assert opening("auto", backend="auto") == (
        f"{numpy}the extra fast, about twice as fast on each core, is not installed: {how_to_install('fast')}"
    )


def test_threads_of_each_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fast path and torch share out large batches; numpy has one thread, on any number of cores."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("charrnn.engines.threads.available_cores", lambda: 8)
    monkeypatch.setattr("charrnn.engines.choice.available_cores", lambda: 8)
    model, config = configs(backend="fast", hidden=128, seq_length=50)
    torch, plain = TrainConfig(backend="torch", seq_length=50), TrainConfig(backend="numpy", seq_length=50)

    def threads(config: TrainConfig, processes: int = 1) -> list[int]:
        return [threads_for(config, model, 60, streams, processes) for streams in (1, 4, 64)]

    assert threads(config) == threads(torch) == [1, 4, 8]
    assert threads(plain) == [1, 1, 1]
    assert threads(torch, 2) == [4, 4, 4]
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert threads(config) == threads(plain) == [1, 1, 1]
    assert threads(torch, 2) == [4, 4, 4]  # torchrun sets that 1
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads(config) == threads(plain) == threads(torch, 2) == [3, 3, 3]
    assert threads(replace(plain, threads=2)) == threads(replace(torch, threads=2), 2) == [2, 2, 2]


def test_blas_has_one_thread_in_each_shard() -> None:
    for backend, expected in (("fast", 1), ("numpy", 3)):
        with limited(TrainConfig(backend=backend), 3):
            assert blas_now() == {expected}
