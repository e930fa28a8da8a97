"""charrnn sample --novelty: what its JSON and its text say of copies, and what cannot be combined with it."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.victims import run_folder
from typer.testing import CliRunner, Result

from charrnn.cli.app import app
from charrnn.errors import CharRNNError, DataError, UsageError
from charrnn.model.model import load_model
from charrnn.novelty.copies import TrainingText
from charrnn.sampling.writer import sample


@pytest.fixture(autouse=True)
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The text in story.txt, on which the model in the folder story was trained."""
    monkeypatch.chdir(tmp_path)
    text = "".join(np.random.default_rng(5).choice(list("\n\x1b [ab"), 500))
    run_folder(Path("story"), text)
    return text


def run(*args: str) -> Result:
    return CliRunner().invoke(app, ["sample", "--model", "story", *args])


def test_the_command() -> None:
    given = ("--seed", "3", "--length", "50", "--count", "2", "--novelty", "--novelty-min", "4")
    samples = json.loads(run(*given, "--json").stdout)["samples"]
    model = load_model("story/model.safetensors")
    reference = TrainingText.of(model)
    result = run(*given)
    shown = result.stdout
    for each, seed in zip(samples, (3, 4), strict=True):
        text = sample(model, seed=seed, length=50)
        assert each["text"] == text
        expected = reference.compare(text, 4)
        novelty = each["novelty"]
        assert [(c["start"], c["stop"]) for c in novelty["copies"]] == [
            (c.start, c.stop) for c in expected.copies
        ]
        assert novelty["longest"]["chars"] == max(map(len, expected.copies))
        assert text[novelty["longest"]["start"] :].startswith(novelty["longest"]["text"])
        assert novelty["longest"]["place"]["file"] == str(Path("story.txt").absolute())
        assert novelty["new_ngrams"] == {str(n): share for n, share in expected.new_ngrams.items()}
        assert f"--- seed {seed}, temperature 0.8\n" in result.stderr
        assert "---" not in shown
        assert f"copied: {len(expected.copies)} runs" in shown
    assert "novelty" not in json.loads(run("--length", "5", "--json").stdout)["samples"][0]
    assert "copied: " in run("--beam", "2", "--length", "30", "--novelty").stdout


@pytest.mark.parametrize(
    ("args", "error", "message"),
    [
        (["--novelty", "--interactive"], UsageError, "--interactive"),
        (["--novelty-corpus", "story.txt"], UsageError, "--novelty"),
        (["--novelty", "--novelty-corpus", "nowhere"], UsageError, "nowhere"),
        (["--novelty", "--novelty-corpus", "-"], UsageError, "twice"),
    ],
    ids=str,
)
def test_errors(args: list[str], error: type[CharRNNError], message: str) -> None:
    result = run(*args)
    assert isinstance(result.exception, error)
    assert message in str(result.exception)


def test_a_training_text_that_is_gone_or_another(corpus: str) -> None:
    Path("story.txt").write_text(corpus[::-1])
    for problem in ("changed", "cannot be read"):
        result = run("--novelty", "--seed", "1")
        assert isinstance(result.exception, DataError)
        assert problem in str(result.exception)
        assert "--novelty-corpus FILE" in str(result.exception)
        assert result.stdout == ""
        Path("story.txt").unlink(missing_ok=True)
    Path("copy.txt").write_text(corpus)
    assert run("--novelty", "--seed", "1", "--novelty-corpus", "copy.txt").exit_code == 0
