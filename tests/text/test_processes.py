"""Processes against what is known of them: their languages, their entropy rates, exact beliefs, published matrices."""

import contextlib
import itertools
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from charrnn.errors import DataError, UsageError
from charrnn.text import known_processes
from charrnn.text.known_processes import TOMITA, process
from charrnn.text.process import Process
from charrnn.text.process_files import STATES, Written, make, read_truth

LENGTH = 4000


def draw(name: str, length: int = LENGTH, seed: int = 3) -> tuple[Process, str, np.ndarray]:
    """The process, a text of it, and the names of the states after each symbol."""
    found = process(name)
    symbols, states = found.write(length, np.random.default_rng(seed))
    return found, found.text(symbols), np.array(found.states)[states]


def runs(text: str) -> list[tuple[str, int]]:
    return [(symbol, len(list(group))) for symbol, group in itertools.groupby(text)]


def no_odd_zeros_after_odd_ones(text: str) -> bool:
    pairs = itertools.pairwise(runs(text))
    return not any(a == "1" and m % 2 and b == "0" and n % 2 for (a, m), (b, n) in pairs)


# From the definitions, without an automaton.
IS_IN: dict[int, Callable[[str], object]] = {
    1: lambda s: re.fullmatch("1*", s),
    2: lambda s: re.fullmatch("(10)*", s),
    3: no_odd_zeros_after_odd_ones,
    4: lambda s: "000" not in s,
    5: lambda s: s.count("0") % 2 == 0 and s.count("1") % 2 == 0,
    6: lambda s: (s.count("0") - s.count("1")) % 3 == 0,
    7: lambda s: re.fullmatch("0*1*0*1*", s),
}


@pytest.mark.parametrize("number", TOMITA)
def test_tomita_automata_accept_just_their_language(number: int) -> None:
    _, automaton, may_end = TOMITA[number]
    for length in range(11):
        for letters in itertools.product("01", repeat=length):
            state: str | None = next(iter(automaton))
            for letter in letters:
                state = automaton[state].get(letter) if state else None
            assert (state is not None and state in may_end) == bool(IS_IN[number]("".join(letters))), letters


@pytest.mark.parametrize("number", TOMITA)
def test_tomita_texts_are_lines_of_the_language(number: int) -> None:
    _, text, _ = draw(f"tomita-{number}")
    lines = text.split("\n")[:-1]  # the last one may be cut
    assert len(lines) > 100
    assert all(IS_IN[number](line) for line in lines)
    assert len(set(lines)) > 10


@pytest.mark.parametrize(("name", "depth", "kinds"), [("dyck-1", 8, "()"), ("dyck-2", 4, "()[]")])
def test_brackets_match(name: str, depth: int, kinds: str) -> None:
    _, text, states = draw(name)
    stack = deepest = ""
    for symbol, state in zip(text, states, strict=True):
        if symbol in "([":
            stack += symbol
        elif symbol == "\n":
            assert stack == ""
        else:
            assert stack[-1] + symbol in ("()", "[]")
            stack = stack[:-1]
        assert state == stack
        deepest = max(stack, deepest, key=len)
    assert len(deepest) == depth
    assert set(text) == {*kinds, "\n"}


def test_the_flip_flop_answers_with_its_bits() -> None:
    _, text, states = draw("flip-flop")
    bits, answers = [0, 0, 0], set()
    for before, symbol, state in zip(" " + text, text, states, strict=False):
        if before == "?":
            assert symbol == str(4 * bits[0] + 2 * bits[1] + bits[2])
            answers.add(symbol)
        elif symbol != "?":
            bits["ABC".index(symbol.upper())] = int(symbol.isupper())
        assert state.rstrip("?") == "".join(map(str, bits))
    assert answers == set("01234567")


def test_the_counter_counts() -> None:
    _, text, _ = draw("counter")
    lines = text.split("\n")[:-1]
    assert all(re.fullmatch("(a+)(b+)", line) and line.count("a") == line.count("b") for line in lines)
    counts = np.bincount([line.count("a") for line in lines], minlength=9)
    assert counts[0] == 0
    assert (abs(counts[1:] - len(lines) / 8) < 5 * np.sqrt(len(lines) / 8)).all()


def test_rrxor_is_periodic_in_three() -> None:
    _, text, states = draw("rrxor")
    first = int(np.flatnonzero(states == "start")[0]) + 1
    for at in range(first, len(text) - 2, 3):
        a, b, c = map(int, text[at : at + 3])
        assert c == a ^ b


def test_mess3_has_the_published_matrices() -> None:
    # Marzen and Crutchfield (2017) with x = .05 and a = .85; b = (1 - a)/2, y = 1 - 2 x.
    a, b, x, y = 0.85, 0.075, 0.05, 0.9
    expected = [
        [[a * y, b * x, b * x], [a * x, b * y, b * x], [a * x, b * x, b * y]],
        [[b * y, a * x, b * x], [b * x, a * y, b * x], [b * x, a * x, b * y]],
        [[b * y, b * x, a * x], [b * x, b * y, a * x], [b * x, b * x, a * y]],
    ]
    mess3 = process("mess3")
    np.testing.assert_allclose(mess3.transitions, expected, atol=1e-15)
    np.testing.assert_allclose(mess3.start, np.full(3, 1 / 3), atol=1e-12)
    assert mess3.entropy_rate() is None


