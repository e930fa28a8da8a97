"""The torch engine follows the numpy engine, step for step, and its runs resume bit for bit."""

import subprocess
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.small_runs import SETTINGS, Recorder, outcome, run

from charrnn.config import CELLS, OPTIMIZERS, TrainConfig, configs
from charrnn.engines.backend import NumpyBackend
from charrnn.errors import Interrupted, UsageError
from charrnn.install.extras import how_to_install
from charrnn.model.model import load_model
from charrnn.score.scoring import mean_loss
from charrnn.text.batches import Streams
from charrnn.training.dry_run import dry_run
from charrnn.training.session import train
from charrnn.ui.terminal.training_view import opening_lines

torch = pytest.importorskip("torch")
torch_backend = pytest.importorskip("charrnn.engines.torch_backend")

pytestmark = pytest.mark.usefixtures("short_samples")


VOCAB, BATCH = 20, 4
IDS = np.random.default_rng(0).integers(0, VOCAB, 1500)


def engines(**settings: Any) -> tuple[NumpyBackend, Any]:
    """Both engines with the same settings."""
    model, config = configs(**{"layers": 2, "hidden": 12, **settings})
    return (
        NumpyBackend(model, config, VOCAB, BATCH),
        torch_backend.TorchBackend(model, replace(config, backend="torch"), VOCAB, BATCH),
    )


def differences(numpy: NumpyBackend, other: Any, steps: int, lr: float) -> tuple[float, float]:
    """Train both; the largest difference of a loss or relative gradient norm, and of an array at the end."""
    streams, worst = Streams(IDS, BATCH, 5), 0.0
    for step in range(steps):
        if step % streams.chunks == 0:
            numpy.reset_state()
            other.reset_state()
        chunk = streams.chunk(step % streams.chunks)
        (loss, norm), (other_loss, other_norm) = numpy.step(*chunk, lr), other.step(*chunk, lr)
        worst = max(worst, abs(loss - other_loss), abs(norm - other_norm) / norm)
    ours, theirs = numpy.arrays(), other.arrays()
    assert ours.keys() == theirs.keys()
    assert np.array_equal(ours["rng"], theirs["rng"])
    return worst, max(float(np.abs(ours[name] - theirs[name]).max()) for name in ours if name != "rng")


@pytest.mark.parametrize(("cell", "optimizer"), [*product(CELLS, OPTIMIZERS)])
def test_losses_are_those_of_the_numpy_engine(cell: str, optimizer: str) -> None:
    """100 steps over an epoch's end, float32; nothing but rounding may differ."""
    losses, _ = differences(*engines(cell=cell, optimizer=optimizer), steps=100, lr=0.01)
    assert losses < 1e-5


@pytest.mark.parametrize(
    "settings",
    [
        {"cell": "lstm", "l1": 1e-3, "l2": 1e-3, "clip_value": 0.05},
        {"cell": "gru", "clip_norm": 0.7, "embedding": 5, "optimizer": "adam"},
        {"cell": "gru", "clip_norm": 1e9, "clip_value": 1e9, "optimizer": "rmsprop", "l2": 1e-2},
        {"cell": "rnn", "nonlinearity": "relu", "freeze_layers": "0", "optimizer": "nesterov", "l1": 1e-3},
        {"cell": "lstm", "layers": 3, "freeze_layers": "1,2", "optimizer": "momentum", "embedding": 3},
        {"cell": "gru", "average": 0.9, "optimizer": "adam"},
        {"cell": "lstm", "average": 0.99, "embedding": 4, "weight_decay": 0.1},
        {"cell": "rnn", "weight_decay": 0.1, "optimizer": "momentum", "freeze_layers": "0"},
    ],
)
def test_every_number_is_that_of_the_numpy_engine(settings: dict[str, Any]) -> None:
    """Weights, state and optimiser's memory in float64, with penalties, clips, frozen layers, an embedding."""
    numpy, other = engines(precision="float64", **settings)
    losses, arrays = differences(numpy, other, steps=80, lr=0.01)
    assert losses < 1e-12
    assert arrays < 1e-11
    for name in settings.get("freeze_layers", "").split(","):
        fresh = engines(precision="float64", **settings)[1].network().params
        for tensor, value in other.network().params.items():
            if name and tensor.endswith(f"_l{name}"):
                assert np.array_equal(value, fresh[tensor])


@pytest.mark.parametrize("cell", CELLS)
def test_the_average_is_read_on_the_device_and_training_goes_on_from_the_last_weights(cell: str) -> None:
    numpy, other = engines(cell=cell, average=0.9, precision="float64")
    _, without = engines(cell=cell, precision="float64")
    streams = Streams(IDS, BATCH, 5)
    for step in range(30):
        numpy.step(*streams.chunk(step), 0.05)
        other.step(*streams.chunk(step), 0.05)
        without.step(*streams.chunk(step), 0.05)
        other.network(), other.last()  # looking changes nothing
    np.testing.assert_array_equal(other.last().theta, without.network().theta)
    of_average, of_last = mean_loss(other.network(), IDS), mean_loss(other.last(), IDS)
    assert of_average == pytest.approx(mean_loss(numpy.network(), IDS), rel=1e-10)
    assert of_last == pytest.approx(mean_loss(numpy.last(), IDS), rel=1e-10)
    assert abs(of_average - of_last) > 1e-4


