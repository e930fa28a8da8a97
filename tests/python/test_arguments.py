"""Errors of functions name arguments; those of commands name options."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.item_models import item_model
from helpers.random_models import random_model
from typer.testing import CliRunner

import charrnn
from charrnn.cli.app import app
from charrnn.errors import CharRNNError, DataError, Interrupted, UsageError
from charrnn.python.arguments import as_arguments, naming_arguments


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (
            "--val-fraction 0.1 and --test-fraction 0.95 leave",
            "val_fraction=0.1 and test_fraction=0.95 leave",
        ),
        ("--hidden is 0; it must be at least 1", "hidden is 0; it must be at least 1"),
        ("--device cpu needs --backend torch", "device='cpu' needs backend='torch'"),
        ("--preset cannot be given with --resume: a run", "preset cannot be given with resume=True: a run"),
        ("Give --force to continue", "Give force=True to continue"),
        ("a smaller --hidden or --dropout 0.5 would help", "a smaller hidden or dropout=0.5 would help"),
        ("lower --lr: it is 1e-05. --lr 1e-05.", "lower lr: it is 1e-05. lr=1e-05."),
        ("Continue with --resume --max-steps 60.", "Continue with resume=True, max_steps=60."),
        ("--items line (of a table: --text-column NAME)", "items='line' (of a table: text_column=NAME)"),
        ("--items sep:TEXT", "items='sep:TEXT'"),
        ("--encoding utf-16-le; --level byte reads raw", "encoding='utf-16-le'; level='byte' reads raw"),
        ("--concept 'foo' is unknown", "concepts='foo' is unknown"),
        ("--temp 0.5", "temperature=0.5"),
        ("--clamp is 'x'; it", "clamps is 'x'; it"),
        ("--unknown skip leaves them out", "unknown='skip' leaves them out"),
        ("Train with `charrnn train CORPUS`, or", "Train with `charrnn.train(CORPUS)`, or"),
        (
            "Go on with:\n  charrnn train --resume --out 'my runs/x'",
            "Go on with:\n  charrnn.train(resume=True, out='my runs/x')",
        ),
        ("charrnn train PAIRS --items pairs", "charrnn.train(PAIRS, items='pairs')"),
        ("charrnn train text.txt --max-steps 5.", "charrnn.train('text.txt', max_steps=5)."),
        ("charrnn probe labels.csv", "charrnn probe labels.csv"),
        ("a dash – and a--b", "a dash – and a--b"),
    ],
)
def test_options_become_arguments(message: str, told: str) -> None:
    assert as_arguments(message) == told


def test_an_error_keeps_its_class_and_exit_code() -> None:
    @naming_arguments
    def stopped() -> None:
        raise Interrupted("Go on with --resume", 15)

    with pytest.raises(Interrupted, match=r"^Go on with resume=True$") as raised:
        stopped()
    assert raised.value.exit_code == 143


def settings(**given: object) -> dict[str, object]:
    return {"text": "to be or not to be. " * 20, "backend": "numpy", "threads": 1, **given}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            settings(val_fraction=0.6, test_fraction=0.6),
            "val_fraction=0.6 and test_fraction=0.6 leave no text",
        ),
        (settings(hidden=0), "hidden is 0; it must be at least 1"),
        (settings(preset="foo"), "preset is 'foo'; it must be one of: default,"),
        (settings(hiden=3), "unknown setting 'hiden'. Did you mean 'hidden'?"),
        (settings(device="cuda"), "device='cuda' needs backend='torch', but backend is numpy"),
        ({"resume": True, "preset": "quick"}, "preset cannot be given with resume=True"),
    ],
)
def test_training_names_the_argument(given: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        charrnn.train(**given)  # type: ignore[arg-type]
    assert str(refused.value).startswith(message)
    assert "--" not in str(refused.value)


def test_a_command_names_the_option(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("to be or not to be. " * 20)
    told = CliRunner().invoke(
        app, ["train", str(tmp_path / "text.txt"), "--val-fraction", "0.6", "--test-fraction", "0.6"]
    )
    assert isinstance(told.exception, CharRNNError)
    assert str(told.exception).startswith("--val-fraction 0.6 and --test-fraction 0.6 leave no text")


LABELLED, PAIRS = item_model("ab", (("kind", ("x", "y")),)), item_model("ab", pairs=True)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: charrnn.sample(PAIRS), "input is missing: the model was trained on pairs"),
        (lambda: charrnn.sample(LABELLED, input="a"), "input is for a model of pairs, and this one was not"),
        (lambda: charrnn.sample(PAIRS, input="a", stop=""), "stop is an empty text"),
        (lambda: charrnn.sample(PAIRS, input="a", clamps="x"), "clamps is 'x'; it must look like 1:137=0.9"),
        (
            lambda: charrnn.sample(PAIRS, input="a", prime="z"),
            "the text has chars that the model does not know",
        ),
        (
            lambda: charrnn.sample(PAIRS, input="a", label="x"),
            "label is 'x', but the model was trained without",
        ),
        (lambda: charrnn.transform(PAIRS, ["a"], beam=0), "beam is 0; it must be at least 1"),
        (
            lambda: charrnn.classify(LABELLED, ["a"], prior="x"),
            "prior is 'x'; it must be one of: training, uniform",
        ),
        (
            lambda: charrnn.Model.score(LABELLED, "a"),
            "label is missing for kind: the model was trained with labels",
        ),
        (
            lambda: charrnn.Model.score(LABELLED, "a", label=["x", "y"]),
            "label is given twice for a column (kind, kind)",
        ),
    ],
)
def test_conditions_and_settings_of_a_model(call: Callable[[], object], message: str) -> None:
    with pytest.raises(CharRNNError) as refused:
        call()
    assert str(refused.value).startswith(message)
    assert "--" not in str(refused.value)


def test_functions_of_a_model_name_the_argument() -> None:
    model = random_model("ab\n")
    with pytest.raises(UsageError, match=r"^unknown setting 'temprature'. Did you mean 'temperature'\?$"):
        charrnn.sample(model, temprature=1)
    with pytest.raises(UsageError, match=r"^concepts='foo' is unknown; choose from: quote"):
        charrnn.inspect_cells(model, "ab\n" * 1000, ["foo"])
    with pytest.raises(DataError, match="chars that the model does not know: 'z'"):
        charrnn.evaluate(model, "abz")
    with pytest.raises(CharRNNError) as refused:
        charrnn.load_model("runs-that-are-not-there")
    assert "--" not in str(refused.value)
    assert np.isfinite(charrnn.evaluate(model, "abab").loss_nats)
