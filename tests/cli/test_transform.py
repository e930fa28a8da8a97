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
from charrnn.nn.loss import NEVER
from charrnn.sampling import transform as transforming
from charrnn.sampling.beam import likeliest
from charrnn.sampling.sampler import Sampler, SamplingConfig
from charrnn.sampling.writer import sample
from charrnn.text.conditions import condition
from charrnn.text.vocabulary import ItemSymbols, Vocabulary

INPUTS = ["ab", "c", "abc", "", "ba", "c", "bca"]
LABELS = (("to", ("x", "y")),)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.txt").write_text("".join(f"{text}\n" for text in INPUTS))


def run(*args: str) -> Result:
    return transform("in.txt", *args)


def transform(file: str, *args: str) -> Result:
    return CliRunner().invoke(app, ["transform", file, "--model", "m.safetensors", *args])


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
        (
            random_model("abc"),
            [],
            UsageError,
            r"trained on pairs: charrnn train .* or charrnn.train\(texts=",
        ),
        (
            item_model("abc", LABELS, pairs=True),
            [],
            UsageError,
            "--label is missing for to: the model was trained with labels",
        ),
        (
            item_model("abc", LABELS, pairs=True),
            ["--label", "z"],
            DataError,
            "no label 'z'; its labels are x, y",
        ),
        (item_model("ab", pairs=True), [], DataError, r"^in.txt, line 2: .*'c' \(U\+0063\).*--unknown skip"),
        (item_model("abc", pairs=True), ["--reference", "in.txt.gz"], DataError, "in.txt.gz"),
    ],
)
def test_errors(model: charrnn.Model, args: list[str], error: type[CharRNNError], message: str) -> None:
    model.save("m.safetensors")
    found = run(*args).exception
    assert isinstance(found, error)
    with pytest.raises(error, match=message):
        raise found


def test_tables_are_read_by_the_columns_of_the_training_text() -> None:
    settings = {"items": "csv", "input_column": "in", "text_column": "out"}
    model = item_model("abc ", pairs=True, scale=2.5, seed=10, training={"settings": settings})
    model.save("m.safetensors")
    one, other = charrnn.transform(model, ["ab", "c"], length=8)
    assert one != other
    Path("in.txt").write_text("ab\nc\n")  # still an input per line
    assert run("--length", "8").stdout == f"{one}\n{other}\n"
    Path("t.csv").write_text(f"note,out,in\n1,{one},ab\n2,x,c\n3,{other},c\n")
    told = transform("t.csv", "--length", "8", "--reference", "t.csv", "--json")
    answer = json.loads(told.stdout)
    assert [(one["input"], one["text"]) for one in answer["outputs"]] == [
        ("ab", one),
        ("c", other),
        ("c", other),
    ]
    assert answer["reference"]["exact_match"] == 1.0
    Path("u.tsv").write_text(f"b\ta\n{one}\tab\n")
    columns = ["--input-column", "a", "--text-column", "b"]
    assert json.loads(
        transform("u.tsv", *columns, "--length", "8", "--reference", "u.tsv", "--json").stdout
    )["reference"]["exact_match"] == 1.0  # fmt: skip
    assert "no column 'in'" in str(transform("u.tsv").exception)
    refused = str(run("--input-column", "a").exception)
    assert refused.startswith(
        "in.txt is no table: --text-column and --input-column belong to files that end with"
    )


def test_an_unknown_character_has_a_place() -> None:
    item_model("ab", pairs=True).save("m.safetensors")
    Path("in.txt").write_text("ab\naßb\n")
    assert str(run("--length", "5").exception) == (
        "in.txt, line 2: the text has chars that the model does not know: 'ß' (U+00DF) at position 1. Its vocabulary "
        "has 4 symbols; remove these, or use a model trained on text that has them (--unknown skip leaves them out, "
        "--unknown nearest replaces them)"
    )
    assert run("--length", "5", "--unknown", "skip").exit_code == 0
    settings = {"items": "csv", "input_column": "in", "text_column": "out"}
    item_model("ab", pairs=True, training={"settings": settings}).save("m.safetensors")
    Path("t.csv").write_text("in,out\na,b\nß,b\n")
    assert str(transform("t.csv").exception).startswith("t.csv, row 2: the text has chars")


def test_a_file_of_pairs_is_no_file_of_inputs() -> None:
    item_model("abc", pairs=True).save("m.safetensors")
    Path("in.txt").write_text("ab\tc\n\nb\ta\n")
    for unknown in ("error", "skip"):
        refused = run("--unknown", unknown).exception
        assert isinstance(refused, DataError)
        assert str(refused) == "in.txt: each line has a tab; give inputs only: cut -f1 in.txt"
    Path("in.txt").write_text("\n")
    assert run("--length", "5").exit_code == 0


def test_outputs_that_are_cut_are_counted() -> None:
    model = item_model("abc", pairs=True)
    model.network.params["head.bias"][model.vocab.end] = NEVER
    model.save("m.safetensors")
    Path("in.txt").write_text("ab\nc\n")
    result = run("--length", "60")
    assert [len(line) for line in result.stdout.splitlines()] == [60, 60]
    assert result.stderr == (
        "2 of 2 outputs are cut at 60 characters: the model does not end them. Train longer, or --length allows more\n"
    )
