"""charrnn sample --counts: texts from a model mixed with counts of its training text."""

import json
from pathlib import Path

import pytest
import typer
from helpers.model_with_text import save_model_with_text
from typer.testing import CliRunner, Result

from charrnn.cli.sample import sample as command
from charrnn.errors import DataError, UsageError
from charrnn.model.model import load_model

app = typer.Typer(rich_markup_mode=None)
app.command()(command)


def run(*args: str) -> Result:
    return CliRunner().invoke(app, ["--model", "m.safetensors", "--length", "200", "--seed", "1", *args])


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_model_with_text(tmp_path)


def words_of_the_text(text: str) -> float:
    """Share of the words that the training text has."""
    words = text.split()[1:-1]
    return sum(word in ("abc", "bad", "cab", "face") for word in words) / len(words)


def test_the_texts_are_like_the_training_text_and_copies_are_told() -> None:
    alone, mixed = run(), run("--counts", "static")
    assert words_of_the_text(mixed.stdout) > 0.9 > 0.5 > words_of_the_text(alone.stdout)
    assert "--novelty marks what is copied" in mixed.stderr
    marked = run("--counts", "static", "--novelty", "--json")
    assert "--novelty marks" not in marked.stderr
    (found,) = json.loads(marked.stdout)["samples"]
    assert found["text"] == mixed.stdout.removesuffix("\n")[: len(found["text"])]
    assert found["novelty"]["copied_share"] > 0.5


def test_at_the_fitted_temperature_the_text_is_that_of_the_mixture_as_eval_has_it() -> None:
    """The model is at it in the mixture already."""
    model = load_model("m.safetensors")
    model.network.theta[...] *= 3  # too sure of itself
    model.save("m.safetensors")
    before = run("--counts", "static", "--temp", "1").stdout
    model.training["temperature"] = 1.9
    model.save("m.safetensors")
    drawn = run("--counts", "static", "--temp", "1", "--json").stdout
    assert run("--counts", "static", "--temp", "fitted", "--json").stdout == drawn
    assert json.loads(drawn)["samples"][0]["text"] != before.removesuffix("\n")
    assert json.loads(run("--temp", "fitted", "--json").stdout)["samples"][0]["temperature"] == 1.9


def test_what_cannot_be_mixed_is_refused() -> None:
    """And nothing is told of texts that do not come."""
    model = load_model("m.safetensors")
    card = json.loads(json.dumps(model.training))
    model.training["settings"]["val_fraction"] = 0.0
    model.save("m.safetensors")
    none = run("--counts", "static")
    assert isinstance(none.exception, DataError)
    assert none.stderr == ""
    model.training.update(card)
    model.save("m.safetensors")
    assert isinstance(run("--counts", "static", "--beam", "3").exception, UsageError)
    drawn = run("--counts", "static").stdout
    Path("corpus.txt").rename("moved.txt")
    assert isinstance(run("--counts", "static").exception, DataError)
    assert run("--counts", "static", "--novelty-corpus", "moved.txt").stdout == drawn
