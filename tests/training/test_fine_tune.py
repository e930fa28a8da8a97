"""Fine-tuning: weights moved to a larger vocabulary, layers kept, resume, and what is refused."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from helpers.small_runs import Recorder

from charrnn.config import CELLS, OPTIMIZERS, ModelConfig, TrainConfig
from charrnn.engines.backend import NumpyBackend
from charrnn.errors import ModelError, UsageError
from charrnn.model.model import Model, load_model
from charrnn.nn.loss import NEVER
from charrnn.nn.network import Network
from charrnn.runs.folder import RunFolder
from charrnn.text.vocabulary import ItemSymbols, Vocabulary
from charrnn.training import session
from charrnn.training.fine_tune import transplant
from charrnn.training.session import train

OLD, NEW = "bdf", "abcdefg"  # new symbols come before, between and after the old ones
SMALL = {"hidden": 8, "batch_size": 2, "seq_length": 10, "threads": 1, "eval_every": 1000}


def learnt(config: ModelConfig) -> Model:
    """A model whose every parameter is a different number."""
    network = Network(config, len(OLD), np.float64)
    network.theta[:] = np.random.default_rng(0).normal(size=network.theta.size)
    return Model.of_network(network, Vocabulary.of(OLD), {})


@pytest.mark.parametrize("embedding", [0, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_a_transplanted_model_gives_old_symbols_their_old_logits(cell: str, embedding: int) -> None:
    model = learnt(ModelConfig(cell=cell, layers=2, hidden=5, embedding=embedding))
    network = Network(model.config, len(NEW), np.float64)
    network.theta[:] = np.nan  # what is new must not matter
    for name in ("head.weight", "head.bias"):
        network.params[name][...] = 0
    transplant(model, network, Vocabulary.of(NEW))
    text = "bdffdbbdf"
    before, _ = model.logits(model.vocab.encode(text)[:, None])
    after, _ = Model.of_network(network, Vocabulary.of(NEW), {}).logits(
        Vocabulary.of(NEW).encode(text)[:, None]
    )
    places = [NEW.index(symbol) for symbol in OLD]
    if embedding == 0:  # NaN columns of new symbols are never looked up
        assert np.isnan(network.params[f"{cell}.weight_ih_l0"]).any()
    np.testing.assert_allclose(after[..., places], before, rtol=1e-12)


def test_new_symbols_keep_their_initial_values_and_all_else_is_copied() -> None:
    model = learnt(ModelConfig(cell="lstm", layers=1, hidden=5))
    fresh = NumpyBackend(model.config, TrainConfig(precision="float64"), len(NEW), 1).network()
    network = NumpyBackend(model.config, TrainConfig(precision="float64"), len(NEW), 1).network()
    transplant(model, network, Vocabulary.of(NEW))
    for k, symbol in enumerate(NEW):
        source, place = (model.network, OLD.index(symbol)) if symbol in OLD else (fresh, k)
        for name in ("head.weight", "head.bias"):
            np.testing.assert_array_equal(network.params[name][k], source.params[name][place])
        column = source.params["lstm.weight_ih_l0"][:, place]
        np.testing.assert_array_equal(network.params["lstm.weight_ih_l0"][:, k], column)
    for name in ("lstm.bias_l0", "lstm.weight_hh_l0"):  # the forget bias is in the first
        np.testing.assert_array_equal(network.params[name], model.network.params[name])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_frozen_layers_stay_bitwise_as_they_are(optimizer: str) -> None:
    model = ModelConfig(cell="gru", layers=3, hidden=4)
    config = TrainConfig(
        optimizer=optimizer, freeze_layers="0,2", l1=0.01, l2=0.01, dropout=0.3, clip_norm=0.1
    )
    backend = NumpyBackend(model, config, 5, 2)
    before = {name: value.copy() for name, value in backend.network().params.items()}
    rng = np.random.default_rng(3)
    for _ in range(5):
        backend.step(rng.integers(5, size=(6, 2)), rng.integers(5, size=(6, 2)), 0.1)
    for name, value in backend.network().params.items():
        kept = name.endswith(("_l0", "_l2"))
        assert (value.tobytes() == before[name].tobytes()) == kept, name


def test_the_gradient_norm_is_that_of_what_is_trained() -> None:
    model = ModelConfig(cell="rnn", layers=1, hidden=4)
    rng = np.random.default_rng(3)
    x, y = rng.integers(5, size=(2, 6, 2))
    _, norm = NumpyBackend(model, TrainConfig(freeze_layers="0"), 5, 2).step(x, y, 0.1)
    whole = NumpyBackend(model, TrainConfig(clip_value=0), 5, 2)
    whole.step(x, y, 0.1)
    head = [whole.network().grads[name].ravel() for name in ("head.weight", "head.bias")]
    assert norm == pytest.approx(np.linalg.norm(np.concatenate(head)), rel=1e-5)


@pytest.mark.parametrize("value", ["x", "0,", "-1", "0 1", "1.5"])
def test_a_malformed_list_of_layers_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match="--freeze-layers"):
        TrainConfig(freeze_layers=value)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a text of a to d."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "old.txt").write_text("abcdabdc" * 60)
    session.train(folder / "old.txt", out=folder / "run", max_steps=30, layers=2, cell="gru", **SMALL)
    (folder / "new.txt").write_text("abcdZabé" * 60)
    return folder


SETTINGS = {key: value for key, value in SMALL.items() if key != "hidden"}


def fine_tune(trained: Path, out: Path, **settings: object) -> session.TrainResult:
    return session.train(trained / "new.txt", init_from=trained / "run", out=out, **{**SETTINGS, **settings})


def test_a_run_starts_from_the_model_and_tells_what_is_new(trained: Path, tmp_path: Path) -> None:
    listener = Recorder()
    result = fine_tune(trained, tmp_path / "run", max_steps=1, freeze_layers="0,1", observers=[listener])
    old, new = load_model(trained / "run/model.safetensors"), load_model(result.model)
    assert new.config == old.config
    assert "".join(map(str, new.vocab.symbols)) == "Zabcdé"
    assert any("2 new symbols" in note and "'Z' (U+005A) ×60" in note for note in listener.notes)
    assert any("vocabulary 4, now 6" in note for note in listener.notes)
    np.testing.assert_array_equal(new.weights["gru.weight_hh_l1"], old.weights["gru.weight_hh_l1"])
    np.testing.assert_array_equal(new.weights["gru.weight_ih_l0"][:, 1:5], old.weights["gru.weight_ih_l0"])
    file = trained / "run/model.safetensors"
    assert new.training["init_from"] == {
        "path": str(file),
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
    }


def test_two_halves_of_a_fine_tuning_run_equal_the_whole(trained: Path, tmp_path: Path) -> None:
    fine_tune(trained, tmp_path / "whole", max_steps=20, freeze_layers="0")
    fine_tune(trained, tmp_path / "halves", max_steps=10, freeze_layers="0")
    session.train(out=tmp_path / "halves", resume=True, max_steps=20)
    whole, halves = (load_model(tmp_path / name / "model.safetensors") for name in ("whole", "halves"))
    assert whole.network.theta.tobytes() == halves.network.theta.tobytes()
    assert whole.training["init_from"] == halves.training["init_from"]


def test_a_run_killed_before_its_first_checkpoint_starts_again_from_the_model(
    trained: Path, tmp_path: Path
) -> None:
    fine_tune(trained, tmp_path / "run", max_steps=5)
    folder = RunFolder(tmp_path / "run")
    whole = load_model(folder.model).network.theta
    for file in (folder.checkpoint, folder.model, folder.metrics):
        file.unlink()
    session.train(out=folder.path, resume=True)
    assert load_model(folder.model).network.theta.tobytes() == whole.tobytes()

    copy = tmp_path / "model.safetensors"
    copy.write_bytes((trained / "run/model.safetensors").read_bytes())
    session.train(trained / "new.txt", init_from=copy, out=tmp_path / "other", **SETTINGS, max_steps=1)
    RunFolder(tmp_path / "other").checkpoint.unlink()
    load_model(folder.model).save(copy)
    with pytest.raises(ModelError, match="has changed since the run began"):
        session.train(out=tmp_path / "other", resume=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": 16}, r"--hidden 16 \(the model has 8\)"),
        ({"cell": "lstm"}, r"--cell lstm \(the model has gru\)"),
        ({"level": "byte"}, r"--level byte \(the model has char\)"),
        ({"freeze_layers": "0,2"}, "layer 2; the model has layers 0 to 1"),
    ],
)
def test_what_contradicts_the_model_is_refused(
    trained: Path, tmp_path: Path, settings: dict, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        fine_tune(trained, tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()


def test_what_agrees_with_the_model_is_taken(trained: Path, tmp_path: Path) -> None:
    assert fine_tune(trained, tmp_path / "run", hidden=8, cell="gru", max_steps=1).steps == 1


def test_another_model_or_other_frozen_layers_are_refused_at_a_resume(trained: Path, tmp_path: Path) -> None:
    fine_tune(trained, tmp_path / "run", max_steps=1)
    with pytest.raises(UsageError, match="--init-from cannot be given with --resume"):
        session.train(out=tmp_path / "run", resume=True, init_from=trained / "run")
    with pytest.raises(UsageError, match="--freeze-layers  -> 0"):
        session.train(out=tmp_path / "run", resume=True, freeze_layers="0", force=True)


def test_precision_is_that_of_the_model_unless_named(trained: Path, tmp_path: Path) -> None:
    double = tmp_path / "double.safetensors"
    model = load_model(trained / "run/model.safetensors")
    weights = {name: tensor.astype(np.float64) for name, tensor in model.weights.items()}
    Model(model.config, model.vocab, weights).save(double)
    for named, dtype in ((None, "float64"), ("float32", "float32")):
        out = tmp_path / dtype
        session.train(
            trained / "new.txt", init_from=double, out=out, max_steps=1, precision=named, **SETTINGS
        )
        assert load_model(out / "model.safetensors").network.theta.dtype == dtype


def with_items(symbols: str, *labels: str, pairs: bool = False) -> Vocabulary:
    of = (("region", labels),) if labels else ()
    return Vocabulary("char", tuple(symbols), ItemSymbols(pairs, of))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (Vocabulary.of(OLD), with_items(NEW)),
        (with_items(OLD), with_items(NEW, "north", "south")),
        (with_items(OLD, "north"), with_items(NEW, "east", "north", "south")),
        (with_items(OLD), with_items(NEW, pairs=True)),
    ],
)
def test_symbols_of_items_keep_their_weights_by_name(old: Vocabulary, new: Vocabulary) -> None:
    config = ModelConfig(cell="gru", layers=1, hidden=5)
    network = Network(config, len(old), np.float64)
    network.theta[:] = np.random.default_rng(0).normal(size=network.theta.size)
    grown = Network(config, len(new), np.float64)
    transplant(Model.of_network(network, old, {}), grown, new)
    ids = {new.name(id): id for id in range(len(new))}
    for id in range(len(old)):
        to = ids[old.name(id)]
        np.testing.assert_array_equal(grown.params["head.weight"][to], network.params["head.weight"][id])
        column = network.params["gru.weight_ih_l0"][:, id]
        np.testing.assert_array_equal(grown.params["gru.weight_ih_l0"][:, to], column)


def test_a_stream_becomes_items_and_items_get_more_labels(tmp_path: Path) -> None:
    """Through a whole run: what is never written has no probability in the new model either."""
    (tmp_path / "text.txt").write_text("bdf fdb bdf\n" * 40)
    (tmp_path / "few.csv").write_text("name,region\n" + "".join(f"b{'d' * n}f,north\n" for n in range(1, 20)))
    (tmp_path / "more.csv").write_text(
        "name,region\n" + "".join(f"a{'d' * n}f,south\n" for n in range(1, 20))
    )
    settings = {"backend": "numpy", "max_steps": 2, "val_fraction": 0.3}
    train(tmp_path / "text.txt", out=tmp_path / "stream", layers=1, **SMALL, **settings)
    settings |= {"text_column": "name", "label_column": "region", "batch_size": 2}
    train(tmp_path / "few.csv", out=tmp_path / "few", init_from=tmp_path / "stream", **settings)
    train(tmp_path / "more.csv", out=tmp_path / "more", init_from=tmp_path / "few", **settings)
    model = load_model(tmp_path / "more" / "model.safetensors")
    assert model.vocab.labels == (("region", ("north", "south")),)
    assert model.vocab.symbols == ("\n", " ", "a", "b", "d", "f")
    assert (model.weights["head.bias"][model.vocab.unwritten] == np.float32(NEVER)).all()
    with pytest.raises(UsageError, match="was trained on items: give --items, and labels, as it was trained"):
        train(tmp_path / "text.txt", out=tmp_path / "back", init_from=tmp_path / "few", backend="numpy")
