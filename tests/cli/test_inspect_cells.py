"""charrnn inspect-cells, as a command: arguments to output and exit code."""

import csv
import hashlib
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import typer
from helpers import handmade
from typer.testing import CliRunner, Result

import charrnn
from charrnn.cli.inspect_cells import inspect_cells as command
from charrnn.errors import CharRNNError, DataError, ModelError, UsageError
from charrnn.interpret.concepts import BUILT_IN
from charrnn.interpret.mechanism import explain_cell
from charrnn.interpret.saturation import gate_saturation
from charrnn.interpret.texts import from_paragraph
from charrnn.model.model import Model
from charrnn.ui.html.mechanism_page import mechanism_data

TEXT = handmade.dialogue(24_000)
HELD_OUT = from_paragraph(TEXT[len(TEXT) // 2 :])
app = typer.Typer(rich_markup_mode=None)
app.command()(command)


def run(*args: str, stdin: str | None = None, columns: int = 80) -> Result:
    return CliRunner(env={"COLUMNS": str(columns)}).invoke(app, list(args), input=stdin)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    """A quote cell among random ones, in the newest run of the current folder, trained on half of a text."""
    monkeypatch.chdir(tmp_path)
    Path("story.txt").write_text(TEXT, encoding="utf-8")
    weights = handmade.random_weights("lstm")
    handmade.lstm_quote(weights)
    made = handmade.model_of("lstm", {name: w.astype(np.float32) for name, w in weights.items()})
    made.training = {
        "corpus": {
            "sources": ["story.txt"],
            "sha256": hashlib.sha256(TEXT.encode()).hexdigest(),
            "symbols": len(TEXT),
        },
        "settings": {"encoding": "utf-8", "val_fraction": 0.5, "test_fraction": 0.0},
    }
    Path("runs/tale").mkdir(parents=True)
    made.save("runs/tale/model.safetensors")
    return made


def test_json_keys_and_values(model: Model) -> None:
    result = run("--json", "--concept", "quote", "--concept", "bracket")
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert answer.keys() == {
        *("model", "characters", "findings", "nothing_found", "refused", "concepts", "notes"),
    }
    assert answer["nothing_found"] is None
    assert answer["model"] == str(Path("runs/tale/model.safetensors"))
    assert answer["characters"] == pytest.approx(len(HELD_OUT), abs=1)
    [finding] = answer["findings"]
    assert finding.keys() == {
        *("concept", "kind", "layer", "cell", "sign", "verdict", "predictive"),
        *("select_score", "confirm_score", "memory_score", "matched_accuracy", "steady_score", "table_score"),
        *("chance_level", "p_value", "p_alone", "untrained_score", "untrained_memory"),
        *("weakest_stratum", "weakest_stratum_score", "visible", "masked"),
        *("probe_score", "probe_memory", "locality", "eta_squared"),
        *("threshold", "balanced_accuracy", "f1", "mcc", "prevalence"),
        *("causal_effect", "causal_p", "causal_target", "causal_direction", "causal_controls"),
        *("causal_others", "causal_doses"),
        *("loss_low", "loss_high", "loss_right", "loss_p", "loss_controls", "ignorant_controls"),
        *("causal_p_of_two", "loss_p_of_two"),
        *("together_target", "together_effect", "together_p", "together_cells", "together_controls"),
        "together_effects",
        *("direction_target", "direction_effect", "direction_p", "direction_controls", "direction_variance"),
        *("direction_loss", "direction_loss_p", "direction_loss_controls", "direction_p_of_two"),
    }
    assert (finding["concept"], finding["layer"], finding["cell"], finding["sign"]) == ("quote", 0, 5, 1)
    assert finding["verdict"] == "tracker"
    assert finding["confirm_score"] > 0.999
    assert answer["refused"] == [
        {"concept": "bracket", "reason": "fewer than 30 stretches on or off in this text", "stretches": 0}
    ]
    assert [one["concept"] for one in answer["concepts"]] == ["quote", "bracket"]
    assert answer["concepts"][0].keys() == {"concept", "rule", "prevalence", "masked", "examples"}
    assert result.stderr.startswith(f"model {Path('runs/tale/model.safetensors')}\n")


def test_quick_leaves_out_what_takes_long_and_says_so(model: Model) -> None:
    result = run("--quick", "--json", "--concept", "quote")
    [finding] = json.loads(result.stdout)["findings"]
    assert (finding["verdict"], finding["causal_effect"], finding["untrained_score"]) == (
        "correlate",
        None,
        None,
    )
    assert "--quick: no cell was held, and none was compared with untrained networks" in result.stderr
    whole = run("--json", "--concept", "quote")
    assert 0.5 < json.loads(whole.stdout)["findings"][0]["untrained_score"] < 0.7
    assert "--quick" not in whole.stderr


def test_explain_tells_how_a_found_cell_does_it(model: Model) -> None:
    """In words, in JSON and on the page; a tracker's edges are cut, those of others are not."""
    options = "--explain", "--concept", "quote", "--concept", "line_pos", "--passages", "0"
    result = run("--quick", *options, "--json", "--html", "page.html")
    assert result.exit_code == 0
    findings = json.loads(result.stdout)["findings"]
    told = {one["concept"]: one["mechanism"] for one in findings}
    assert [name for name, one in told.items() if one is None] == [
        one["concept"] for one in findings if one["verdict"] == "none"
    ]
    quote = told["quote"]
    assert quote["summary"].startswith("Cell 0:5 follows quote, high where it is on (AUC 1.000;")
    assert "through i" in quote["summary"]
    assert {one["cut"] for kind in ("writers", "head", "readers") for one in quote[kind]} == {None}
    alone = mechanism_data(explain_cell(model, HELD_OUT, (0, 5), "quote", cut=False))
    assert quote == json.loads(json.dumps(alone))
    page = Path("page.html").read_text(encoding="utf-8")
    [data] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    assert json.loads(data)["mechanisms"] == [one["mechanism"] for one in findings]
    shown = run("--quick", *options, columns=400)
    assert quote["summary"] in shown.stdout
    refused = run("--explain", "--csv")
    assert isinstance(refused.exception, UsageError)
    assert "--explain cannot be combined with --csv" in str(refused.exception)


def test_nothing_found_is_told_where_the_result_would_be(model: Model) -> None:
    few = "too few stretches on or off, where 30 of each are needed: bracket (0)"
    shown = run("--concept", "bracket", columns=200)
    assert shown.stdout.startswith(f"nothing found: {few}. Give a longer text")
    assert "bracket" not in shown.stderr
    answer = json.loads(run("--concept", "bracket", "--json").stdout)
    assert answer["findings"] == []
    assert answer["nothing_found"].startswith(few)
    assert "not judged" in run("--concept", "bracket", "--csv").stderr


@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"]])
def test_refusals_are_told_in_every_form(model: Model, form: list[str]) -> None:
    result = run("--no-causal", "--passages", "0", "--concept", "quote", "--concept", "bracket", *form)
    assert result.exit_code == 0
    told = "not judged, fewer than 30 stretches on or off in this text: bracket\n"
    told += "A longer text (--text FILE) may have enough stretches of these concepts\n"
    assert result.stderr.replace("\n", " ").endswith(told.replace("\n", " "))
    assert "not judged" not in result.stdout


def test_csv_holds_what_json_does(model: Model) -> None:
    options = "--no-causal", "--concept", "quote", "--concept", "line_pos", "--top", "2"
    rows = list(csv.DictReader(io.StringIO(run("--csv", *options).stdout)))
    findings = json.loads(run("--json", *options).stdout)["findings"]
    assert len(rows) == len(findings)
    assert {finding["concept"] for finding in findings} == {"quote", "line_pos"}
    for row, finding in zip(rows, findings, strict=True):
        assert row == {name: "" if finding[name] is None else str(finding[name]) for name in row}
        assert {"concept", "layer", "cell", "sign", "confirm_score", "p_value", "verdict"} <= row.keys()
    nothing = run("--csv", "--concept", "bracket").stdout
    assert nothing.splitlines() == [",".join(rows[0])]


def test_table_and_passages(model: Model) -> None:
    result = run("--concept", "quote")
    lines = result.stdout.splitlines()
    assert lines[0].split()[:5] == ["concept", "cell", "±", "verdict", "confirm"]
    assert lines[1].split()[:4] == ["quote", "0:5", "+", "tracker"]
    assert "quote: cell 0:5, tracker" in lines
    assert sum(line.startswith("where it agrees") for line in lines) == 2
    assert "\x1b" not in result.stdout
    assert max(map(len, lines)) <= 80
    coloured = run("--concept", "quote", "--no-causal", "--style", "colour").stdout
    assert "\x1b[" in coloured  # asked for, it is written to a pipe too
    assert "▁▂▃" not in coloured
    digits = run("--concept", "quote", "--no-causal", "--style", "digits").stdout
    assert "0123456789" in digits
    assert "where" not in run("--concept", "quote", "--no-causal", "--passages", "0").stdout


def test_guesses(model: Model) -> None:
    assert sum(
        line.startswith("next  ")
        for line in run("--concept", "quote", "--no-causal", "--guesses").stdout.splitlines()
    )


def test_users_own_concepts_are_shown_first(model: Model) -> None:
    result = run("--no-causal", "--passages", "0", "--concept", "aside=between:(..)", "--expect", ")=+")
    assert "aside = between:(..): " in result.stderr
    assert " % of the text\n  (" in result.stderr
    assert "aside" in result.stdout


def test_one_cell_on_any_text(model: Model) -> None:
    result = run("--cell", "0:5", "--text", "-", "--passages", "1", stdin='He said "no (maybe)" at once.')
    assert result.stdout == (
        "cell 0:5\n"
        "cell  -1.00 ▁▂▃▄▅▆▇█ +1.00\n"
        'text  He said "no (maybe)" at once.\n'
        "cell  ▅▅▅▅▅▅▅▅███████████▁▁▁▁▁▁▁▁▁▁\n"
    ).replace("1.00", "0.76")


def test_one_cell_as_data(model: Model) -> None:
    text = 'He said "no,\n(maybe)" at once. ' * 40  # more than is drawn
    Path("one.txt").write_text(text)
    given = ("--cell", "0:5", "--text", "one.txt")
    expected = np.tanh(model.activations(text)["c"][:, 0, 5])
    result = run(*given, "--csv")
    assert result.exit_code == 0, result.exception
    header, *rows = csv.reader(io.StringIO(result.stdout))
    assert header == ["character", "value"]
    assert "".join(row[0] for row in rows) == text
    assert [np.float32(row[1]) for row in rows] == pytest.approx(expected, abs=1e-6)
    answer = json.loads(run(*given, "--json").stdout)
    assert (answer["layer"], answer["cell"]) == (0, 5)
    assert answer["values"] == [[row[0], float(row[1])] for row in rows]


def test_gates(model: Model) -> None:
    expected = [gate.to_json() for gate in gate_saturation(model, HELD_OUT)]
    answer = json.loads(run("--gates", "--json", columns=40).stdout)
    assert answer.keys() == {"model", "gates"}
    assert [(g["layer"], g["gate"]) for g in answer["gates"]] == [(0, "i"), (0, "f"), (0, "o")]
    for found, gate in zip(answer["gates"], expected, strict=True):
        np.testing.assert_allclose(found["left"], gate["left"], atol=1e-3)
        np.testing.assert_allclose(found["right"], gate["right"], atol=1e-3)
    shown = run("--gates").stdout
    assert shown.startswith(
        "layer 0, 32 units\ninput gate i            forget gate f           output gate o"
    )


def test_the_list_needs_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = [line.split()[0] for line in run("--list", columns=200).stdout.splitlines()[1:]]
    assert names == list(BUILT_IN)


@pytest.mark.parametrize(
    ("args", "error", "message"),
    [
        (["--concept", "nonsense"], UsageError, "--concept 'nonsense' is unknown"),
        (["--concept", "x=span:@@"], UsageError, "matches nothing"),
        (["--concept", "x=span:a", "--expect", "b"], UsageError, "--expect 'b' is malformed"),
        (
            ["--concept", "quote", "--expect", "b=+"],
            UsageError,
            "--expect 'b=+' needs a concept of your own",
        ),
        (["--expect", "b=+"], UsageError, "built-in ones have their own expectation"),
        (["--cell", "1:0"], UsageError, "--cell 1:0 does not exist"),
        (["--cell", "137"], UsageError, "write LAYER:CELL"),
        (["--json", "--csv"], UsageError, "cannot be combined"),
        (["--gates", "--csv"], UsageError, "cannot be combined"),
        (["--cell", "0:5", "--quick"], UsageError, "--cell cannot be combined with --quick"),
        (
            ["--gates", "--no-causal", "--top", "2"],
            UsageError,
            "--gates cannot be combined with --no-causal, --top",
        ),
        (["--gates", "--cell", "0:5"], UsageError, "nor --gates with --cell"),
        (["--cell", "0:5", "--json", "--csv"], UsageError, "cannot be combined"),
        (["--text", "gone.txt"], DataError, "gone.txt"),
        (["--text", "short.txt"], DataError, "at least 2,000"),
        (["--model", "gone.safetensors"], ModelError, "gone.safetensors"),
        (["--model", "empty"], ModelError, "empty"),
    ],
)
def test_errors(model: Model, args: list[str], error: type[CharRNNError], message: str) -> None:
    Path("short.txt").write_text("short", encoding="utf-8")
    Path("empty").mkdir()
    result = run(*args)
    assert isinstance(result.exception, error)
    assert message in str(result.exception)
    assert result.stdout == ""


@pytest.mark.parametrize("args", [["--style", "nice"], ["--top", "0"], ["--passages", "-1"]])
def test_options_out_of_range(args: list[str]) -> None:
    assert run(*args).exit_code == 2


def test_a_changed_corpus_is_refused(model: Model) -> None:
    Path("story.txt").write_text(TEXT + "more", encoding="utf-8")
    result = run()
    assert isinstance(result.exception, DataError)
    assert "(story.txt) has changed since" in str(result.exception)


def test_the_same_from_python(model: Model) -> None:
    found = charrnn.inspect_cells(model, HELD_OUT, ["quote", "aside=between:(..)"], causal=False)
    assert (found.findings[0].concept, found.findings[0].cell) == ("quote", 5)
    assert {f.concept for f in found.findings} == {"quote", "aside"}
    assert found.to_json()["findings"][0]["verdict"] == "correlate"
