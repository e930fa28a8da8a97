"""CharRNN works as scikit-learn's estimators do, with scikit-learn and without it."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import charrnn
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import UsageError
from charrnn.training.estimator import OF_THE_TEXTS, CharRNN

NAMES = [a + b + c for a in ("An", "Be", "Cor") for b in ("a", "ta", "li") for c in ("", "n", "s", "na")] * 4
KINDS = ["long" if len(name) > 4 else "short" for name in NAMES]
SMALL: dict[str, Any] = {
    "hidden": 6,
    "layers": 1,
    "max_steps": 12,
    "warmup_steps": 2,
    "threads": 1,
    "backend": "numpy",
}


@pytest.fixture(scope="module")
def fitted() -> CharRNN:
    return CharRNN(**SMALL).fit(NAMES)


def test_scores_are_those_of_the_model(fitted: CharRNN) -> None:
    texts = ["Ana", "Betan", "Cor", "sss"]
    scores = fitted.score_samples(texts)
    expected = [fitted.model_.score(text).log_probability_nats for text in texts]
    np.testing.assert_allclose(scores, expected, rtol=1e-5)
    assert fitted.score(texts) == pytest.approx(float(np.mean(expected)), rel=1e-5)


def test_empty_texts_have_scores_in_their_places(fitted: CharRNN) -> None:
    scores = fitted.score_samples(["Ana", "", "Betan"])
    np.testing.assert_allclose(scores[[0, 2]], fitted.score_samples(["Ana", "Betan"]), rtol=1e-5)
    assert scores[1] == pytest.approx(fitted.model_.score("").log_probability_nats, rel=1e-5)
    assert fitted.score_samples([]).shape == (0,)


def test_samples_are_those_of_the_model(fitted: CharRNN) -> None:
    assert fitted.sample(3, seed=5, length=8) == fitted.model_.sample(count=3, seed=5, length=8)
    assert len(fitted.sample()) == 1


def test_it_fits_as_train_does(fitted: CharRNN, tmp_path: Path) -> None:
    result = charrnn.train(texts=NAMES, out=tmp_path / "run", **SMALL)
    for name, tensor in result.load().weights.items():
        np.testing.assert_array_equal(fitted.model_.weights[name], tensor)
    assert len(fitted.history_) == len(result.history)


def test_it_leaves_no_folder_unless_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    CharRNN(**SMALL).fit(NAMES)
    assert os.listdir() == ["temporary"]
    assert not os.listdir("temporary")
    kept = CharRNN(out="kept", **SMALL).fit(NAMES)
    assert charrnn.load_model("kept").vocab == kept.model_.vocab


def test_labels_go_before_their_texts() -> None:
    one = CharRNN(**SMALL).fit(NAMES, KINDS)
    scores = one.score_samples(["Ana", "Ana"], ["long", "short"])
    expected = [one.model_.score("Ana", label=label).log_probability_nats for label in ("long", "short")]
    np.testing.assert_allclose(scores, expected, rtol=1e-5)
    with_empty = one.score_samples(["Ana", ""], ["short", "long"])
    assert with_empty[0] == pytest.approx(expected[1], rel=1e-5)
    assert one.sample(2, seed=1, label="long") == one.model_.sample(count=2, seed=1, label="long")


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_arrays_are_texts_too(fitted: CharRNN, shape: tuple[int, ...]) -> None:
    texts = ["Ana", "Betan"]
    for kind in (object, str):
        array = np.array(texts, kind).reshape(shape)
        np.testing.assert_array_equal(fitted.score_samples(array), fitted.score_samples(texts))


def test_parameters() -> None:
    one = CharRNN(preset="quick", hidden=5)
    parameters = one.get_params()
    fields = {*ModelConfig.__dataclass_fields__, *TrainConfig.__dataclass_fields__} - set(OF_THE_TEXTS)
    assert set(parameters) == fields | {"preset", "out", "force", "init_from"}
    assert {name: value for name, value in parameters.items() if value} == {"preset": "quick", "hidden": 5}
    assert one.set_params(layers=3) is one
    assert one.layers == 3
    assert repr(one) == "CharRNN(preset='quick', layers=3, hidden=5)"
    with pytest.raises(UsageError, match=r"^CharRNN has no parameter 'layer'\. Did you mean 'layers'"):
        one.set_params(hidden=9, layer=1)
    assert one.hidden == 5


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: CharRNN().sample(), r"^this CharRNN is not fitted yet: call fit\(texts\) first$"),
        (
            lambda: CharRNN(**SMALL).fit("one text"),
            r"^X is 'one text', which is a str; it must be a list of str$",
        ),
        (lambda: CharRNN(**SMALL).fit([1.5, 2.5]), r"^X\[0\] is 1\.5, which is a float; it must be a str$"),
        (
            lambda: CharRNN(**SMALL).fit(NAMES, [*KINDS[1:], 5]),
            r"^y\[\d+\] is 5, which is an int; it must be a str$",
        ),
        (
            lambda: CharRNN(**SMALL).fit(NAMES[:2] * 9).score([]),
            r"^X has no texts; a mean needs at least one$",
        ),
        (lambda: CharRNN(hiden=3), r"^CharRNN has no parameter 'hiden'\. Did you mean 'hidden'\?$"),
        (lambda: CharRNN(hidden=0).fit(NAMES), r"^hidden is 0; it must be at least 1$"),
    ],
)
def test_what_is_refused(use: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        use()


# ---- With scikit-learn


@pytest.fixture
def checks() -> Any:
    pytest.importorskip("sklearn")
    return pytest.importorskip("sklearn.utils.estimator_checks")


def test_the_check_of_estimators(checks: Any) -> None:
    """Most of it is for tables of numbers: it says so, and stops after what applies."""
    from sklearn.exceptions import SkipTestWarning

    with pytest.warns(SkipTestWarning, match="which requires input"):
        checks.check_estimator(CharRNN(**SMALL))


@pytest.mark.parametrize(
    "check",
    [
        *("estimator_cloneable", "estimator_tags_renamed", "valid_tag_types", "estimator_repr"),
        *("no_attributes_set_in_init", "do_not_raise_errors_in_init_or_set_params", "mixin_order"),
        *("parameters_default_constructible", "get_params_invariance", "set_params"),
    ],
)
def test_the_checks_that_need_no_table(checks: Any, check: str) -> None:
    getattr(checks, f"check_{check}")("CharRNN", CharRNN(**SMALL))


def test_clones_searches_and_pipelines(checks: Any) -> None:
    from sklearn.base import clone
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.utils.validation import check_is_fitted

    one = CharRNN(**SMALL)
    other = clone(one)
    assert other.get_params() == one.get_params()
    found = GridSearchCV(one, {"hidden": [2, 8]}, cv=2, error_score="raise").fit(np.array(NAMES))
    assert found.best_params_["hidden"] in (2, 8)
    assert len(set(found.cv_results_["mean_test_score"])) == 2
    check_is_fitted(found.best_estimator_)
    line = make_pipeline(clone(one)).fit(NAMES)
    np.testing.assert_allclose(
        line.score_samples(["Ana"]), CharRNN(**SMALL).fit(NAMES).score_samples(["Ana"])
    )
    assert not hasattr(one, "model_")
