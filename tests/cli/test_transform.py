"""charrnn transform: outputs in the order of the inputs, and how right they are."""

import json
from pathlib import Path

import pytest
from helpers.item_models import item_model, log_p
from helpers.random_models import random_model
from typer.testing import CliRunner, Result

import charrnn
from charrnn.cli.app import app
from charrnn.errors import CharRNNError, DataError, UsageError
from charrnn.sampling import transform as transforming
from charrnn.sampling.beam import likeliest
from charrnn.sampling.sampler import Sampler, SamplingConfig, sample
from charrnn.text.conditions import condition
from charrnn.text.vocabulary import ItemSymbols, Vocabulary

INPUTS = ["ab", "c", "abc", "", "ba", "c", "bca"]
LABELS = (("to", ("x", "y")),)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.txt").write_text("".join(f"{text}\n" for text in INPUTS))


def run(*args: str) -> Result:
    return CliRunner().invoke(app, ["transform", "in.txt", "--model", "m.safetensors", *args])


@pytest.mark.parametrize("streams", [1, 4, 256])
def test_outputs_are_those_of_each_input_alone(streams: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transforming, "STREAMS", streams)
    model = item_model("abc ", LABELS, pairs=True, scale=0.7)
    for label in ("x", "y"):
        greedy = [sample(model, input=text, label=label, temperature=0, length=30) for text in INPUTS]
        assert charrnn.transform(model, INPUTS, label=label, length=30) == greedy
        config = SamplingConfig(length=30)
        wide = [likeliest(Sampler(model, config, input=text, label=label), 3).text for text in INPUTS]
        assert charrnn.transform(model, INPUTS, label=label, length=30, beam=3) == wide
        assert greedy != wide


def test_the_command() -> None:
    model = item_model("abc ", pairs=True, scale=0.7)
    model.save("m.safetensors")
    expected = charrnn.transform(model, INPUTS, beam=3, length=8)
    Path("reference.tsv").write_text(
        "".join(f"{i}\tabc\n{i}\t{o}\n" for i, o in zip(INPUTS, expected, strict=True))
    )
    result = run("--beam", "3", "--length", "8", "--reference", "reference.tsv")
    assert result.stdout == "".join(f"{text}\n" for text in expected)
    assert "7 outputs: 100.0% exact, word error rate 0.0%" in result.stderr
    Path("reference.txt").write_text("x\n" + "".join(f"{text}\n" for text in expected[1:]))
    answer = json.loads(run("--beam", "3", "--length", "8", "--reference", "reference.txt", "--json").stdout)
    assert answer["reference"]["exact_match"] == pytest.approx(6 / 7)
    assert answer["model"] == "m.safetensors"
    for text, output, one in zip(INPUTS, expected, answer["outputs"], strict=True):
        assert (one["input"], one["text"]) == (text, output)
        ids = [*model.vocab.encode(output), *[model.vocab.end] * (one["ended"] == "end")]
        before = condition(model.vocab, {}, model.vocab.encode(text).tolist())
        assert one["log_probability_nats"] == pytest.approx(log_p(model, before, ids).sum(), abs=1e-9)
    assert {one["ended"] for one in answer["outputs"]} == {"end"} or "cut" in result.stderr


def test_bytes() -> None:
    model = random_model(Vocabulary("byte", tuple(range(256)), ItemSymbols(pairs=True)), scale=0.3)
    model.save("m.safetensors")
    Path("in.txt").write_bytes("é\nab\n".encode())
    result = run("--length", "5")
    assert result.exit_code == 0
    assert [one["input"] for one in json.loads(run("--length", "5", "--json").stdout)["outputs"]] == [
        "é",
        "ab",
    ]


@pytest.mark.parametrize(
    ("model", "args", "error", "message"),
    [
        (item_model("abc"), [], UsageError, "needs a model that was trained on pairs"),
        (random_model("abc"), [], UsageError, "needs a model that was trained on pairs"),
        (item_model("abc", LABELS, pairs=True), [], UsageError, "trained with labels: give one for to"),
        (
            item_model("abc", LABELS, pairs=True),
            ["--label", "z"],
            DataError,
            "no label 'z'; its labels are x, y",
        ),
        (item_model("ab", pairs=True), [], DataError, r"'c' \(U\+0063\)"),
        (item_model("abc", pairs=True), ["--reference", "in.txt.gz"], DataError, "in.txt.gz"),
    ],
)
def test_errors(model: charrnn.Model, args: list[str], error: type[CharRNNError], message: str) -> None:
    model.save("m.safetensors")
    found = run(*args).exception
    assert isinstance(found, error)
    with pytest.raises(error, match=message):
        raise found
