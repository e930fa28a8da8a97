"""How the gradient flows back through time: ∂loss(t)/∂h[t-k] by distance k.

    J(k) = mean over t and streams of ‖∂loss(t)/∂h_l[t-k]‖          norm over the H units

loss(t) is the cross-entropy, in nats, of a single prediction: that of the symbol after step t. The
derivative varies the output of layer l at step s = t-k and everything computed from it: layer l at
s+1 … t, and the layers above at s … t. Everything computed without it is held fixed: the input, the
layers below, every layer before s, and the LSTM's c_l[s]. In the same way ∂loss(t)/∂c_l[s] varies
the LSTM's c_l[s], and with it h_l[s] = o ∘ tanh(c_l[s]).

Autograd gives the same numbers at h_l[s] and c_l[s] of an unrolled network. Bengio, Simard and
Frasconi (1994); Pascanu, Mikolov and Bengio (2013). h[t-k] = φ(W_hh h[t-k-1] + …) makes the gradient
of the vanilla layer a product of k factors W_hhᵀ diag(φ'): it shrinks or grows like a power.
"""

from dataclasses import dataclass

import numpy as np

from charrnn.nn.buffers import Buffers
from charrnn.nn.loss import cross_entropy_gradient
from charrnn.nn.network import Network


@dataclass(frozen=True)
class Flow:
    """Mean norms of gradients by distance.

    h : (L, K+1), mean ‖∂loss(t)/∂h_l[t-k]‖ of layer l at distance k; c : the same for the LSTM's c, or None
    places : number of pairs (t, stream) averaged
    """

    h: np.ndarray
    c: np.ndarray | None
    places: int

    @property
    def distance(self) -> int:
        """The largest k."""
        return self.h.shape[1] - 1


def measure_flow(network: Network, x: np.ndarray, targets: np.ndarray, state: np.ndarray) -> Flow:
    """The flow back from the last step of each stream: one loss per stream, K = T-1.

    x : (T, B) symbols; targets : (B,), the symbol after the last of each stream; state : (L, S, B, H)
    To average over several t too, pass streams that end at different places of the text.
    """
    h, c = state_gradients(network, x, targets, state)
    return Flow(mean_norms(h), None if c is None else mean_norms(c), x.shape[1])


def mean_norms(gradients: np.ndarray) -> np.ndarray:
    """(L, T, B, H) of step s -> (L, T) of distance k = T-1-s: norm over H, mean over B."""
    return np.linalg.norm(gradients, axis=-1).mean(axis=-1)[:, ::-1]


def state_gradients(
    network: Network, x: np.ndarray, targets: np.ndarray, state: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """∂loss(T-1)/∂h_l[s] and, for the LSTM, ∂loss(T-1)/∂c_l[s], for every layer and step, stream by stream.

    x : (T, B) symbols; targets : (B,); state : (L, S, B, H). Overwrites `network.grads`.
    Returns two arrays (L, T, B, H); the second is None without a c.
    """
    (T, B), L, H = x.shape, network.config.layers, network.config.hidden
    logits, _, trace = network.forward(x, state)
    # The loss of a chunk of one step is averaged over B; B undoes that, since each stream stands alone here.
    _, d_logits = cross_entropy_gradient(logits[-1:].copy(), targets[None])
    d_top = (B * d_logits) @ network.params["head.weight"]  # (1, B, H)
    is_lstm = "c" in network.cell.STATES
    d_h = np.empty((L, T, B, H), d_top.dtype)
    d_c = np.empty_like(d_h) if is_lstm else None
    buffers = [Buffers() for _ in range(L)]
    params = [network.layer(network.params, layer) for layer in range(L)]
    grads = [network.layer(network.grads, layer) for layer in range(L)]
    d_state = np.zeros_like(state)
    for s in reversed(range(T)):
        dh = d_top if s == T - 1 else np.zeros_like(d_top)  # ∂loss/∂h_l[s] from above
        for layer in reversed(range(L)):
            step = {name: array[s : s + 1] for name, array in trace.layers[layer].items()}  # only step s
            d_h[layer, s] = dh[0] + d_state[layer, 0]
            if d_c is not None:
                o, tanh_c = step["o"][0], step["tanh_c"][0]
                d_c[layer, s] = d_state[layer, 1] + d_h[layer, s] * o * (1 - tanh_c * tanh_c)
            dx = buffers[layer]("dx", step["x"].shape, dh.dtype) if step["x"].ndim == 3 else None
            d_state[layer] = network.cell.backward(
                step,
                dh,
                d_state[layer],
                params[layer],
                grads[layer],
                buffers[layer],
                dx=dx,
                **network.options,
            )
            if layer:
                assert dx is not None
                dh = dx
    return d_h, d_c


def spectral_radii(network: Network) -> list[dict[str, float]]:
    """ρ, the largest |eigenvalue| of each (H, H) block of W_hh, layer by layer: gate -> ρ.

    The vanilla layer has one block, called "h": if φ' is near 1, its gradient changes in the long run
    by a factor of about ρ per step; saturated units, with φ' < 1, shrink it further. In gated cells no single
    block decides: the LSTM's forget gate f and the GRU's z carry the gradient far.
    """
    H = network.config.hidden
    names = getattr(network.cell, "GATES", ("h",))
    blocks = (
        network.layer(network.params, layer)["weight_hh"].reshape(len(names), H, H)
        for layer in range(network.config.layers)
    )
    return [
        {name: float(abs(np.linalg.eigvals(block)).max()) for name, block in zip(names, layer, strict=True)}
        for layer in blocks
    ]
