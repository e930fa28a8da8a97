"""The parts of a model's own text are found again as training had them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.small_runs import Recorder, run, write_text

from charrnn.model.model import Model, load_model
from charrnn.score.evaluation import splits_of
from charrnn.text.batches import Parts
from charrnn.text.items import Items

pytestmark = pytest.mark.usefixtures("short_samples")


def trained(corpus: Path | list[Path], folder: Path, **settings: Any) -> tuple[Model, Parts]:
    """A model, and the parts that its run had."""
    seen = Recorder()
    run(corpus, folder / "run", max_steps=1, observers=[seen], layers=1, **settings)
    assert seen.plan is not None
    return load_model(folder / "run" / "model.safetensors"), seen.plan.parts


def assert_found(model: Model, expected: Parts) -> None:
    found, why = splits_of(model)
    assert why == ""
    assert found is not None
    for part, text in zip(("train", "validation", "test"), expected, strict=True):
        assert len(text)
        if isinstance(text, Items):
            assert [text.of(n).tolist() for n in range(len(text))] == [
                found[part].of(n).tolist() for n in range(len(found[part]))
            ]
        else:
            assert np.array_equal(found[part], text)


@pytest.mark.parametrize("items", ["", "line"])
@pytest.mark.parametrize("level", ["char", "byte"])
def test_files_named_for_validation_and_test(
    tmp_path: Path, level: str, items: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("text", "held", "last")):
        write_text(tmp_path / f"{name}.txt", 130 - 40 * seed, seed)
    model, parts = trained(
        Path("text.txt"), tmp_path, val="held.txt", test="last.txt", level=level, items=items
    )
    held = [line.encode() for line in (tmp_path / "held.txt").read_text().splitlines()]
    if isinstance(parts.validation, Items):
        read = [model.vocab.decode(parts.validation.text(n)).encode() for n in range(len(held))]
    else:
        read = model.vocab.decode(parts.validation).encode().splitlines()
    assert read == held
    monkeypatch.chdir("/")
    assert_found(model, parts)


@pytest.mark.parametrize("level", ["char", "byte"])
def test_files_of_a_folder_with_newlines_between_them(tmp_path: Path, level: str) -> None:
    (tmp_path / "texts").mkdir()
    for n in range(10, 60):
        (tmp_path / "texts" / f"{n}.txt").write_text(f"Song {n}\nla la la\nend of song")
    model, parts = trained(tmp_path / "texts", tmp_path, level=level, test_fraction=0.1)
    whole = "\n".join(f"Song {n}\nla la la\nend of song" for n in range(10, 60))
    assert "".join(map(model.vocab.decode, parts)) == whole
    assert_found(model, parts)


@pytest.mark.parametrize(
    ("suffix", "content", "settings"),
    [
        (
            "csv",
            "name,from\n" + "".join(f'"a{n}",{"xy"[n % 2]}\n' for n in range(90)),
            {"text_column": "name", "label_column": "from"},
        ),
        ("txt", "".join(f"{n}\t{n * n}\n" for n in range(90)), {"items": "pairs"}),
        ("txt", "".join(f"{n} one\n\n" for n in range(90)), {"items": "blank-line"}),
    ],
)
def test_items(tmp_path: Path, suffix: str, content: str, settings: dict[str, str]) -> None:
    (tmp_path / f"text.{suffix}").write_text(content)
    assert_found(*trained(tmp_path / f"text.{suffix}", tmp_path, test_fraction=0.2, **settings))
