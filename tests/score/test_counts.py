"""Counts against counting by hand, and a network mixed with them."""

import math
import random
import tracemalloc
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.item_models import item_model
from helpers.random_models import random_model

from charrnn.errors import DataError
from charrnn.nn.loss import cross_entropy
from charrnn.score import counts as counting
from charrnn.score import temperature
from charrnn.score.counts import Counts, Matches, Reach, windows
from charrnn.score.evaluation import surprises
from charrnn.score.halves import first_half
from charrnn.score.mixed import fitted_mixture, mixed, mixed_surprises
from charrnn.score.mixture import KINDS, ORDER, Gate, Mixture
from charrnn.text.batches import Text
from charrnn.text.items import Items

FIELDS = ("order", "weight", "growth", "temperature")


def text(length: int, seed: int, symbols: int = 3) -> np.ndarray:
    """Symbols that depend on the two before, so that there is something to count."""
    rng = random.Random(seed)
    ids = [0, 1]
    while len(ids) < length:
        ids.append(rng.choice([rng.randrange(symbols), (2 * ids[-1] + ids[-2]) % symbols]))
    return np.array(ids, np.uint16)


def counted(ids: np.ndarray, order: int) -> dict[tuple[int, ...], Counter[int]]:
    """Context -> how often each symbol follows it, by dictionaries."""
    found: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    symbols = ids.tolist()
    for place, symbol in enumerate(symbols):
        for k in range(min(order, place) + 1):
            found[tuple(symbols[place - k : place])][symbol] += 1
    return found


def by_hand(known: dict[tuple[int, ...], Counter[int]], ids: list[int], order: int) -> list[list[list[int]]]:
    """seen, context and kinds of each symbol, for each length of the context."""
    rows: list[list[list[int]]] = [[], [], []]
    for k in range(order + 1):
        each = [known.get(tuple(ids[n - k : n]), Counter()) if n >= k else Counter() for n in range(len(ids))]
        rows[0].append([after[symbol] for after, symbol in zip(each, ids, strict=True)])
        rows[1].append([sum(after.values()) for after in each])
        rows[2].append([len(after) for after in each])
    return rows


def assert_equal(found: Matches, expected: list[list[list[int]]]) -> None:
    for numbers, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(numbers, wanted)


@pytest.mark.parametrize("vocab_size", [3, 256, 4000])  # of 4,000 symbols contexts of 5 and more are hashed
def test_counts_are_those_of_dictionaries(vocab_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "SYMBOLS_AT_ONCE", 101)  # several blocks
    training, read = text(500, 1) * (vocab_size // 3), text(70, 2) * (vocab_size // 3)
    found = Counts.of(training, vocab_size, 7).matches(Reach(read))
    assert_equal(found, by_hand(counted(training, 7), read.tolist(), 7))


def test_counts_grow_as_if_they_had_been_counted_again() -> None:
    training, read = text(300, 1), text(80, 2)
    counts = Counts.of(training, 3, 4)
    static = counts.matches(Reach(read))
    growing = static.with_those_of(counts.earlier(Reach(read), static), 2)
    for n in range(len(read)):
        known = counted(training, 4)
        for context, after in counted(read[:n], 4).items():
            for symbol, times in after.items():
                known[context][symbol] += 2 * times
        expected = by_hand(known, read[: n + 1].tolist(), 4)
        assert_equal(growing.of(np.array([n])), [[row[n : n + 1] for row in numbers] for numbers in expected])
    after = counts.grown(Reach(read), 2).matches(Reach(read))
    assert_equal(after, by_hand(known_after(training, read), read.tolist(), 4))


def known_after(training: np.ndarray, read: np.ndarray) -> dict[tuple[int, ...], Counter[int]]:
    known = counted(training, 4)
    for context, after in counted(read, 4).items():
        known[context].update({symbol: 2 * times for symbol, times in after.items()})
    return known


def test_a_table_with_too_many_rows_is_left_out_with_all_longer_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    training = text(500, 1)
    rows = [len(table.keys) for table in Counts.of(training, 3, 5).tables]
    monkeypatch.setattr(counting, "MOST_ROWS", rows[3])
    assert [len(table.keys) for table in Counts.of(training, 3, 5).tables] == rows[:4]


def test_counts_are_kept_under_their_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path))
    one, other = text(400, 1), text(400, 2)
    made = Counts.of(one, 3, 3)
    Counts.kept(one, 3, 3)
    kept = sorted(tmp_path.iterdir())
    assert len(kept) == 4
    monkeypatch.setattr(counting, "_counted", lambda *_: pytest.fail("counted again"))
    again = Counts.kept(one, 3, 3)
    for table, same in zip(made.tables, again.tables, strict=True):
        np.testing.assert_array_equal(table.keys, same.keys)
        np.testing.assert_array_equal(table.ends, same.ends)
    monkeypatch.undo()
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path))
    assert len(Counts.kept(other, 3, 3).tables[2].keys) == len(Counts.of(other, 3, 3).tables[2].keys)
    damaged = bytearray(kept[0].read_bytes())
    damaged[0] ^= 1
    kept[0].write_bytes(damaged)
    for table, same in zip(made.tables, Counts.kept(one, 3, 3).tables, strict=True):
        np.testing.assert_array_equal(table.keys, same.keys)


