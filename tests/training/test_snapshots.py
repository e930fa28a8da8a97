"""Snapshots: which are kept, through interruptions too, and the ensemble they make."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from helpers.small_runs import SETTINGS, Recorder, run, write_text
from typer.testing import CliRunner

from charrnn.cli.app import app
from charrnn.errors import Interrupted, ModelError
from charrnn.model.model import load_model
from charrnn.runs.card import read_info
from charrnn.runs.folder import RunFolder, find_model, find_models, snapshot_files
from charrnn.training.dry_run import dry_run

EVERY = 15  # steps between validations, as small_runs has it


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_text(tmp_path_factory.mktemp("snapshots") / "text.txt")


def weights(folder: Path) -> dict[str, dict[str, bytes]]:
    return {
        file.name: {name: tensor.tobytes() for name, tensor in load_model(file).weights.items()}
        for file in snapshot_files(folder / "snapshots")
    }


def moments(folder: Path, steps: int, every: int) -> list[int]:
    """The steps whose models are to be kept, by the validations that metrics.jsonl tells of."""
    validations = [
        r for r in RunFolder(folder).read_metrics() if r["val_loss_nats"] and r["step"] % EVERY == 0
    ]
    kept = []
    for step in range(every, steps + 1, every):
        losses = [r["val_loss_nats"] for r in validations if r["step"] < step]
        if not losses or losses[-1] == min(losses):
            kept.append(step)
    return kept


def test_the_last_moments_before_it_gets_no_better_are_kept(text: Path, tmp_path: Path) -> None:
    steps = 5 * EVERY + 4
    recorder = Recorder()
    run(text, tmp_path / "run", max_steps=steps, snapshots=3, observers=[recorder])
    assert recorder.plan is not None
    every = recorder.plan.streams().chunks // 3
    expected = moments(tmp_path / "run", steps, every)
    assert 3 < len(expected) < steps // every  # some moments came after a validation that was not the best
    assert list(weights(tmp_path / "run")) == [f"{step:09d}.safetensors" for step in expected[-3:]]
    for file in snapshot_files(tmp_path / "run/snapshots"):
        assert load_model(file).training["step"] == int(file.stem)
        assert load_model(file).training["val_loss_nats"] is None


def test_a_snapshot_is_the_model_of_its_step(text: Path, tmp_path: Path) -> None:
    recorder = Recorder()
    run(text, tmp_path / "run", max_steps=2 * EVERY, snapshots=3, observers=[recorder])
    every = recorder.plan.streams().chunks // 3  # type: ignore[union-attr]
    stopped = run(text, tmp_path / "stopped", max_steps=every)  # its closing validation keeps the model
    assert weights(tmp_path / "run")[f"{every:09d}.safetensors"] == {
        name: tensor.tobytes() for name, tensor in load_model(stopped.model).weights.items()
    }
    assert not (tmp_path / "stopped/snapshots").exists()


@pytest.mark.parametrize("stop_after", [2 * EVERY + 3])
def test_a_resumed_run_has_the_same_bit_for_bit(stop_after: int, text: Path, tmp_path: Path) -> None:
    settings = {"max_steps": 5 * EVERY, "snapshots": 3, "checkpoint_every": 0.01}
    run(text, tmp_path / "whole", **settings)
    with pytest.raises(Interrupted):
        run(text, tmp_path / "parts", **settings, observers=[Recorder(interrupt_after=stop_after)])
    run(text, tmp_path / "parts", resume=True)
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")
    assert len(weights(tmp_path / "parts")) == 3


def test_snapshots_of_steps_that_are_lost_go_before_the_run_goes_on(text: Path, tmp_path: Path) -> None:
    """A run killed after a snapshot goes on from the checkpoint before: its future is not there yet."""
    run(text, tmp_path / "run", max_steps=2 * EVERY, snapshots=3)
    before = weights(tmp_path / "run")
    assert before
    load_model(snapshot_files(tmp_path / "run/snapshots")[-1]).save(
        tmp_path / "run/snapshots/000000999.safetensors"
    )
    (tmp_path / "run/snapshots/mine.safetensors").write_text("not ours")
    run(text, tmp_path / "run", resume=True, max_steps=2 * EVERY)
    assert weights(tmp_path / "run") == before
    assert (tmp_path / "run/snapshots/mine.safetensors").exists()
    run(text, tmp_path / "run", force=True, max_steps=4)
    assert weights(tmp_path / "run") == {}


def test_the_old_one_stays_until_the_new_one_is_written(text: Path, tmp_path: Path, failpoint) -> None:  # type: ignore[no-untyped-def]
    """Whatever fails, there are never fewer than K whole snapshots once there have been K."""
    folder = RunFolder(tmp_path)
    model = load_model(run(text, tmp_path / "model", max_steps=2).model)

    def keep(step: int) -> None:
        with folder.open_snapshots() as snapshots:
            model.save(folder.snapshot(step), folder=snapshots)

    for step in (1, 2):
        keep(step)

    def rotate() -> None:
        keep(3)
        folder.drop_snapshots(most=2)

    def check(calls: list[str], raised: BaseException | None) -> None:
        files = snapshot_files(folder.snapshots)
        assert len(files) >= 2
        for file in files:
            load_model(file)

    failpoint.at_each_call(rotate, check)
    assert [int(file.stem) for file in snapshot_files(folder.snapshots)] == [2, 3]


def test_a_folder_of_snapshots_is_an_ensemble(text: Path, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    run(text, tmp_path / "run", max_steps=3 * EVERY, snapshots=3, eval_every=1000)
    steps = [int(file.stem) for file in snapshot_files(Path("run/snapshots"))]
    files = snapshot_files(Path("run/snapshots"))
    assert find_models("run/snapshots") == files
    assert find_models("run") == find_models(str(files[0].parents[1])) == [Path("run/model.safetensors")]
    with pytest.raises(ModelError, match="3 snapshots"):
        find_model("run/snapshots")

    def answer(*args: str) -> dict:
        result = CliRunner().invoke(app, [*args, "--json"])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    together = answer("eval", "--split", "validation", "--no-baselines", "--model", "run/snapshots")
    alone = [f"--model={file}" for file in files]
    assert together == answer("eval", "--split", "validation", "--no-baselines", *alone)
    ids = load_model(files[0]).vocab.encode(text.read_text())
    ids = ids[-(len(ids) - int(0.9 * len(ids))) :].astype(int)[:, None]
    p = []
    for file in files:
        logits, _ = load_model(file).logits(ids[:-1])
        q = np.exp(logits[:, 0] - logits[:, 0].max(axis=1, keepdims=True))
        p.append((q / q.sum(axis=1, keepdims=True))[np.arange(len(ids) - 1), ids[1:, 0]])
    assert together["chars"] == len(ids)
    assert together["loss_nats"] == pytest.approx(-np.log(np.mean(p, axis=0)).mean(), abs=1e-5)
    assert math.isfinite(together["loss_nats"])
    drawn = answer("sample", "--seed", "1", "--length", "9", "--model", "run/snapshots")
    assert drawn["model"] == [str(file) for file in files]
    info = read_info(Path("run/model.safetensors"))
    assert list(info.snapshots) == files
    assert answer("info", "--model", "run")["snapshots"] == [str(file) for file in files]
    shown = " ".join(CliRunner().invoke(app, ["info", "--model", "run"]).stdout.split())
    assert f"3, of step {', '.join(map(str, steps))}; together: --model {Path('run/snapshots')}" in shown


def test_a_dry_run_keeps_none(text: Path, tmp_path: Path) -> None:
    dry_run(text, **(SETTINGS | {"snapshots": 3}))
    assert list(text.parent.iterdir()) == [text]


def test_without_validation_text_all_moments_count(text: Path, tmp_path: Path) -> None:
    recorder = Recorder()
    run(text, tmp_path / "run", max_steps=60, snapshots=4, val_fraction=0.0, observers=[recorder])
    every = recorder.plan.streams().chunks // 4  # type: ignore[union-attr]
    steps = list(range(every, 61, every))[-4:]
    assert list(weights(tmp_path / "run")) == [f"{step:09d}.safetensors" for step in steps]
