"""The networks once more, as slowly and plainly as possible: one sample, one step and one gate at a time.

A second road to the numbers of charrnn.nn, forward and backward. It shares no code with it, only the
names of the parameters. Vectors are one-dimensional; `k`, `t` and `b` number layers, steps and samples.
"""

from dataclasses import dataclass

import numpy as np

GATES = {"rnn": "h", "gru": "rzn", "lstm": "ifgo"}


@dataclass
class Result:
    loss: float
    logits: np.ndarray  # (T, B, V)
    h: np.ndarray  # (L, T, B, H)
    state: np.ndarray  # (L, S, B, H), after the chunk
    grads: dict[str, np.ndarray]
    d_state: np.ndarray  # ∂loss/∂(state before the chunk)
    dx: np.ndarray  # (T, B, V), ∂loss/∂x for one-hot or real x; zeros when there is an embedding


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


class Layer:
    """One layer's weights cut into gates, and as much gradient."""

    def __init__(self, cell, nonlinearity, params, k):
        self.cell, self.nonlinearity = cell, nonlinearity
        self.W, self.U, self.b = (
            dict(zip(GATES[cell], np.split(params[f"{cell}.{name}_l{k}"], len(GATES[cell])), strict=True))
            for name in ("weight_ih", "weight_hh", "bias")
        )
        self.dW, self.dU, self.db = (
            {gate: np.zeros_like(part) for gate, part in whole.items()} for whole in (self.W, self.U, self.b)
        )
        if cell == "gru":
            self.b_hn = params[f"gru.bias_hn_l{k}"]
            self.db_hn = np.zeros_like(self.b_hn)

    def grads(self, k):
        named = {"weight_ih": self.dW, "weight_hh": self.dU, "bias": self.db}
        stacked = {f"{self.cell}.{name}_l{k}": np.concatenate([*a.values()]) for name, a in named.items()}
        return stacked | ({f"gru.bias_hn_l{k}": self.db_hn} if self.cell == "gru" else {})

    def pre(self, gate, x, h):
        return self.W[gate] @ x + self.U[gate] @ h + self.b[gate]

    def step(self, x, state, held, value):
        """state after the step, and what the way back needs; where `held`, the signal is `value`."""
        h = state[0]
        if self.cell == "rnn":
            a = self.pre("h", x, h)
            new = np.tanh(a) if self.nonlinearity == "tanh" else np.where(a > 0, a, 0)
            return [np.where(held, value, new)], (x, h, a)
        if self.cell == "gru":
            r, z = sigmoid(self.pre("r", x, h)), sigmoid(self.pre("z", x, h))
            inner = self.U["n"] @ h + self.b_hn
            n = np.tanh(self.W["n"] @ x + self.b["n"] + r * inner)
            return [np.where(held, value, (1 - z) * n + z * h)], (x, h, r, z, n, inner)
        c = state[1]
        i, f, o = (sigmoid(self.pre(gate, x, h)) for gate in "ifo")
        g = np.tanh(self.pre("g", x, h))
        c_new = f * c + i * g
        tanh_c = np.where(held, value, np.tanh(c_new))
        return [o * tanh_c, np.where(held, np.arctanh(value), c_new)], (x, h, c, i, f, g, o, tanh_c)

    def back(self, kept, d_new):
        """∂loss/∂x and ∂loss/∂(state before the step), from ∂loss/∂(state after it)."""
        x, h = kept[:2]
        dh = d_new[0]
        if self.cell == "rnn":
            a = kept[2]
            da = dh * (1 - np.tanh(a) ** 2 if self.nonlinearity == "tanh" else a > 0)
            self.add("h", da, x, h)
            return self.W["h"].T @ da, [self.U["h"].T @ da]
        if self.cell == "gru":
            r, z, n, inner = kept[2:]
            da_n = dh * (1 - z) * (1 - n**2)
            da = {"r": da_n * inner * r * (1 - r), "z": dh * (h - n) * z * (1 - z)}
            for gate in "rz":
                self.add(gate, da[gate], x, h)
            self.dW["n"] += np.outer(da_n, x)
            self.db["n"] += da_n
            self.dU["n"] += np.outer(da_n * r, h)
            self.db_hn += da_n * r
            dx = self.W["n"].T @ da_n + sum(self.W[gate].T @ da[gate] for gate in "rz")
            dh_prev = dh * z + self.U["n"].T @ (da_n * r) + sum(self.U[gate].T @ da[gate] for gate in "rz")
            return dx, [dh_prev]
        c, i, f, g, o, tanh_c = kept[2:]
        dc = d_new[1] + dh * o * (1 - tanh_c**2)
        da = {
            "i": dc * g * i * (1 - i),
            "f": dc * c * f * (1 - f),
            "g": dc * i * (1 - g**2),
            "o": dh * tanh_c * o * (1 - o),
        }
        for gate in "ifgo":
            self.add(gate, da[gate], x, h)
        return sum(self.W[gate].T @ da[gate] for gate in "ifgo"), [
            sum(self.U[gate].T @ da[gate] for gate in "ifgo"),
            dc * f,
        ]

    def add(self, gate, da, x, h):
        self.dW[gate] += np.outer(da, x)
        self.dU[gate] += np.outer(da, h)
        self.db[gate] += da


