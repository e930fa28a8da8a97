"""The number of threads: by sizes, what a variable says, and in each function of the library."""

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.blas import blas_now
from helpers.handmade import dialogue, random_weights
from helpers.random_models import random_model
from threadpoolctl import threadpool_limits

import charrnn
from charrnn.config import ModelConfig
from charrnn.engines import threads
from charrnn.engines.threads import VARIABLES, blas_threads, choose_shards, given_threads
from charrnn.fast.fast_network import FastNetwork
from charrnn.interpret.excerpt import read_excerpt
from charrnn.interpret.network_flow import of_fresh, of_model
from charrnn.interpret.passages import top_guesses
from charrnn.interpret.reading import reading_of
from charrnn.interpret.recording import record
from charrnn.interpret.run_report import surprises_of
from charrnn.interpret.saturation import gate_saturation
from charrnn.model.model import Model
from charrnn.nn.network import Network
from charrnn.probe import probe
from charrnn.sampling.beam import beam_search
from charrnn.sampling.sampler import Sampler, SamplingConfig
from charrnn.sampling.stepper import Stepper
from charrnn.score import evaluation
from charrnn.score.lines import score_lines
from charrnn.text.vocabulary import ItemSymbols, Vocabulary


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No variable is set, and BLAS has two threads, however many cores there are."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with threadpool_limits(2, user_api="blas"):
        yield


