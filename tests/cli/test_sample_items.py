"""charrnn sample with a model of items: whole items and nothing else on stdout."""

import itertools
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.item_models import item_model
from helpers.random_models import random_model
from typer.testing import CliRunner, Result

from charrnn.cli.app import app
from charrnn.config import TrainConfig, as_dict
from charrnn.errors import DataError, UsageError
from charrnn.model.model import Model
from charrnn.novelty.known import texts_of
from charrnn.sampling.sampler import Sampler, SamplingConfig
from charrnn.sampling.writer import sample
from charrnn.score.evaluation import splits_of
from charrnn.text.corpus import read_corpus
from charrnn.text.records import ItemForm

LABELS = (("origin", ("Irish", "Welsh")),)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def settings(**given: str) -> dict[str, Any]:
    return {"training": {"settings": given}, "scale": 0.3}


def run(*args: str) -> Result:
    return CliRunner().invoke(app, ["sample", "--model", "m.safetensors", "--seed", "1", *args])


@pytest.mark.parametrize(
    ("kind", "columns", "between", "one_line"),
    [
        ("line", {}, "\n", True),
        ("blank-line", {}, "\n\n", False),
        ("sep:--", {}, "\n--\n", False),
        ("file", {}, "\n", True),
        ("csv", {"text_column": "t"}, "\n", True),
    ],
)
def test_items_stand_as_in_the_training_text(kind: str, columns: dict, between: str, one_line: bool) -> None:
    model = item_model("ab\r\n", **settings(items=kind, **columns))
    model.save("m.safetensors")
    texts = sample(model, seed=1, count=20, prime="b")
    assert all(text[0] == "b" for text in texts)
    assert any("\n" in text for text in texts)
    if one_line:
        texts = [text.replace("\r", "\\r").replace("\n", "\\n") for text in texts]
    result = run("--count", "20", "--prime", "b")
    assert result.stdout_bytes.decode() == between.join(texts) + "\n"
    assert result.stderr == ""
    assert run("--prime", "b").stdout_bytes.decode() == texts[0] + "\n"
    bare = run("--count", "20", "--prime", "b", "--no-prime").stdout_bytes.decode()
    assert bare == between.join(text[1:] for text in texts) + "\n"


def test_labels_are_drawn_or_given_and_told() -> None:
    model = item_model("abc", LABELS, **settings(items="csv", text_column="t", label_column="origin"))
    model.save("m.safetensors")
    for given in (["--label", "Irish"], ["--label", "origin=Irish"], []):
        answer = json.loads(run(*given, "--count", "12", "--json").stdout)
        drawn = Sampler(model, SamplingConfig(seed=1, count=12), label="Irish" if given else ()).draw()
        assert answer["samples"] == [
            one.to_json() | {"log_probability_nats": pytest.approx(one.log_probability_nats, abs=1e-9)}
            for one in drawn
        ]
        found = {one["label"]["origin"] for one in answer["samples"]}
        assert found == ({"Irish"} if given else {"Irish", "Welsh"})
    error = run("--label", "French").exception
    assert isinstance(error, DataError)
    assert "no label 'French'; its labels are Irish, Welsh" in str(error)


def test_cut_items_are_told() -> None:
    item_model("abc", **settings(items="line")).save("m.safetensors")
    given = ("--count", "20", "--length", "3")
    ended = [one["ended"] for one in json.loads(run(*given, "--json").stdout)["samples"]]
    assert 0 < ended.count("length") < 20
    assert (
        run(*given).stderr == f"{ended.count('length')} of 20 are cut at 3 characters: --length allows more\n"
    )


def test_temperatures_are_told_apart_on_stderr() -> None:
    item_model("abc", **settings(items="line")).save("m.safetensors")
    result = run("--count", "2", "--temp", "0.5,1")
    assert result.stderr == "--- temperature 0.5\n--- temperature 1\n"
    assert len(result.stdout.splitlines()) == 4


def test_a_prime_in_a_file_is_no_item() -> None:
    model = item_model("abc", LABELS, **settings(items="csv", text_column="t", label_column="origin"))
    model.save("m.safetensors")
    Path("start.txt").write_text("ab")
    assert (
        run("--prime", "@start.txt", "--label", "Welsh").stdout
        == run("--prime", "ab", "--label", "Welsh").stdout
    )


