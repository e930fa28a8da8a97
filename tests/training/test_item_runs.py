"""Whole runs on items."""

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import charrnn as charrnn_command
from helpers.small_runs import SETTINGS, Recorder, outcome, run

import charrnn
from charrnn.errors import DataError, UsageError
from charrnn.nn.loss import NEVER
from charrnn.runs import checkpoint
from charrnn.runs.folder import snapshot_files
from charrnn.training.plan import plan_new
from charrnn.training.session import train

pytestmark = pytest.mark.usefixtures("short_samples")

TABLE = "name,region\n" + "".join(
    f"{a}{b}a,{'north' if a in 'KT' else 'south'}\n" for a in "KTML" for b in "aeiou" * 4
)


@pytest.mark.parametrize("optimizer", ["adam", "momentum"])
def test_a_run_on_labelled_items(tmp_path: Path, optimizer: str) -> None:
    corpus, run = tmp_path / "places.csv", tmp_path / "run"
    corpus.write_text(TABLE)
    settings = {"text_column": "name", "label_column": "region", "backend": "numpy", "hidden": 8, "layers": 1}
    result = charrnn.train(
        corpus, out=run, max_steps=30, val_fraction=0.4, optimizer=optimizer, l2=0.01, **settings
    )
    assert result.val_loss_nats is not None
    model = charrnn.load_model(result.model)
    assert model.vocab.labels == (("region", ("north", "south")),)
    assert model.training["corpus"]["label_counts"] == {"region": {"north": 40, "south": 40}}
    assert model.training["settings"]["items"] == "csv"
    config = tomllib.loads((run / "config.toml").read_text())
    assert (config["train"]["text_column"], config["corpus"]["items"]) == ("name", 80)
    # A label is never written: its probability is exactly 0 after any number of steps.
    assert (model.weights["head.bias"][model.vocab.unwritten] == np.float32(NEVER)).all()
    logits, _ = model.logits(np.array([[model.vocab.label("region", "north")]]))
    assert np.exp(logits[0, 0] - logits[0, 0].max())[model.vocab.unwritten].tolist() == [0, 0]


LIST = "".join(f"{a}{b}{c * n}\n" for a in "KTML" for b in "aeiou" for c in "xy" for n in range(4))
PAIRS = "".join(f"{n}\t{'one ' * (n % 7)}{n % 3}\n" for n in range(150))
KINDS = [
    pytest.param("list.txt", LIST, {"items": "line"}, id="line"),
    pytest.param("places.csv", TABLE, {"text_column": "name", "label_column": "region"}, id="labels"),
    pytest.param("pairs.txt", PAIRS, {"items": "pairs"}, id="pairs"),
]


