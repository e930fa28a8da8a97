"""A model's weights in the layout of Keras' Embedding, LSTM/GRU/SimpleRNN and Dense layers.

A `.weights.npz` has, for each layer k from 0, the arguments of `layer.set_weights`, in its order:

    embedding/embeddings      (V, E)      with an embedding
    lstm_k/kernel             (in, 4H)    gates i, f, c, o side by side
    lstm_k/recurrent_kernel   (H, 4H)
    lstm_k/bias               (4H,)
    gru_k/kernel, …           (in, 3H)    gates z, r, h, for GRU(reset_after=True)
    gru_k/bias                (2, 3H)     biases of the input product, then of the recurrent product
    rnn_k/kernel, …           (in, H)     for SimpleRNN; bias (H,)
    head/kernel, head/bias    (H, V), (V,)
    charrnn                   JSON text: config, vocab

Layouts: keras.layers.LSTM, GRU and SimpleRNN of Keras 3 (https://keras.io/api/layers/recurrent_layers/).
"""

import io
import json
from typing import Any

import numpy as np

from charrnn.config import as_dict
from charrnn.exchange.gate_order import reordered
from charrnn.model.model import Model

# For each gate in the order of Keras (i, f, c, o and z, r, h), its place in our order.
GATE_ORDER = {"lstm": (0, 1, 2, 3), "gru": (1, 0, 2), "rnn": (0,)}


def keras_weights(model: Model) -> dict[str, np.ndarray]:
    """The arrays by name, as listed at the top of this file."""
    cell, weights = model.config.cell, model.weights
    order = GATE_ORDER[cell]
    arrays: dict[str, np.ndarray] = {}
    if model.config.embedding:
        arrays["embedding/embeddings"] = weights["embedding.weight"]
    for k in range(model.config.layers):
        arrays[f"{cell}_{k}/kernel"] = reordered(model, "weight_ih", k, order).T
        arrays[f"{cell}_{k}/recurrent_kernel"] = reordered(model, "weight_hh", k, order).T
        biases = [reordered(model, name, k, order) for name in ("bias_ih", "bias_hh")]
        # The second bias is zero except for the GRU (charrnn.model.torch_layout).
        arrays[f"{cell}_{k}/bias"] = np.stack(biases) if cell == "gru" else biases[0]
    arrays["head/kernel"] = weights["head.weight"].T
    arrays["head/bias"] = weights["head.bias"]
    return arrays


def to_keras(model: Model) -> bytes:
    """The bytes of a `.weights.npz`."""
    card = json.dumps({"config": as_dict(model.config), "vocab": model.vocab.to_json()})
    arrays: dict[str, Any] = {**keras_weights(model), "charrnn": np.array(card)}
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()
