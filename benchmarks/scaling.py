"""The tables of docs/scaling.md: what sizes, GPUs and networks should cost, by calculation alone.

    python benchmarks/scaling.py

Nothing is measured here. Put a measured step time or all-reduce time in place of the calculated one and
the last tables follow from it.
"""

from dataclasses import dataclass

from charrnn.config import ModelConfig
from charrnn.nn.network import Network

V = 65  # symbols, as tiny-shakespeare has

# One H100 SXM (see the sources in docs/scaling.md).
PEAK_FLOPS = 989e12  # bfloat16, dense
SHARE = 0.3  # of the peak that the products reach: an assumption
LAUNCH_SECONDS = 4e-6  # of a kernel: an assumption
LAUNCHES_PER_STEP = 2  # product and gates, once the layers of a diagonal run together: an assumption

# All-reduce: seconds = latency + 2 (N - 1)/N bytes / bandwidth.
NVLINK, NICS, ONE_NIC = 370e9, 370e9, 44e9  # bytes per second
LATENCY = {"node": 20e-6, "network": 60e-6}


@dataclass(frozen=True)
class Case:
    """An LSTM and the chunk it is trained with on one GPU."""

    layers: int
    hidden: int
    streams: int = 256
    chunk: int = 128

    @property
    def name(self) -> str:
        return f"{self.layers}×{self.hidden}"

    @property
    def characters(self) -> int:
        return self.streams * self.chunk

    @property
    def parameters(self) -> int:
        return Network.size(ModelConfig(cell="lstm", layers=self.layers, hidden=self.hidden), V)

    @property
    def multiplied(self) -> int:
        """Weights that take part in a product for every character: all but the looked-up input weights."""
        return 4 * self.hidden**2 * (2 * self.layers - 1) + self.hidden * V

    @property
    def flops(self) -> float:
        """Of a step: 2 a weight and character forward, 4 backward."""
        return 6 * self.multiplied * self.characters

    @property
    def activation_bytes(self) -> int:
        """What the numpy engine keeps of a chunk, float32: 12 numbers a cell and character, and the logits."""
        return 4 * self.characters * (12 * self.layers * self.hidden + V)

    @property
    def launch_seconds(self) -> float:
        """Of a step: forward and backward along chunk + layers - 1 diagonals."""
        return 2 * (self.chunk + self.layers - 1) * LAUNCHES_PER_STEP * LAUNCH_SECONDS

    @property
    def product_seconds(self) -> float:
        """Of a step, at the share of the peak that is assumed."""
        return self.flops / PEAK_FLOPS / SHARE

    def step_seconds(self, gpus: int = 1) -> float:
        """Without the all-reduce, when the streams of a step are divided among `gpus`."""
        return max(self.product_seconds / gpus, self.launch_seconds)

    def all_reduce_seconds(self, gpus: int, network: float = NICS) -> float:
        """Of the float32 gradient; more than 8 GPUs are on several machines."""
        if gpus == 1:
            return 0.0
        bandwidth, latency = (NVLINK, LATENCY["node"]) if gpus <= 8 else (network, LATENCY["network"])
        return latency + 2 * (gpus - 1) / gpus * 4 * self.parameters / bandwidth

    def gain(self, gpus: int, network: float, *, more: bool) -> float:
        """Characters per second relative to one GPU; with `more`, each GPU has as many streams as the one had."""
        shared = 1 if more else gpus
        seconds = self.step_seconds(shared) + self.all_reduce_seconds(gpus, network)
        return (gpus if more else 1) * self.step_seconds() / seconds


CASES = [Case(2, 128, 16, 25), Case(2, 512), Case(3, 1024), Case(3, 2048)]
GPUS = (2, 4, 8, 16, 32, 64)


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def tables() -> dict[str, str]:
    """Each table by what it is about."""
    large = CASES[1:]
    networks = (("one port per GPU", NICS), ("one slow port", ONE_NIC))
    sizes = ["parameters", "operations per character", "with Adagrad", "with Adam", "activations"]
    return {
        "memory": table(
            ["LSTM", "streams × chunk", *sizes],
            [
                [
                    case.name,
                    f"{case.streams} × {case.chunk}",
                    f"{case.parameters:,}",
                    f"{6 * case.multiplied / 1e6:.3g} million",
                    *(f"{4 * copies * case.parameters / 1e6:,.0f} MB" for copies in (3, 4)),
                    f"{case.activation_bytes / 1e6:,.0f} MB",
                ]
                for case in CASES
            ],
        ),
        "one GPU": table(
            ["LSTM", "products at the peak", "products at 30 %", "launches", "limited by", "characters/s"],
            [
                [
                    case.name,
                    f"{1e3 * case.flops / PEAK_FLOPS:.1f} ms",
                    f"{1e3 * case.product_seconds:.1f} ms",
                    f"{1e3 * case.launch_seconds:.1f} ms",
                    "products" if case.product_seconds > 2 * case.launch_seconds else "both",
                    f"{case.characters / case.step_seconds() / 1e6:.2g} million",
                ]
                for case in large
            ],
        ),
        "all-reduce": table(
            ["LSTM", "gradient", *(f"{gpus} GPUs" for gpus in (2, 8, 16, 64)), "64 GPUs, one slow port"],
            [
                [
                    case.name,
                    f"{4 * case.parameters / 1e6:.0f} MB",
                    *(f"{1e3 * case.all_reduce_seconds(gpus):.2f} ms" for gpus in (2, 8, 16, 64)),
                    f"{1e3 * case.all_reduce_seconds(64, ONE_NIC):.1f} ms",
                ]
                for case in large
            ],
        ),
        "more streams": table(
            ["LSTM", "network", *(f"{gpus} GPUs" for gpus in GPUS)],
            [
                [case.name, name, *(f"{case.gain(gpus, network, more=True):.1f}" for gpus in GPUS)]
                for case in large
                for name, network in networks
            ],
        ),
        "same streams": table(
            ["LSTM", *(f"{gpus} GPUs" for gpus in GPUS)],
            [[case.name, *(f"{case.gain(gpus, NICS, more=False):.1f}" for gpus in GPUS)] for case in large],
        ),
    }


def main() -> None:
    for name, content in tables().items():
        print(f"{name}\n\n{content}\n")


if __name__ == "__main__":
    main()
