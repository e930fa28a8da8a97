"""Cells built by hand, planted among random ones, and text for them to read.

B saturates a gate, G a candidate; row k of every gate is zeroed first. Gates in torch's order: i, f, g, o.
"""

import re

import numpy as np

from charrnn.config import ModelConfig
from charrnn.model.model import Model

B, G, H = 30.0, 40.0, 32
VOCAB = "".join(sorted("\n \"()',.?[]ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"))
WORDS = re.findall(
    r"\w+",
    "the of and to in he was it her with as had for she not at but be on they all so said out up into them",
)


def dialogue(n, seed=0, words=WORDS):
    """Paragraphs with quotations, parentheses (some nested) and wrapped lines, n characters or a few more."""
    rng = np.random.default_rng(seed)
    paragraphs, total = [], 0

    def phrase(least, most):
        return " ".join(rng.choice(words, rng.integers(least, most)))

    while total < n:
        parts = []
        for _ in range(rng.integers(2, 6)):
            kind = rng.random()
            if kind < 0.45:
                parts.append('"' + phrase(3, 25).capitalize() + rng.choice([",", ".", "?"]) + '"')
            elif kind < 0.65:
                inner = f" ({phrase(2, 6)})" if rng.random() < 0.4 else ""
                parts.append("(" + phrase(3, 9) + inner + " " + phrase(1, 4) + ")")
            else:
                parts.append(phrase(4, 30) + ".")
        width, lines, line = 0, [], []
        limit = 66
        for word in " ".join(parts).split(" "):
            if width + len(word) > limit:
                lines.append(" ".join(line))
                line, width, limit = [], 0, int(rng.integers(56, 70))
            line.append(word)
            width += len(word) + 1
        lines.append(" ".join(line))
        paragraphs.append("\n".join(lines) + "\n\n")
        total += len(paragraphs[-1])
    return "".join(paragraphs)


def random_weights(cell, hidden=H, vocab=VOCAB, seed=0, scale=1.0):
    """Weights as large as training makes them, so that cells are busy; no cell is told what to do."""
    rng = np.random.default_rng(seed)
    rows = {"lstm": 4, "gru": 3, "rnn": 1}[cell] * hidden
    V = len(vocab)
    return {
        f"{cell}.weight_ih_l0": rng.normal(size=(rows, V)) * scale,
        f"{cell}.weight_hh_l0": rng.normal(size=(rows, hidden)) * scale / np.sqrt(hidden),
        f"{cell}.bias_ih_l0": rng.normal(size=rows) * 0.3,
        f"{cell}.bias_hh_l0": np.zeros(rows),
        "head.weight": rng.normal(size=(V, hidden)) * 0.3,
        "head.bias": np.zeros(V),
    }


def model_of(cell, weights, vocab=VOCAB, hidden=H):
    return Model(ModelConfig(cell=cell, layers=1, hidden=hidden), vocab, weights)


def clear(weights, cell, k, hidden=H):
    """Cut unit k off from all input; whatever else it did, it forgets."""
    for gate in range({"lstm": 4, "gru": 3, "rnn": 1}[cell]):
        row = gate * hidden + k
        for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
            weights[f"{cell}.{name}"][row] = 0
    # others must not feed on it, or the planted cell would be one of several
    weights[f"{cell}.weight_hh_l0"][:, k] = 0
    weights["head.weight"][:, k] = 0


def gate(weights, cell, name, gate_index, k, hidden=H):
    return weights[f"{cell}.{name}"][gate_index * hidden + k : gate_index * hidden + k + 1]


def lstm_quote(weights, k=5, out=3.0, vocab=VOCAB):
    clear(weights, "lstm", k)
    mark = vocab.index('"')
    bias = [gate(weights, "lstm", "bias_ih_l0", g, k) for g in range(4)]
    w_in = [gate(weights, "lstm", "weight_ih_l0", g, k)[0] for g in range(4)]
    bias[0][:], w_in[0][mark] = -B, 2 * B
    bias[1][:], w_in[1][mark] = B, -2 * B
    bias[3][:] = B
    gate(weights, "lstm", "weight_hh_l0", 2, k)[0, k] = -G
    bias[2][:] = 0.3 * G
    weights["head.weight"][mark, k] = out


