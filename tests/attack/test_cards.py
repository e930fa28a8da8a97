"""What a model's card says of its text is a claim: which files it may have read, and how much of them."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from helpers.command_line import charrnn
from helpers.victims import TEXT, card_of, run_folder, small_model

from charrnn.errors import DataError
from charrnn.model.model import load_model
from charrnn.runs.folder import to_toml
from charrnn.score import evaluation
from charrnn.text import sources as sources_of
from charrnn.text.sources import Source, claimed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return run_folder(tmp_path / "run")


def forged(folder: Path, **corpus: Any) -> Path:
    """The run's model with other words about its text in its card."""
    card = card_of(folder.with_suffix(".txt"))
    card["corpus"] |= corpus
    small_model(TEXT, card).save(folder / "model.safetensors")
    return folder


def forged_settings(folder: Path, **settings: Any) -> None:
    """The same with other settings in its card."""
    card = card_of(folder.with_suffix(".txt"))
    card["settings"] |= settings
    small_model(TEXT, card).save(folder / "model.safetensors")


def never(*args: object, **kwargs: object) -> Any:
    raise AssertionError("a file that a card names was read")


def made(folder: Path, kind: str) -> str:
    """Something that is no text at rest; returns its name."""
    path = folder.parent / kind
    match kind:
        case "folder":
            path.mkdir()
            (path / "a.txt").write_text(TEXT)
        case "pipe":
            os.mkfifo(path)
        case "link":
            path.symlink_to("/proc/self/environ")
    return str(path)


@pytest.mark.parametrize("place", ["sources", "val", "test"])
@pytest.mark.parametrize(
    "name",
    [
        "/",
        "/proc/kmsg",
        "/proc/self/root/etc/hostname",
        "/sys/kernel/notes",
        "/dev/zero",
        "/dev/shm/../zero",
        "//host/share/text.txt",
        r"\\host\share\text.txt",
        "http://127.0.0.1/text.txt",
        "/**/*.txt",
        "-",
        "",
        "folder",
        "pipe",
        "link",
    ],
)
def test_no_card_has_this_opened(
    folder: Path, name: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not name and place != "sources":
        pytest.skip("no file is named")
    name = made(folder, name) if name in ("folder", "pipe", "link") else name
    if place == "sources":
        forged(folder, sources=[name])
    else:
        forged_settings(folder, **{place: name})
    monkeypatch.setattr(sources_of, "open_file", never)
    monkeypatch.setattr(sources_of.glob, "glob", never)
    monkeypatch.setattr(sources_of.os, "walk", never)
    parts, why = evaluation.splits_of(load_model(folder / "model.safetensors"))
    assert parts is None
    assert why


@pytest.mark.parametrize("symbols", [3, len(TEXT) + 1, 10**15, -1, 2.5, "many", None, True])
def test_files_of_another_size_are_not_read(
    folder: Path, symbols: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    forged(folder, symbols=symbols)
    monkeypatch.setattr(sources_of, "open_file", never)
    parts, why = evaluation.splits_of(load_model(folder / "model.safetensors"))
    assert parts is None
    assert why


def test_more_than_is_read_unasked(tmp_path: Path) -> None:
    """A file of 5 GiB, all of it a hole."""
    with open(tmp_path / "hole.txt", "wb") as file:
        file.truncate(5 << 30)
    with pytest.raises(DataError, match=r"5,368,709,120 bytes, more than the limit of 4,294,967,296"):
        claimed([str(tmp_path / "hole.txt")], 5 << 30)


@pytest.mark.parametrize("sources", [[5], 5, "text.txt", {}, [], [None], ["text.txt", 5], None])
def test_sources_of_another_type(folder: Path, sources: Any) -> None:
    forged(folder, sources=sources)
    parts, why = evaluation.splits_of(load_model(folder / "model.safetensors"))
    assert parts is None
    assert why == "the model's corpus cannot be read: the model file does not name its training text"
    told = charrnn("eval", folder.with_suffix(".txt"), "--model", folder)
    assert told.code == 0
    assert "no baselines but uniform" in told.err


def test_the_text_of_an_honest_card_is_read(folder: Path) -> None:
    parts, why = evaluation.splits_of(load_model(folder / "model.safetensors"))
    assert why == ""
    assert parts is not None
    assert sum(map(len, parts.values())) == len(TEXT)


def test_a_command_that_does_not_need_the_text_does_not_look_at_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "claimed", never)
    text = folder.with_suffix(".txt")
    for args in (
        ["eval", text, "--no-baselines"],
        ["eval", text, "--per-line"],
        ["eval", text, "--highlight"],
        ["sample", "--length", 5],
        ["info"],
        ["gradient-flow", "--text", text, "--distance", 5],
        ["why", "abc"],
    ):
        assert charrnn(*args, "--model", folder).code == 0, args


@pytest.mark.parametrize("name", ["/", "/proc/kmsg", "pipe", "folder", 5])
def test_a_run_that_starts_anew_by_a_forged_config(folder: Path, name: Any) -> None:
    name = made(folder, name) if name in ("folder", "pipe") else name
    settings = {"model": {"hidden": 4}, "train": {"max_steps": 3}, "corpus": {"sources": [name]}}
    (folder / "config.toml").write_text(to_toml(settings))
    told = charrnn("train", "--resume", "--out", folder)
    assert told.code in (2, 3), told.err
    assert told.err.count("charrnn:") == 1


@pytest.mark.parametrize(
    "model", ["//host/share/m.safetensors", "/proc/kmsg", "/dev/zero", "http://127.0.0.1/m"]
)
def test_the_model_that_a_probe_names(tmp_path: Path, model: str) -> None:
    import numpy as np

    from charrnn.probe.probe import Probe

    Probe(("a", "b"), np.ones((2, 4)), np.ones(2), "0" * 64, model).save(tmp_path / "p.safetensors")
    (tmp_path / "t.csv").write_text("text\nabc\n")
    told = charrnn("probe", "--predict", tmp_path / "t.csv", "--probe", tmp_path / "p.safetensors")
    assert told.code == 4
    assert "it is on a network" in told.err or "it is not on a disk" in told.err


def test_a_file_that_says_it_is_empty_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As files of /proc do; here, one that grows between being measured and being read."""
    file = tmp_path / "endless.txt"
    file.write_text("x" * 100)
    monkeypatch.setattr(sources_of, "IN_MEMORY", 50)
    real = os.fstat
    sizes = {"st_size": 0}

    class Small:
        def __init__(self, found: os.stat_result) -> None:
            self.st_mode, self.st_size = found.st_mode, sizes["st_size"]

    monkeypatch.setattr(sources_of.os, "fstat", lambda fd: Small(real(fd)))
    with pytest.raises(DataError, match="has more content than its size of 0 bytes"):
        list(Source(str(file), file).blocks())
    sizes["st_size"] = 60
    assert b"".join(Source(str(file), file).blocks()) == b"x" * 100


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="no /proc here")
def test_a_file_of_size_0_with_an_end_is_still_read(tmp_path: Path) -> None:
    told = charrnn(
        "train", "/proc/cpuinfo", "--dry-run", "--json", "--hidden", 4, "--layers", 1, "--backend", "numpy"
    )
    assert told.code == 0
    assert json.loads(told.out)
