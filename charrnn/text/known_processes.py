"""The processes that charrnn can write texts of, by name: what recurrent networks are tested on in the literature.

tomita-1 … tomita-7   strings of the seven languages of Tomita (1982), a line each
dyck-1, dyck-2        brackets of one and of two kinds that match, up to a depth
flip-flop             three bits that are set, unset and asked for (Sussillo and Barak 2013, as symbols)
counter               aⁿbⁿ
mess3                 a hidden Markov model whose beliefs fill a fractal (Marzen and Crutchfield 2017)
rrxor                 two random bits and their exclusive or
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from charrnn.errors import UsageError
from charrnn.text.process import Process

ENDS = 0.1  # probability that a string ends where it may and could go on
DEPTH = {1: 8, 2: 4}  # of brackets, by the number of their kinds
LONGEST_COUNT = 8
NOISE, STAY = 0.05, 0.85  # x and a of mess3

Edges = dict[tuple[str, str], tuple[str, float]]  # (state, symbol) -> next state, probability

# state -> {symbol: next state}, the first one is where a string begins; then the states in which it may end. What is
# missing leads to no string of the language any more.
TOMITA: dict[int, tuple[str, dict[str, dict[str, str]], str]] = {
    1: ("1*", {"a": {"1": "a"}}, "a"),
    2: ("(10)*", {"a": {"1": "b"}, "b": {"0": "a"}}, "a"),
    3: (
        "no odd number of 0s right after an odd number of 1s",
        {
            "a": {"0": "a", "1": "b"},
            "b": {"0": "c", "1": "a"},
            "c": {"0": "d"},
            "d": {"0": "c", "1": "b"},
        },
        "abd",
    ),
    4: ("no 000", {"a": {"0": "b", "1": "a"}, "b": {"0": "c", "1": "a"}, "c": {"1": "a"}}, "abc"),
    5: (
        "even numbers of 0s and of 1s",
        {
            "a": {"0": "b", "1": "c"},
            "b": {"0": "a", "1": "d"},
            "c": {"0": "d", "1": "a"},
            "d": {"0": "c", "1": "b"},
        },
        "a",
    ),
    6: (
        "number of 0s less that of 1s divisible by 3",
        {"a": {"0": "b", "1": "c"}, "b": {"0": "c", "1": "a"}, "c": {"0": "a", "1": "b"}},
        "a",
    ),
    7: (
        "0*1*0*1*",
        {"a": {"0": "a", "1": "b"}, "b": {"0": "c", "1": "b"}, "c": {"0": "c", "1": "d"}, "d": {"1": "d"}},
        "abcd",
    ),
}


def names() -> list[str]:
    return list(_MAKERS)


def process(name: str) -> Process:
    """The process of this name. Raises UsageError if there is none."""
    if name not in _MAKERS:
        raise UsageError(f"there is no process {name!r}; there are: {', '.join(names())}")
    return _MAKERS[name](name)


def _unifilar(name: str, about: str, states: Sequence[str], edges: Edges) -> Process:
    """A process that begins in the first of its states, from its edges."""
    symbols = "".join(sorted({symbol for _, symbol in edges}))
    transitions = np.zeros((len(symbols), len(states), len(states)))
    for (state, symbol), (following, p) in edges.items():
        transitions[symbols.index(symbol), states.index(state), states.index(following)] = p
    return Process(name, about, symbols, transitions, states, np.eye(len(states))[0])


def _strings(name: str, about: str, automaton: Mapping[str, Mapping[str, str]], may_end: str) -> Process:
    """Strings that an automaton accepts, each ended by a newline."""
    edges: Edges = {}
    states = list(automaton)
    for state, following in automaton.items():
        ends = (ENDS if following else 1.0) if state in may_end else 0.0
        if ends:
            edges[state, "\n"] = states[0], ends
        for symbol, other in following.items():
            edges[state, symbol] = other, (1 - ends) / len(following)
    return _unifilar(name, about, states, edges)


def _tomita(name: str) -> Process:
    about, automaton, may_end = TOMITA[int(name[-1])]
    return _strings(name, f"Tomita's language {name[-1]}: {about}", automaton, may_end)


def _dyck(name: str) -> Process:
    kinds = int(name[-1])
    brackets = [("(", ")"), ("[", "]")][:kinds]
    edges: Edges = {}
    states, depth = [""], DEPTH[kinds]
    for stack in states:  # grows while it is read
        closes = 0.0 if not stack else 1.0 if len(stack) == depth else 0.5
        ends = 0.0 if stack else ENDS
        if ends:
            edges[stack, "\n"] = "", ends
        if closes:
            edges[stack, dict(brackets)[stack[-1]]] = stack[:-1], closes
        for opening, _ in brackets if len(stack) < depth else ():
            edges[stack, opening] = stack + opening, (1 - closes - ends) / kinds
            states.append(stack + opening)
    return _unifilar(
        name,
        f"matching brackets of {kinds} {'kind' if kinds == 1 else 'kinds'}, at most {depth} deep",
        states,
        edges,
    )


def _flip_flop(name: str) -> Process:
    """Symbols: A and a set and unset the first bit, B and b the second, C and c the third; ? asks, and a digit answers
    with the three bits as a number."""
    edges: Edges = {}
    for bits in range(8):
        state = f"{bits:03b}"
        for place, letter in enumerate("ABC"):
            on = bits | 4 >> place
            edges[state, letter] = f"{on:03b}", 1 / 8
            edges[state, letter.lower()] = f"{on ^ 4 >> place:03b}", 1 / 8
        edges[state, "?"] = f"{state}?", 1 / 4
        edges[f"{state}?", str(bits)] = state, 1.0
    states = [f"{bits:03b}{asked}" for asked in ("", "?") for bits in range(8)]
    return _unifilar(name, "three bits: A B C set them, a b c unset them, ? asks for all", states, edges)


def _counter(name: str) -> Process:
    edges: Edges = {("start", "a"): ("a1", 1.0)}
    for n in range(1, LONGEST_COUNT + 1):
        more = (LONGEST_COUNT - n) / (LONGEST_COUNT - n + 1)  # so that all lengths are as frequent
        if more:
            edges[f"a{n}", "a"] = f"a{n + 1}", more
        edges[f"a{n}", "b"] = f"b{n - 1}", 1 - more
        edges[f"b{n - 1}", "b" if n > 1 else "\n"] = f"b{n - 2}" if n > 1 else "start", 1.0
    counts = range(1, LONGEST_COUNT + 1)
    states = ["start", *(f"a{n}" for n in counts), *(f"b{n - 1}" for n in counts)]
    return _unifilar(name, f"as many a as b, 1 to {LONGEST_COUNT}, a line each", states, edges)


def _mess3(name: str) -> Process:
    others, keep = (1 - STAY) / 2, 1 - 2 * NOISE
    reached = np.where(np.eye(3, dtype=bool), keep, NOISE)  # from state to state
    emitted = np.where(np.eye(3, dtype=bool), STAY, others)  # symbol by the state that is reached
    return Process(
        name,
        "three states that change rarely, seen through noise",
        "ABC",
        emitted[:, None, :] * reached,
        "ABC",
    )


def _rrxor(name: str) -> Process:
    edges: Edges = {}
    for first in "01":
        edges["start", first] = f"bit {first}", 0.5
        for second in "01":
            edges[f"bit {first}", second] = f"xor {int(first != second)}", 0.5
        edges[f"xor {first}", first] = "start", 1.0
    states = ["start", "bit 0", "bit 1", "xor 0", "xor 1"]
    known = _unifilar(name, "two random bits and their exclusive or, from an unknown place on", states, edges)
    return Process(name, known.about, known.symbols, known.transitions, states)


_MAKERS: dict[str, Callable[[str], Process]] = {
    **{f"tomita-{n}": _tomita for n in TOMITA},
    "dyck-1": _dyck,
    "dyck-2": _dyck,
    "flip-flop": _flip_flop,
    "counter": _counter,
    "mess3": _mess3,
    "rrxor": _rrxor,
}
