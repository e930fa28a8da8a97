"""The torch engine: `torch.nn.RNN`, `GRU` and `LSTM` on a CPU or GPU, alone or as one rank of many.

    w ← θ                                    the modules' weights, from one flat tensor or as views of it
    g = Σ over ranks of ∂loss/∂w             flat, in the order of `Network.theta`; one all-reduce
    penalties, frozen layers, norm, clip     as in NumpyBackend
    θ ← θ - …                                by torch.optim, over the one flat tensor

Memory, names and order of the flat arrays are those of the numpy engine, so a checkpoint of either
can be resumed with the other, on any device and any number of ranks.
"""

import platform
import warnings
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np

from charrnn.config import ModelConfig, TrainConfig
from charrnn.engines import averaging, drawn_masks
from charrnn.engines.backend import Backend, generator_state, set_generator_state
from charrnn.engines.ranks import ALONE, Ranks
from charrnn.errors import UsageError
from charrnn.install.extras import require
from charrnn.nn import optimizers
from charrnn.nn.init import initialise
from charrnn.nn.loss import NEVER
from charrnn.nn.network import Clamp, Network

with require("torch", "--backend torch"):
    import torch

TORCH_DTYPES = {"float32": torch.float32, "float64": torch.float64}
TORCH_CELLS: dict[str, Callable[..., torch.nn.RNNBase]] = {
    "rnn": torch.nn.RNN,
    "gru": torch.nn.GRU,
    "lstm": torch.nn.LSTM,
}

# torch's optimiser, its settings, and its names for the arrays of the same optimiser in optimizers.py.
TORCH_RULES: dict[str, tuple[Callable[..., torch.optim.Optimizer], dict[str, Any], dict[str, str]]] = {
    "adagrad": (torch.optim.Adagrad, {"eps": 0.0}, {"square_sum": "sum"}),
    "sgd": (torch.optim.SGD, {}, {}),
    "momentum": (torch.optim.SGD, {"momentum": optimizers.Momentum.mu}, {"velocity": "momentum_buffer"}),
    "nesterov": (
        torch.optim.SGD,
        {"momentum": optimizers.Nesterov.mu, "nesterov": True},
        {"velocity": "momentum_buffer"},
    ),
    "rmsprop": (
        torch.optim.RMSprop,
        {"alpha": optimizers.RMSProp.rho, "eps": optimizers.RMSProp.epsilon},
        {"square_mean": "square_avg"},
    ),
    "adam": (
        torch.optim.Adam,
        {
            "betas": (optimizers.Adam.beta1, optimizers.Adam.beta2),
            "eps": optimizers.Adam.epsilon,
            "fused": True,
        },
        {"mean": "exp_avg", "square_mean": "exp_avg_sq"},
    ),
}


def check_device(config: TrainConfig, local_rank: int = 0) -> None:
    """Raise UsageError if this machine lacks the requested device."""
    version = f"torch {torch.__version__}"
    if config.device == "cuda" and not torch.cuda.is_available():
        raise UsageError(
            f"--device cuda: {version} finds no CUDA GPU here. Leave --device out, or install a torch for your GPU"
        )
    if config.device == "cuda" and local_rank >= torch.cuda.device_count():
        raise UsageError(
            f"--device cuda: there are more processes than the {torch.cuda.device_count()} GPUs. "
            "Lower --nproc-per-node"
        )
    if config.device == "mps" and not torch.backends.mps.is_available():
        raise UsageError(f"--device mps: {version} finds no Apple GPU here. Leave --device out")
    if config.device == "mps" and config.precision == "float64":
        raise UsageError("--precision float64: Apple GPUs do not support it. Use float32, or --device cpu")


def lacks_bfloat16_units() -> bool:
    """Whether this is an x86 CPU without AMX and AVX-512 BF16: there torch emulates bfloat16, slowly."""
    units = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return platform.machine().lower() in ("x86_64", "amd64") and not units


