"""Texts that are different and new: what is left out, what is counted, and when it ends."""

import pytest
from helpers.item_models import item_model

from charrnn.sampling import collect
from charrnn.sampling.collect import Collection
from charrnn.sampling.sampler import SampledText, Sampler, SamplingConfig

MODEL = item_model("abc", scale=0.5)


def sampler(count: int, **settings: object) -> Sampler:
    return Sampler(MODEL, SamplingConfig(**{"seed": 3, "count": count, "length": 6, **settings}))  # type: ignore[arg-type]


@pytest.mark.parametrize("at_once", [1, 7, 512])
@pytest.mark.parametrize("unique", [False, True])
def test_they_are_the_first_by_their_seeds(
    unique: bool, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect, "ROUND", at_once)
    known = {"", "a", "ab"}
    expected: list[SampledText] = []
    numbers = {"drawn": 0, "repeated": 0, "known": 0, "cut": 0}
    for one in sampler(400).draw():
        numbers["drawn"] += 1
        if one.ended == "length":
            numbers["cut"] += 1
        elif unique and one.text in {other.text for other in expected}:
            numbers["repeated"] += 1
        elif one.text in known:
            numbers["known"] += 1
        else:
            expected.append(one)
        if len(expected) == 20:
            break
    assert numbers["cut"] and numbers["known"]  # noqa: PT018
    found = Collection(sampler(20), unique, known)
    assert [(one.text, one.seed) for one in found] == [(one.text, one.seed) for one in expected]
    assert found.to_json() == numbers
    assert found.in_words().startswith(f"{numbers['drawn']} drawn: {numbers['repeated']} repeated, ")


def test_it_ends_when_there_are_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "TRIES_BESIDE", 30)
    short = {"length": 1}  # the only whole item is the empty one
    empty = sum(one.ended == "end" for one in sampler(90, **short).draw())
    assert empty > 1
    found = Collection(sampler(3, **short), unique=True)
    assert [one.text for one in found] == [""]
    assert found.to_json() == {"drawn": 90, "repeated": empty - 1, "known": 0, "cut": 90 - empty}


def test_the_prime_is_part_of_what_is_known() -> None:
    for with_prime in (True, False):
        free = [one.text for one in Collection(sampler(9, prime="a", with_prime=with_prime), unique=True)]
        known = {text if with_prime else f"a{text}" for text in free[:4]}
        rest = Collection(sampler(5, prime="a", with_prime=with_prime), unique=True, known_texts=known)
        assert [one.text for one in rest] == free[4:]
