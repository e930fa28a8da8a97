"""Texts that a program hands over: a run on them is the run on files that say the same."""

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.small_runs import SETTINGS, assert_same, write_text

import charrnn
from charrnn.errors import CharRNNError, DataError, UsageError
from charrnn.model.model import load_model
from charrnn.training.dry_run import dry_run

pytestmark = pytest.mark.usefixtures("short_samples")

SMALL = SETTINGS | {"layers": 1, "max_steps": 6, "eval_every": 3}
NAMES = [f"{a}{b}{a}" for a in "abcdefg" for b in ("ä", '"x,\n', "日本", "y")]
OF = [f"l{len(name)}" for name in NAMES]


def test_a_text(tmp_path: Path) -> None:
    file = write_text(tmp_path / "text.txt")
    charrnn.train(file, out=tmp_path / "file", **SMALL)
    charrnn.train(text=file.read_text(), out=tmp_path / "text", **SMALL)
    assert_same(tmp_path / "file", tmp_path / "text")


@pytest.mark.parametrize("level", ["char", "byte"])
@pytest.mark.parametrize(
    ("given", "columns", "form"),
    [
        ({}, {}, {}),
        ({"labels": OF}, {"kind": OF}, {"label_column": "kind"}),
        (
            {"labels": {"a": OF, "b": OF[::-1]}},
            {"a": OF, "b": OF[::-1]},
            {"label_column": "a,b"},
        ),
        ({"inputs": OF}, {"from": OF}, {"input_column": "from"}),
    ],
)
def test_items(
    tmp_path: Path, level: str, given: dict[str, Any], columns: dict[str, list[str]], form: dict[str, str]
) -> None:
    """The table holds characters themselves, and what is handed over does not, so the two are read differently."""
    rows = [
        dict(zip(("name", *columns), row, strict=True)) for row in zip(NAMES, *columns.values(), strict=True)
    ]
    table = tmp_path / "table.jsonl"
    table.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    charrnn.train(table, out=tmp_path / "file", text_column="name", level=level, **form, **SMALL)
    charrnn.train(texts=iter(NAMES), out=tmp_path / "texts", level=level, **given, **SMALL)
    assert_same(tmp_path / "file", tmp_path / "texts")
    model = load_model(tmp_path / "texts" / "model.safetensors")
    assert model.training["corpus"]["items"] == len(NAMES)
    assert len(model.vocab.symbols) == (
        256 if level == "byte" else len(set("".join(NAMES + OF * ("inputs" in given))))
    )


def test_texts_are_given_again_at_a_resume(tmp_path: Path) -> None:
    settings = SMALL | {"texts": NAMES, "labels": OF}
    charrnn.train(out=tmp_path / "whole", **settings)
    charrnn.train(out=tmp_path / "halves", **settings | {"max_steps": 4})
    charrnn.train(out=tmp_path / "halves", resume=True, texts=NAMES, labels=OF, max_steps=6)
    with pytest.raises(DataError, match="the corpus has changed"):
        charrnn.train(out=tmp_path / "halves", resume=True, texts=NAMES[1:], labels=OF[1:], max_steps=7)
    with pytest.raises(UsageError, match="cannot be read again"):
        charrnn.train(out=tmp_path / "halves", resume=True, max_steps=7)
    assert len(load_model(tmp_path / "whole" / "model.safetensors").vocab.labels[0][1]) == 3


def test_a_dry_run_of_texts() -> None:
    run = dry_run(texts=NAMES, backend="numpy", hidden=4, batch_size=2, max_steps=2)
    assert run.plan.corpus.items is not None
    assert len(run.plan.corpus.items) == len(NAMES)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (
            ("\n".join(NAMES * 40),),
            UsageError,
            r"'aäa.*'… has [\d,]+ characters and is no file name. .*text=…",
        ),
        (("x" * 5000,), UsageError, r"'x{40}'… has 5,000 characters and is no file name"),
        (
            (["Ann", "Bob"] * 400,),
            DataError,
            r"none of the 800 files exists: Ann, Bob, Ann and 97 more.*texts=\[…\]",
        ),
        ({"texts": "Ann"}, UsageError, "texts is 'Ann', which is a str; it must be a list of str"),
        ({"texts": ["Ann"], "text": "Bob"}, UsageError, "give one of"),
        ({"text": "Ann", "labels": ["x"]}, UsageError, "labels and inputs belong to texts"),
        (
            {"texts": ["Ann", "Bob"], "labels": ["x"]},
            UsageError,
            "label has 1 values for 2 texts; it must have one for each",
        ),
        ({"texts": ["Ann", 5]}, UsageError, r"texts\[1\] is 5, which is an int; it must be a str"),
        ({"texts": ["Ann"], "labels": {"a,b": ["x"]}}, UsageError, "'a,b' cannot be a column of labels"),
        ({"texts": ["Ann"], "labels": {"text": ["x"]}}, UsageError, "'text' cannot be a column of labels"),
        ({"texts": ["Ann"], "items": "line"}, UsageError, r"texts=\[…\] are items already: leave out items"),
        ({"texts": []}, DataError, "there is no item in it"),
        ({"text": ""}, DataError, "there is no text in it"),
        ({"texts": ["A\ud800"], "level": "byte"}, DataError, r"half a character, '\\ud800' \(U\+D800\)"),
        ({"texts": ["A\ud800"]}, DataError, r"half a character, '\\ud800' \(U\+D800\)"),
        ({"texts": ["A"], "labels": ["\ud800"]}, DataError, r"half a character, '\\ud800' \(U\+D800\)"),
    ],
)
def test_what_is_no_text_is_told_in_one_message(
    tmp_path: Path, given: Any, error: type[CharRNNError], message: str
) -> None:
    names, settings = (given, {}) if isinstance(given, tuple) else ((), given)
    with pytest.raises(error, match=message) as told:
        charrnn.train(*names, out=tmp_path / "run", max_steps=2, **settings)
    assert len(str(told.value)) < 400
    assert not (tmp_path / "run").exists()


def test_a_run_folder_is_a_model(tmp_path: Path, corpus: Path) -> None:
    charrnn.train(corpus, out=tmp_path / "run", **SMALL | {"max_steps": 1})
    of_folder, of_file = (charrnn.load_model(tmp_path / "run" / name) for name in ("", "model.safetensors"))
    for name, tensor in of_file.weights.items():
        assert tensor.tobytes() == of_folder.weights[name].tobytes()