class TorchBackend(Backend):
    """The torch engine; with several ranks, for the streams rank, rank + size, rank + 2 size, …

    batch_size : streams of this rank; the state in `arrays` (in rank 0) and `restore` is that of all streams
    """

    def __init__(
        self,
        model: ModelConfig,
        config: TrainConfig,
        vocab_size: int,
        batch_size: int,
        threads: int = 1,
        ranks: Ranks = ALONE,
    ) -> None:
        check_device(config, ranks.local_rank)
        torch.set_num_threads(threads)
        if config.device == "cuda":
            torch.cuda.set_device(ranks.local_rank)
        self._device = torch.device(config.device)
        self._config = config
        self._ranks = ranks
        self._streams = batch_size * ranks.size  # the loss is averaged over the streams of all ranks
        init_rng, self._rng = np.random.default_rng(config.seed).spawn(2)
        # The numpy generator, in the same state in all ranks, draws the masks of all streams, as in the numpy engine;
        # each rank takes those of its own. The masks of standard dropout are too many for that: they come from
        # torch's generator, seeded at each step from the numpy one. So it too can go on from a checkpoint on
        # another device and on other ranks.
        self._drops_each_step = config.dropout > 0 and config.dropout_kind == "standard"
        self._drawn = replace(config, dropout=0.0) if self._drops_each_step else config
        self._generator = torch.Generator(self._device)
        self._of_signals: dict[int, torch.Tensor] = {}  # masks of this step, by layer, -1 for the embedding

        dtype = TORCH_DTYPES[config.dtype]

        def weights() -> Weights:
            layers = Layers(model, vocab_size, one_by_one=config.dropout > 0).to(self._device, dtype)
            network = TorchNetwork(model, vocab_size, config.dtype, layers)
            return Weights(layers, network, self._device, drawn_masks.rates(config, network.params))

        self._weights = weights()
        self._average = weights() if config.average else None
        self._network, self._layers = self._weights.network, self._weights.layers
        self._theta, self._parts = self._weights.theta, self._weights.parts
        initialise(self._network, init_rng, config.init)
        for held in self._held().values():
            held.put(self._network.theta)
        size = self._network.theta.size
        # Gradient, loss, number of targets, calls to stop.
        self._sums = torch.zeros(size + 3, dtype=dtype, device=self._device)
        self._state = torch.from_numpy(self._network.zero_state(batch_size)).to(self._device)

        frozen = tuple(f"_l{layer}" for layer in config.frozen_layers)
        # 1 where penalties and weight decay act: on weights that are trained, not on biases.
        self._penalised = torch.zeros_like(self._theta)
        spans = self._network.spans()
        for name, (start, stop) in spans.items():
            self._penalised[start:stop] = "bias" not in name and not name.endswith(frozen)
        self._frozen = [
            self._sums[start:stop] for name, (start, stop) in spans.items() if name.endswith(frozen)
        ]

        rule, settings, self._memory_names = TORCH_RULES[config.optimizer]
        self._optimizer = rule([self._theta], lr=config.learning_rate, **settings)
        ours = optimizers.OPTIMIZERS[config.optimizer](size, config.dtype)
        self._memory = {name: torch.from_numpy(array).to(self._device) for name, array in ours.memory.items()}
        self._steps = torch.zeros((), device=self._device if "fused" in settings else None)
        self._optimizer.state[self._theta] = {
            "step": self._steps,
            **{theirs: self._memory[name] for name, theirs in self._memory_names.items()},
        }
        self._steps_taken = 0
        self._arithmetic: Callable[[], AbstractContextManager[None]] = nullcontext
        if config.precision == "bfloat16" and self._device.type == "cpu":
            self._arithmetic = self._that_runs()
        self.engine = self._describe()
        self.notes: Sequence[str] = ()

    def _that_runs(self) -> Callable[[], AbstractContextManager[None]]:
        """As things are, or without oneDNN, which on some CPUs has no recurrent layers in bfloat16.

        Raises UsageError where torch can do neither.
        """
        problem: RuntimeError | None = None
        symbol = torch.zeros(1, self._state.shape[2], dtype=torch.long)
        for arithmetic in (nullcontext, _without_onednn):
            try:
                with arithmetic():
                    logits, _ = self._forward(symbol)
                torch.autograd.grad(logits.float().sum(), [parameter for parameter, _, _ in self._parts])
                return arithmetic
            except RuntimeError as error:
                problem = error
        raise UsageError(
            f"--precision bfloat16: torch {torch.__version__} cannot train this network in it on this CPU "
            f"({str(problem).splitlines()[0]}). Use float32"
        )

    def _describe(self) -> str:
        """The engine's description, for the first lines of a run and the model card."""
        device, config = self._device, self._config
        cuda = device.type == "cuda"
        name = torch.cuda.get_device_name(device) if cuda else device.type
        told = [f"torch {torch.__version__} on {name}, {config.precision}"]
        if cuda:
            cudnn = f"cuDNN {torch.backends.cudnn.version()}"
            told.append(cudnn if self._layers.in_cudnn() else "without cuDNN, which is slow")
        if cuda and config.precision == "float32":
            recurrent, head = (
                "on" if allowed else "off"
                for allowed in (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32)
            )
            told.append(f"TF32 {recurrent} in the recurrent layers, {head} in the head")
        if device.type == "cpu" and config.precision == "bfloat16" and lacks_bfloat16_units():
            told.append("emulated, since this CPU has no bfloat16 units: float32 is faster")
        if self._arithmetic is _without_onednn:
            told.append("without oneDNN, which has no such layers in bfloat16 for this CPU")
        if self._ranks.size > 1:
            told.append(f"{self._ranks.size} processes with {self._streams // self._ranks.size} streams each")
        return "; ".join(told)

    def step(self, x: np.ndarray, y: np.ndarray, lr: float) -> tuple[float, float]:
        size, of_weights = self._theta.numel(), self._draw_masks(len(x))
        if self._drops_each_step:
            seeds = self._rng.integers(2**63, size=self._ranks.size)
            self._generator.manual_seed(int(seeds[self._ranks.rank]))
        symbols = torch.from_numpy(np.stack([x, y])).to(self._device)
        with self._arithmetic():
            logits, state = self._forward(symbols[0])
        logits = logits.to(self._theta.dtype)
        loss: torch.Tensor = (
            torch.nn.functional.cross_entropy(
                logits.flatten(0, 1), symbols[1].flatten(), ignore_index=-1, reduction="sum"
            )
            / self._streams
        )
        objective = self._smoothed(loss, logits, symbols[1]) + self._activation_penalty(symbols[1])
        gradients = torch.autograd.grad(objective, [parameter for parameter, _, _ in self._parts])
        self._state = state.detach().to(self._theta.dtype)
        with torch.no_grad():
            pieces = [g[rows] for g, (_, rows, _) in zip(gradients, self._parts, strict=True)]
            for piece, mask in zip(pieces, of_weights, strict=True):
                if mask is not None:
                    piece.mul_(mask)
            torch.cat([*map(torch.flatten, pieces), loss.detach()[None]], out=self._sums[: size + 1])
            self._sums[size + 1] = float(np.count_nonzero(y >= 0))
            self._sums[-1] = float(self._ranks.asked_to_stop())
            self._ranks.sum(self._sums)
            norm = self._finish(self._sums[:size])
            self._optimizer.param_groups[0]["lr"] = lr
            self._theta.grad = self._sums[:size]
            if self._config.weight_decay:
                self._theta.addcmul_(self._penalised, self._theta, value=-lr * self._config.weight_decay)
            self._optimizer.step()
            self._weights.spread()
            self._steps_taken += 1
            if self._average is not None:
                share = averaging.share(self._config.average, self._steps_taken)
                self._average.theta.lerp_(self._theta, share)
        # Only here does the CPU wait for a GPU.
        total, count, stops, grad_norm = torch.cat([self._sums[size:], norm[None]]).tolist()
        self._ranks.stop_heard = stops > 0
        return total / (count / self._streams) if count else 0.0, grad_norm

    def _smoothed(self, loss: torch.Tensor, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The loss with label smoothing, whose gradient is that of `nn.loss`."""
        epsilon = self._config.label_smoothing
        if not epsilon:
            return loss
        written = (self._layers.head.bias.detach() > NEVER / 2).to(logits.dtype)
        smooth = epsilon * written / written.sum()
        evenly = (torch.log_softmax(logits, dim=-1) * smooth).sum(dim=-1)
        return (1 - epsilon) * loss - (evenly * (targets >= 0)).sum() / self._streams

    def _activation_penalty(self, targets: torch.Tensor) -> torch.Tensor | float:
        """AR and TAR of `nn.penalties`."""
        config = self._config
        h, dropped = (part.to(self._theta.dtype) for part in self._top)
        counted, scale = (targets >= 0)[..., None], 1 / (self._streams * h.shape[-1])
        penalty: torch.Tensor | float = 0.0
        if config.ar:
            penalty = penalty + config.ar * scale * (counted * dropped**2).sum()
        if config.tar:
            penalty = penalty + config.tar * scale * (counted[1:] * h.diff(dim=0) ** 2).sum()
        return penalty

    def _draw_masks(self, T: int) -> list[torch.Tensor | None]:
        """The masks of a chunk: those of signals for `_drop`, those of weights multiplied into the parameters.

        Returns the latter, one for each of `_parts`, since they are due to the gradients too.
        """
        params = self._network.params
        drawn = drawn_masks.draw(self._drawn, params, T, self._streams, self._rng)
        own = drawn.of_streams(slice(self._ranks.rank, None, self._ranks.size))
        of_signals = dict(enumerate(own.outputs)) | ({} if own.inputs is None else {-1: own.inputs})
        self._of_signals = {k: torch.from_numpy(mask).to(self._device) for k, mask in of_signals.items()}
        of_weights = [
            torch.from_numpy(own.weights[name]).to(self._device) if name in own.weights else None
            for name in params
        ]
        with torch.no_grad():
            for mask, (parameter, rows, _) in zip(of_weights, self._parts, strict=True):
                if mask is not None:
                    parameter[rows].mul_(mask)
        return of_weights

    def _forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._config.precision == "bfloat16"):
            return self._layers(x, self._state, self._drop)

    def _drop(self, layer: int, h: torch.Tensor) -> torch.Tensor:
        """What is left of a layer's output, or of the embedding (layer -1); the last layer comes last, and `_top` is
        its output before and after."""
        dropped = h
        if (mask := self._of_signals.get(layer)) is not None:
            dropped = h * mask.to(h.dtype)
        elif layer >= 0 and self._drops_each_step:
            keep = 1 - self._config.dropout
            dropped = h * torch.empty_like(h).bernoulli_(keep, generator=self._generator).div_(keep)
        self._top = h, dropped
        return dropped

    def _finish(self, grad: torch.Tensor) -> torch.Tensor:
        """Penalties, frozen layers and clipping, in place; returns the norm before clipping."""
        config = self._config
        if config.l2:
            grad.addcmul_(self._penalised, self._theta, value=config.l2)
        if config.l1:
            grad.addcmul_(self._penalised, self._theta.sign(), value=config.l1)
        for gradient in self._frozen:  # before the norm, which covers only trained weights
            gradient.zero_()
        norm = torch.linalg.vector_norm(grad)
        if config.clip_norm:
            grad.mul_((config.clip_norm / norm).clamp_(max=1))
        if config.clip_value:
            grad.clamp_(-config.clip_value, config.clip_value)
        return norm

    def reset_state(self) -> None:
        self._state = torch.zeros_like(self._state)

    def _held(self) -> "dict[str, Weights]":
        """The weights, and the average where one is kept, by their names in a checkpoint."""
        return {"theta": self._weights} | ({"average": self._average} if self._average is not None else {})

    def network(self) -> Network:
        return (self._average or self._weights).as_numpy()

    def last(self) -> Network:
        return self._weights.as_numpy()

    def arrays(self) -> dict[str, np.ndarray]:
        memory = {f"optimizer.{name}": tensor.cpu().numpy() for name, tensor in self._memory.items()}
        return {
            **{name: held.theta.cpu().numpy() for name, held in self._held().items()},
            "state": self._ranks.whole(self._state.cpu().numpy()),
            "optimizer.steps": np.array([self._steps_taken]),
            "rng": generator_state(self._rng),
            **memory,
        }

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        for name, held in self._held().items():
            held.put(arrays[name])
        self._state = torch.from_numpy(self._ranks.part(arrays["state"]).copy()).to(self._device)
        self._steps_taken = int(arrays["optimizer.steps"][0])
        self._steps.fill_(self._steps_taken)
        for name, tensor in self._memory.items():
            tensor.copy_(torch.from_numpy(arrays[f"optimizer.{name}"]))
        set_generator_state(self._rng, arrays["rng"])


class Weights:
    """A flat θ on the device, with the modules and the numpy network that have these weights.

    theta : on a CPU it shares its memory with the network's, so that nothing is ever copied between them
    parts : see `Layers.parts`
    masked : tensors that masks are multiplied into in a step, so that their modules have copies of θ
    """

    def __init__(
        self, layers: "Layers", network: "TorchNetwork", device: torch.device, masked: Container[str]
    ) -> None:
        self.layers, self.network = layers, network
        self.theta = torch.from_numpy(network.theta).to(device)
        self.parts = self._copied = layers.parts(network)
        if device.type != "cuda":  # cuDNN has an order of its own; elsewhere the weights can lie in θ
            named = zip(network.params, self.parts, strict=True)
            self._copied = [part for name, part in named if name in masked or not self._lay(*part)]

    def _lay(self, parameter: torch.nn.Parameter, rows: slice, span: tuple[int, int]) -> bool:
        """Make a parameter a view of θ; false when only some of its rows are in θ."""
        if whole := rows == slice(None):
            parameter.data = self.theta[slice(*span)].view_as(parameter)
        return whole

    def spread(self) -> None:
        """Copy θ into the modules, unless they share memory."""
        with torch.no_grad():
            for parameter, rows, (start, stop) in self._copied:
                part = parameter[rows]
                part.copy_(self.theta[start:stop].view_as(part))

    def put(self, theta: np.ndarray) -> None:
        """Make these numbers the weights."""
        self.theta.copy_(torch.from_numpy(theta))
        self.spread()

    def as_numpy(self) -> "TorchNetwork":
        """The network, with the weights that θ has now."""
        self.spread()
        self.network.theta[...] = self.theta.cpu().numpy()
        return self.network


class Layers(torch.nn.Module):
    """The network as torch modules: a single recurrent one, or one per layer for dropout between them.

    A single module is fastest in cuDNN, which then works on several layers at a time.
    """

    def __init__(self, config: ModelConfig, vocab_size: int, one_by_one: bool) -> None:
        super().__init__()
        self._config = config
        self._vocab_size = vocab_size
        options = {"nonlinearity": config.nonlinearity} if config.cell == "rnn" else {}
        inputs = config.embedding or vocab_size
        if config.embedding:
            self.embedding = torch.nn.Embedding(vocab_size, config.embedding)
        self.recurrent = torch.nn.ModuleList()
        for first in range(config.layers if one_by_one else 1):
            depth = 1 if one_by_one else config.layers
            self.recurrent.append(
                TORCH_CELLS[config.cell](
                    inputs if first == 0 else config.hidden, config.hidden, depth, **options
                )
            )
        self.head = torch.nn.Linear(config.hidden, vocab_size)
        for name, parameter in self.named_parameters():
            if "bias_hh" in name:  # one bias per gate is trained; `parts` makes the GRU's b_hn trainable
                torch.nn.init.zeros_(parameter).requires_grad_(config.cell == "gru")

    def parts(self, network: Network) -> list[tuple[torch.nn.Parameter, slice, tuple[int, int]]]:
        """For each tensor of `network`: the parameter that holds it, in which rows, and its span of theta."""
        own, H = dict(self.named_parameters()), self._config.hidden
        found = []
        for name, span in network.spans().items():
            rows = slice(None)
            if not name.startswith(("embedding", "head")):
                tensor, layer = name.split(".")[1].rsplit("_l", 1)
                if tensor == "bias_hn":
                    rows = slice(2 * H, None)
                tensor = {"bias": "bias_ih", "bias_hn": "bias_hh"}.get(tensor, tensor)
                module, depth = (layer, 0) if len(self.recurrent) > 1 else (0, layer)
                name = f"recurrent.{module}.{tensor}_l{depth}"
            found.append((own[name], rows, span))
        return found

    def forward(
        self,
        x: torch.Tensor,
        state: torch.Tensor,
        drop: Callable[[int, torch.Tensor], torch.Tensor] | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """x (T, B), state (L, S, B, H) -> logits (T, B, V) and the state after the chunk.

        drop : from a layer's number, -1 for the embedding, and what it puts out to what is left of that
        """
        if self._config.embedding:
            below = self.embedding(x) if drop is None else drop(-1, self.embedding(x))
        else:
            below = state.new_zeros(*x.shape, self._vocab_size).scatter_(2, x[..., None], 1)
        states = []
        parts = state.chunk(len(self.recurrent))
        for k, (module, part) in enumerate(zip(self.recurrent, parts, strict=True)):
            h, *c = (values.contiguous() for values in part.unbind(1))
            below, after = module(below, (h, *c) if c else h)
            states.append(torch.stack(after if c else (after,), dim=1))
            if drop is not None:
                below = drop(k, below)
        return self.head(below), torch.cat(states)

    def in_cudnn(self) -> bool:
        """Whether cuDNN will run the recurrent modules, without gathering their weights at each call."""
        return all(
            torch.backends.cudnn.is_acceptable(module.weight_hh_l0)
            and len({weight.untyped_storage().data_ptr() for weight in module.parameters()}) == 1
            for module in self.recurrent
        )


@contextmanager
def _without_tf32() -> Iterator[None]:
    """Turn TF32 off to score a text: a segment's final state must not depend on the segments beside it."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


@contextmanager
def _without_onednn() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some versions warn about a related flag for GPUs
        off = torch.backends.mkldnn.flags(enabled=False)
        off.__enter__()
    try:
        yield
    finally:
        off.__exit__(None, None, None)


class TorchNetwork(Network):
    """The weights as numpy arrays for every use of a network, but reading text on the training device.

    The arrays are those of the last `Weights.as_numpy()`; `read` uses the current weights.
    """

    def __init__(self, config: ModelConfig, vocab_size: int, dtype: str, layers: Layers) -> None:
        super().__init__(config, vocab_size, dtype)
        self._layers = layers

    def read(
        self, x: np.ndarray, state: np.ndarray, clamp: Clamp | Sequence[Clamp] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        assert not clamp, "a clamp is for the numpy network"
        device = self._layers.head.weight.device
        with torch.no_grad(), _without_tf32():
            logits, after = self._layers(torch.from_numpy(x).to(device), torch.from_numpy(state).to(device))
        return logits.cpu().numpy(), after.cpu().numpy()