def lstm_leaky_quote(weights, k=5, out=3.0, vocab=VOCAB):
    """Lights up at each mark, opening or closing, and fades: it has no state."""
    clear(weights, "lstm", k)
    mark = vocab.index('"')
    gate(weights, "lstm", "bias_ih_l0", 0, k)[:] = -B
    gate(weights, "lstm", "weight_ih_l0", 0, k)[0, mark] = 2 * B
    gate(weights, "lstm", "bias_ih_l0", 1, k)[:] = 2.2
    gate(weights, "lstm", "bias_ih_l0", 2, k)[:] = B
    gate(weights, "lstm", "bias_ih_l0", 3, k)[:] = B
    weights["head.weight"][mark, k] = out


def lstm_line_counter(weights, k=5, out=3.0, vocab=VOCAB):
    clear(weights, "lstm", k)
    newline = vocab.index("\n")
    for g in (0, 1):
        gate(weights, "lstm", "bias_ih_l0", g, k)[:] = B
        gate(weights, "lstm", "weight_ih_l0", g, k)[0, newline] = -2 * B
    gate(weights, "lstm", "bias_ih_l0", 3, k)[:] = B
    gate(weights, "lstm", "bias_ih_l0", 2, k)[:] = np.arctanh(0.01)
    weights["head.weight"][newline, k] = out


def lstm_depth(weights, k=5, out=30.0, vocab=VOCAB):
    clear(weights, "lstm", k)
    for g in (0, 1, 3):
        gate(weights, "lstm", "bias_ih_l0", g, k)[:] = B
    gate(weights, "lstm", "weight_ih_l0", 2, k)[0, vocab.index("(")] = np.arctanh(0.05)
    gate(weights, "lstm", "weight_ih_l0", 2, k)[0, vocab.index(")")] = -np.arctanh(0.05)
    weights["head.weight"][vocab.index(")"), k] = out


def gru_quote(weights, k=5, out=3.0, vocab=VOCAB):
    """h stays while z = 1; a mark sets z = 0 and h to about minus its sign: n = tanh(−G h)."""
    clear(weights, "gru", k)
    mark = vocab.index('"')
    gate(weights, "gru", "bias_ih_l0", 0, k)[:] = B  # r = 1
    gate(weights, "gru", "bias_ih_l0", 1, k)[:] = B
    gate(weights, "gru", "weight_ih_l0", 1, k)[0, mark] = -2 * B
    gate(weights, "gru", "weight_hh_l0", 2, k)[0, k] = -G
    gate(weights, "gru", "bias_ih_l0", 2, k)[:] = 0.3 * G
    weights["head.weight"][mark, k] = out


def gru_line_counter(weights, k=5, out=3.0, vocab=VOCAB):
    """h ← h + (1 − z)(1 − h) with 1 − z = .01: rises to 1 along the line; a newline sets it to 0."""
    clear(weights, "gru", k)
    newline = vocab.index("\n")
    gate(weights, "gru", "bias_ih_l0", 1, k)[:] = np.log(99.0)
    gate(weights, "gru", "weight_ih_l0", 1, k)[0, newline] = -2 * B
    gate(weights, "gru", "bias_ih_l0", 2, k)[:] = B
    gate(weights, "gru", "weight_ih_l0", 2, k)[0, newline] = -B
    weights["head.weight"][newline, k] = out


def rnn_bracket(weights, k=5, out=3.0, vocab=VOCAB):
    """A switch with distinct openers and closers: h' = tanh(3h − .5 + 10[open] − 10[close])."""
    clear(weights, "rnn", k)
    gate(weights, "rnn", "weight_hh_l0", 0, k)[0, k] = 3
    gate(weights, "rnn", "bias_ih_l0", 0, k)[:] = -0.5
    gate(weights, "rnn", "weight_ih_l0", 0, k)[0, vocab.index("(")] = 10
    gate(weights, "rnn", "weight_ih_l0", 0, k)[0, vocab.index(")")] = -10
    weights["head.weight"][vocab.index(")"), k] = out