def test_a_table_with_too_many_rows_is_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path))
    monkeypatch.setattr(counting, "MOST_ROWS", 20)
    once = Counts.kept(text(400, 1), 3, 3)
    monkeypatch.setattr(counting, "_counted", lambda *_: pytest.fail("counted again"))
    again = Counts.kept(text(400, 1), 3, 3)
    assert len(once.tables) == len(again.tables) < 4


def test_a_table_with_too_many_rows_grows_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Counts.of(text(400, 1), 3, 3)
    monkeypatch.setattr(counting, "MOST_ROWS", len(made.tables[2].keys) - 1)
    (window,) = windows(text(100, 2), 3, 1000)
    grown = made.grown(window, 1)
    totals = [int(table.ends[-1]) for table in made.tables]
    assert [int(table.ends[-1]) for table in grown.tables] == [totals[0] + 100, totals[1] + 99, *totals[2:]]


def test_memory_is_that_of_making_the_largest_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are made are mapped from the cache, so their number does not matter."""
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path))
    monkeypatch.setattr(counting, "SYMBOLS_AT_ONCE", 2**12)
    ids = np.random.default_rng(1).integers(0, 64, 40_000).astype(np.uint8)
    tracemalloc.start()
    try:
        tables = Counts.kept(ids, 64, 7).tables
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    rows = [len(table.keys) for table in tables]
    assert min(rows[4:]) > 39_900
    assert peak < 45 * max(rows)  # all together have 60 bytes per row


def test_more_symbols_than_32_bits_can_count_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    training, read = text(400, 1), text(100, 2)
    made = Counts.of(training, 3, 2)
    (window,) = windows(read, 2, 1000)
    monkeypatch.setattr(counting, "MOST_COUNTED", 400 + 16 * 99)
    grown = made.grown(window, 16)
    totals = [int(table.ends[-1]) for table in grown.tables]
    assert totals == [400, 399 + 16 * 99, 398 + 16 * 98]  # of the first there would be 400 + 16 * 100
    monkeypatch.setattr(counting, "MOST_COUNTED", 399)
    with pytest.raises(DataError, match="counts are of at most 399 symbols; the training text has 400"):
        Counts.of(training, 3, 2)


# ------------------------------------------------------------------------------------------------
# The mixture


SYMBOLS = "abcde"


def parts_of(seed: int = 3) -> dict[str, Text]:
    return {"train": text(900, seed, 5), "validation": text(420, seed + 1, 5), "test": text(300, seed + 2, 5)}


def item_parts() -> tuple[Any, dict[str, Text]]:
    model = item_model(SYMBOLS, (("kind", ("x", "y")),))
    rng = random.Random(5)
    end, labels = model.vocab.end, [model.vocab.label("kind", value) for value in "xy"]

    def items(number: int) -> Items:
        each = []
        for _ in range(number):
            label = rng.randrange(2)
            word = [rng.choice([label, 2 * label, 3]) for _ in range(rng.randrange(1, 7))]
            each.append([labels[label], *word, end])
        stops = np.cumsum([len(one) for one in each])
        flat = np.array([symbol for one in each for symbol in one], model.vocab.dtype)
        return Items(flat, np.r_[0, stops[:-1]], stops, np.ones(number, int))

    return model, {"train": items(200), "validation": items(120), "test": items(40)}


def same_gate(one: Gate, other: Gate) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in FIELDS) and np.array_equal(
        one.shares, other.shares
    )


@pytest.mark.parametrize("adaptive", [False, True])
def test_the_reported_text_changes_no_fitted_number(adaptive: bool) -> None:
    model, parts = random_model(SYMBOLS), parts_of()
    T = temperature.fitted(model.network, first_half(parts["validation"]))
    assert T is not None
    assert T != 1
    model.training["temperature"] = T  # as in the card, if the second half says the same
    first = mixed([model], parts["test"], parts, adaptive=adaptive)
    assert not first.second_half
    other = mixed([model], text(200, 77, 5), parts, adaptive=adaptive)
    half = len(parts["validation"]) // 2
    changed = parts | {"validation": np.r_[parts["validation"][:half], text(half, 78, 5)]}
    third = mixed([model], changed["validation"], changed, adaptive=adaptive)
    assert third.second_half
    assert (third.chars, first.chars) == (half, len(parts["test"]) - 1)
    assert first.static != other.static != third.static
    for report in (other, third):
        assert report.gates.keys() == first.gates.keys()
        for name, gate in report.gates.items():
            assert same_gate(gate, first.gates[name])
    fitted_elsewhere = parts | {"validation": text(420, 79, 5)}
    again = mixed([model], parts["test"], fitted_elsewhere)
    assert not same_gate(again.gates["static"], first.gates["static"])  # the comparison can fail


def test_the_network_is_mixed_in_at_its_fitted_temperature_if_that_helps() -> None:
    """The one in its card; for the validation text, on which that was fitted, one that fits the first half."""
    model, parts = random_model(SYMBOLS, scale=1.5), parts_of()
    plain = mixed([model], parts["test"], parts)
    model.training["temperature"] = 1.9
    found = mixed([model], parts["test"], parts, adaptive=True)
    assert [gate.temperature for gate in found.gates.values()] == [1.9, 1]  # each as it helps it
    assert "\n+ counts: with the network at the temperature 1.90" in found.in_words()
    assert (
        found.adaptive
        == mixed([random_model(SYMBOLS, scale=1.5)], parts["test"], parts, adaptive=True).adaptive
    )
    assert "temperature" not in plain.in_words()
    assert found.network == plain.network
    test = np.asarray(parts["test"]).astype(int)
    logits, _ = model.logits(test[:-1, None])
    nats = cross_entropy(logits[:, 0] / 1.9, test[1:])
    mixture = Mixture(Counts.of(parts["train"], 5, 7), found.gates["static"])
    assert found.static == pytest.approx(
        np.concatenate([*mixture.losses(parts["test"], [nats])]).mean(), rel=1e-5
    )
    assert found.static != pytest.approx(plain.static, rel=1e-4)
    of_validation = mixed([model], parts["validation"], parts)
    T = temperature.fitted(model.network, first_half(parts["validation"]))
    assert of_validation.gates["static"].temperature == T != 1.9
    assert "which fits the first half of the validation text" in of_validation.in_words()
    two = mixed([model, random_model(SYMBOLS, seed=3)], parts["test"], parts)
    assert two.gates["static"].temperature == 1
    model.training["temperature"] = 0.5  # far too sure of itself
    worse = mixed([model], parts["test"], parts)
    assert worse.gates["static"].temperature == 1
    assert worse.static == plain.static


@pytest.mark.parametrize("T", [None, 1.3])
def test_the_mixture_is_a_distribution_and_gives_the_losses(T: float | None) -> None:
    model, parts = random_model(SYMBOLS, training={"temperature": T}, scale=1.5), parts_of()
    counts = Counts.of(parts["train"], 5, 7)
    mixture = fitted_mixture([model], parts, counts)
    assert mixture.gate.temperature == (T or 1)
    test = np.asarray(parts["test"])[:40]
    logits, _ = model.logits(test[:-1, None].astype(int))
    p_network = np.exp(logits[:, 0] - logits[:, 0].max(axis=1, keepdims=True))
    p_network /= p_network.sum(axis=1, keepdims=True)
    context = [test[max(0, n - 7) : n] for n in range(1, len(test))]
    p = np.concatenate([mixture.distribution(p_network[n : n + 1], c[None]) for n, c in enumerate(context)])
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=0, atol=1e-12)
    (losses,) = mixed_surprises([model], test, mixture)
    np.testing.assert_allclose(losses, -np.log(p[np.arange(39), test[1:]]), rtol=1e-12)
    (alone,) = surprises([model], test)
    assert not np.allclose(losses, alone, rtol=0.01)


@pytest.mark.parametrize("adaptive", [False, True])
def test_all_symbols_at_a_place_sum_to_one(adaptive: bool) -> None:
    """The same text with each symbol at one place: what stands before it is the same, so these are all cases."""
    for model, parts in [(random_model(SYMBOLS), parts_of()), item_parts()]:
        counts = Counts.of(parts["train"], len(model.vocab), 7, model.vocab.written)
        mixture = fitted_mixture([model], parts, counts, adaptive=adaptive)
        test = parts["test"]
        place = int(test.starts[7] + 1) if isinstance(test, Items) else 150
        predicted = int(np.cumsum(test.scored)[6]) if isinstance(test, Items) else 149
        total = 0.0
        for symbol in range(model.vocab.written):
            ids = np.array(test.ids if isinstance(test, Items) else test)
            ids[place] = symbol
            one = Items(ids, test.starts, test.stops, test.conditions) if isinstance(test, Items) else ids
            losses = np.concatenate(list(mixture.losses(one, surprises([model], one))))
            total += math.exp(-losses[predicted])
        assert total == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("growth", [0, 4])
@pytest.mark.parametrize(("vocab_size", "used"), [(1, 1), (2, 2), (60, 58), (5_000, 40), (60_000, 7)])
def test_any_counts_and_gates_make_a_distribution(vocab_size: int, used: int, growth: int) -> None:
    """With symbols that are only read or never come, and with contexts that are hashed (from 256 symbols on)."""
    rng = np.random.default_rng(vocab_size)
    symbols = rng.choice(vocab_size, used, replace=False) if used > 2 else np.arange(used)
    written = int(symbols.max()) + 1
    training, read = (symbols[rng.integers(0, used, n) ** 2 % used].astype(np.uint16) for n in (700, 50))
    gate = Gate(7, 3, growth, rng.random((ORDER + 2) * (len(KINDS) + 1)))
    mixture = Mixture(Counts.of(training, vocab_size, ORDER, written), gate)
    p_network = np.zeros(vocab_size)
    p_network[symbols] = rng.dirichlet(np.ones(used))
    place, rest = 40, written - used
    each = []
    for symbol in [*symbols, *np.setdiff1d(np.arange(written), symbols)[:1]]:
        ids = read.copy()
        ids[place] = symbol
        losses = np.ones(len(ids) - 1)
        with np.errstate(divide="ignore"):
            losses[place - 1] = -np.log(p_network[symbol])
        (mixed,) = mixture.losses(ids, [losses])
        each.append(math.exp(-mixed[place - 1]))
    total = sum(each[:used]) + (rest * each[used] if rest else 0)  # those that never come are all alike
    assert total == pytest.approx(1, abs=1e-12)
    if not growth:
        (p,) = mixture.distribution(p_network[None], read[None, place - 16 : place])
        assert p.sum() == pytest.approx(1, abs=1e-12)
        np.testing.assert_allclose(p[symbols], each[:used], rtol=1e-12)
        assert not p[written:].any()


def test_counts_of_items_never_reach_across_a_beginning() -> None:
    model, parts = item_parts()
    counts = Counts.of(parts["train"], len(model.vocab), 7, model.vocab.written)
    mixture = fitted_mixture([model], parts, counts)
    test = parts["test"]
    assert isinstance(test, Items)
    together = np.concatenate(list(mixture.losses(test, surprises([model], test))))
    apart = [
        np.concatenate(list(mixture.losses(test[n : n + 1], surprises([model], test[n : n + 1]))))
        for n in range(len(test))
    ]
    np.testing.assert_allclose(together, np.concatenate(apart), rtol=1e-9)
    assert len(together) == test.symbols  # ends are counted
    report = mixed([model], test, parts)
    assert report.static == pytest.approx(together.mean())


@pytest.mark.parametrize("adaptive", [False, True])
def test_windows_do_not_matter(adaptive: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for model, parts in [(random_model(SYMBOLS), parts_of()), item_parts()]:
        counts = Counts.of(parts["train"], len(model.vocab), 7, model.vocab.written)
        mixture = fitted_mixture([model], parts, counts, adaptive=adaptive)
        alone = np.concatenate(list(surprises([model], parts["test"])))
        whole = np.concatenate(list(mixture.losses(parts["test"], [alone])))
        with monkeypatch.context() as patch:
            patch.setattr("charrnn.score.mixture.LOOKED_UP_AT_ONCE", 37)
            found = list(mixture.losses(parts["test"], np.array_split(alone, 5)))
        assert len(found) > 3
        np.testing.assert_allclose(np.concatenate(found), whole, rtol=1e-12)


def test_the_gate_is_the_likeliest_one() -> None:
    """Of one gate for all places, by trying all: and counts that predict the text better are trusted more."""
    training, fitted = text(2000, 1), text(1200, 2)
    counts = Counts.of(training, 3, 7)
    alone = np.full(len(fitted) - 1, math.log(3))
    mixture = Mixture.fitted(counts, fitted, alone[None])
    (losses,) = mixture.losses(fitted, [alone])
    assert losses.mean() < 0.9 * math.log(3)
    (window,) = windows(fitted, 7, len(fitted), first=1)
    known = counts.matches(window).of(window.predicted)
    best = math.inf
    for weight in (1, 2, 3, 5, 8, 12):
        for order, p in enumerate(known.interpolated(weight, 1 / 3)):
            if order >= 3:
                best = min(best, *(-np.log(g / 3 + (1 - g) * p).mean() for g in np.linspace(0, 0.999, 100)))
    assert losses.mean() <= best + 1e-4


def test_what_the_network_holds_impossible_has_a_finite_loss() -> None:
    """However much better than the counts it was where the gate was fitted."""
    training, fitted = text(2000, 1), text(1200, 2)
    counts = Counts.of(training, 3, 7)
    (window,) = windows(training[:200], 7, 200, first=1)
    known = counts.matches(window).of(window.predicted)
    sure, impossible = np.full(len(fitted) - 1, 1e-9), np.full(199, 800.0)  # e^-800 is no number
    mixture = Mixture.fitted(counts, fitted, sure[None])
    p_counts = known.probabilities(mixture.gate.weight, 1 / 3, mixture.gate.order)
    (losses,) = mixture.losses(training[:200], [impossible])
    assert np.isfinite(losses).all()
    assert (losses > -np.log(p_counts) + 2).all()  # counts alone, at a small share
    (alone,) = mixture.losses(fitted, [sure])
    assert alone.max() < 2e-6  # which costs next to nothing where it is right


def test_a_short_validation_text_is_refused() -> None:
    model, parts = random_model(SYMBOLS), parts_of()
    with pytest.raises(DataError, match="first half of the validation text"):
        mixed([model], parts["test"], parts | {"validation": parts["validation"][:150]})
