"""Which other networks pay: each trained from the same seed on the same characters, in one thread.

    python benchmarks/architectures.py VARIANT… --train FILE --val FILE [--steps 1500] [--layers 1] [--hidden 256]
                                       [--streams 16] [--dropout 0.1] [--lr 0.008] [--seed 1]

All else is as in the preset quick until 2026-11-29: chunks of 80, Adam, cosine to 0. VARIANT is a name in VARIANTS
below, where each network has its equations and its source; needs torch. Each has a line of figures: the loss in nats
per character of FILE after --val, scored once, at the end, the processor seconds of training, and the products:
multiplications per character of a forward pass by matrices that cannot be looked up by symbol, most of what compiled
passes would take.

A variant with a loop over time in Python is slow by Python alone: compare it at equal steps, and its products. For
minGRU, SRU and QRNN the processor seconds count, as their recurrence is a sum without a product.

Letters: T steps, B streams, H hidden, V symbols; σ is the sigmoid, ∘ the product of each number with each.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measurement import machine
from torch import Tensor, nn
from torch.nn import functional as F

from charrnn.config import configs
from charrnn.text.batches import Streams
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.schedules import learning_rate


class Layer(nn.Module):
    """A layer from x (T, B, F) and its state before the chunk to outputs (T, B, H) and the state after it.

    A state is some tensors; None is zero.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.inputs, self.hidden = inputs, hidden

    def matrix(self, rows: int, columns: int) -> nn.Parameter:
        """Weights from U(-1/√H, 1/√H)."""
        bound = self.hidden**-0.5
        return nn.Parameter(torch.empty(rows, columns).uniform_(-bound, bound))

    def zero(self, x: Tensor, size: int | None = None) -> Tensor:
        return x.new_zeros(x.shape[1], size or self.hidden)


class Gru(Layer):
    """r, z = σ(a_rz + u_rz);  n = tanh(a_n + r ∘ (u_n + b_hn));  h[t] = n + z ∘ (h[t-1] - n)

    with a = W_ih x[t] + b and u = W_hh h[t-1]; Cho et al. (2014).
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs, hidden)
        self.weight_ih, self.bias = self.matrix(3 * hidden, inputs), nn.Parameter(torch.zeros(3 * hidden))
        self.weight_hh, self.bias_hn = self.matrix(3 * hidden, hidden), nn.Parameter(torch.zeros(hidden))

    def forward(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        """By torch's own loop, which has two biases."""
        bias_hh = torch.cat([self.bias_hn.new_zeros(2 * self.hidden), self.bias_hn])
        weights = [self.weight_ih, self.weight_hh, self.bias, bias_hh]
        h = self.zero(x) if state is None else state
        out, h = torch.gru(x, h[None], weights, True, 1, 0.0, self.training, False, False)
        return out, h[0]


