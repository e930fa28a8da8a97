"""Arguments of wrong types: public functions refuse them by name, or take them as what they mean."""

import inspect
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from helpers.item_models import item_model
from helpers.random_models import random_model

import charrnn
from charrnn.errors import CharRNNError, UsageError
from charrnn.python.kinds import Unfit, fitted, in_words
from charrnn.sampling.writer import Model


def public(model: Any) -> Model:
    return Model(model.config, model.vocab, model.weights)


STREAM = public(random_model("ab\n"))
LABELLED = public(item_model("ab", (("kind", ("x", "y")),)))
PAIRS = public(item_model("ab", pairs=True))
FITTED = charrnn.CharRNN()
FITTED.model_ = STREAM
TEXT = "abab\n" * 400
SMALL = {"hidden": 2, "max_steps": 1, "threads": 1, "progress": False}

# Each function with arguments that are right.
CALLS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "sample": (charrnn.sample, {"model": STREAM, "length": 3}),
    "evaluate": (charrnn.evaluate, {"model": STREAM, "text": "abab"}),
    "inspect_cells": (charrnn.inspect_cells, {"model": STREAM, "text": TEXT}),
    "classify": (charrnn.classify, {"model": LABELLED, "texts": ["ab"]}),
    "transform": (charrnn.transform, {"model": PAIRS, "texts": ["ab"], "length": 3}),
    "load_model": (charrnn.load_model, {"path": "model.safetensors"}),
    "train": (charrnn.train, SMALL),
    "Model": (Model, {"config": STREAM.config, "vocab": STREAM.vocab, "weights": STREAM.weights}),
    "Model.score": (STREAM.score, {"text": "ab"}),
    "Model.surprise": (STREAM.surprise, {"text": "ab"}),
    "Model.activations": (STREAM.activations, {"text": "ab"}),
    "Model.logits": (STREAM.logits, {"ids": "ab"}),
    "Model.save": (STREAM.save, {"path": "model.safetensors"}),
    "Model.sample": (STREAM.sample, {"length": 3}),
    "CharRNN.fit": (FITTED.fit, {"X": ["ab"]}),
    "CharRNN.score_samples": (FITTED.score_samples, {"X": ["ab"]}),
    "CharRNN.score": (FITTED.score, {"X": ["ab"]}),
    "CharRNN.sample": (FITTED.sample, {"n_samples": 1}),
}
WRONG = {
    "an int": 5,
    "a float": 1.5,
    "None": None,
    "bytes": b"ab",
    "an array": np.array([["ab", "ba"]]),
    "a path": Path("ab"),
    "numbers": [1, 2],
    "a mapping": {1: "b"},
    "an object": object(),
    "True": True,
    "-1": -1,
    "a module": types,
}


def test_no_function_of_the_module_is_left_out() -> None:
    functions = {name for name in charrnn.__all__ if inspect.isfunction(getattr(charrnn, name))}
    of_model = {name for name, one in vars(Model).items() if inspect.isfunction(one) and name[0] != "_"}
    assert functions | {f"Model.{name}" for name in of_model} <= CALLS.keys()


