"""How weights start."""

import numpy as np

from charrnn.nn.network import Network


def initialise(network: Network, rng: np.random.Generator, scheme: str = "uniform") -> None:
    """Fill the parameters in place, in the order of `network.params`.

    "uniform": weights from U(-1/√H, 1/√H), as torch's recurrent layers; tables looked up by symbol
    (an embedding, or the input weights of one-hot symbols) from N(0, 1), since one column alone
    makes the input; biases 0, and the LSTM's forget bias 1 (Gers et al. 2000; Jozefowicz et al. 2015).
    "min-char-rnn": weights from N(0, 0.01²), all biases 0 (Karpathy 2015).
    """
    H = network.config.hidden
    table = "embedding.weight" if network.config.embedding else f"{network.config.cell}.weight_ih_l0"
    for name, value in network.params.items():
        if "bias" in name:
            value[...] = 0
            if scheme == "uniform" and name.startswith("lstm."):
                value[H : 2 * H] = 1
        elif scheme == "min-char-rnn":
            value[...] = 0.01 * rng.standard_normal(value.shape)
        elif name == table:
            value[...] = rng.standard_normal(value.shape)
        else:
            value[...] = rng.uniform(-(H**-0.5), H**-0.5, value.shape)
