"""Links and FIFOs that somebody planted where charrnn writes: never followed, never waited for."""

import os
import stat
from pathlib import Path

import pytest

from charrnn.errors import CharRNNError
from charrnn.files.writing import Folder, atomic_write, atomic_write_named
from charrnn.model.model import load_model
from charrnn.runs.folder import RunFolder
from charrnn.text import library
from charrnn.training import plan, store
from charrnn.training.session import train
from charrnn.training.tensorboard import tensorboard

TEXT = "the sea lay flat and grey, and nobody was on the quay. " * 20
SMALL = {
    "layers": 1,
    "hidden": 4,
    "batch_size": 2,
    "seq_length": 5,
    "threads": 1,
    "backend": "numpy",
    "eval_every": 5,
}
PRECIOUS = b"the user's own, not to be lost\n"


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """A file of the user's, which only the user may read."""
    file = tmp_path / "precious"
    file.write_bytes(PRECIOUS)
    file.chmod(0o600)
    return file


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    file = tmp_path / "text.txt"
    file.write_text(TEXT)
    return file


def assert_untouched(file: Path) -> None:
    assert file.read_bytes() == PRECIOUS
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


# ------------------------------------------------------------------------------------------------
# The two ways to write


def test_a_planted_link_is_replaced_not_followed(tmp_path: Path, precious: Path) -> None:
    link = tmp_path / "model.safetensors"
    link.symlink_to(precious)
    with atomic_write(link) as file:
        file.write(b"new")
    assert_untouched(precious)
    assert not link.is_symlink()
    assert link.read_bytes() == b"new"