def fading(weights, cell, keep, sets, noise=0.0, k=5, seed=0, vocab=VOCAB, hidden=H):
    """Set to ±1 by the characters of `sets`, and otherwise h (or c) ← keep·h + noise: no state but an echo.

    noise : how far a letter moves it, so that what has faded below this is lost
    """
    clear(weights, cell, k, hidden)
    rng = np.random.default_rng(seed)
    candidate = {"lstm": 2, "gru": 2, "rnn": 0}[cell]
    letters = rng.normal(size=len(vocab)) * noise
    logit = np.log(keep / (1 - keep))
    if cell == "lstm":
        for g, bias in ((0, B), (1, logit), (3, B)):
            gate(weights, cell, "bias_ih_l0", g, k, hidden)[:] = bias
    elif cell == "gru":
        gate(weights, cell, "bias_ih_l0", 1, k, hidden)[:] = logit
        letters /= 1 - keep
    else:
        gate(weights, cell, "weight_hh_l0", 0, k, hidden)[0, k] = keep
    gate(weights, cell, "weight_ih_l0", candidate, k, hidden)[0] = letters
    for ch, value in sets.items():
        m = vocab.index(ch)
        if cell != "rnn":  # forget (LSTM) or do not keep (GRU) what was there
            gate(weights, cell, "weight_ih_l0", 1, k, hidden)[0, m] = -2 * B
        gate(weights, cell, "weight_ih_l0", candidate, k, hidden)[0, m] = value * (10 if cell == "rnn" else B)


def marked(n, seed, inside, outside, marks='""', words=WORDS):
    """Words between marks that open and close; stretches of log-uniform lengths (least, most) characters."""
    rng = np.random.default_rng(seed)
    pieces, total, on = [], 0, False
    while total < n:
        least, most = inside if on else outside
        length = int(np.exp(rng.uniform(np.log(least), np.log(most))))
        piece = ""
        while len(piece) < length:
            piece += f"{rng.choice(words)} "
        pieces.append(piece[:length] + marks[on])
        total += length + 1
        on = not on
    return "".join(pieces)


def lines(n, seed, least, most, words=WORDS):
    """Lines of words, least to most characters long."""
    rng = np.random.default_rng(seed)
    made, total = [], 0
    while total < n:
        line, length = "", int(rng.integers(least, most))
        while len(line) < length:
            line += f"{rng.choice(words)} "
        made.append(line[:length].strip() + "\n")
        total += len(made[-1])
    return "".join(made)


def latch(weights, cell, k, sets, out, *, seen=True, noise=0.0, hidden=H, vocab=VOCAB, seed=0):
    """Set to 1 or −1 by the characters of `sets`, and kept; `out` is its weight in the head, by character.

    seen : whether the output gate of an LSTM is open; noise : as in `toggle`
    """
    fading(weights, cell, 0.999999, sets, 0.0, k, seed, vocab, hidden)
    if cell == "lstm" and not seen:
        gate(weights, "lstm", "bias_ih_l0", 3, k, hidden)[:] = -B
    if cell == "lstm" and noise:
        flicker(weights, k, noise, seed, hidden, vocab)
    if cell == "rnn":  # keeps its sign, not its size
        gate(weights, "rnn", "weight_hh_l0", 0, k, hidden)[0, k] = 3
    for ch, weight in out.items():
        weights["head.weight"][vocab.index(ch), k] = weight


def flicker(weights, k, noise, seed, hidden=H, vocab=VOCAB, open_at=""):
    """Each character shuts the output gate of an LSTM's unit by a share of its own, up to `noise`."""
    share = 1 - np.random.default_rng(seed).uniform(0, noise, len(vocab))
    share[[vocab.index(ch) for ch in open_at]] = 1 - 1e-9
    gate(weights, "lstm", "weight_ih_l0", 3, k, hidden)[0] = np.log(share / (1 - share)) - B


def keep_nothing(weights, cell, k, hidden=H):
    """The gates of a unit pass on what comes in, and nothing of what was there."""
    if cell == "lstm":
        for g, shut in ((0, 1), (1, -1), (3, 1)):
            gate(weights, cell, "bias_ih_l0", g, k, hidden)[:] = shut * B
    elif cell == "gru":
        gate(weights, cell, "bias_ih_l0", 0, k, hidden)[:] = B
        gate(weights, cell, "bias_ih_l0", 1, k, hidden)[:] = -B


