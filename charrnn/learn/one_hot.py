"""Chapter 1: a character as a vector, and the product that is a look-up."""

from dataclasses import dataclass

import numpy as np

from charrnn.learn.small import VOCABULARY, column, make_network
from charrnn.nn import linear

WORD = "sea"
H = 4
LARGE = 1000  # the vocabulary of the question


@dataclass(frozen=True)
class OneHot:
    """symbols : the vocabulary; ids (3,) of WORD; vectors (3, V); weight (H, V), W_ih; products, columns (3, H)"""

    symbols: tuple[str, ...]
    ids: np.ndarray
    vectors: np.ndarray
    weight: np.ndarray
    products: np.ndarray
    columns: np.ndarray

    @property
    def facts(self) -> dict[str, str]:
        V = len(self.symbols)
        return {
            "V": str(V),
            "H": str(H),
            "id_s": str(self.ids[0]),
            "multiplications": str(H * V),
            "difference": f"{abs(self.products - self.columns).max():g}",
            "large": f"{LARGE:,}",
            "answer": str(H * LARGE),
        }


def compute() -> OneHot:
    """W_ih x for each character of a word, as a product and as a look-up."""
    weight = make_network("rnn", H).params["rnn.weight_ih_l0"]
    symbols, ids = column(WORD), column(WORD)[:, 0]
    vectors = np.eye(len(VOCABULARY))[ids]
    zero = np.zeros((1, H))
    products, columns = (
        linear.forward(x, weight[None], zero, np.empty((1, len(WORD), 1, H)))[0, :, 0]
        for x in (vectors[:, None], symbols)
    )
    return OneHot(tuple(map(str, VOCABULARY.symbols)), ids, vectors, weight, products, columns)