def test_a_named_link_is_kept_and_its_file_keeps_its_permissions(tmp_path: Path, precious: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(precious)
    with atomic_write_named(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert precious.read_bytes() == b"new"
    assert stat.S_IMODE(precious.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o666])
def test_a_named_file_keeps_its_permissions(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(mode)
    with atomic_write_named(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_model_saved_to_a_named_link_keeps_it(corpus: Path, tmp_path: Path, precious: Path) -> None:
    model = load_model(train(corpus, out=tmp_path / "run", max_steps=2, **SMALL).model)
    link = tmp_path / "mine.safetensors"
    link.symlink_to(precious)
    model.save(link)
    assert link.is_symlink()
    assert load_model(precious).weights.keys() == model.weights.keys()
    assert stat.S_IMODE(precious.stat().st_mode) == 0o600


def test_a_library_text_is_not_written_through_a_link_nobody_named(
    tmp_path: Path, precious: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = library.StandardLibrary("text", "about", "licence", folder=tmp_path / "sources")
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "a.py").write_text("a = 1\n")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").symlink_to(tmp_path / "nowhere")
    assert library.make(text, force=True).read_text() == "a = 1\n"
    assert not (tmp_path / "nowhere").exists()
    (tmp_path / "named.txt").symlink_to(precious)
    library.make(text, Path("named.txt"), force=True)
    assert (tmp_path / "named.txt").is_symlink()
    assert precious.read_text() == "a = 1\n"


# ------------------------------------------------------------------------------------------------
# A run folder that somebody else prepared


@pytest.mark.parametrize("name", ["lock", "metrics.jsonl", "samples.jsonl"])
@pytest.mark.parametrize("kind", ["link", "dangling link", "hard link", "fifo"])
def test_a_file_that_grows_is_not_opened_through_a_link(
    corpus: Path, tmp_path: Path, precious: Path, name: str, kind: str
) -> None:
    """A run folder gets new lines in these files, and the lock is emptied."""
    out = tmp_path / "out"
    train(corpus, out=out, max_steps=5, **SMALL)
    (out / name).unlink()
    if kind == "link":
        (out / name).symlink_to(precious)
    elif kind == "dangling link":
        (out / name).symlink_to(tmp_path / "nowhere")
    elif kind == "hard link":
        os.link(precious, out / name)
    else:
        os.mkfifo(out / name)
    wanted = {"fifo": "it is not a regular file", "hard link": "it is a hard link|not a JSON object"}
    writers = {
        "lock": lambda: train(out=out, resume=True, max_steps=15),
        "metrics.jsonl": lambda: RunFolder(out).append_metrics({"step": 1}),
        "samples.jsonl": lambda: RunFolder(out).append_sample({"step": 1}),
    }
    with pytest.raises(CharRNNError, match=f"{out / name}.*({wanted.get(kind, 'it is a link')})"):
        writers[name]()
    if kind != "fifo":
        with pytest.raises(CharRNNError, match=f"{out / name}.*({wanted.get(kind, 'it is a link')})"):
            train(out=out, resume=True, max_steps=15)
    assert_untouched(precious)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("name", ["model.safetensors", "checkpoint.safetensors", "config.toml"])
def test_a_file_that_is_replaced_takes_the_place_of_a_link(
    corpus: Path, tmp_path: Path, precious: Path, name: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / name).symlink_to(tmp_path / "nowhere")
    with pytest.raises(CharRNNError, match="already holds a run"):
        train(corpus, out=out, max_steps=5, **SMALL)
    (out / name).unlink()
    (out / name).symlink_to(precious)
    train(corpus, out=out, force=True, max_steps=5, **SMALL)
    assert_untouched(precious)
    assert not (tmp_path / "nowhere").exists()
    assert stat.S_ISREG((out / name).lstat().st_mode)


def test_snapshots_do_not_go_through_a_link(corpus: Path, tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    for folder in (out, elsewhere):
        folder.mkdir()
    others = elsewhere / "000000001.safetensors"
    others.write_bytes(PRECIOUS)
    (elsewhere / ".charrnn-999999999-00000000.tmp").write_bytes(PRECIOUS)
    before = sorted(elsewhere.iterdir())
    (out / "snapshots").symlink_to(elsewhere)
    with pytest.raises(CharRNNError, match=f"{out / 'snapshots'}.*it is a link"):
        train(corpus, out=out, snapshots=2, max_steps=20, **SMALL)
    with pytest.raises(CharRNNError, match=f"{out / 'snapshots'}.*it is a link"):
        train(corpus, out=out, force=True, max_steps=20, **SMALL)
    assert sorted(elsewhere.iterdir()) == before
    assert others.read_bytes() == PRECIOUS


def test_tensorboard_does_not_go_through_a_link(corpus: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    from helpers.small_runs import Recorder

    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    for folder in (out, elsewhere):
        folder.mkdir()
    others = elsewhere / "events.out.tfevents.1"
    others.write_bytes(PRECIOUS)
    (out / "tensorboard").symlink_to(elsewhere)
    notes = Recorder()
    with tensorboard(notes.note, True) as more:
        train(corpus, out=out, observers=[notes, *more], max_steps=10, **SMALL)
    assert [note for note in notes.notes if "it is a link" in note and "training goes on" in note]
    assert list(elsewhere.iterdir()) == [others]
    assert others.read_bytes() == PRECIOUS


def test_a_tensorboard_folder_is_its_users_alone(corpus: Path, tmp_path: Path) -> None:
    """The names of event files can be guessed: nobody else may put a link there."""
    pytest.importorskip("tensorboardX")

    (tmp_path / "out" / "tensorboard").mkdir(parents=True)
    (tmp_path / "out" / "tensorboard").chmod(0o777)
    with tensorboard(print, True) as more:
        train(corpus, out=tmp_path / "out", observers=more, max_steps=10, **SMALL)
    (file,) = (tmp_path / "out" / "tensorboard").iterdir()
    assert file.stat().st_size > 0
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o755


def test_the_run_folder_itself_may_be_a_link(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "large disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "large disk")
    train(corpus, out=tmp_path / "out", max_steps=5, **SMALL)
    train(out=tmp_path / "out", resume=True, max_steps=10)
    assert (tmp_path / "out").is_symlink()
    assert (tmp_path / "large disk" / "checkpoint.safetensors").is_file()


def test_an_open_folder_stays_that_folder_whatever_takes_its_path(tmp_path: Path) -> None:
    path, moved = tmp_path / "a", tmp_path / "b"
    path.mkdir()
    with Folder.opened(path) as folder:
        path.rename(moved)
        path.mkdir()
        with atomic_write(path / "file", folder=folder) as file:
            file.write(b"whole")
        if Path("/proc/self/fd").exists():
            assert folder.where() == moved
    assert (moved / "file").read_bytes() == b"whole"
    assert list(path.iterdir()) == []


def test_the_closing_loss_of_a_long_text_is_written_to_no_link(
    corpus: Path, precious: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "run" / "model.safetensors"

    def plant(network: object, ids: object) -> float:
        model.unlink()
        model.symlink_to(precious)
        return 1.5

    monkeypatch.setattr(plan, "VALIDATION_PART", 64)
    monkeypatch.setattr(store, "mean_loss", plant)
    train(corpus, out=tmp_path / "run", max_steps=5, **SMALL)
    assert_untouched(precious)
    assert not model.is_symlink()
    assert load_model(model).training["val_loss_nats"] == 1.5