@pytest.mark.parametrize("cell", CELLS)
def test_the_second_bias_stays_zero(cell: str) -> None:
    """But for the GRU's b_hn, which is trained."""
    _, other = engines(cell=cell)
    for step in range(3):
        other.step(*Streams(IDS, BATCH, 10).chunk(step), 0.1)
    for name, parameter in other._layers.named_parameters():
        if "bias_hh" in name:
            bias = parameter.detach().numpy()
            assert not bias[: 2 * 12].any()
            assert bias[2 * 12 :].any() == (cell == "gru")


def test_dropout_in_modules_of_a_layer_each_changes_nothing_but_the_masks() -> None:
    """With a share so small that nothing is dropped, the losses are those without dropout."""
    _, whole = engines(cell="gru", layers=3)
    model, config = configs(cell="gru", layers=3, hidden=12, dropout=1e-12, backend="torch")
    split = torch_backend.TorchBackend(model, config, VOCAB, BATCH)
    assert (len(whole._layers.recurrent), len(split._layers.recurrent)) == (1, 3)
    streams = Streams(IDS, BATCH, 10)
    for step in range(20):
        one, three = (engine.step(*streams.chunk(step), 0.01) for engine in (whole, split))
        assert one == pytest.approx(three, rel=1e-5)


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    model, config = configs(hidden=8, dropout=0.3, backend="torch")
    engine = torch_backend.TorchBackend(model, config, VOCAB, BATCH)
    dropped = engine._drop(0, torch.ones(100, 100, 10)).numpy()
    assert set(np.unique(dropped)) == {np.float32(0), np.float32(1 / 0.7)}
    assert (dropped == 0).mean() == pytest.approx(0.3, abs=0.01)


def test_validation_reads_with_the_weights_of_the_moment() -> None:
    for cell in CELLS:
        numpy, other = engines(cell=cell, precision="float64")
        differences(numpy, other, steps=5, lr=0.1)
        network = other.network()
        assert mean_loss(network, IDS) == pytest.approx(mean_loss(numpy.network(), IDS), rel=1e-10)
        logits, _, trace = network.forward(IDS[:30].reshape(10, 3), network.zero_state(3))
        read, _ = network.read(IDS[:30].reshape(10, 3), network.zero_state(3))
        np.testing.assert_allclose(read, logits, atol=1e-12)
        assert len(trace.layers) == 2


def test_validation_keeps_cudnn_and_does_without_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    network, seen = engines()[1].network(), []
    network._layers.register_forward_pre_hook(
        lambda *_: seen.append((torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32))
    )
    network.read(IDS[:4].reshape(2, 2), network.zero_state(2))
    assert seen == [(True, False)]
    assert torch.backends.cudnn.allow_tf32


# ------------------------------------------------------------------------------------------------
# Runs


@pytest.mark.parametrize("settings", [{"cell": "gru", "optimizer": "adam"}, {"optimizer": "momentum"}])
def test_two_halves_are_the_whole(corpus: Path, tmp_path: Path, settings: dict[str, Any]) -> None:
    """With dropout, over an epoch's end and two validations."""
    assert SETTINGS["dropout"]
    settings = {"backend": "torch", "max_steps": 44, "lr": 0.01} | settings
    run(corpus, tmp_path / "whole", **settings)
    with pytest.raises(Interrupted):
        run(corpus, tmp_path / "halves", observers=[Recorder(interrupt_after=22)], **settings)
    train(out=tmp_path / "halves", resume=True)
    whole, halves = outcome(tmp_path / "whole"), outcome(tmp_path / "halves")
    for part in whole:
        assert whole[part] == halves[part], part


def test_the_engine_is_told_and_may_change_at_a_resume(corpus: Path, tmp_path: Path) -> None:
    settings = {"dropout": 0.0, "max_steps": 20}
    whole = run(corpus, tmp_path / "whole", **(settings | {"max_steps": 40}))
    recorder = Recorder()
    run(corpus, tmp_path / "both", backend="torch", observers=[recorder], **settings)
    assert recorder.plan is not None
    assert recorder.engine == f"torch {torch.__version__} on cpu, float32"
    assert f"{recorder.engine}; 1 thread" in opening_lines(recorder.plan, recorder.engine).splitlines()
    both = train(out=tmp_path / "both", resume=True, backend="numpy", max_steps=40)
    assert both.train_loss_nats == pytest.approx(whole.train_loss_nats, abs=1e-5)
    card = load_model(tmp_path / "both" / "model.safetensors").training
    assert card["changes"] == ["at step 20: --backend torch -> numpy"]
    assert card["engine"].startswith("numpy ")