@pytest.mark.parametrize(("cores", "streams", "multiplications", "expected"),
    [(1, 64, 1e12, 1), (4, 64, 1e9, 4), (4, 3, 1e9, 3), (4, 64, 1e5, 1)],
)  # fmt: skip
def test_shards(
    cores: int, streams: int, multiplications: float, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "available_cores", lambda: cores)
    assert choose_shards(streams, multiplications) == expected


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, None),
        ({"OMP_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "2"}, 2),
        ({"OMP_NUM_THREADS": "3", "MKL_NUM_THREADS": "5"}, 5),
        ({"OMP_NUM_THREADS": " 4,2"}, 4),
        ({"OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "0"}, 3),
        ({"OMP_NUM_THREADS": "many"}, None),
        ({"OMP_NUM_THREADS": "-1"}, None),
        ({"OMP_NUM_THREADS": ""}, None),
    ],
)
def test_variables(variables: dict[str, str], expected: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert given_threads() == expected
    with blas_threads():
        assert blas_now() == {expected or 1}
    with blas_threads(6):
        assert blas_now() == {6}
    assert blas_now() == {2}


def test_the_newest_counts_in_whatever_order_they_end() -> None:
    """Texts drawn by turns are generators: the first may well end first."""
    first, second = blas_threads(3), blas_threads(4)
    first.__enter__()
    assert blas_now() == {3}
    second.__enter__()
    assert blas_now() == {4}
    first.__exit__(None, None, None)
    assert blas_now() == {4}
    second.__exit__(None, None, None)
    assert blas_now() == {2}


def test_an_error_gives_the_threads_back() -> None:
    @blas_threads(3)
    def fails() -> None:
        assert blas_now() == {3}
        raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            fails()
        assert blas_now() == {2}


TEXT = dialogue(6000)
SYMBOLS = "".join(sorted({*TEXT}))
MODEL = Model(ModelConfig(cell="lstm", layers=1, hidden=32), SYMBOLS, random_weights("lstm", vocab=SYMBOLS))
IDS = MODEL.vocab.encode(TEXT)
LABELLED = random_model(Vocabulary("char", ("a", "b"), ItemSymbols(False, (("kind", ("x", "y")),))))
PAIRS = random_model(Vocabulary("char", ("a", "b"), ItemSymbols(pairs=True)))


def train(folder: Path, **settings: Any) -> None:
    (folder / "text.txt").write_text(TEXT[:2000], encoding="utf-8")
    charrnn.train(folder / "text.txt", out=folder / "run", hidden=8, max_steps=2, backend="numpy", **settings)


def lines() -> None:
    with score_lines([MODEL], IDS[:300]) as scores:
        assert list(scores.ranked())


LIBRARY: dict[str, Callable[[Path], object]] = {
    "evaluate": lambda _: charrnn.evaluate(MODEL, IDS),
    "surprises": lambda _: list(evaluation.surprises([MODEL], IDS)),
    "predictions": lambda _: list(evaluation.predictions([MODEL], IDS[:30])),
    "score_lines": lambda _: lines(),
    "worst_places": lambda _: evaluation.worst_places([MODEL], IDS[:30], [np.arange(29.0)], 2),
    "inspect_cells": lambda _: charrnn.inspect_cells(MODEL, TEXT, ["quote"]),
    "record": lambda _: record(MODEL, TEXT),
    "gate_saturation": lambda _: gate_saturation(MODEL, TEXT),
    "top_guesses": lambda _: top_guesses(MODEL, reading_of(MODEL, TEXT), 100, 120),
    "read_excerpt": lambda _: read_excerpt(MODEL, record(MODEL, TEXT), [(100, 200)], [3]),
    "features": lambda _: probe.features(MODEL, [IDS[:9], IDS[:20]]),
    "sample": lambda _: charrnn.sample(MODEL, length=5),
    "samples": lambda _: list(Sampler(MODEL, SamplingConfig(length=3, count=40))),
    "beam_search": lambda _: beam_search([MODEL], [1], 3, 2),
    "of_fresh": lambda _: of_fresh(["gru"], hidden=8, distance=5),
    "of_model": lambda _: of_model(MODEL, IDS, 5),
    "surprises_of": lambda _: surprises_of(MODEL, TEXT),
    "logits": lambda _: MODEL.logits(IDS[:9, None]),
    "activations": lambda _: MODEL.activations(TEXT[:20]),
    "score": lambda _: MODEL.score(TEXT[:20]),
    "surprise": lambda _: MODEL.surprise(TEXT[:20]),
    "train": train,
    "classify": lambda _: charrnn.classify(LABELLED, ["ab", "b"], prior="uniform"),
    "transform": lambda _: charrnn.transform(PAIRS, ["ab", "b"], length=5),
}


@pytest.fixture
def during(monkeypatch: pytest.MonkeyPatch) -> list[set[int]]:
    """The threads of BLAS whenever a network reads."""
    found: list[set[int]] = []

    def spied(method: Callable[..., Any]) -> Callable[..., Any]:
        def spy(*args: Any, **options: Any) -> Any:
            found.append(blas_now())
            return method(*args, **options)

        return spy

    monkeypatch.setattr(Network, "forward", spied(Network.forward))
    monkeypatch.setattr(FastNetwork, "_share", spied(FastNetwork._share))
    monkeypatch.setattr(Stepper, "step", spied(Stepper.step))
    return found


@pytest.mark.parametrize("name", LIBRARY)
def test_each_function_has_the_threads_that_it_would_have_anywhere(
    name: str, during: list[set[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LIBRARY[name](tmp_path)
    assert during
    assert set(map(frozenset, during)) == {frozenset({1})}
    during.clear()
    (tmp_path / "again").mkdir()
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    LIBRARY[name](tmp_path / "again")
    assert set(map(frozenset, during)) == {frozenset({3})}
    assert blas_now() == {2}


def test_a_probe_is_fitted_with_them_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """scikit-learn comes with a BLAS of its own, which is loaded after the first of the products."""
    pytest.importorskip("sklearn")
    found: list[set[int]] = []
    fitted = probe._choose_strength

    def spy(*args: Any) -> Any:
        found.append(blas_now())
        return fitted(*args)

    monkeypatch.setattr(probe, "_choose_strength", spy)
    texts = [TEXT[k : k + 9] for k in range(0, 400, 10)]
    probe.fit(MODEL, texts, [MODEL.vocab.encode(text) for text in texts], ["a", "b"] * 20)
    assert found == [{1}, {1}]


def test_threads_of_a_run_are_those_asked_for(
    during: list[set[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--threads goes before a variable."""
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    train(tmp_path, threads=4, val_fraction=0.0)
    steps = [number for number in during if number == {4}]
    assert len(steps) >= 2
    assert during[0] == {4}


def test_nothing_public_is_left_out() -> None:
    """What `charrnn` offers that reads with a network stands in the table above."""
    functions = {name for name in charrnn.__all__ if inspect.isfunction(getattr(charrnn, name))}
    methods = {name for name, _ in inspect.getmembers(Model, inspect.isfunction) if not name.startswith("_")}
    assert (functions | methods) - {"load_model", "save"} <= LIBRARY.keys()
