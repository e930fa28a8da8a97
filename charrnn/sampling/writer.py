"""A model that writes: what a Python program loads, and asks for texts and for their probability."""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import cached_property
from typing import Any, cast, overload

from charrnn.errors import DataError, UsageError, did_you_mean
from charrnn.files.writing import StrPath
from charrnn.model import model as wordless
from charrnn.model.scores import TextSurprise
from charrnn.nn.network import Clamp
from charrnn.python.arguments import naming_arguments, taking
from charrnn.python.results import Pictured
from charrnn.runs.folder import find_model
from charrnn.sampling.sampler import SampledText, Sampler
from charrnn.sampling.sampling_config import SamplingConfig
from charrnn.text.conditions import Given


class Sample(str, Pictured):
    """A text from a model: a str, which a notebook shows coloured by surprise. Copies are plain texts."""

    _ask: Callable[[], TextSurprise | None]

    def __new__(cls, text: str, ask: Callable[[], TextSurprise | None] = lambda: None) -> "Sample":
        made = super().__new__(cls, text)
        made._ask = ask
        return made

    @cached_property
    def surprise(self) -> TextSurprise | None:
        """How little the model expects each character at temperature 1; None where it cannot be told."""
        return self._ask()

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)


class Model(wordless.Model):
    __doc__ = wordless.Model.__doc__

    __init__ = naming_arguments(wordless.Model.__init__)
    score = naming_arguments(wordless.Model.score)
    surprise = naming_arguments(wordless.Model.surprise)
    logits = naming_arguments(wordless.Model.logits)
    activations = naming_arguments(wordless.Model.activations)
    save = naming_arguments(wordless.Model.save)

    @naming_arguments
    @taking(SamplingConfig)
    def sample(
        self,
        *,
        count: int | None = None,
        temp: float | None = None,
        stop: str | Sequence[str] = (),
        clamps: str | Clamp | Sequence[str | Clamp] = (),
        label: Given = (),
        input: str | None = None,
        **settings: Any,
    ) -> Sample | list[Sample]:
        """A text from the model; with `count`, a list of so many. The arguments are those of `charrnn.sample`."""
        of_sampler = {"stop": stop, "clamps": clamps, "label": label, "input": input}
        return sample(self, count=cast(int, count), temp=temp, **of_sampler, **settings)


def load_model(path: StrPath) -> Model:
    """The model in a model file, or the one that a run folder keeps.

    Raises ModelError if it is missing, damaged, forged or too new.
    """
    found = wordless.load_model(find_model(path))
    return cast(Model, Model.of_network(found.network, found.vocab, found.training))


@overload
def sample(
    model: wordless.Model | Sequence[wordless.Model], *, count: None = None, **settings: Any
) -> Sample: ...


@overload
def sample(
    model: wordless.Model | Sequence[wordless.Model], *, count: int, **settings: Any
) -> list[Sample]: ...


@taking(SamplingConfig)
def sample(
    model: wordless.Model | Sequence[wordless.Model],
    *,
    count: int | None = None,
    temp: float | None = None,
    stop: str | Sequence[str] = (),
    clamps: str | Clamp | Sequence[str | Clamp] = (),
    label: Given = (),
    input: str | None = None,
    **settings: Any,
) -> Sample | list[Sample]:
    """A text from a model, or from several whose probabilities are averaged; with `count`, a list of so many.

    count : number of texts, with seed, seed + 1, …; by default one text, and no list
    temp : the same as temperature
    stop : one or several texts to stop before
    clamps : cells held at a value, such as "1:137=0.9", which is layer:cell=value
    label : of a model with labels: "Irish", "origin=Irish", several, or {"origin": "Irish"}
    input : of a model of pairs, the text whose output is drawn
    prime : the text to continue
    with_prime : whether it is part of the text; None means of items only

    Raises UsageError for an unknown setting or a value out of its limits, DataError for unknown characters.
    """
    known = {f.name for f in fields(SamplingConfig)}
    if unknown := settings.keys() - known:
        name = sorted(unknown)[0]
        known |= {"count", "temp", "stop", "clamps", "label", "input"}
        raise UsageError(f"unknown setting {name!r}{did_you_mean(name, known)}")
    if temp is not None:
        if settings.get("temperature", temp) != temp:
            raise UsageError(f"temp is {temp} and temperature {settings['temperature']}; give one of them")
        settings["temperature"] = temp
    config = SamplingConfig(count=1 if count is None else count, **settings)
    sampler = Sampler(model, config, stop=stop, clamps=clamps, label=label, input=input)
    texts = [_with_surprise(one, sampler) for one in sampler.draw(scored=False)]
    return texts[0] if count is None else texts


def _with_surprise(drawn: SampledText, sampler: Sampler) -> Sample:
    """A text that can tell its surprise to the model that wrote it."""
    (model, *others), input = sampler.given_models, sampler.input

    def surprise() -> TextSurprise | None:
        if others:
            return None
        text = drawn.text[len(sampler.prime) :] if sampler.config.with_prime else drawn.text
        try:
            found = model.surprise(text, prime=sampler.prime, label=drawn.label or (), input=input)
        except DataError:  # bytes that are no UTF-8 were replaced
            return None
        return found if drawn.ended == "end" else replace(found, end_bits=None)

    return Sample(drawn.text, surprise)