def run(config, params, x, targets, state, d_state, clamp=None):
    """Forward and backward of sum(cross-entropy) / B + sum(d_state * last state).

    x : (T, B) symbols or (T, B, V) real. The way back does not know of the clamp.
    """
    vocab_size, (T, B) = len(params["head.bias"]), x.shape[:2]
    layers = [Layer(config.cell, config.nonlinearity, params, k) for k in range(config.layers)]
    head, head_bias = params["head.weight"], params["head.bias"]
    grads = {"head.weight": np.zeros_like(head), "head.bias": np.zeros_like(head_bias)}
    if config.embedding:
        grads["embedding.weight"] = np.zeros_like(params["embedding.weight"])
    logits, dx = np.zeros((T, B, vocab_size)), np.zeros((T, B, vocab_size))
    hs = np.zeros((config.layers, T, B, config.hidden))
    last, d_first, loss = np.zeros_like(state), np.zeros_like(state), 0.0
    nobody = np.zeros(config.hidden, bool)

    for b in range(B):
        states = [[*state[k, :, b]] for k in range(config.layers)]
        kept, d_tops = {}, []
        for t in range(T):
            if config.embedding:
                below = params["embedding.weight"][x[t, b]]
            else:
                below = x[t, b] if x.ndim == 3 else np.eye(vocab_size)[x[t, b]]
            for k, layer in enumerate(layers):
                here = clamp is not None and clamp.layer == k
                held, value = (clamp.mask[b], clamp.values[b]) if here else (nobody, np.zeros(config.hidden))
                states[k], kept[t, k] = layer.step(below, states[k], held, value)
                below = hs[k, t, b] = states[k][0]
            logits[t, b] = head @ below + head_bias
            p = np.exp(logits[t, b]) / np.exp(logits[t, b]).sum()
            loss -= np.log(p[targets[t, b]]) / B
            d_logit = (p - np.eye(vocab_size)[targets[t, b]]) / B
            grads["head.weight"] += np.outer(d_logit, below)
            grads["head.bias"] += d_logit
            d_tops.append(head.T @ d_logit)
        for k in range(config.layers):
            last[k, :, b] = states[k]
        d_states = [[*d_state[k, :, b]] for k in range(config.layers)]
        for t in reversed(range(T)):
            d_below = d_tops[t]
            for k in reversed(range(config.layers)):
                d_new = [d_states[k][0] + d_below, *d_states[k][1:]]
                d_below, d_states[k] = layers[k].back(kept[t, k], d_new)
            if config.embedding:
                grads["embedding.weight"][x[t, b]] += d_below
            else:
                dx[t, b] = d_below
        for k in range(config.layers):
            d_first[k, :, b] = d_states[k]
    for k, layer in enumerate(layers):
        grads |= layer.grads(k)
    return Result(loss + float((d_state * last).sum()), logits, hs, last, grads, d_first, dx)