class LoopedGru(Gru):
    """The same with a loop in Python, whose parts can be replaced."""

    def forward(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        h = self.zero(x) if state is None else state
        out = []
        for a in self.of_input(x):
            h = self.step(a, h)
            out.append(h)
        return torch.stack(out), h

    def of_input(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih, self.bias)

    def of_state(self, h: Tensor) -> Tensor:
        return F.linear(h, self.weight_hh)

    def step(self, a: Tensor, h: Tensor, read: Tensor | None = None) -> Tensor:
        """h[t]; read : what the matrix reads in place of h[t-1]."""
        u, two = self.of_state(h if read is None else read), 2 * self.hidden
        r, z = torch.sigmoid(a[:, :two] + u[:, :two]).chunk(2, dim=1)
        n = torch.tanh(torch.addcmul(a[:, two:], r, u[:, two:] + self.bias_hn))
        return torch.lerp(n, h, z)


class NormalisedGru(LoopedGru):
    """a = LN(W_ih x[t]) + b;  u = LN(W_hh h[t-1]), with gains: 6 H numbers more per character; Ba et al. (2016)."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs, hidden)
        self.gain_ih, self.gain_hh = (nn.Parameter(torch.ones(3 * hidden)) for _ in range(2))

    def of_input(self, x: Tensor) -> Tensor:
        a = F.linear(x, self.weight_ih)
        return F.layer_norm(a, a.shape[-1:], self.gain_ih, self.bias)

    def of_state(self, h: Tensor) -> Tensor:
        u = super().of_state(h)
        return F.layer_norm(u, u.shape[-1:], self.gain_hh)


class ZoneoutGru(LoopedGru):
    """h[t] = m ∘ h[t-1] + (1 - m) ∘ GRU(x[t], h[t-1]), m = 1 with probability p, in use p; Krueger et al. (2017)."""

    p = 0.1

    def step(self, a: Tensor, h: Tensor, read: Tensor | None = None) -> Tensor:
        new = super().step(a, h, read)
        m = torch.empty_like(h).bernoulli_(self.p) if self.training else torch.full_like(h, self.p)
        return torch.lerp(new, h, m)


class MogrifierGru(LoopedGru):
    """Before each step, in turns:  x ← 2 σ(Q h) ∘ x;  h ← 2 σ(R x) ∘ h; Melis et al. (2020).

    They are for the matrices. What z keeps is h[t-1] as it was, or it would double step by step; an LSTM keeps c.
    """

    rounds = 4

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs, hidden)
        sizes = (inputs, hidden), (hidden, inputs)
        self.mixing = nn.ParameterList(self.matrix(*sizes[k % 2]) for k in range(self.rounds))

    def of_input(self, x: Tensor) -> Tensor:
        return x

    def step(self, x: Tensor, h: Tensor, read: Tensor | None = None) -> Tensor:
        mixed = h
        for k, matrix in enumerate(self.mixing):
            if k % 2:
                mixed = 2 * torch.sigmoid(F.linear(x, matrix)) * mixed
            else:
                x = 2 * torch.sigmoid(F.linear(mixed, matrix)) * x
        return super().step(super().of_input(x), h, mixed)


class Residual(Gru):
    """h = GRU(x) + x: the sum goes up, h alone on in time; He et al. (2016), between recurrent layers."""

    def forward(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        out, state = super().forward(x, state)
        return (out + x if self.inputs == self.hidden else out), state


class Highway(Gru):
    """h = g ∘ GRU(x) + (1 - g) ∘ x,  g = σ(W x + b), b = 1: H² products more; Srivastava et al. (2015)."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs, hidden)
        if inputs == hidden:
            self.gate, self.gate_bias = self.matrix(hidden, hidden), nn.Parameter(torch.ones(hidden))

    def forward(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        out, state = super().forward(x, state)
        if self.inputs != self.hidden:
            return out, state
        return torch.lerp(x, out, torch.sigmoid(F.linear(x, self.gate, self.gate_bias))), state


class Scan(torch.autograd.Function):
    """h[t] = f[t] ∘ h[t-1] + b[t], all (T, B, H).

    ∂h[t] = ∂out[t] + f[t+1] ∘ ∂h[t+1];  ∂f[t] = ∂h[t] ∘ h[t-1];  ∂b[t] = ∂h[t]
    A scan by halves would be parallel, but does twice the sums; on one core a loop over T is quicker.
    """

    @staticmethod
    def forward(ctx: Any, f: Tensor, b: Tensor, h0: Tensor) -> Tensor:
        h = torch.empty(len(f) + 1, *h0.shape, dtype=h0.dtype)
        h[0] = h0
        for t in range(len(f)):
            torch.addcmul(b[t], f[t], h[t], out=h[t + 1])
        ctx.save_for_backward(f, h)
        return h[1:]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        f, h = ctx.saved_tensors
        d = gradients[0].clone()
        for t in reversed(range(1, len(f))):
            d[t - 1].addcmul_(f[t], d[t])
        return d * h[:-1], d, f[0] * d[0]


class WithoutProduct(Layer):
    """What cells without a product in their recurrence share: what comes in of x[t], or of x[t-1] and x[t]."""

    window, blocks = 1, 3

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs, hidden)
        self.weight = self.matrix(self.blocks * hidden, self.window * inputs)
        self.bias = nn.Parameter(torch.zeros(self.blocks * hidden))
        with torch.no_grad():
            self.bias[:hidden] = 1  # keeps, at first

    def forward(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        before, h = (self.zero(x, self.inputs), self.zero(x)) if state is None else state
        seen = x if self.window == 1 else torch.cat([torch.cat([before[None], x[:-1]]), x], dim=2)
        f, *others = F.linear(seen, self.weight, self.bias).chunk(self.blocks, dim=2)
        out, h = self.pooled(x, torch.sigmoid(f), others, h)
        return out, (x[-1], h)

    def pooled(self, x: Tensor, f: Tensor, others: list[Tensor], h: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError


class MinGru(WithoutProduct):
    """h[t] = f ∘ h[t-1] + (1 - f) ∘ W x,  f = σ(W_f x + b);  out = h + x; Feng et al. (2024), z = 1 - f."""

    blocks = 2

    def pooled(self, x: Tensor, f: Tensor, others: list[Tensor], h: Tensor) -> tuple[Tensor, Tensor]:
        out = Scan.apply(f, (1 - f) * others[0], h)
        return (out + x if self.inputs == self.hidden else out), out[-1]


class Sru(WithoutProduct):
    """c[t] = f ∘ c[t-1] + (1 - f) ∘ W x;  out = r ∘ c + (1 - r) ∘ x,  f and r = σ(W x + b); Lei et al. (2018)."""

    def pooled(self, x: Tensor, f: Tensor, others: list[Tensor], h: Tensor) -> tuple[Tensor, Tensor]:
        c = Scan.apply(f, (1 - f) * others[0], h)
        r = torch.sigmoid(others[1])
        return (torch.lerp(x, c, r) if self.inputs == self.hidden else r * c), c[-1]


class Qrnn(WithoutProduct):
    """c[t] = f ∘ c[t-1] + (1 - f) ∘ tanh(W x);  out = o ∘ c, each from x[t-1] and x[t]; Bradbury et al. (2017)."""

    window = 2

    def pooled(self, x: Tensor, f: Tensor, others: list[Tensor], h: Tensor) -> tuple[Tensor, Tensor]:
        c = Scan.apply(f, (1 - f) * torch.tanh(others[0]), h)
        return torch.sigmoid(others[1]) * c, c[-1]


# The layer, and the size of an embedding: 0 is none, -1 is H.
VARIANTS: dict[str, tuple[Callable[[int, int], Layer], int]] = {
    "gru": (Gru, 0),
    "embedded": (Gru, -1),
    "tied": (Gru, -1),
    "normalised": (NormalisedGru, 0),
    "zoneout": (ZoneoutGru, 0),
    "mogrifier": (MogrifierGru, 64),
    "residual": (Residual, 0),
    "highway": (Highway, 0),
    "mingru": (MinGru, -1),
    "sru": (Sru, -1),
    "qrnn": (Qrnn, -1),
}


class Network(nn.Module):
    """Layers with dropout on what each puts out, and a head. Tables looked up by symbol are from N(0, 1).

    Tied: the head has the weights of the embedding, E, whose rows are read as √H E, so that inputs stay N(0, 1);
    Press and Wolf (2017), Inan et al. (2017).
    """

    def __init__(self, variant: str, vocab_size: int, layers: int, hidden: int, dropout: float) -> None:
        super().__init__()
        layer, embedding = VARIANTS[variant]
        embedding = hidden if embedding < 0 else embedding
        self.vocab_size, self.dropout, self.tied = vocab_size, dropout, variant == "tied"
        self.table = nn.Parameter(torch.randn(vocab_size, embedding)) if embedding else None
        sizes = [embedding or vocab_size] + [hidden] * (layers - 1)
        self.layers = nn.ModuleList(layer(size, hidden) for size in sizes)
        self.head = nn.Linear(hidden, vocab_size)
        nn.init.uniform_(self.head.weight, -(hidden**-0.5), hidden**-0.5)
        nn.init.zeros_(self.head.bias)
        if self.table is None:
            nn.init.normal_(next(self.layers[0].parameters()))
        if self.tied:
            self.table.data *= hidden**-0.5
            self.head.weight = self.table

    def forward(self, x: Tensor, states: list[Any]) -> tuple[Tensor, list[Any]]:
        """Symbols x (T, B) and a state per layer -> logits (T, B, V) and the states after the chunk."""
        if self.table is None:
            below = F.one_hot(x, self.vocab_size).to(self.head.bias.dtype)
        else:
            below = F.embedding(x, self.table) * (self.table.shape[1] ** 0.5 if self.tied else 1)
        after = []
        for layer, state in zip(self.layers, states, strict=True):
            out, state = layer(below, state)
            below = F.dropout(out, self.dropout, self.training)
            after.append(state)
        return self.head(below), after

    def products(self) -> int:
        """Multiplications per character by matrices that cannot be looked up by symbol."""
        matrices = sum(weight.numel() for weight in self.parameters() if weight.dim() == 2)
        first = self.layers[0]
        by_symbol = [] if self.table is None or self.tied else [self.table]
        if not isinstance(first, MogrifierGru):  # its x is no longer that of the symbol
            by_symbol.append(next(first.parameters()))
        return matrices - sum(weight.numel() for weight in by_symbol)


def detached(states: list[Any]) -> list[Any]:
    return [s.detach() if isinstance(s, Tensor) else tuple(map(torch.detach, s)) for s in states]


def train(network: Network, ids: np.ndarray, streams: int, steps: int, lr: float) -> tuple[float, float]:
    """Trains; returns the processor seconds it took and the mean train loss of the last tenth of the steps."""
    _, config = configs("quick", lr=lr, max_steps=steps)
    chunks = Streams(ids, streams, config.seq_length)
    parameters = list(network.parameters())
    adam = torch.optim.Adam(parameters, fused=True)
    network.train()
    began, total, states = time.process_time(), 0.0, []
    for step in range(steps):
        if chunks.begins(step):
            states = [None] * len(network.layers)
        x, y = map(torch.from_numpy, chunks.chunk(step))
        logits, states = network(x, states)
        states = detached(states)
        loss = F.cross_entropy(logits.flatten(0, 1), y.flatten())
        adam.zero_grad()
        (loss * len(x)).backward()  # summed over T, averaged over B: what the norm is of
        nn.utils.clip_grad_norm_(parameters, config.clip_norm)
        adam.param_groups[0]["lr"] = learning_rate(config, step, 0.0, step / steps)
        adam.step()
        if step >= steps * 9 // 10:
            total += loss.item()
    return time.process_time() - began, total / (steps - steps * 9 // 10)


def evaluate(network: Network, ids: np.ndarray, segments: int = 16, before: int = 1000) -> float:
    """The mean loss of all but the first, in segments side by side.

    before : symbols that each segment after the first reads uncounted, for its state
    """
    network.eval()
    predicted = len(ids) - 1
    size = -(-(predicted - before) // segments)
    places = np.arange(before + size)[:, None] + size * np.arange(segments)
    counted = places < predicted
    counted[:before, 1:] = False
    places = np.minimum(places, predicted - 1)
    losses = np.empty(places.shape)
    states: list[Any] = [None] * len(network.layers)
    with torch.no_grad():
        for start in range(0, len(places), 500):
            rows = slice(start, start + 500)
            logits, states = network(torch.from_numpy(ids[places[rows]]), states)
            targets = torch.from_numpy(ids[places[rows] + 1])
            found = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
            losses[rows] = found.view(targets.shape)
    return float(losses[counted].mean())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("variants", nargs="+", choices=VARIANTS, metavar="VARIANT")
    for name in ("train", "val"):
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="FILE")
    for name, value in {"steps": 1500, "layers": 1, "hidden": 256, "streams": 16, "seed": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    for name, rate in {"dropout": 0.1, "lr": 0.008}.items():
        parser.add_argument(f"--{name}", type=float, default=rate)
    given = parser.parse_args()
    torch.set_num_threads(1)
    texts = [file.read_bytes().decode() for file in (given.train, given.val)]
    vocab = Vocabulary.of(texts[0])
    training, scored = (vocab.encode(text).astype(np.int64) for text in texts)
    settings = {
        name: getattr(given, name)
        for name in ("layers", "hidden", "streams", "steps", "dropout", "lr", "seed")
    }
    for variant in given.variants:
        torch.manual_seed(given.seed)
        network = Network(variant, len(vocab), given.layers, given.hidden, given.dropout)
        seconds, train_loss = train(network, training, given.streams, given.steps, given.lr)
        figures = {
            "loss_nats": evaluate(network, scored),
            "train_loss_nats": train_loss,
            "processor_seconds": round(seconds, 1),
            "products": network.products(),
            "parameters": sum(weight.numel() for weight in network.parameters()),
            "machine": machine()["name"],
        }
        print(json.dumps({"variant": variant, **settings, **figures}), flush=True)


if __name__ == "__main__":
    main()
