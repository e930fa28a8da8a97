"""Training in the manner of scikit-learn: parameters in the constructor, what was learnt in attributes with a `_`.

scikit-learn itself is not needed. Where it is there, its tools (`clone`, pipelines, searches of parameters) work.
"""

import inspect
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np

from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import UsageError, did_you_mean
from charrnn.python.arguments import naming_arguments, taking
from charrnn.runs.history import History
from charrnn.sampling.writer import Model, Sample, sample
from charrnn.score.evaluation import item_losses
from charrnn.training.given_texts import LABEL, Labels, given
from charrnn.training.plan import read_training_text
from charrnn.training.session import train

OF_THE_TEXTS = (
    "items",
    "text_column",
    "label_column",
    "input_column",
)  # settings that texts themselves decide


class CharRNN:
    """A model of texts, each from its beginning to its end: an estimator in the manner of scikit-learn.

    >>> names = charrnn.CharRNN(preset="quick", hidden=64, max_steps=500).fit(["Ann", "Bea", …])
    >>> names.score_samples(["Ann", "xqz"])   # log p of each, in nats
    >>> names.sample(3)

    preset : a name in charrnn.config.PRESETS
    out : the run folder to write; by default a temporary one, which is removed after the training
    force : write into a folder that holds a run
    init_from : a model file or run folder to start from

    Settings that are None have the value of the preset. After `fit` there are `model_` and `history_`.
    """

    @taking(ModelConfig, TrainConfig, without=OF_THE_TEXTS, unset=True)
    def __init__(
        self,
        *,
        preset: str | None = None,
        out: str | None = None,
        force: bool = False,
        init_from: str | None = None,
        **settings: Any,
    ) -> None:
        parameters = {"preset": preset, "out": out, "force": force, "init_from": init_from}
        for name in _PARAMETERS:
            setattr(self, name, parameters.get(name, settings.pop(name, None)))
        if settings:
            raise _unknown(next(iter(settings)))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters of the constructor as they are now."""
        return {name: getattr(self, name) for name in _PARAMETERS}

    def set_params(self, **parameters: Any) -> "CharRNN":
        """Change parameters. Raises UsageError, and changes nothing, if there is no such parameter."""
        for name in parameters:
            if name not in _PARAMETERS:
                raise _unknown(name)
        for name, value in parameters.items():
            setattr(self, name, value)
        return self

    @naming_arguments
    def fit(self, X: Iterable[str], y: Labels | None = None) -> "CharRNN":
        """Train on texts. y : a label for each, which its text then depends on; by default there are none"""
        parameters = self.get_params()
        out = parameters.pop("out")
        with tempfile.TemporaryDirectory() if out is None else nullcontext(out) as folder:
            result = train(texts=X, labels=y, out=folder, **parameters)
            self.model_: Model = result.load()
            self.history_: History = result.history
        return self

    @naming_arguments
    def score_samples(self, X: Iterable[str], y: Labels | None = None) -> np.ndarray:
        """(n,) log p of each text and its end, in nats. y : their labels, if the model has any"""
        texts, model = list(X), self._fitted()
        sources, form = given((), None, texts, y, None, {})
        if not all(texts) or not texts:  # an empty text is no item of a corpus, but it has a probability
            columns = y if isinstance(y, Mapping) else {} if y is None else {LABEL: y}
            labels = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
            each = zip(texts, labels or [{}] * len(texts), strict=True)
            found = [model.score(text, label=label).log_probability_nats for text, label in each]
            return np.array(found, np.float64)
        config = TrainConfig(level=model.vocab.level, **form)
        items = read_training_text(sources, config, vocabulary=model.vocab).items
        assert items is not None
        return -item_losses([model], items)

    def score(self, X: Iterable[str], y: Labels | None = None) -> float:
        """The mean of `score_samples`: higher is better. Raises UsageError without any text."""
        if not len(scores := self.score_samples(X, y)):
            raise UsageError("X has no texts; a mean needs at least one")
        return float(scores.mean())

    @naming_arguments
    def sample(self, n_samples: int = 1, **settings: Any) -> list[Sample]:
        """New texts; further arguments are those of `charrnn.sample`, such as temperature, seed and label."""
        return sample(self._fitted(), count=n_samples, **settings)

    def _fitted(self) -> Model:
        if not self.__sklearn_is_fitted__():
            raise UsageError("this CharRNN is not fitted yet: call fit(texts) first")
        return self.model_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, Tags, TargetTags

        kind = InputTags(one_d_array=True, two_d_array=False, string=True)
        target = TargetTags(required=False, one_d_labels=True)
        return Tags(
            estimator_type="density_estimator", target_tags=target, input_tags=kind, no_validation=True
        )

    def __repr__(self) -> str:
        given = {
            name: value
            for name, value in self.get_params().items()
            if value is not None and value is not False
        }
        return f"CharRNN({', '.join(f'{name}={value!r}' for name, value in given.items())})"


_PARAMETERS = tuple(inspect.signature(CharRNN).parameters)


def _unknown(name: str) -> UsageError:
    return UsageError(f"CharRNN has no parameter {name!r}{did_you_mean(name, _PARAMETERS)}")