def corpus_of(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


@pytest.mark.parametrize(
    "backend",
    ["numpy", pytest.param("fast", marks=pytest.mark.slow), pytest.param("torch", marks=pytest.mark.slow)],
)
@pytest.mark.parametrize(("name", "text", "settings"), KINDS)
def test_two_halves_are_the_whole(
    tmp_path: Path, backend: str, name: str, text: str, settings: dict[str, str]
) -> None:
    """Stopped within a batch, whose state is not zero, in mid-epoch; goes on over an epoch's end, with dropout."""
    corpus = corpus_of(tmp_path, name, text)
    settings = {"lr": 0.02, "backend": backend, "seq_length": 2, **settings}
    chunks = plan_new([str(corpus)], None, SETTINGS | settings).streams()
    halt = next(step for step in range(20, chunks.chunks) if not chunks.begins(step))
    steps = chunks.chunks + 20
    run(corpus, tmp_path / "whole", max_steps=steps, **settings)
    half = run(corpus, tmp_path / "halves", max_steps=halt, **settings)
    assert half.epochs < 1
    assert np.any(checkpoint.load(tmp_path / "halves" / "checkpoint.safetensors")[1]["state"])
    train(out=tmp_path / "halves", resume=True, max_steps=steps)
    whole, halves = outcome(tmp_path / "whole"), outcome(tmp_path / "halves")
    assert halves["arrays"] == whole["arrays"]
    assert halves["progress"]["smooth_loss_nats"] == whole["progress"]["smooth_loss_nats"]


def test_patience_snapshots_and_recovery(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, "list.txt", LIST)
    settings = {"items": "line", "layers": 1, "eval_every": 5}
    bored = run(corpus, tmp_path / "bored", patience=2, max_steps=2000, lr=0.5, **settings)
    assert bored.stopped_because == "patience"
    run(corpus, tmp_path / "kept", snapshots=3, epochs=1, **settings)
    kept = snapshot_files(tmp_path / "kept" / "snapshots")
    assert len(kept) >= 2
    assert {charrnn.load_model(file).vocab.end for file in kept} == {len(set(LIST) - {"\n"})}
    seen = Recorder()
    run(corpus, tmp_path / "wild", max_steps=40, lr=400.0, optimizer="sgd", observers=[seen], **settings)
    assert any("the loss exploded at step" in note for note in seen.notes), seen.notes
    wild = charrnn.load_model(tmp_path / "wild")
    assert all(np.isfinite(tensor).all() for tensor in wild.weights.values())


def test_the_list_may_not_change_between_halves(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, "list.txt", LIST)
    run(corpus, tmp_path / "run", items="line", max_steps=2, layers=1)
    for other in ({"items": "blank-line"}, {"items": "csv", "text_column": "x"}):
        with pytest.raises(UsageError, match="was trained with other settings: --items line -> "):
            train(out=tmp_path / "run", resume=True, max_steps=3, force=True, **other)
    corpus.write_text(LIST + "Kax\n")
    with pytest.raises(DataError, match="the corpus has changed"):
        train(out=tmp_path / "run", resume=True, max_steps=3)
    assert train(out=tmp_path / "run", resume=True, max_steps=3, force=True).steps == 3


def test_what_is_told_of_a_run_on_items(tmp_path: Path) -> None:
    """Items are counted, not symbols; the padding is that of the batches."""
    corpus = corpus_of(tmp_path, "places.csv", TABLE)
    options = "--text-column name --label-column region --hidden 6 --layers 1 --backend numpy"
    arguments = ["train", corpus, *options.split(), "--batch-size=8", "--val-fraction=0.4", "--max-steps=2"]
    told = charrnn_command(*arguments, "--out", tmp_path / "run")
    assert told.code == 0
    # 20 names; a label, three letters and an end each: no padding but that of the last batch
    plan = plan_new(
        [str(corpus)],
        None,
        {"text_column": "name", "label_column": "region", "batch_size": 8, "val_fraction": 0.4},
    )
    items = len(plan.parts.training)
    places = -(-items // 8) * 8
    padding = f"{1 - items / places:.1%}"
    assert (
        f"places: 80 items ({items} train, {80 - items} validate), vocabulary {len(plan.corpus.vocabulary)}\n"
        in told.err
    )
    assert f"; 8 items × at most 25 characters; {padding} padding\n" in told.err
    info = charrnn_command("info", "--model", tmp_path / "run").out
    lines = {line[:10].strip(): line[12:].strip() for line in info.splitlines()}
    assert lines["vocabulary"] == "9 characters, end, 2 labels of region"
    assert lines["text"] == "places, 80 items"
    assert lines["labels"] == "region: north 40, south 40"
    assert lines["split"] == f"{4 * items} train · {4 * (80 - items)} validation characters, ends included"
    assert lines["padding"] == f"{padding} of the places in batches"
    dry = charrnn_command(*arguments, "--dry-run").out
    assert "text        places: 80 items" in dry
    assert f"{len(plan.corpus.vocabulary)}: 9 characters, end, 2 labels of region" in dry
    assert f"padding     {padding} of the places in batches" in dry
    told = json.loads(charrnn_command(*arguments, "--dry-run", "--json").out)
    assert (told["items"], round(told["padding"], 9)) == (80, round(1 - items / places, 9))


def test_a_chunk_without_targets_is_no_loss_of_0(tmp_path: Path) -> None:
    """The inputs are two chunks long and the outputs a few characters: most chunks have nothing to predict."""
    corpus = tmp_path / "pairs.tsv"
    corpus.write_text("".join(f"{f'{n:05}' * 4}\t{n % 7}\n" for n in range(200)))
    settings = {"items": "pairs", "backend": "numpy", "hidden": 6, "layers": 1, "seq_length": 10, "lr": 1e-9}
    result = charrnn.train(corpus, out=tmp_path / "run", epochs=1, batch_size=8, **settings)
    assert result.train_loss_nats == pytest.approx(result.val_loss_nats, rel=0.1)  # nothing was learnt


def test_a_refused_start_leaves_no_folder(tmp_path: Path) -> None:
    corpus = tmp_path / "places.csv"
    corpus.write_text(TABLE)
    settings = {"backend": "numpy", "hidden": 4, "layers": 1, "max_steps": 2}
    labelled = charrnn.train(
        corpus, out=tmp_path / "a", text_column="name", label_column="region", **settings
    )
    with pytest.raises(UsageError, match="was trained on items"):
        charrnn.train(
            corpus, out=tmp_path / "b", items="line", init_from=labelled.model, max_steps=2, backend="numpy"
        )
    assert not (tmp_path / "b").exists()
