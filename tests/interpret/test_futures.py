"""What states expect of the next symbols, against the products that define it."""

import numpy as np
import pytest
from helpers.machines import machine_model
from helpers.random_models import random_model

from charrnn.interpret.futures import futures, likely_words
from charrnn.model.model import Model
from charrnn.model.steps import Steps
from charrnn.text.known_processes import process


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_futures_are_the_probabilities_of_words(cell: str) -> None:
    model = random_model("abc", cell=cell)
    steps = Steps(model)
    ids = np.random.default_rng(0).integers(3, size=40)
    states = steps.visited(ids)
    words = likely_words(steps, states, 30)
    assert len(set(words)) == len(words) >= 30
    assert {word[:-1] for word in words} - set(words) == {()}  # each beginning is a word too
    found = futures(steps, states, words)
    for place in (0, 17, 39):
        for k, word in enumerate(words):
            text = np.append(ids[: place + 1], word)
            logits, _ = model.logits(text[:, None])
            p = np.exp(logits[:, 0] - np.logaddexp.reduce(logits[:, 0], axis=1)[:, None])
            expected = np.prod([p[place + j, v] for j, v in enumerate(word)])
            assert found[place, k] ** 2 == pytest.approx(expected, rel=1e-9)


def test_words_follow_what_some_state_finds_likely() -> None:
    """Long runs of b are rare in aⁿbⁿ, and are what tells its states apart: they are asked for."""
    known = process("counter")
    model = machine_model(known)
    symbols, _ = known.write(2000, np.random.default_rng(1))
    steps = Steps(model)
    states = steps.visited(model.vocab.encode(known.text(symbols)))[10:]
    words = likely_words(steps, states)
    b, newline = model.vocab.encode("b\n").tolist()
    assert (b,) * 8 in words
    assert (b,) * 7 + (newline,) in words
    assert not any(len(word) > 2 and word[:2] == (newline, b) for word in words)  # no state allows that
    assert len(words) < 260


def test_few_certain_symbols_leave_room_for_others() -> None:
    """The digits that answer a question are certain; what tells the other states apart is question and digit."""
    known = process("flip-flop")
    model = random_model("".join(sorted(known.symbols)), cell="rnn", layers=1)
    weights = {name: 0 * tensor for name, tensor in model.weights.items()}
    symbols = model.vocab.symbols
    for k, digit in enumerate("01234567"):  # cell k is on after capital k, and makes that digit certain
        weights["rnn.weight_ih_l0"][k, symbols.index("?ABCabc7"[k])] = 9
        weights["head.weight"][symbols.index(digit), k] = 40
    weights["head.bias"][symbols.index("?")] = 3  # likely where nothing is certain
    steps = Steps(Model(model.config, model.vocab, weights))
    states = steps.visited(model.vocab.encode("ABCabc?7" + "1" * 4))
    words = likely_words(steps, states)
    asked = symbols.index("?")
    assert {word[1] for word in words if len(word) == 2 and word[0] == asked} == set(range(len(symbols)))
