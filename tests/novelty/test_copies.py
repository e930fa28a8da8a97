"""Copied runs and new n-grams against brute force; what is shown of them; the command."""

import hashlib
import io
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.random_models import random_model
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner, Result

from charrnn.cli.app import app
from charrnn.errors import CharRNNError, DataError, UsageError
from charrnn.model.model import Model
from charrnn.novelty.copies import NGRAMS, TrainingText
from charrnn.novelty.places import Place
from charrnn.sampling.sampler import sample
from charrnn.text.vocabulary import Vocabulary
from charrnn.ui.terminal import novelty_view as view

SYMBOLS = "\n\x1b [ab"


def card(file: Path, content: bytes) -> dict[str, Any]:
    return {
        "corpus": {
            "sources": [str(file.absolute())],
            "sha256": hashlib.sha256(content).hexdigest(),
            "symbols": len(content.decode("utf-8", "replace")),
        },
        "settings": {
            "level": "char",
            "encoding": "utf-8",
            "newlines": "keep",
            "val_fraction": 0.2,
            "test_fraction": 0.0,
        },
    }


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def corpus(cache: None) -> str:
    text = "".join(np.random.default_rng(5).choice(list(SYMBOLS), 500))
    Path("corpus.txt").write_text(text)
    return text


@pytest.fixture
def model(corpus: str) -> Model:
    made = random_model(SYMBOLS, card(Path("corpus.txt"), corpus.encode()))
    made.save("m.safetensors")
    return made


def brute_force(text: str, training: str, least: int) -> list[tuple[int, int]]:
    """Every stretch of `text` in `training` that no longer such stretch holds."""
    n = len(text)
    standing = [
        (i, j) for i in range(n) for j in range(i + 1, n + 1) if text[i:j] in training and j - i >= least
    ]
    return [
        (i, j) for i, j in standing if not any(a <= i and j <= b and (a, b) != (i, j) for a, b in standing)
    ]


@pytest.mark.parametrize("level", ["char", "byte"])
def test_copied_runs_and_new_ngrams(level: str) -> None:
    training = "".join(np.random.default_rng(3).choice(list("é\nab "), 150))
    Path("all.txt").write_text(training)
    vocab = Vocabulary.of(training) if level == "char" else Vocabulary.all_bytes()
    reference = TrainingText.of(random_model(vocab), "all.txt")
    assert reference.held_out_ngrams == {}

    @settings(max_examples=60, deadline=None)
    @given(st.text("é\nab ", max_size=40), st.integers(1, 6))
    def check(text: str, least: int) -> None:
        found = reference.compare(text, least)
        assert [(c.start, c.stop) for c in found.copies] == brute_force(text, training, least)
        for copy in found.copies:
            run = text[copy.start : copy.stop]
            assert copy.times == sum(training.startswith(run, k) for k in range(len(training)))
            place = training.index(run)
            offset = place if level == "char" else len(training[:place].encode())
            assert copy.first == offset
            if copy.place:
                assert copy.place == Place("all.txt", offset, training.count("\n", 0, place) + 1)
        assert sum(copy.place is not None for copy in found.copies) == min(10, len(found.copies))
        covered = {k for copy in found.copies for k in range(copy.start, copy.stop)}
        assert found.copied_share == (pytest.approx(len(covered) / len(text)) if text else 0)
        symbols, known = (text, training) if level == "char" else (text.encode(), training.encode())
        for n in NGRAMS:
            grams = [symbols[k : k + n] for k in range(len(symbols) - n + 1)]
            assert (n in found.new_ngrams) == bool(grams)
            if grams:
                assert found.new_ngrams[n] == pytest.approx(np.mean([gram not in known for gram in grams]))

    check()


def test_only_the_training_part_counts(model: Model, corpus: str) -> None:
    reference = TrainingText.of(model)
    copied, held_out = corpus[100:160], corpus[430:490]
    (copy,) = reference.compare(f"{copied}", 10).copies
    assert (copy.start, copy.stop, copy.first) == (0, 60, 100)
    assert reference.compare(held_out, 10).copies == []
    grams = {corpus[k : k + 4] for k in range(397)}
    validation = corpus[400:]
    share = np.mean([validation[k : k + 4] not in grams for k in range(97)])
    assert reference.held_out_ngrams[4] == pytest.approx(share)


def test_a_named_text_may_have_other_symbols(model: Model, corpus: str) -> None:
    Path("other.txt").write_text("XYZé" + corpus)
    reference = TrainingText.of(model, "other.txt")
    (copy,) = reference.compare(corpus[430:490], 10).copies
    assert copy.place == Place("other.txt", 434, corpus.count("\n", 0, 430) + 1)


