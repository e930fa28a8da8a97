"""A plain torch training script: what one writes without charrnn. Variant: bfloat16, by autocast."""

from typing import Any

import numpy as np
import torch

from sides.common import Shape, main, measure

CELLS = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}
OPTIMIZERS = {"adam": torch.optim.Adam, "adagrad": torch.optim.Adagrad}


class Network(torch.nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.vocab = shape.vocab
        self.embedding = torch.nn.Embedding(shape.vocab, shape.embedding) if shape.embedding else None
        self.rnn = CELLS[shape.cell](shape.embedding or shape.vocab, shape.hidden, shape.layers)
        self.head = torch.nn.Linear(shape.hidden, shape.vocab)

    def forward(self, x: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
        inputs = self.embedding(x) if self.embedding else torch.nn.functional.one_hot(x, self.vocab).float()
        h, state = self.rnn(inputs, state)
        return self.head(h), state


def side(shape: Shape, seconds: float, variant: str) -> dict[str, Any]:
    torch.manual_seed(1)
    network = Network(shape)
    optimizer = OPTIMIZERS[shape.optimizer](network.parameters(), lr=shape.lr, fused=True)
    state = None

    def step(x: np.ndarray, y: np.ndarray) -> float:
        nonlocal state
        inputs, targets = torch.from_numpy(x), torch.from_numpy(y)
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=variant == "bfloat16"):
            logits, state = network(inputs, state)
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        loss.backward()
        if shape.clip_norm:
            torch.nn.utils.clip_grad_norm_(network.parameters(), shape.clip_norm)
        if shape.clip_value:
            torch.nn.utils.clip_grad_value_(network.parameters(), shape.clip_value)
        optimizer.step()
        state = tuple(part.detach() for part in state) if shape.cell == "lstm" else state.detach()
        return loss.item()

    found = measure(step, shape, seconds)
    return found | {"threads": torch.get_num_threads(), "engine": f"torch {torch.__version__}"}


if __name__ == "__main__":
    main(side)