@pytest.fixture
def trained() -> Model:
    """A model of the items in names.txt, with the card of a run on them."""
    names = ["".join(letters) for n in (1, 2) for letters in itertools.product("abc", repeat=n)]
    Path("names.txt").write_text("\n".join(names))
    corpus = read_corpus("names.txt", items=ItemForm("line"))
    about = {"sources": ["names.txt"], "sha256": corpus.sha256, "symbols": len(corpus.ids)}
    card = {
        "corpus": about,
        "settings": as_dict(TrainConfig(items="line", val_fraction=0.3, test_fraction=0.3)),
    }
    model = item_model("abc", training=card, scale=0.4)
    assert model.vocab == corpus.vocabulary
    model.save("m.safetensors")
    return model


def test_new_and_different_items(trained: Model) -> None:
    parts, _ = splits_of(trained)
    assert parts is not None
    known = {
        trained.vocab.decode(part.text(n))
        for part in (parts["train"], parts["validation"])
        for n in range(len(part))
    }
    tested = {trained.vocab.decode(parts["test"].text(n)) for n in range(len(parts["test"]))}
    assert known and tested  # noqa: PT018
    result = run("--count", "40", "--unique", "--new", "--temp", "1.5", "--json")
    answer = json.loads(result.stdout)
    found = [one["text"] for one in answer["samples"]]
    assert len(found) == len(set(found)) == 40
    assert not known & set(found)
    assert tested & set(found)
    draws = answer["draws"]
    assert draws["drawn"] == 40 + draws["repeated"] + draws["known"] + draws["cut"]
    assert result.stderr == (
        f"{draws['drawn']} drawn: {draws['repeated']} repeated, {draws['known']} known, {draws['cut']} cut at 10,000 "
        "characters\n"
    )
    again = run("--count", "40", "--unique", "--new", "--temp", "1.5")
    assert again.stdout == "".join(f"{text}\n" for text in found)


def test_what_is_known_of_each_item(trained: Model) -> None:
    parts, _ = splits_of(trained)
    assert parts is not None
    known = set(texts_of(trained.vocab, parts["train"]))
    given = ("--count", "30", "--novelty")
    samples = json.loads(run(*given, "--json").stdout)["samples"]
    lines = run(*given).stdout.splitlines()
    for one, line in zip(samples, lines, strict=True):
        text, novelty = one["text"], one["novelty"]
        assert novelty["known"] == (text in known)
        if novelty["known"]:
            assert line == f"{text}\tknown"
        else:
            assert novelty["nearest"]["text"] in known
            assert line == f"{text}\tnew\t{novelty['nearest']['distance']}\t{novelty['nearest']['text']}"
    assert {one["novelty"]["known"] for one in samples} == {True, False}


def test_a_command_judges_them(trained: Model) -> None:
    parts, _ = splits_of(trained)
    assert parts is not None
    known = set(texts_of(trained.vocab, parts["train"]))
    judge = f"{sys.executable} -c \"import sys; [print('a' in line) for line in sys.stdin]\""
    result = run("--count", "30", "--check", judge, "--json")
    answer = json.loads(result.stdout)
    valid = [one["text"] for one in answer["samples"] if one["valid"]]
    assert all(one["valid"] == ("a" in one["text"]) for one in answer["samples"])
    assert answer["check"] == {
        "valid": len(valid) / 30,
        "unique": len(set(valid)) / len(valid),
        "novel": len(set(valid) - known) / len(set(valid)),
    }
    assert "valid 0." in result.stderr
    Path("names.txt").unlink()
    gone = run("--count", "30", "--check", judge, "--json")
    assert json.loads(gone.stdout)["check"] == answer["check"] | {"novel": None}
    assert "the share of novel texts is not known" in gone.stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--unique", "--temp", "0.5,1"], "--unique or --new cannot be combined with several temperatures"),
        (["--new", "--beam", "2"], "--beam cannot be combined with --new"),
        (["--novelty-corpus", "names.txt"], "needs --novelty, --new, --check or --counts"),
        (["--new"], "--new needs a model of items"),
        (["--unique"], "--unique needs a model of items, or --stop"),
    ],
)
def test_errors(args: list[str], message: str) -> None:
    random_model("abc").save("m.safetensors")
    error = run(*args).exception
    assert isinstance(error, UsageError)
    assert message in str(error)


def test_different_texts_of_a_stream() -> None:
    random_model("abc", scale=0.4).save("m.safetensors")
    found = run("--unique", "--stop", "c", "--count", "20", "--length", "9").stdout.splitlines()
    assert len(set(found)) == 20