def test_what_is_shown(corpus: str, model: Model) -> None:
    reference = TrainingText.of(model)
    runs = corpus[100:130], corpus[250:275]
    text = f"aa{runs[0]}{runs[1]}\x1b[[a" + corpus[120:150]
    found = reference.compare(text, 20)
    assert len(found.copies) >= 3
    stream = io.StringIO()
    view.show(["first\n"], [found], reference.held_out_ngrams, 20, stream)
    shown = stream.getvalue()
    assert "\x1b" not in shown
    assert shown.startswith("first\n")
    marked, report = shown.removeprefix("first\n").split("\ncopied: ")
    without = marked.replace("⟦", "").replace("⟧", "")
    assert without == text.replace("\x1b", "\\x1b")
    assert marked.count("⟦") == marked.count("⟧") == len(found.copies)
    longest = max(found.copies, key=len)
    assert report.startswith(f"{len(found.copies)} runs of at least 20 characters, {found.copied_share:.1%}")
    assert f"the longest has {len(longest)}" in report.splitlines()[0]
    assert f"line {longest.place.line}, offset {longest.first}" in report.splitlines()[1]  # type: ignore[union-attr]
    assert f"{found.new_ngrams[12]:.1%}" in report
    console = Console(file=io.StringIO(), force_terminal=True, color_system="256")
    styled = view.painted(found, console, coloured=True)
    assert styled.plain == without
    spans = [(span.start, span.end) for span in styled.spans]
    assert len(spans) == len(found.copies)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))


def test_a_terminal_without_unicode(corpus: str, model: Model) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    view.show([""], [TrainingText.of(model).compare(corpus[:60] + "b", 20)], {}, 20, stream)
    stream.seek(0)
    shown = stream.read()
    assert shown.startswith("[[")
    assert "]]" in shown


def run(*args: str) -> Result:
    return CliRunner().invoke(app, ["sample", "--model", "m.safetensors", *args])


def test_the_command(model: Model, corpus: str) -> None:
    given = ("--seed", "3", "--length", "50", "--count", "2", "--novelty", "--novelty-min", "4")
    samples = json.loads(run(*given, "--json").stdout)["samples"]
    reference = TrainingText.of(model)
    shown = run(*given).stdout
    for each, seed in zip(samples, (3, 4), strict=True):
        text = sample(model, seed=seed, length=50)
        assert each["text"] == text
        expected = reference.compare(text, 4)
        novelty = each["novelty"]
        assert [(c["start"], c["stop"]) for c in novelty["copies"]] == brute_force(text, corpus[:400], 4)
        assert novelty["longest"]["chars"] == max(map(len, expected.copies))
        assert text[novelty["longest"]["start"] :].startswith(novelty["longest"]["text"])
        assert novelty["longest"]["place"]["file"] == str(Path("corpus.txt").absolute())
        assert novelty["new_ngrams"] == {str(n): share for n, share in expected.new_ngrams.items()}
        assert f"--- seed {seed}, temperature 0.8\n" in shown
        assert f"copied: {len(expected.copies)} runs" in shown
    assert "novelty" not in json.loads(run("--length", "5", "--json").stdout)["samples"][0]
    assert "copied: " in run("--beam", "2", "--length", "30", "--novelty").stdout


@pytest.mark.parametrize(
    ("args", "error", "message"),
    [
        (["--novelty", "--interactive"], UsageError, "--interactive"),
        (["--novelty-corpus", "corpus.txt"], UsageError, "--novelty"),
        (["--novelty", "--novelty-corpus", "nowhere"], UsageError, "nowhere"),
        (["--novelty", "--novelty-corpus", "-"], UsageError, "twice"),
    ],
    ids=str,
)
def test_errors(model: Model, args: list[str], error: type[CharRNNError], message: str) -> None:
    result = run(*args)
    assert isinstance(result.exception, error)
    assert message in str(result.exception)


def test_a_training_text_that_is_gone_or_another(model: Model, corpus: str) -> None:
    Path("corpus.txt").write_text(corpus[::-1])
    for problem in ("changed", "cannot be read"):
        result = run("--novelty", "--seed", "1")
        assert isinstance(result.exception, DataError)
        assert problem in str(result.exception)
        assert "--novelty-corpus FILE" in str(result.exception)
        assert result.stdout == ""
        Path("corpus.txt").unlink(missing_ok=True)
    Path("copy.txt").write_text(corpus)
    assert run("--novelty", "--seed", "1", "--novelty-corpus", "copy.txt").exit_code == 0
