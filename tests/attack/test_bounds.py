"""What a file or this machine cannot hold is told before the first step, not at the first checkpoint."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.command_line import charrnn

from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import DataError, UsageError
from charrnn.model import model_file
from charrnn.runs.folder import RunFolder
from charrnn.text.vocabulary import Vocabulary
from charrnn.training import bounds, store
from charrnn.training.dry_run import dry_run

SIZES = ["--hidden", 4, "--layers", 1, "--max-steps", 1, "--backend", "numpy"]


def different(count: int) -> str:
    """As many different characters, of the longest kind in JSON."""
    return "".join(map(chr, range(0x10000, 0x10000 + count)))


def test_a_text_of_200_000_different_symbols(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.txt").write_text(different(200_000), encoding="utf-8")
    told = charrnn("train", "t.txt", *SIZES)
    assert told.code == 3
    assert "200,000 different symbols" in told.err
    assert "--min-count" in told.err
    assert "--level byte" in told.err
    assert not Path("runs").exists()


@pytest.mark.slow
def test_the_most_symbols_that_are_let_in_can_be_saved(tmp_path: Path) -> None:
    def fits(count: int) -> bool:
        try:
            bounds.check_metadata_size(card, Vocabulary.of_codes("char", range(0x10000, 0x10000 + count)))
        except DataError:
            return False
        return True

    card = {"sources": ["/a.txt"]}
    low, high = 100_000, 200_000
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    vocab = Vocabulary.of_codes("char", range(0x10000, 0x10000 + low)).to_json()
    other = {"x": '"\\' * (bounds.OTHER_METADATA // 4 - 100)}
    model_file.save(tmp_path / "m", {"a": np.ones(1)}, {"vocab": vocab, "training": card | other})
    assert model_file.read_metadata(tmp_path / "m")["vocab"] == vocab


def test_too_many_names_of_files() -> None:
    card = {"sources": [f"/{'a' * 60}/{number}.txt" for number in range(40_000)]}
    with pytest.raises(DataError, match=r"the names of 40,000 files take [23],"):
        bounds.check_metadata_size(card, Vocabulary.of("ab"))
    bounds.check_metadata_size({"sources": card["sources"][:20_000]}, Vocabulary.of("ab"))


def test_names_of_files_that_a_card_can_hold_can_be_read_from_the_settings(tmp_path: Path) -> None:
    sources = [f"/{'é' * 30}/{number}.txt" for number in range(8_000)]
    bounds.check_metadata_size({"sources": sources}, Vocabulary.of("ab"))
    folder = RunFolder(tmp_path)
    folder.write_config(
        {"corpus": {"sources": [*sources, *sources]}}
    )  # twice: beyond other files of settings
    assert folder.read_config()["corpus"]["sources"][:8_000] == sources


def test_a_command_line_that_names_every_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.txt").write_text("abcd " * 30)
    monkeypatch.setattr(store, "LONGEST_COMMAND", 40)
    assert charrnn("train", "t.txt", "--out", "run", *SIZES).code == 0
    told = model_file.read_metadata("run/model.safetensors")["training"]["command_line"]
    assert told == "charrnn train t.txt --out run --hidden 4 --layers 1"[:40]


@pytest.mark.parametrize("cell", ["lstm", "rnn"])
def test_networks_that_no_file_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cell: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.txt").write_text("abcd " * 30)
    sizes: list[Any] = ["--cell", cell, "--hidden", 65536, "--layers", 64]
    for more in ([], ["--dry-run"]):
        told = charrnn("train", "t.txt", *sizes, *more)
        assert told.code == 2
        assert "--hidden 65536, --layers 64 and 5 symbols make" in told.err
        assert "more than the 16 that a file may have" in told.err
        assert not Path("runs").exists()


def test_networks_that_this_machine_cannot_train() -> None:
    model, config = ModelConfig(hidden=2, layers=1, cell="rnn"), TrainConfig(optimizer="adam", seq_length=10)
    parameters = 2 * 3 + 2 * 2 + 2 + 3 * 2 + 3  # from symbols, recurrent, bias, head and its bias
    # weights, gradients and Adam's two memories; inputs of the softmax and states of 4 streams
    needed = 4 * (4 * parameters + 4 * 10 * (3 + 2))
    bounds.check_size(model, config, 3, 4, memory=needed)
    with pytest.raises(UsageError, match=f"make {parameters} parameters; to train them takes at least"):
        bounds.check_size(model, config, 3, 4, memory=needed - 1)


@pytest.mark.slow
def test_the_least_that_a_run_takes_is_no_more_than_it_does(tmp_path: Path) -> None:
    """Otherwise a run would be refused that could be trained."""
    (tmp_path / "t.txt").write_text("abcdefgh " * 4000)
    found = dry_run(tmp_path / "t.txt", hidden=128, backend="numpy", max_steps=3)
    sizes = found.plan.model, found.plan.config, len(found.plan.corpus.vocabulary), found.plan.batch_size
    with pytest.raises(UsageError):
        bounds.check_size(*sizes, memory=1)
    bounds.check_size(*sizes, memory=found.memory_bytes)
