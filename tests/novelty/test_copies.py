"""Copied runs and new n-grams against brute force; what is shown of them."""

import io
import itertools
from pathlib import Path

import numpy as np
import pytest
from helpers.random_models import random_model
from helpers.victims import card_of
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from charrnn.model.model import Model
from charrnn.novelty.copies import NGRAMS, TrainingText
from charrnn.novelty.places import Place
from charrnn.sampling.sampler import SampledText
from charrnn.text.vocabulary import Vocabulary
from charrnn.ui.terminal import novelty_view as view

SYMBOLS = "\n\x1b [ab"


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
    made = random_model(SYMBOLS, card_of(Path("corpus.txt")))
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
    copied, held_out = corpus[100:160], corpus[450:]
    (copy,) = reference.compare(f"{copied}", 10).copies
    assert (copy.start, copy.stop, copy.first) == (0, 60, 100)
    assert reference.compare(held_out, 10).copies == []
    grams = {corpus[k : k + 4] for k in range(447)}
    validation = corpus[450:]
    share = np.mean([validation[k : k + 4] not in grams for k in range(47)])
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
    view.show([SampledText(text)], [found], reference.held_out_ngrams, 20, stream)
    shown = stream.getvalue()
    assert "\x1b" not in shown
    marked, report = shown.split("\n\ncopied: ")  # an empty line keeps them apart
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
    view.show([SampledText("")], [TrainingText.of(model).compare(corpus[:60] + "b", 20)], {}, 20, stream)
    stream.seek(0)
    shown = stream.read()
    assert shown.startswith("[[")
    assert "]]" in shown
