"""Chapter 7: the gates of a trained LSTM, and how far back its gradient reaches."""

from dataclasses import dataclass

import numpy as np

from charrnn.interpret.flow import measure_flow
from charrnn.learn.small import TEXT, column, make_network, passes_over, train

H, STEPS = 16, 250
READ = "she sells sea shells by the sea shore."
SPACES = np.array([ch == " " for ch in READ])
DISTANCE, STREAMS, BACK = 40, 16, 25
FORGET_BIAS = 5.0


@dataclass(frozen=True)
class Gates:
    """rows : name -> (T,), gates, c and h of one cell over READ; flows : name -> (K+1,), mean gradient norms"""

    cell: int
    rows: dict[str, np.ndarray]
    flows: dict[str, np.ndarray]

    @property
    def facts(self) -> dict[str, str]:
        def left(name: str) -> str:
            return f"{self.flows[name][BACK] / self.flows[name][0]:.0e}"

        return {
            "cell": str(self.cell),
            "f_letter": f"{self.rows['f'][~SPACES].mean():.2f}",
            "f_space": f"{self.rows['f'][SPACES].mean():.2f}",
            "sigma_1": f"{_sigmoid(1.0):.2f}",
            "sigma_5": f"{_sigmoid(FORGET_BIAS):.3f}",
            "power_1": f"{_sigmoid(1.0) ** BACK:.0e}",
            "left_rnn": left("RNN h"),
            "left_gru": left("GRU h"),
            "left_lstm": left("LSTM c"),
            "left_open": f"{self.flows['b_f = 5'][BACK] / self.flows['b_f = 5'][0]:.2g}",
            "back": str(BACK),
            "answer": f"{0.5 ** (1 / 100):.4f}",
        }


def compute() -> Gates:
    """The cell of a small trained LSTM that forgets most at spaces; the flow of fresh networks."""
    network = make_network("lstm", H)
    train(network, passes_over(TEXT, STEPS), "adagrad", 0.1)
    _, _, trace = network.forward(column(READ), network.zero_state(1))
    (layer,) = trace.layers
    arrays = {name: layer[name] for name in (*network.cell.GATES, "c", "h")}
    f = layer["f"][:, 0]
    cell = int((f[~SPACES].mean(axis=0) - f[SPACES].mean(axis=0)).argmax())
    rows = {name: array[:, 0, cell].copy() for name, array in arrays.items()}
    return Gates(cell, rows, _flows())


def _flows() -> dict[str, np.ndarray]:
    ids = column(TEXT)[:, 0]
    ends = np.linspace(DISTANCE + 1, len(ids) - 1, STREAMS).astype(int)
    pieces = ids[ends[None] + np.arange(-DISTANCE - 1, 0)[:, None]]
    flows = {}
    for name, cell in (("RNN h", "rnn"), ("GRU h", "gru"), ("LSTM c", "lstm"), ("b_f = 5", "lstm")):
        network = make_network(cell, 32)
        if name == "b_f = 5":
            network.params["lstm.bias_l0"][32:64] = FORGET_BIAS
        flow = measure_flow(network, pieces, ids[ends], network.zero_state(STREAMS))
        flows[name] = (flow.h if flow.c is None else flow.c)[0]
    return flows


def _sigmoid(a: float) -> float:
    return float(1 / (1 + np.exp(-a)))
