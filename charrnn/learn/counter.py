"""Chapter 14: a small LSTM learns to count, and one of its cells is the counter.

The strings are n times a, then n times b, then a newline (Gers and Schmidhuber 2001): the number of
remaining b is known only by counting. n is 1 to LONGEST in training; longer strings are tried afterwards.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.learn.followed import RealText, in_real_text
from charrnn.learn.lesson_text import LessonText
from charrnn.learn.small import Chunk, make_network, train
from charrnn.nn.loss import log_softmax
from charrnn.nn.network import Clamp, Network

SYMBOLS = "ab\n"
A, B, NEWLINE = range(3)
H, LONGEST, TRIED = 4, 8, 16
STEPS, LR, STREAMS, T = 800, 0.03, 16, 24
SHOWN = 8  # n of the string that is looked at


@dataclass(frozen=True)
class Counter:
    """text : a string as read, N characters; c : (N, H); count : (N,), the number of a's without a b so far
    cell : the one whose c follows the count; correlations : (H,), of each
    right : for each n, whether the string ended at the right character; loss : mean of the last steps, nats
    p_end, p_end_held : p of the newline after the last b, and with the cell held at its value in the middle
    """

    text: str
    c: np.ndarray
    count: np.ndarray
    cell: int
    correlations: np.ndarray
    right: Sequence[bool]
    loss: float
    p_end: float
    p_end_held: float
    own: str
    real: RealText

    @property
    def reach(self) -> int:
        """The largest n up to which every string ends at the right character."""
        return next((n - 1 for n, is_right in enumerate(self.right) if not is_right), TRIED)

    @property
    def steps(self) -> tuple[float, float]:
        """The mean change of the cell's c at an a and at a b, without the first of each."""
        c = self.c[:, self.cell]
        return float(np.diff(c[1 : SHOWN + 1]).mean()), float(np.diff(c[SHOWN + 1 :]).mean())

    @property
    def step(self) -> float:
        """The step of the count: half the way from the change at a b to that at an a."""
        up, down = self.steps
        return (up - down) / 2

    @property
    def counted(self) -> np.ndarray:
        """The cell's c along the string, in steps."""
        return self.c[:, self.cell] / self.step

    @property
    def facts(self) -> dict[str, str]:
        r, (up, down) = self.correlations[self.cell], self.steps
        return {
            "H": str(H),
            "longest": str(LONGEST),
            "steps": f"{STEPS:,}",
            "cell": str(self.cell),
            "r": f"{r:+.3f}",
            "up": f"{up:+.2f}",
            "down": f"{down:+.2f}",
            "reach": str(self.reach),
            "beyond": "longer ones than it ever saw" if self.reach > LONGEST else "as far as it was shown",
            "fails": f"at n = {self.reach + 1} it errs" if self.reach < TRIED else "none of them wrong",
            "p_end": f"{self.p_end:.2f}",
            "p_held": f"{self.p_end_held:.1e}" if self.p_end_held < 0.01 else f"{self.p_end_held:.2f}",
            "n": str(SHOWN),
            "own": self.own,
            **self.real.facts,
        }


def compute(text: LessonText) -> Counter:
    """Train, find the cell that follows the count, try longer strings, hold the cell; then look at a real text."""
    network = make_network("lstm", H, len(SYMBOLS), seed=2)
    losses = train(network, strings(np.random.default_rng(2)), "adam", LR)
    x = one_string(SHOWN)
    logits, _, trace = network.forward(x[:, None], network.zero_state(1))
    (layer,) = trace.layers
    c = layer["c"][:, 0].copy()
    p_end = float(np.exp(log_softmax(logits[-1, 0]))[NEWLINE])
    count = np.cumsum((x == A).astype(int) - (x == B))
    correlations = np.array([np.corrcoef(count, unit)[0, 1] for unit in c.T])
    cell = int(abs(correlations).argmax())
    middle = np.full((1, H), np.tanh(c[SHOWN, cell]))
    held, _, _ = network.forward(
        x[:, None], network.zero_state(1), clamp=Clamp(0, np.arange(H)[None] == cell, middle)
    )
    return Counter(
        "".join(SYMBOLS[s] for s in x),
        c,
        count,
        cell,
        correlations,
        [n == 0 or ends_right(network, n) for n in range(TRIED + 1)],
        float(np.mean(losses[-50:])),
        p_end,
        float(np.exp(log_softmax(held[-1, 0]))[NEWLINE]),
        text.own_flag,
        in_real_text(text),
    )


def one_string(n: int) -> np.ndarray:
    """The newline before a string, its a's and its b's."""
    return np.array([NEWLINE, *[A] * n, *[B] * n])


def ends_right(network: Network, n: int) -> bool:
    """Whether a b is most likely after each b except the last, and the newline after the last."""
    logits, _, _ = network.forward(one_string(n)[:, None], network.zero_state(1))
    likeliest = logits[n + 1 :, 0].argmax(axis=1)
    return bool((likeliest[:-1] == B).all() and likeliest[-1] == NEWLINE)


def strings(rng: np.random.Generator) -> Iterator[Chunk]:
    """STEPS chunks of STREAMS endless rows of strings, n drawn evenly from 1 to LONGEST."""
    rows: list[list[int]] = [[NEWLINE] for _ in range(STREAMS)]
    for step in range(STEPS):
        for row in rows:
            while len(row) <= T:
                row += [*one_string(int(rng.integers(1, LONGEST + 1)))[1:].tolist(), NEWLINE]
        both = np.array([row[: T + 1] for row in rows]).T
        for row in rows:
            del row[:T]
        yield np.ascontiguousarray(both[:-1]), np.ascontiguousarray(both[1:]), step == 0