@pytest.mark.parametrize("name", CALLS)
def test_wrong_types_are_refused_by_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For every argument and every wrong value: the call works, or one message of ours names the argument."""
    monkeypatch.chdir(tmp_path)
    function, right = CALLS[name]
    refused = set()
    for argument, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            continue
        for kind, value in WRONG.items():
            try:
                fitted(value, parameter.annotation)
                continue  # it is of the right type: what it means is another matter
            except Unfit:
                pass
            if value is None and argument in SETTINGS:
                continue  # not given
            with pytest.raises(UsageError) as told:
                function(**{**right, argument: value})
            assert str(told.value).startswith(argument), (kind, str(told.value))
            assert "; it must be " in str(told.value)
            refused.add(argument)
    assert refused == {
        name for name, p in inspect.signature(function).parameters.items() if p.kind is not p.VAR_KEYWORD
    }
    assert not list(tmp_path.iterdir())


SETTINGS = {
    name for one in (charrnn.ModelConfig, charrnn.TrainConfig) for name in one.__dataclass_fields__
} | {
    "temperature",
    "prime",
    "top_k",
    "top_p",
    "min_p",
    "repetition_penalty",
    "seed",
    "unknown",
    "weights",
    "length",
}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: STREAM.score(5), "text is 5, which is an int; it must be a str or bytes"),
        (lambda: STREAM.surprise("a", prime=None), "prime is None; it must be a str or bytes"),
        (lambda: STREAM.score(["a", "b"]), "text is ['a', 'b'], which is a list; it must be a str or bytes"),
        (lambda: charrnn.load_model(None), "path is None; it must be a str or a path"),
        (
            lambda: charrnn.sample(STREAM, count="3"),
            "count is '3', which is a str; it must be a whole number",
        ),
        (lambda: charrnn.sample(STREAM, count=-1), "count is -1; it must be at least 1"),
        (lambda: charrnn.sample([]), "model is an empty list; it must have at least one model"),
        (
            lambda: charrnn.sample("runs/a"),
            "model is 'runs/a', which is a str; it must be a model (charrnn.load_model reads one) or a list of Model",
        ),
        (lambda: charrnn.train(text=b"ab"), "text is b'ab', which is a bytes; it must be a str"),
        (lambda: charrnn.train(texts=["a", 5]), "texts[1] is 5, which is an int; it must be a str"),
        (
            lambda: charrnn.train(texts=["a", "b"], labels={"k": ["x", None]}),
            "labels['k'][1] is None; it must be a str",
        ),
        (
            lambda: charrnn.train(text="ab", hidden=1.5),
            "hidden is 1.5, which is a float; it must be a whole number",
        ),
        (
            lambda: charrnn.inspect_cells(STREAM, TEXT, signal="memory"),
            "signal is 'memory', which is a str; it must be one of: cell, hidden",
        ),
    ],
)
def test_messages(call: Callable[[], object], message: str) -> None:
    with pytest.raises(CharRNNError) as refused:
        call()
    assert str(refused.value) == message


def test_numbers_and_texts_of_numpy() -> None:
    plain = charrnn.sample(STREAM, count=2, length=5, seed=3, temperature=0.5, prime="ab")
    assert plain == charrnn.sample(
        STREAM,
        count=np.int64(2),
        length=np.int32(5),
        seed=np.uint8(3),
        temperature=np.float32(0.5),
        prime=np.str_("ab"),
    )
    assert STREAM.score(np.str_("ab")).log_probability_nats == STREAM.score("ab").log_probability_nats
    uniform = charrnn.classify(LABELLED, ["ab"], prior="uniform")
    assert charrnn.classify(LABELLED, ["ab"], prior=np.array("uniform")) == uniform
    assert fitted(np.str_("cell"), Literal["cell", "hidden"]) == "cell"
    with pytest.raises(UsageError, match=r"^texts is 'ab', which is a str; it must be a list of str$"):
        charrnn.classify(LABELLED, np.array("ab"))
    ids = STREAM.vocab.encode("ab")[:, None]
    np.testing.assert_array_equal(STREAM.logits(ids.tolist())[0], STREAM.logits(ids)[0])


def test_a_list_of_texts_in_other_forms() -> None:
    pandas = pytest.importorskip("pandas")
    texts = ["ab", "ba", "a"]
    expected = charrnn.classify(LABELLED, texts, prior="uniform")
    frame = pandas.DataFrame({"name": texts}, index=[7, 8, 9])
    for form in (tuple(texts), np.array(texts), frame["name"], frame, iter(texts), np.array(texts)[:, None]):
        assert charrnn.classify(LABELLED, form, prior="uniform") == expected
    with pytest.raises(UsageError, match=r"^texts\[1\] is nan, which is a float; it must be a str$"):
        charrnn.classify(LABELLED, pandas.Series(["ab", float("nan")]))
    with pytest.raises(UsageError, match=r"^texts is .*, which is a DataFrame; it must be a list of str$"):
        charrnn.classify(LABELLED, pandas.DataFrame({"a": texts, "b": texts}))


def test_kinds_in_words() -> None:
    assert in_words(str | bytes | None) == "a str or bytes"
    assert in_words(int) == "a whole number"
    assert in_words(list[str | int]) == "a list of str or int"
    assert in_words(dict | Callable[[int], None] | float) == "a dict, a function or a number"
