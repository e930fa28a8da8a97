"""A model in a program: it writes texts, tells their surprise, and can be copied."""

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
from helpers.random_models import random_model

import charrnn
from charrnn.errors import UsageError
from charrnn.model.model import Model as Wordless
from charrnn.sampling.sampler import Sampler, SamplingConfig
from charrnn.sampling.writer import Model, Sample, load_model
from charrnn.text.vocabulary import ItemSymbols, Vocabulary

TEXT = "the cat sat\non the mat\n"


def model(**settings: object) -> Model:
    made = random_model(TEXT, **settings)  # type: ignore[arg-type]
    return Model(made.config, made.vocab, made.weights, {"corpus": {"name": "cat"}})


def items(labels: bool = False) -> Model:
    columns = (("kind", ("x", "y")),) if labels else ()
    vocabulary = Vocabulary("char", tuple("abc"), ItemSymbols(labels=columns))
    made = random_model(vocabulary, scale=1.0)
    weights = dict(made.weights)
    weights["head.bias"] = weights["head.bias"].copy()
    weights["head.bias"][vocabulary.unwritten] = -1e30
    return Model(made.config, vocabulary, weights)


def test_a_method_a_function_and_the_sampler_write_the_same() -> None:
    one = model()
    drawn = Sampler(one, SamplingConfig(length=40, seed=3, temperature=0.5)).draw()[0].text
    assert one.sample(length=40, seed=3, temperature=0.5) == drawn
    assert one.sample(length=40, seed=3, temp=0.5) == drawn
    assert charrnn.sample(one, length=40, seed=3, temp=0.5) == drawn
    assert charrnn.sample(one, length=40, seed=3, temp=0.5, temperature=0.5) == drawn


def test_a_count_gives_a_list_even_of_one() -> None:
    one = model()
    texts = one.sample(count=3, length=9, seed=5)
    assert texts == [one.sample(length=9, seed=5 + k) for k in range(3)]
    assert one.sample(count=1, length=9, seed=5) == texts[:1]
    assert charrnn.sample(one, count=1, length=9, seed=5) == texts[:1]


def test_two_temperatures_are_refused() -> None:
    with pytest.raises(UsageError, match=r"^temp is 1 and temperature 0.5; give one of them$"):
        model().sample(temp=1, temperature=0.5)


@pytest.mark.parametrize("count", [0, 2.5, "3"])
def test_a_wrong_count_is_refused(count: object) -> None:
    with pytest.raises(UsageError, match=rf"^count is {count!r}(, which is an? \w+)?; it must be "):
        model().sample(count=count)  # type: ignore[arg-type]


def test_surprise_sums_up_to_the_score() -> None:
    one = model()
    told, score = one.surprise("the mat", prime="on "), one.score("the mat", prime="on ")
    np.testing.assert_allclose(told.bits, -score.symbols_nats / np.log(2))
    assert told.total_bits == pytest.approx(-score.log_probability_nats / np.log(2))
    assert score.bits_per_char == pytest.approx(told.total_bits / 7)
    assert [character for character, _ in told] == list("the mat")
    assert told.end_bits is None


def test_surprise_of_bytes_is_that_of_their_characters() -> None:
    made = random_model(Vocabulary.all_bytes())
    one = Model(made.config, made.vocab, made.weights)
    text = "aé€b"
    score, told = one.score(text), one.surprise(text)
    nats = -score.symbols_nats
    expected = [nats[0], nats[1] + nats[2], nats[3:6].sum(), nats[6]]
    np.testing.assert_allclose(told.bits, np.array(expected) / np.log(2))
    np.testing.assert_array_equal(one.surprise(text.encode()).bits, told.bits)
    assert one.surprise(text.encode()).text == text


def test_the_end_of_an_item_is_told_apart() -> None:
    one = items()
    told, score = one.surprise("abc"), one.score("abc")
    assert told.end_bits == pytest.approx(-score.symbols_nats[-1] / np.log(2))
    assert told.total_bits == pytest.approx(-score.log_probability_nats / np.log(2))
    assert [row["character"] for row in told.rows()] == ["a", "b", "c", "end"]


def test_a_text_becomes_logits_as_its_ids_do() -> None:
    one = model()
    ids = one.vocab.encode("the cat")
    logits, state = one.logits("the cat")
    of_ids, other = one.logits(ids[:, None])
    assert logits.shape == (7, 1, len(one.vocab))
    np.testing.assert_array_equal(logits, of_ids)
    np.testing.assert_array_equal(state, other)


def test_a_sample_knows_its_surprise() -> None:
    one = model()
    text = one.sample(length=30, seed=1, prime="the ")
    assert isinstance(text, Sample)
    assert isinstance(text, str)
    assert text.surprise is not None
    assert text.surprise.text == text
    np.testing.assert_allclose(text.surprise.bits, one.surprise(text, prime="the ").bits)
    whole = one.sample(length=30, seed=1, prime="the ", with_prime=True)
    assert whole == "the " + text
    assert whole.surprise is not None
    assert whole.surprise.text == text


def test_an_item_that_was_cut_has_no_end() -> None:
    one = items(labels=True)
    texts = one.sample(count=40, seed=1, length=3)
    ended = [text.surprise.end_bits is not None for text in texts if text.surprise is not None]
    lengths = [len(text) for text in texts]
    assert set(ended) == {True, False}
    assert all(length == 3 for length, end in zip(lengths, ended, strict=True) if not end)


def test_texts_of_several_models_have_no_surprise() -> None:
    assert charrnn.sample([model(seed=1), model(seed=2)], length=5, seed=1).surprise is None


def test_a_copied_sample_is_a_plain_text() -> None:
    text = model().sample(length=20, seed=1)
    for other in (copy.deepcopy(text), pickle.loads(pickle.dumps(text))):
        assert type(other) is str
        assert other == text


def test_a_loaded_model_is_of_both_classes(tmp_path: Path) -> None:
    """As `isinstance` with either class held when there was one; of a file, and of a run folder."""
    model().save(tmp_path / "model.safetensors")
    for place in (tmp_path, tmp_path / "model.safetensors", str(tmp_path)):
        loaded = charrnn.load_model(place)
        assert type(loaded) is charrnn.Model
        assert isinstance(loaded, Wordless)


@pytest.mark.parametrize("kind", [Model, Wordless])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_models_are_pickled_and_copied(kind: type[Wordless], dtype: type) -> None:
    made = model(dtype=dtype, embedding=3)
    one = kind(made.config, made.vocab, made.weights, made.training)
    for other in (pickle.loads(pickle.dumps(one)), copy.deepcopy(one), copy.copy(one)):
        assert type(other) is kind
        assert (other.config, other.vocab, other.training) == (one.config, one.vocab, one.training)
        assert {name: tensor.tobytes() for name, tensor in other.weights.items()} == {
            name: tensor.tobytes() for name, tensor in one.weights.items()
        }
        np.testing.assert_array_equal(other.logits("the cat")[0], one.logits("the cat")[0])
        other.network.theta[:] = 0  # its own
    assert any(tensor.any() for tensor in one.weights.values())


def test_a_run_folder_holds_a_model(tmp_path) -> None:
    (tmp_path / "run").mkdir()
    made = model()
    made.save(tmp_path / "run/model.safetensors")
    for path in (tmp_path / "run", str(tmp_path / "run/model.safetensors")):
        found = charrnn.load_model(path)
        assert type(found) is Model
        assert found.sample(length=10, seed=1) == made.sample(length=10, seed=1)
    assert load_model(tmp_path / "run").training == made.training