def test_bfloat16_keeps_the_weights_in_float32(corpus: Path, tmp_path: Path) -> None:
    settings = {"backend": "torch", "max_steps": 60, "dropout": 0.0, "hidden": 32, "lr": 0.05}
    exact = run(corpus, tmp_path / "exact", **settings)
    recorder = Recorder()
    rough = run(corpus, tmp_path / "rough", precision="bfloat16", observers=[recorder], **settings)
    assert exact.train_loss_nats is not None
    assert exact.train_loss_nats < 2.7  # of 3.2 at the start: it learns
    assert rough.train_loss_nats != exact.train_loss_nats
    assert rough.train_loss_nats == pytest.approx(exact.train_loss_nats, abs=0.02)
    assert load_model(tmp_path / "rough" / "model.safetensors").network.theta.dtype == np.float32
    assert recorder.plan is not None
    emulated = "no bfloat16 units" in recorder.engine
    assert emulated == torch_backend.lacks_bfloat16_units()
    resumed = train(out=tmp_path / "rough", resume=True, max_steps=70)
    assert resumed.steps == 70


NO_PRIMITIVE = "could not create a primitive descriptor for the LSTM forward propagation primitive"


def lacking_the_primitive(monkeypatch: pytest.MonkeyPatch, always: bool = False) -> None:
    """Autocast to bfloat16, oneDNN has no LSTM; with `always` nobody has one."""
    real = torch.nn.LSTM.forward

    def forward(self: Any, *given: Any) -> Any:
        if torch.is_autocast_enabled("cpu") and (always or torch._C._get_mkldnn_enabled()):
            raise RuntimeError(f"{NO_PRIMITIVE}. Run workload with ONEDNN_VERBOSE=all\nto learn more")
        return real(self, *given)

    monkeypatch.setattr(torch.nn.LSTM, "forward", forward)


def test_bfloat16_goes_on_without_onednn_where_that_has_no_lstm(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking_the_primitive(monkeypatch)
    settings = {"backend": "torch", "max_steps": 10, "cell": "lstm"}
    exact = run(corpus, tmp_path / "exact", **settings)
    recorder = Recorder()
    rough = run(corpus, tmp_path / "rough", precision="bfloat16", observers=[recorder], **settings)
    assert exact.train_loss_nats is not None
    assert rough.train_loss_nats == pytest.approx(exact.train_loss_nats, abs=0.02)
    assert recorder.plan is not None
    assert "without oneDNN, which has no such layers in bfloat16" in recorder.engine
    assert torch._C._get_mkldnn_enabled()  # again, for all else


def test_bfloat16_that_nobody_can_compute_is_refused(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking_the_primitive(monkeypatch, always=True)
    with pytest.raises(UsageError) as told:
        run(corpus, tmp_path / "out", backend="torch", precision="bfloat16", cell="lstm", max_steps=2)
    assert str(told.value) == (
        f"--precision bfloat16: torch {torch.__version__} cannot train this network in it on this CPU "
        f"({NO_PRIMITIVE}. Run workload with ONEDNN_VERBOSE=all). Use float32"
    )


# ------------------------------------------------------------------------------------------------
# What cannot be had


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"device": "cuda"}, "--device cuda: torch .* finds no CUDA GPU here"),
        ({"device": "mps"}, "--device mps: torch .* finds no Apple GPU here"),
    ],
)
def test_a_missing_device_is_told_before_a_folder_is_made(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], message: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UsageError, match=message):
        run(corpus, tmp_path / "out", backend="torch", **settings)
    assert not (tmp_path / "out").exists()


def test_apple_gpus_have_no_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(UsageError, match="float64: Apple GPUs do not support it"):
        torch_backend.check_device(TrainConfig(backend="torch", device="mps", precision="float64"))


def test_each_process_needs_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    config = TrainConfig(backend="torch", device="cuda")
    torch_backend.check_device(config, local_rank=1)
    with pytest.raises(UsageError, match="there are more processes than the 2 GPUs"):
        torch_backend.check_device(config, local_rank=2)


@pytest.mark.parametrize("settings", [{"device": "cuda"}, {"precision": "bfloat16"}])
def test_numpy_has_neither_devices_nor_bfloat16(settings: dict[str, Any]) -> None:
    ((name, value),) = settings.items()
    with pytest.raises(UsageError, match=f"--{name} {value} needs --backend torch, but --backend is numpy"):
        TrainConfig(backend="numpy", **settings)


def test_a_dry_run_is_refused(corpus: Path) -> None:
    with pytest.raises(UsageError, match="leave out --backend torch"):
        dry_run(corpus, backend="torch")


def test_without_torch_the_extra_is_named(corpus: Path, tmp_path: Path) -> None:
    code = "import sys; sys.modules['torch'] = None; from charrnn.cli.app import main; main()"
    command = ["train", str(corpus), "--backend", "torch", "--out", str(tmp_path / "out")]
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True)
    assert done.returncode == 2
    told = "--backend torch needs the extra torch, which is not installed: "
    assert done.stderr == f"charrnn: {told}{how_to_install('torch')}\n"
    assert not (tmp_path / "out").exists()
