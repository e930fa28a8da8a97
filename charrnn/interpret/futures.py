"""What a state expects of the next few symbols: two states are the same to a reader if they expect the same.

    P(w | s) = Π_k p(w_k | s, w_1 … w_{k-1})        for some words w

The words are chosen by the states that there are: the likeliest word is made longer by each symbol, again and again,
where the likelihood of a word is its largest P(w | s), less for a longer one, so that no few certain symbols take all.
(Predictive states: Littman, Sutton and Singh 2001.)
"""

import heapq

import numpy as np

from charrnn.model.steps import Steps

Word = tuple[int, ...]

MOST_WORDS = 256
LONGER = 0.5  # factor of the likelihood per symbol
LEAST = 0.01  # P of a word that is worth making longer


def likely_words(steps: Steps, states: np.ndarray, most: int = MOST_WORDS) -> list[Word]:
    """About `most` words, in the order in which they were found: whenever one is made longer, all symbols follow it.

    states : (N, D), some that are visited
    """
    words: list[Word] = []
    waiting: list[tuple[float, Word, np.ndarray, np.ndarray]] = [(-1.0, (), states, np.ones(len(states)))]
    while waiting and len(words) < most:
        _, word, s, p = heapq.heappop(waiting)
        each = p[:, None] * np.exp(steps.log_p(s))
        for v, best in enumerate(each.max(axis=0).tolist()):
            words.append((*word, v))
            if best >= LEAST:
                after = steps.forward(s, np.full(len(s), v))
                heapq.heappush(waiting, (-best * LONGER ** len(words[-1]), words[-1], after, each[:, v]))
    return words


def futures(steps: Steps, states: np.ndarray, words: list[Word]) -> np.ndarray:
    """√P(w | s) for states (N, D) and W words, (N, W), so that distances are those of Hellinger."""
    column = {word: k for k, word in enumerate(words)}
    inner = {word[:-1] for word in words}
    found = np.empty((len(states), len(words)))

    def fill(word: Word, s: np.ndarray, p: np.ndarray) -> None:
        each = p[:, None] * np.exp(steps.log_p(s))
        for v in range(each.shape[1]):
            longer = (*word, v)
            found[:, column[longer]] = each[:, v]
            if longer in inner:
                fill(longer, steps.forward(s, np.full(len(s), v)), each[:, v])

    fill((), states, np.ones(len(states)))
    return np.sqrt(found)