def test_entropy_rates_that_can_be_worked_out_by_hand() -> None:
    ends = -(0.1 * np.log(0.1) + 0.9 * np.log(0.9))
    assert process("tomita-1").entropy_rate() == pytest.approx(ends)
    # Every other symbol of (10)* is certain, but for the newline: 10 ends every tenth time.
    assert process("tomita-2").entropy_rate() == pytest.approx(ends / 1.9)
    assert process("rrxor").entropy_rate() == pytest.approx(2 / 3 * np.log(2))
    # One of eight lengths a line of 2 n + 1 symbols, 10 on average.
    assert process("counter").entropy_rate() == pytest.approx(np.log(8) / 10)


@pytest.mark.parametrize("name", known_processes.names())
def test_beliefs_and_losses_are_those_of_all_paths(name: str) -> None:
    """Against a sum over every path of states, for the first few symbols."""
    found = process(name)
    symbols, _ = found.write(5, np.random.default_rng(5))
    size = len(found.states)
    if size > 5:
        symbols = symbols[:2]
    joint = np.zeros(size)
    for path in itertools.product(range(size), repeat=len(symbols) + 1):
        p = found.start[path[0]]
        for symbol, (before, after) in zip(symbols, itertools.pairwise(path), strict=True):
            p *= found.transitions[symbol, before, after]
            if not p:
                break
        joint[path[-1]] += p
    beliefs, losses = found.beliefs(symbols)
    np.testing.assert_allclose(beliefs[-1], joint / joint.sum(), atol=1e-12)
    assert losses.sum() == pytest.approx(-np.log(joint.sum()))


@pytest.mark.parametrize("name", known_processes.names())
def test_the_loss_of_a_text_is_near_the_entropy_rate(name: str) -> None:
    found = process(name)
    symbols, states = found.write(20_000, np.random.default_rng(1))
    beliefs, losses = found.beliefs(symbols)
    if (rate := found.entropy_rate()) is not None:
        spread = losses.std() / np.sqrt(len(losses) / 20)  # a line's losses belong together
        assert abs(losses.mean() - rate) < 4 * spread + 1e-4
    # The belief in the state that the process is in is as large as it says, on average.
    held = beliefs[np.arange(len(states)), states]
    assert held.mean() == pytest.approx((beliefs**2).sum(axis=1).mean(), abs=0.02)


def test_a_symbol_that_cannot_come_costs_infinitely() -> None:
    found = process("tomita-2")
    zero = found.symbols.index("0")
    beliefs, losses = found.beliefs(np.array([zero, zero]))
    assert losses[0] == np.inf
    np.testing.assert_array_equal(beliefs[0], found.stationary)


def test_files_hold_the_text_and_its_truth(tmp_path: Path) -> None:
    written = Written(process("mess3"), 500, seed=4)
    text, states = make(written, tmp_path / "noise.txt", force=False)
    assert (text.name, states.name) == ("noise.txt", f"noise{STATES}")
    truth = read_truth(states)
    symbols, hidden = process("mess3").write(500, np.random.default_rng(4))
    beliefs, losses = process("mess3").beliefs(symbols)
    assert text.read_text() == process("mess3").text(symbols)
    np.testing.assert_array_equal(truth.states, hidden)
    np.testing.assert_allclose(truth.beliefs, beliefs, atol=1e-7)
    assert written.least_loss() == pytest.approx(losses[1:].mean())
    assert truth.names == ("A", "B", "C")
    content = states.read_bytes()
    make(written, text, force=False)  # the same again
    assert states.read_bytes() == content
    with pytest.raises(UsageError, match="exists and "):
        make(Written(process("mess3"), 500, seed=5), text, force=False)
    assert states.read_bytes() == content


def test_states_of_another_text_are_spared(tmp_path: Path) -> None:
    _, states = make(Written(process("mess3"), 50, seed=1), tmp_path / "a.train", force=False)
    before = states.read_bytes()
    with pytest.raises(UsageError, match="has other states"):
        make(Written(process("rrxor"), 50, seed=1), tmp_path / "a.valid", force=False)
    assert not (tmp_path / "a.valid").exists()
    assert states.read_bytes() == before
    make(Written(process("rrxor"), 50, seed=1), tmp_path / "a.valid", force=True)
    assert read_truth(states).names == process("rrxor").states


def test_a_file_with_changed_bytes_is_told(tmp_path: Path) -> None:
    _, states = make(Written(process("rrxor"), 200, seed=1), tmp_path / "a.txt", force=False)
    whole, rng = states.read_bytes(), np.random.default_rng(0)
    for _ in range(200):
        changed = bytearray(whole)
        for place in rng.integers(0, len(whole), 8):
            changed[place] ^= int(rng.integers(1, 256))
        states.write_bytes(changed)
        with contextlib.suppress(DataError):
            read_truth(states)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 no zip"])
def test_another_file_is_no_truth(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / f"x{STATES}"
    file.write_bytes(content)
    with pytest.raises(DataError, match="is not the states of a process"):
        read_truth(file)


def test_a_damaged_truth_is_refused(tmp_path: Path) -> None:
    _, states = make(Written(process("rrxor"), 50, seed=1), tmp_path / "x.txt", force=False)
    with np.load(states) as arrays:
        changed = dict(arrays) | {"beliefs": arrays["beliefs"][:-1]}
    np.savez(states, **changed)
    with pytest.raises(DataError, match="damaged"):
        read_truth(states)


def test_an_unknown_process_is_refused() -> None:
    with pytest.raises(UsageError, match="no process 'mess4'; there are: tomita-1, "):
        process("mess4")
