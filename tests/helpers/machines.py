"""Networks that are a known machine, built by hand."""

import numpy as np

from charrnn.config import ModelConfig
from charrnn.model.model import Model
from charrnn.text.process import Process

NEVER = -12.0  # logit of a symbol that the machine does not allow
ECHOES = 6


def machine_model(process: Process, *, noise: float = 0.0, seed: int = 0) -> Model:
    """A ReLU network that is the machine of a process whose strings end with a newline.

    Unit (q, v) is 1 where the machine was in state q before symbol v, else 0; that of the newline does not ask for q.

        h_(q, v) = relu(x_v + Σ h_(p, u) over the units that lead to q - 1)

    noise : weights of further units that echo what was read, so that no two states are alike
    """
    vocab = "".join(sorted(process.symbols))
    allowed = (process.transitions > 0).any(axis=2)
    edges = [(None, "\n", int(process.start.argmax()))]
    for v, q in np.argwhere(allowed).tolist():
        if process.symbols[v] != "\n":
            edges.append((q, process.symbols[v], int(process.transitions[v, q].argmax())))
    H, V = len(edges) + ECHOES, len(vocab)
    rng = np.random.default_rng(seed)
    w_ih, w_hh, bias = np.zeros((H, V)), np.zeros((H, H)), np.zeros(H)
    head = np.zeros((V, H))
    for k, (state, symbol, to) in enumerate(edges):
        w_ih[k, vocab.index(symbol)] = 1
        if state is not None:
            bias[k] = -1
            w_hh[k, [j for j, (_, _, end) in enumerate(edges) if end == state]] = 1
        p = process.transitions[:, to].sum(axis=1)
        for v, symbol_v in enumerate(process.symbols):
            head[vocab.index(symbol_v), k] = np.log(p[v]) if p[v] else NEVER
    echo = slice(len(edges), H)
    w_ih[echo] = noise * rng.random((ECHOES, V))
    w_hh[echo, echo] = np.eye(ECHOES) * rng.uniform(0.3, 0.7, ECHOES) * (noise > 0)
    weights = {
        "rnn.weight_ih_l0": w_ih,
        "rnn.weight_hh_l0": w_hh,
        "rnn.bias_ih_l0": bias,
        "rnn.bias_hh_l0": np.zeros(H),
        "head.weight": head,
        "head.bias": np.zeros(V),
    }
    config = ModelConfig(cell="rnn", layers=1, hidden=H, nonlinearity="relu")
    return Model(config, vocab, weights)


def latches(count: int, strength: float = 2.0) -> Model:
    """Cells that each keep the sign they were set to: h = tanh(strength h + input). A sets the first, a unsets it, …

    The symbol ? moves none. The head tells the cells' signs: logit v = 3 h_v for the capitals, 0 for the others.
    """
    letters = "ABCDEFGH"[:count]
    one = np.eye(count)
    weights = {
        "rnn.weight_ih_l0": np.hstack([np.zeros((count, 1)), 8 * one, -8 * one]),
        "rnn.weight_hh_l0": strength * one,
        "rnn.bias_ih_l0": np.zeros(count),
        "rnn.bias_hh_l0": np.zeros(count),
        "head.weight": np.vstack([np.zeros((1, count)), 3 * one, 0 * one]),
        "head.bias": np.zeros(2 * count + 1),
    }
    config = ModelConfig(cell="rnn", layers=1, hidden=count)
    return Model(config, f"?{letters}{letters.lower()}", weights)
