"""What a layer's forward pass leaves behind for its backward pass, and for those who look at cells."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class LayerTrace:
    """One layer over one chunk. The arrays are buffers: the next forward pass overwrites them."""

    x: np.ndarray  # (T, B, F), or symbols (T, B)
    h: np.ndarray  # (T, B, H), h[t]
    h_prev: np.ndarray  # (T, B, H), h[t-1]
    state: np.ndarray  # (S, B, H), after the last step
    c: np.ndarray | None = None  # (T, B, H), the LSTM's c[t]
    c_prev: np.ndarray | None = None  # (T, B, H), c[t-1]
    inner: np.ndarray | None = None  # (T, B, H): LSTM tanh(c[t]); GRU W_hn h[t-1] + b_hn
    gates: Mapping[str, np.ndarray] = field(default_factory=dict)  # name -> (T, B, H), perhaps strided
    stacked_gates: np.ndarray | None = None  # (4, T, B, H), the LSTM's gates in one array
