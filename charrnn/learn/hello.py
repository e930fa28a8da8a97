"""Chapter 4: the whole network unrolled over one word, with letters, logits and targets."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.learn.characters import is_wide
from charrnn.learn.lesson_text import LessonText
from charrnn.learn.one_step import listed
from charrnn.learn.small import make_network, train
from charrnn.nn.loss import log_softmax
from charrnn.nn.network import Network
from charrnn.text.vocabulary import Vocabulary

CLASSIC = "hello"
H, STEPS, LR = 3, 40, 0.3
LETTERS = 5  # of a word: more steps or symbols do not fit the picture
TRIED, SURE = 20, 0.8  # words of a text that are tried, and p of the two targets that a good one reaches


@dataclass(frozen=True)
class Unrolled:
    """The network at each of T steps. h : (T, H); logits, p : (T, V); p_targets : (T,), p of the target"""

    h: np.ndarray
    logits: np.ndarray
    p: np.ndarray
    p_targets: np.ndarray

    @classmethod
    def of(cls, network: Network, inputs: np.ndarray, targets: np.ndarray) -> "Unrolled":
        """The network over the inputs."""
        logits, _, trace = network.forward(inputs[:, None], network.zero_state(1))
        p = np.exp(log_softmax(logits[:, 0]))
        h = trace.layers[0]["h"][:, 0].copy()
        return cls(h, logits[:, 0].copy(), p, p[np.arange(len(p)), targets])


@dataclass(frozen=True)
class Hello:
    """fresh, trained : the network before and after `losses` (STEPS of them); symbols : the alphabet of the word
    inputs, targets : ids, (T,); twice : the steps of the letter that comes twice"""

    text: LessonText
    word: str
    symbols: tuple[str, ...]
    inputs: np.ndarray
    targets: np.ndarray
    twice: tuple[int, int]
    fresh: Unrolled
    trained: Unrolled
    losses: Sequence[float]

    @property
    def facts(self) -> dict[str, str]:
        first, second = self.twice
        V, of_the_text = len(self.symbols), self.word in _words(self.text.text)
        return {
            "found": "yes" if self.text.own and of_the_text else "",
            "not_found": "yes" if self.text.own and not of_the_text else "",
            "word": self.word,
            "V": str(V),
            "H": str(H),
            "T": str(len(self.inputs)),
            "p_fresh": f"{self.fresh.p_targets[0]:.2f}",
            "blind": f"{1 / V:.2f}",
            "steps": str(STEPS),
            "loss_fresh": f"{self.losses[0]:.2f}",
            "loss_trained": f"{self.losses[-1]:.2f}",
            "letter": self.word[first],
            "next_first": self.word[first + 1],
            "next_second": self.word[second + 1],
            "p_first": f"{self.trained.p_targets[first]:.2f}",
            "p_second": f"{self.trained.p_targets[second]:.2f}",
            "h_first": listed(self.trained.h[first]),
            "h_second": listed(self.trained.h[second]),
        }


def compute(text: LessonText) -> Hello:
    """The first word of the reader's text that shows it and is learnt; the classic one if there is none."""
    tried = (_learnt(text, word) for word in _words(text.text)[:TRIED]) if text.own else ()
    good = (data for data in tried if data.trained.p_targets.min() > SURE)
    return next(good, None) or _learnt(text, CLASSIC)


def _words(text: str) -> list[str]:
    """The words of LETTERS letters in which one letter comes twice and goes on differently, in order."""
    words = "".join(ch if ch.isalpha() else " " for ch in text).split()
    return [word for word in dict.fromkeys(words) if len(word) == LETTERS and _twice(word)]


def _twice(word: str) -> tuple[int, int] | None:
    """The two places of the letter that comes twice before the last, with other letters behind it."""
    if any(map(is_wide, word)):
        return None
    for letter in dict.fromkeys(word[:-1]):
        first, *others = (k for k, ch in enumerate(word[:-1]) if ch == letter)
        if len(others) == 1 and word[first + 1] != word[others[0] + 1]:
            return first, others[0]
    return None


def _learnt(text: LessonText, word: str) -> Hello:
    """A fresh network over the word, a training on it alone, and the network over the word again."""
    vocabulary, twice = Vocabulary.of(word), _twice(word)
    assert twice is not None
    ids = vocabulary.encode(word).astype(np.intp)
    inputs, targets = ids[:-1], ids[1:]
    network = make_network("rnn", H, len(vocabulary), seed=4)
    fresh = Unrolled.of(network, inputs, targets)
    losses = train(network, [(inputs[:, None], targets[:, None], True)] * STEPS, "adagrad", LR)
    trained = Unrolled.of(network, inputs, targets)
    symbols = tuple(map(str, vocabulary.symbols))
    return Hello(text, word, symbols, inputs, targets, twice, fresh, trained, losses)
