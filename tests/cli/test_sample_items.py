"""charrnn sample with a model of items: whole items and nothing else on stdout."""

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.item_models import item_model
from typer.testing import CliRunner, Result

from charrnn.cli.app import app
from charrnn.errors import DataError
from charrnn.sampling.sampler import Sampler, SamplingConfig, sample

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