def follower(weights, cell, k, source, gain=3.0, bias=0.0, hidden=H):
    """Shows one step later what another unit shows: h[k] ← ±(.76 or 1)·tanh(gain·h[source] + bias)."""
    clear(weights, cell, k, hidden)
    candidate = {"lstm": 2, "gru": 2, "rnn": 0}[cell]
    keep_nothing(weights, cell, k, hidden)
    gate(weights, cell, "weight_hh_l0", candidate, k, hidden)[0, source] = gain
    gate(weights, cell, "bias_ih_l0", candidate, k, hidden)[:] = bias


def toggle(weights, cell, k, marks, out, *, noise=0.0, reset="", hidden=H, vocab=VOCAB, seed=0):
    """Up at one of `marks`, down at the next; `reset` puts it down. `out` is its weight in the head, by character.

    noise : letters shut the output gate of an LSTM by up to this share, at each letter anew
    """
    clear(weights, cell, k, hidden)
    bias = [gate(weights, cell, "bias_ih_l0", g, k, hidden) for g in range(3)]
    w_in = [gate(weights, cell, "weight_ih_l0", g, k, hidden)[0] for g in range(3)]
    if cell == "lstm":
        bias[0][:], bias[1][:] = -B, B
        gate(weights, cell, "bias_ih_l0", 3, k, hidden)[:] = B
        if noise:  # the next mark must see it as it is
            flicker(weights, k, noise, seed, hidden, vocab, f"{marks} .,?\n")
    else:
        bias[0][:], bias[1][:] = B, B
    for mark in marks:
        if cell == "lstm":
            w_in[0][vocab.index(mark)] = 2 * B
        w_in[1][vocab.index(mark)] = -2 * B
    for ch in reset:
        w_in[1][vocab.index(ch)] = -2 * B
        if cell == "gru":
            w_in[2][vocab.index(ch)] = -2 * G
    gate(weights, cell, "weight_hh_l0", 2, k, hidden)[0, k] = -G
    bias[2][:] = 0.3 * G
    for ch, weight in out.items():
        weights["head.weight"][vocab.index(ch), k] = weight


def population(weights, cell, units, opens, closes, out, *, noise=1.0, hidden=H, vocab=VOCAB, seed=0):
    """A latch that several units hold together: each follows their mean, and letters disturb each in its own way.

        h[k] = tanh(6·mean(h) + 12 [opens] − 12 [closes] + noise·letter)

    One that is held is outvoted. out : the weight of each in the head, for `closes`
    """
    rng = np.random.default_rng(seed)
    candidate = {"lstm": 2, "gru": 2, "rnn": 0}[cell]
    for k in units:
        clear(weights, cell, k, hidden)
        keep_nothing(weights, cell, k, hidden)
        w_in = gate(weights, cell, "weight_ih_l0", candidate, k, hidden)[0]
        w_in[:] = noise * rng.normal(size=len(vocab))
        w_in[vocab.index(opens)], w_in[vocab.index(closes)] = 12, -12
    gain = 6 / (0.76 if cell == "lstm" else 1) / len(units)
    for k in units:  # each unit was cut off from the others above
        gate(weights, cell, "weight_hh_l0", candidate, k, hidden)[0, list(units)] = gain
        weights["head.weight"][vocab.index(closes), k] = out


def overlapping(n, seed=0, words=WORDS):
    """Words in quotations and in parentheses that begin and end independently of each other, each mark at a word."""
    rng = np.random.default_rng(seed)
    pieces, total, quoted, aside = [], 0, False, False
    while total < n:
        word = str(rng.choice(words))
        if rng.random() < 0.1:
            word, quoted = (word + '"', False) if quoted else ('"' + word, True)
        if rng.random() < (0.15 if aside else 0.06):
            word, aside = (word + ")", False) if aside else ("(" + word, True)
        pieces.append(word + (" " if rng.random() < 0.9 else "\n"))
        total += len(pieces[-1])
    return "".join(pieces)
