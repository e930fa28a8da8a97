"""Results in Python: one-line reprs, rows as data frames."""

import builtins
import math
from typing import Any

import numpy as np
import pytest
from helpers.random_models import random_model

import charrnn
from charrnn.errors import UsageError
from charrnn.model.scores import TextSurprise
from charrnn.runs.history import History
from charrnn.runs.verdict import Verdict
from charrnn.training.result import TrainResult

RECORDS = [
    {"step": 10, "epoch": 0.5, "train_loss_nats": 2.5, "val_loss_nats": None},
    {"step": 20, "epoch": 1.0, "train_loss_nats": 2.0, "val_loss_nats": 2.25},
]
HISTORY = History(RECORDS, Verdict("still improving", "It is.", "Go on."))
RESULT = TrainResult(
    model="runs/a/model.safetensors",
    checkpoint="runs/a/checkpoint.safetensors",
    steps=1200,
    epochs=1.5,
    seconds=3.0,
    chars_per_second=1e5,
    parameters=99,
    train_loss_nats=1.2,
    val_loss_nats=1.3 * math.log(2),
    val_bits_per_char=1.3,
    best_step=1100,
    stopped_because="max_steps",
    verdict=HISTORY.verdict,  # type: ignore[arg-type]
)


def one_liners() -> list[tuple[Any, str]]:
    model = random_model("abc\n", cell="gru", hidden=8, layers=2)
    text = "abca\n" * 400
    return [
        (
            RESULT,
            "<TrainResult: 1,200 steps, best validation 1.300 bits per character at step 1,100, "
            "still improving, in 'runs/a'>",
        ),
        (HISTORY, "<History: 2 reports up to step 20, 1 with validation, still improving>"),
        (History([]), "<History: no reports>"),
        (model, f"<Model: GRU 2×8, {model.network.theta.size:,} parameters, 4 characters>"),
        (
            TextSurprise("a\nb", np.array([1.0, 5.0, 3.0])),
            "<TextSurprise: 3 characters, 3.000 bits per character, most at 1: '\\n', 5.0 bits>",
        ),
        (TextSurprise("", np.zeros(0)), "<TextSurprise: 0 characters, nan bits per character>"),
        (
            charrnn.inspect_cells(model, text, "quote"),
            "<Inspection: no finding, 1 concepts not judged, 2,000 characters>",
        ),
    ]


def test_a_repr_is_one_line() -> None:
    for result, line in one_liners():
        assert repr(result) == line


def test_reprs_of_scores() -> None:
    model = random_model("abc\n")
    score, evaluation = model.score("abc"), charrnn.evaluate(model, "abcabc")
    assert repr(score) == (
        f"<Score: log p {score.log_probability_nats:.4g} nats, 3 symbols, {score.bits_per_char:.3f} bits per character>"
    )
    assert repr(evaluation) == (
        f"<Evaluation: {evaluation.bits_per_char:.4f} bits per character, {evaluation.loss_nats:.4f} nats, "
        "6 characters>"
    )


def test_rows_become_a_data_frame() -> None:
    pytest.importorskip("pandas")
    frame = HISTORY.to_pandas()
    assert list(frame.columns) == ["step", "epoch", "train_loss_nats", "val_loss_nats"]
    assert frame["step"].tolist() == [10, 20]
    assert frame["val_loss_nats"].isna().tolist() == [True, False]
    frame = TextSurprise("ab", np.array([1.0, 2.0]), 0.5).to_pandas()
    assert frame.to_dict("list") == {"character": ["a", "b", "end"], "bits": [1.0, 2.0, 0.5]}


def test_the_rows_of_an_evaluation() -> None:
    model = random_model("ab\n")
    rows = charrnn.evaluate(model, "abab", training="abba\nab" * 20).rows()
    assert [row["name"] for row in rows[:3]] == ["model", "uniform", "unigram"]
    assert rows[1]["loss_nats"] == pytest.approx(math.log(3))
    assert rows[1]["perplexity"] == pytest.approx(3)


def test_without_pandas_one_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "pandas":
            raise ModuleNotFoundError(name)
        return whole(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match="to_pandas needs the extra pandas, which is not installed: "):
        HISTORY.to_pandas()


def test_a_history_is_a_sequence() -> None:
    assert len(HISTORY) == 2
    assert HISTORY[-1]["step"] == 20
    assert [record["step"] for record in HISTORY] == [10, 20]
