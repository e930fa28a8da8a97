"""charrnn explain, as a command: arguments to output and exit code."""

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from helpers import handmade
from typer.testing import CliRunner, Result

from charrnn.cli.explain import explain as command
from charrnn.errors import CharRNNError, ModelError, UsageError
from charrnn.interpret import cutting
from charrnn.interpret.mechanism import explain_cell
from charrnn.model.model import load_model
from charrnn.runs.card import read_info
from charrnn.ui.terminal.info_view import rows

TEXT = handmade.marked(6_000, 3, (20, 60), (20, 60), marks="()")
ASIDE = ("--concept", "aside=between:(..)", "--text", "story.txt")
app = typer.Typer(rich_markup_mode=None)
app.command()(command)


def run(*args: str, columns: int = 80) -> Result:
    return CliRunner(env={"COLUMNS": str(columns)}).invoke(app, list(args))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A switch for parentheses among the cells of the newest run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cutting, "CONTROLS", 2)
    Path("story.txt").write_text(TEXT, encoding="utf-8")
    weights = handmade.random_weights("rnn")
    handmade.rnn_bracket(weights)
    made = handmade.model_of("rnn", {name: w.astype(np.float32) for name, w in weights.items()})
    Path("runs/tale").mkdir(parents=True)
    made.save("runs/tale/model.safetensors")


def test_json_is_what_python_gives_with_a_summary() -> None:
    answer = json.loads(run("0:5", *ASIDE, "--quick", "--json").stdout)
    model = load_model("runs/tale/model.safetensors")
    found = explain_cell(model, TEXT, (0, 5), "aside=between:(..)", cut=False).to_json()
    told = {name: value for name, value in answer.items() if name not in ("model", "summary")}
    assert told == json.loads(json.dumps(found))
    assert answer["model"] == str(Path("runs/tale/model.safetensors"))
    assert answer["summary"].startswith("Cell 0:5 follows aside, high where it is on (AUC 1.000; the best of")
    assert answer["error"] < 1e-5
    assert [one["edge"] for one in answer["writers"]] == ["0:5->a", ")->a", "(->a"]


def test_the_picture_and_the_tables() -> None:
    result = run("0:5", *ASIDE, "--top", "3")
    assert result.exit_code == 0, result.exception
    lines = result.stdout.splitlines()
    assert lines[0] == "cell 0:5 (rnn), aside"
    told = " ".join(" ".join(lines[1:9]).split())
    assert "It rises at '(' and falls at ')', kept by its own weight of +3.00. " in told
    assert "It is read by the head for ')'." in told
    first = next(n for n, line in enumerate(lines) if line.startswith("0:5 a+"))
    assert lines[first : first + 3] == [
        "0:5 a+━━━━━━━━━━━━━━▶ │  0:5  │ +━━━━━━━━━━━━━━━▶ head:)",
        "  ) a-──────────────▶ │ aside │",
        "  ( a+──────────────▶ │       │",
    ]
    header = next(line for line in lines if "strength" in line and "edge" in line).split()
    assert header == ["edge", "weight", "strength", "carries", "score", "log-odds", "p"]
    row = next(line for line in lines if "(->a" in line and "to" in line).split()
    row = row[1:] if row[0] == "*" else row
    assert row[0] == "(->a"
    assert row[4:6] == ["1.000", "to"]
    assert float(row[6]) < 0.7
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in result.stdout
    assert any(line.startswith("largest error of the sums: ") for line in lines)


@pytest.mark.parametrize("columns", [40, 60])
def test_narrow_terminals_lose_columns(columns: int) -> None:
    lines = run("0:5", *ASIDE, "--quick", columns=columns).stdout.splitlines()
    assert max(map(len, lines)) <= columns
    assert "…" not in "".join(lines)
    assert sum(line.startswith(("0:5 a+", "  ( a+", "  ) a-")) for line in lines) == 3


def test_an_edge_is_cut_in_a_copy_that_says_so() -> None:
    cut = ("0:5", *ASIDE, "--cut", "(->a", "--cut", "->head:)", "--out", "cut.safetensors")
    result = run(*cut)
    assert result.exit_code == 0, result.exception
    assert result.stdout == "cut.safetensors\n"
    assert "aside: score 1.000 to ." in result.stderr
    before, after = load_model("runs/tale/model.safetensors"), load_model("cut.safetensors")
    changed = [name for name, w in before.weights.items() if (w != after.weights[name]).any()]
    assert sorted(changed) == ["head.bias", "head.weight", "rnn.weight_ih_l0"]
    assert after.training["edits"] == ["cut 0:5 (->a", "cut 0:5 ->head:)"]
    card = dict(rows(read_info(Path("cut.safetensors"))))
    assert card["edited"].startswith("cut 0:5 (->a\ncut 0:5 ->head:)\n")
    told = json.loads(run(*cut, "--json").stdout)
    found = json.loads(run("0:5", *ASIDE, "--quick", "--json", "--model", "cut.safetensors").stdout)
    assert told["score_after"] == pytest.approx(found["score"], abs=1e-6)
    assert told["log_odds"] > 4
    assert abs(told["log_odds_after"]) < 0.2
    assert told["cut"] == ["(->a", "->head:)"]


@pytest.mark.parametrize(
    ("args", "error", "message"),
    [
        (["5"], UsageError, "LAYER:CELL is '5'; write LAYER:CELL"),
        (["1:0"], UsageError, "LAYER:CELL 1:0 does not exist"),
        (["0:5", "--cut", "(->a"], UsageError, "--cut EDGE and --out FILE go together"),
        (["0:5", "--out", "x.safetensors"], UsageError, "--cut EDGE and --out FILE go together"),
        (["0:5", "--cut", "(->i", "--out", "x"], UsageError, "'i' is no gate of this model (it has a)"),
        (
            ["0:5", "--cut", "(->a", "--out", "runs/tale/model.safetensors"],
            UsageError,
            "is the model itself",
        ),
        (["0:5", "--expect", "e=+"], UsageError, "needs a concept of your own"),
        (["0:5", "--concept", "nonsense"], UsageError, "--concept 'nonsense' is unknown"),
        (["0:5", "--model", "gone"], ModelError, "gone"),
    ],
)
def test_errors(args: list[str], error: type[CharRNNError], message: str) -> None:
    result = run(*args, *([] if "--concept" in args else ["--text", "story.txt"]), "--text", "story.txt")
    assert isinstance(result.exception, error)
    assert message in str(result.exception)
    assert result.stdout == ""
    assert not Path("x").exists()
