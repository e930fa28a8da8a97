"""Chapter 1: a character as a vector, and the product that is a look-up."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from charrnn.learn.characters import key
from charrnn.learn.lesson_text import LessonText
from charrnn.learn.small import make_network
from charrnn.nn import linear

H = 4
MOST_SHOWN = 20  # symbols that a picture has room for
SOME = 14  # shown where there are more, with their larger ids
LARGE = 1000  # the vocabulary of the question, if the text is not the reader's


@dataclass(frozen=True)
class OneHot:
    """symbols : the vocabulary; shown : the ids that pictures show; ids (3,) of the word; vectors (3, V);
    weight (H, V), W_ih; products, columns (3, H)"""

    text: LessonText
    symbols: tuple[str, ...]
    shown: list[int]
    ids: np.ndarray
    vectors: np.ndarray
    weight: np.ndarray
    products: np.ndarray
    columns: np.ndarray

    @property
    def facts(self) -> dict[str, str]:
        V = len(self.symbols)
        low, high = (min(self.ids), max(self.ids)) if len(set(self.ids.tolist())) > 1 else (0, 1)
        large = self.text.kinds if self.text.own else LARGE
        return {
            "own": self.text.own_flag,
            "name": self.text.name,
            "length": str(len(self.text.passage)),
            "some": "yes" if len(self.shown) < V else "",
            "shown": str(len(self.shown)),
            "word": "".join(map(key, self.text.word)),
            "first": key(self.text.word[0]),
            "low": key(self.symbols[low]),
            "high": key(self.symbols[high]),
            "near": key(self.symbols[high - 1]),
            "V": str(V),
            "H": str(H),
            "id_first": str(self.ids[0]),
            "multiplications": str(H * V),
            "difference": f"{abs(self.products - self.columns).max():g}",
            "large": f"{large:,}",
            "answer": str(H * large),
        }


def compute(text: LessonText) -> OneHot:
    """W_ih x for each character of a word, as a product and as a look-up."""
    V = len(text.vocabulary)
    weight = make_network("rnn", H, V).params["rnn.weight_ih_l0"]
    symbols = text.column(text.word)
    ids = symbols[:, 0]
    vectors = np.eye(V)[ids]
    zero = np.zeros((1, H))
    products, columns = (
        linear.forward(x, weight[None], zero, np.empty((1, len(ids), 1, H)))[0, :, 0]
        for x in (vectors[:, None], symbols)
    )
    names = tuple(map(str, text.vocabulary.symbols))
    return OneHot(text, names, _shown(text, ids), ids, vectors, weight, products, columns)


def _shown(text: LessonText, ids: np.ndarray) -> list[int]:
    """All ids, or those of the word and of the most frequent symbols, in order."""
    if len(text.vocabulary) <= MOST_SHOWN:
        return list(range(len(text.vocabulary)))
    frequent = [one for one, _ in Counter(text.vocabulary.encode(text.passage).tolist()).most_common(SOME)]
    return sorted(list(dict.fromkeys([*ids.tolist(), *frequent]))[:SOME])
