"""Whole training steps of a single stream, many in one call: forward, loss, backward, clipping and the optimiser.

With one stream a step is so short that the calls from Python between its kernels take as long as the kernels. Here
one compiled function takes chunk after chunk through the equations of `charrnn.fast.shard`. θ, its gradient and the
optimiser's memory stay in their flat arrays; tensors whose rows are no whole vectors have wide copies for the products.

    table[t] = W_ih x[t]        a column of W_ih for each step, or of a layer above a product
    logits = W h                then their gradient, in place
    dW = Σ_t d[t] ⊗ input[t]    into wide copies, and from these into the flat gradient in the order of its tensors
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from charrnn.config import ModelConfig, TrainConfig
from charrnn.engines import fast_update as update
from charrnn.fast import layers
from charrnn.fast.compiler import Program, whole, zeros
from charrnn.fast.ir import Array, Index, Kernel
from charrnn.fast.shard import cell_of
from charrnn.fast.softmax import add_cross_entropy
from charrnn.fast.tiles import write_pack, write_pack_transposed, write_product, write_product_transposed
from charrnn.fast.weights import whole_vectors
from charrnn.nn.loss import NEVER
from charrnn.nn.network import Network, parameter_shapes
from charrnn.nn.optimizers import Optimizer

MOST = 64  # chunks per call
CALL = 1e8  # multiplications per call: some hundredths of a second, after which a signal is answered
LARGEST = 256  # cells of a layer; larger products are quicker by BLAS

Shape = tuple[int, ...]
DOUBLES = ("totals", "norms")
INTEGERS = ("count", "steps", "x", "y", "rows")


def suits(model: ModelConfig, config: TrainConfig, batch_size: int) -> bool:
    """Whether a run has a single stream and nothing that these kernels leave out."""
    masked = config.masked_steps(1) or config.weight_drop or config.embedding_dropout or config.input_dropout
    penalised = config.l1 or config.l2 or config.ar or config.tar or config.label_smoothing
    left_out = masked or penalised or config.frozen_layers or model.embedding
    return batch_size == 1 and model.hidden <= LARGEST and not left_out


def chunks_per_call(size: int, T: int) -> int:
    """For so many parameters, each of which is multiplied three times a character."""
    return int(min(MOST, max(1, CALL // (3 * size * T))))


class Chunks:
    """The kernel, and the stream's state.

    streams : those of the batch that it takes, as for a shard: the only one
    at_once : chunks per call, at most
    """

    streams = slice(0, 1)

    def __init__(
        self, network: Network, config: TrainConfig, optimizer: Optimizer, more: Mapping[str, np.ndarray]
    ) -> None:
        self._config, self._optimizer, self._model = config, optimizer, network.config
        self.at_once = chunks_per_call(network.theta.size, config.seq_length)
        writer = _Writer(network, config, [*more])
        program, dtype = writer.program(), network.theta.dtype
        self.without_cache = program.without_cache
        special = dict.fromkeys(INTEGERS, np.int64) | dict.fromkeys(DOUBLES, np.float64)
        shapes = writer.shapes(self.at_once)
        given = {"theta": network.theta, "grad": network.grad, **optimizer.memory, **more}
        self._arrays = {
            name: whole(given[name])
            if name in given
            else zeros(shape, special.get(name.partition("@")[0], dtype))
            for name, shape in shapes.items()
        }
        for name, array in self._arrays.items():
            if name.startswith("rows@"):
                array[...] = np.arange(len(array))[:, None]
        if "head.bias" in self._arrays:
            self._arrays["head.bias"][...] = NEVER
        self._run = program.bind("chunks", *self._arrays.values())

    def steps(
        self, chunks: Sequence[tuple[np.ndarray, np.ndarray]], rates: Iterable[float]
    ) -> list[tuple[float, float]]:
        """Train on up to `at_once` chunks; for each the loss, summed over time, and the gradient's norm."""
        arrays, first = self._arrays, self._optimizer.steps + 1
        for n, (x, y) in enumerate(chunks):
            arrays["steps"][n] = len(x)
            arrays["x"][n, : len(x)], arrays["y"][n, : len(x)] = x[:, 0], y[:, 0]
        scalars = [update.scalars_of(self._config, 1.0, lr, first + n) for n, lr in enumerate(rates)]
        arrays["scalars"][: len(scalars)] = scalars
        arrays["count"][0] = len(chunks)
        self._run()
        self._optimizer.steps += len(chunks)
        return list(zip(*(arrays[name][: len(chunks)].tolist() for name in ("totals", "norms")), strict=True))

    @property
    def state(self) -> np.ndarray:
        """The state after the last chunk, (L, S, 1, H)."""
        return np.stack(
            [np.stack([array[-1, :, : self._model.hidden] for array in layer]) for layer in self._states()]
        )

    @state.setter
    def state(self, value: np.ndarray) -> None:
        for layer, of_layer in zip(self._states(), value, strict=True):
            for array, state in zip(layer, of_layer, strict=True):
                array[-1] = 0  # in a step that diverged, the padding cells did too
                array[-1, :, : self._model.hidden] = state

    def _states(self) -> list[list[np.ndarray]]:
        letters = cell_of(self._model).states
        return [[self._arrays[f"{letter}@{k}"] for letter in letters] for k in range(self._model.layers)]


class _Writer:
    """Writes the kernel `chunks` and those that it calls. Arrays of layer k are named `letter@k`."""

    def __init__(self, network: Network, config: TrainConfig, more: Sequence[str]) -> None:
        model = network.config
        self._config, self._more, self._dtype = config, more, network.theta.dtype
        self._cell, self._L, self._cell_name = cell_of(model), model.layers, model.cell
        settings = config.optimizer, config.clip_value, config.clip_norm, *more
        self._key = model.cell, model.nonlinearity, model.layers, model.hidden, network.vocab_size, *settings
        self._T, self._V, self._h = config.seq_length, network.vocab_size, model.hidden
        self._spans, self._size = network.spans(), network.theta.size
        target = Program(dtype=self._dtype).target
        self._lanes = target.lanes
        self._H, self._wide_V = whole_vectors(self._h, target), whole_vectors(self._V, target)
        self._tensors = {  # blocks of rows, but for the first layer's W_ih
            name: self._blocks(name, shape) for name, shape in parameter_shapes(model, self._V).items()
        }

    def _blocks(self, name: str, shape: Shape) -> tuple[Shape, Shape]:
        """A tensor as (blocks, rows, columns), and the shape of its wide copy."""
        h, H, V, wide_V = self._h, self._H, self._V, self._wide_V
        if name == "head.weight":
            return (1, V, h), (1, wide_V, H)
        if name == "head.bias":
            return (1, 1, V), (1, 1, wide_V)
        if len(shape) == 1:
            return (1, shape[0] // h, h), (1, shape[0] // h, H)
        return (shape[0] // h, h, shape[1]), (shape[0] // h, H, H)

    def _name(self, bare: str, k: int) -> str:
        return f"{self._cell_name}.{bare}_l{k}"

    def _own(self, k: int) -> tuple[dict[str, Shape], dict[str, Shape]]:
        """A layer's arrays for forward, and in addition for backward, by their names in `charrnn.fast.layers`."""
        sizes = self._T, 1, self._H, self._T
        return layers.arrays(self._cell, *sizes), layers.backward_arrays(self._cell, *sizes, by_row=False)

    def shapes(self, chunks: int) -> dict[str, Shape]:
        """Names and shapes of the arguments. Those of several chunks may be of any length."""
        T, H, V, K, lanes = self._T, self._H, self._wide_V, self._cell.gates, self._lanes
        size = -(-self._size // lanes) * lanes
        shapes: dict[str, Shape] = {
            **update.update_shapes(self._config.optimizer, size, self._more),
            **dict.fromkeys(("x", "y"), (chunks, T)),
            **dict.fromkeys(("steps", "totals", "norms"), (chunks,)),
            "count": (1,),
            "losses": (T,),
            "scalars": (chunks, len(update.SCALARS)),
            "squares": (update.partial_sums(size, lanes),),
            "logits": (T, V),
            "packed_input": (T * H,),
            **dict.fromkeys(("packed_head", "packed_head_back"), (H * V,)),
        }
        if self._L > 1:
            shapes |= {"packed_ih": (K * H * H,)}
        for k in range(self._L):
            shared = {"steps", "bias", "d_bias", "bias_hn", "d_bias_hn"}
            arrays = {**self._own(k)[0], **self._own(k)[1]}
            shapes |= {f"{name}@{k}": shape for name, shape in arrays.items() if name not in shared}
        for name, (narrow, wide) in self._tensors.items():
            # The last row of the head's gradient runs over its bias, which is copied after it.
            is_copied = narrow != wide or (name == "head.bias" and self._h != H)
            if is_copied and name != self._name("weight_ih", 0):
                shapes |= {name: wide, f"d {name}": wide}
        return shapes

    def program(self) -> Program:
        program = Program(*self._key, dtype=self._dtype)
        T, H = self._T, self._H
        layers.add_packing(program, self._cell, H, single=True)
        layers.add_forward(program, self._cell, T, 1, H, T, single=True)
        layers.add_backward(program, self._cell, T, 1, H, T, False, single=True)
        add_cross_entropy(program, T, 1, self._wide_V, 1.0)
        self._add_products(program)
        shapes = self.shapes(1)
        integers = [name for name in shapes if name.partition("@")[0] in INTEGERS]
        program.add("chunks", shapes, self._chunks, integers, DOUBLES)
        program.compile()
        return program

    def _add_products(self, program: Program) -> None:
        """`outer`: Σ_t da[t] ⊗ input[t]; with layers one above another `up`: W_ih h of the layer below for all steps,
        and `down`: its gradient."""
        T, H, N = self._T, self._H, self._cell.gates * self._H
        gates, cells, weight, packed = (T, N), (T, H), (N, H), (N * H,)

        def outer(k: Kernel) -> None:
            _add_up(k, k["da"], k["input"], k["packed"], k["result"], k["steps"].integer())

        def up(k: Kernel) -> None:
            write_pack_transposed(k, k["weight"], k["packed"])
            write_product(k, k["below"], k["packed"], k["table"])

        def down(k: Kernel) -> None:
            write_pack(k, k["weight"], k["packed"])
            write_product(k, k["da"], k["packed"], k["dh"])

        own: dict[str, Shape] = {
            "da": gates,
            "input": cells,
            "packed": (T * H,),
            "result": weight,
            "steps": (1,),
        }
        program.add("outer", own, outer, ["steps"])
        if self._L > 1:
            program.add("up", {"weight": weight, "packed": packed, "below": cells, "table": gates}, up)
            program.add("down", {"weight": weight, "packed": packed, "da": gates, "dh": cells}, down)

    # --------------------------------------------------------------------------------------------
    # The kernel

    def _chunks(self, k: Kernel) -> None:
        with k.loop(k["count"].integer()) as chunk:
            n = chunk.index
            steps = k["steps"].integer(n)
            weights, grads = self._widened(k), self._gradients(k)
            self._table(k, k["x"][n], steps)
            for layer in range(self._L):
                if layer:
                    weight, below = weights[self._name("weight_ih", layer)], self._h_of(k, layer - 1)
                    self._call(k, "up", weight, k["packed_ih"], below, k[f"table@{layer}"])
                self._call(k, "pack", weights[self._name("weight_hh", layer)], *self._packed(k, layer))
                self._call(k, "forward", *self._arguments(k, n, layer, weights, grads, backward=False))
            self._head(k, n, steps, weights, grads)
            for layer in reversed(range(self._L)):
                self._call(k, "backward", *self._arguments(k, n, layer, weights, grads, backward=True))
                self._layer_gradient(k, n, steps, layer, weights, grads)
            self._collect(k, grads)
            self._move(k, n)

    def _call(self, k: Kernel, name: str, *arrays: Array) -> None:
        k.build.call(k.module.globals[name], [array.base for array in arrays])

    def _packed(self, k: Kernel, layer: int) -> list[Array]:
        return [k[f"{name}@{layer}"] for name in ("packed", "packed_back")]

    def _arguments(
        self,
        k: Kernel,
        n: Index,
        layer: int,
        weights: Mapping[str, Array],
        grads: Mapping[str, Array],
        *,
        backward: bool,
    ) -> list[Array]:
        """Of a layer's kernel."""
        own, more = self._own(layer)
        found = []
        for name in [*own, *(more if backward else ())]:
            if name == "steps":
                found.append(k["steps"][n])
            elif name in ("bias", "bias_hn"):
                found.append(weights[self._name(name, layer)])
            elif name in ("d_bias", "d_bias_hn"):
                found.append(grads[self._name(name.removeprefix("d_"), layer)])
            else:
                found.append(k[f"{name}@{layer}"])
        return found

    def _part(self, flat: Array, name: str) -> Array:
        """A tensor in a flat array."""
        return flat[self._spans[name][0]].reshape(*self._tensors[name][0])

    def _widened(self, k: Kernel) -> dict[str, Array]:
        """The tensors with whole vectors, copied where they are not."""
        found = {}
        for name, (narrow, wide) in self._tensors.items():
            part = self._part(k["theta"], name)
            found[name] = part
            if name in k.arrays:
                found[name] = k[name].reshape(*wide)
                filler = NEVER if name == "head.bias" else 0.0
                _copy_rows(k, part, found[name], narrow, filler)
        return found

    def _gradients(self, k: Kernel) -> dict[str, Array]:
        """Where the gradients of tensors are written to: with whole vectors."""
        return {
            name: k[f"d {name}"].reshape(*wide) if f"d {name}" in k.arrays else self._part(k["grad"], name)
            for name, (_, wide) in self._tensors.items()
        }

    def _table(self, k: Kernel, x: Array, steps: Index) -> None:
        """A column of W_ih for each symbol."""
        w_ih, table = self._part(k["theta"], self._name("weight_ih", 0)), k["table@0"]
        with k.loop(steps) as time, k.loop(self._cell.gates) as gate, k.loop(self._h) as unit:
            t, g, u = time.index, gate.index, unit.index
            table[t, g].store_number(w_ih[g, u].number(x.integer(t)), u)

    def _h_of(self, k: Kernel, layer: int) -> Array:
        return k[f"h@{layer}"][1].reshape(self._T, self._H)

    def _head(
        self, k: Kernel, n: Index, steps: Index, weights: Mapping[str, Array], grads: Mapping[str, Array]
    ) -> None:
        """Logits, loss, and their gradients."""
        T, H, V = self._T, self._H, self._wide_V
        top, logits, dh = self._h_of(k, self._L - 1), k["logits"], k[f"dh_out@{self._L - 1}"].reshape(T, H)
        weight = weights["head.weight"].reshape(V, H)
        write_pack_transposed(k, weight, k["packed_head"])
        write_pack(k, weight, k["packed_head_back"])
        write_product(k, top, k["packed_head"], logits)
        own = [logits, weights["head.bias"], k["y"][n], k["losses"], grads["head.bias"]]
        self._call(k, "cross_entropy", k["steps"][n], *own)
        with k.loop(steps, numbers=[k.double(0.0)]) as time:
            loss = k.double(k["losses"].number(time.index))
            time.numbers = [k.build.fadd(time.numbers[0], loss)]
        k["totals"].store_number(time.numbers[0], n)
        _add_up(k, logits, top, k["packed_input"], grads["head.weight"].reshape(V, H), steps)
        write_product(k, logits, k["packed_head_back"], dh)

    def _layer_gradient(
        self,
        k: Kernel,
        n: Index,
        steps: Index,
        layer: int,
        weights: Mapping[str, Array],
        grads: Mapping[str, Array],
    ) -> None:
        """Of a layer's matrices, and ∂loss/∂h of the layer below."""
        K, h, da, packed = self._cell.gates, self._h, k[f"a@{layer}"], k["packed_input"]
        of_hidden, of_input = grads[self._name("weight_hh", layer)], grads[self._name("weight_ih", layer)]
        self._call(k, "outer", da, k[f"h@{layer}"], packed, of_hidden, k["steps"][n])
        if self._cell_name == "gru":  # from here on that of W_ih x, which differs in n
            with k.loop(steps) as time:
                da[time.index, 0, 2].copy(k[f"n@{layer}"][time.index, 0], self._H // self._lanes)
        if layer:
            weight, dh = weights[self._name("weight_ih", layer)], k[f"dh_out@{layer - 1}"]
            self._call(k, "outer", da, self._h_of(k, layer - 1), packed, of_input, k["steps"][n])
            self._call(k, "down", weight, k["packed_ih"], da, dh)
            return
        of_input.clear(-(-K * h * self._V // self._lanes))  # what follows it is written later
        with k.loop(steps) as time, k.loop(K) as gate, k.loop(h) as unit:
            t, g, u = time.index, gate.index, unit.index
            place, symbol = of_input[g, u], k["x"][n].integer(t)
            more = da[t, 0, g].number(u)
            place.store_number(k.build.fadd(place.number(symbol), more), symbol)

    def _collect(self, k: Kernel, grads: Mapping[str, Array]) -> None:
        """Gradients into the flat array. The last vector of a row runs over what follows, which is written later:
        after the last tensor nothing but zeros of the padding."""
        for name, (narrow, _) in self._tensors.items():
            if f"d {name}" in k.arrays:
                _copy_rows(k, grads[name], self._part(k["grad"], name), narrow)

    def _move(self, k: Kernel, n: Index) -> None:
        """The norm, and the optimiser's step."""
        build, scalars, size = k.build, k["scalars"][n], k["theta"].shape[0]
        update.write_sum_gradients(k, [k["grad"]], k["squares"], size)
        with k.loop(k["squares"].shape[0], numbers=[k.double(0.0)]) as block:
            square = k.double(k["squares"].number(block.index))
            block.numbers = [build.fadd(block.numbers[0], square)]
        norm = k.root(block.numbers[0])
        k["norms"].store_number(norm, n)
        if limit := self._config.clip_norm:
            is_over = build.fcmp_ordered(">", norm, k.double(limit))
            scale = build.select(is_over, build.fdiv(k.double(limit), norm), k.double(1.0))
            scalars.store_number(k.rounded(scale), update.SCALARS.index("clip_scale"))
        config = self._config
        update.write_update(k, scalars, config.optimizer, size, config.clip_value, self._more)


def _add_up(k: Kernel, left: Array, right: Array, packed: Array, result: Array, steps: Index) -> None:
    """result = Σ_t left[t] ⊗ right[t]"""
    write_pack(k, right, packed)
    write_product_transposed(k, left, packed, result, steps)


def _copy_rows(
    k: Kernel, source: Array, target: Array, sizes: Sequence[int], filler: float | None = None
) -> None:
    """Copy (blocks, rows, columns) of an array into one whose rows have another length. The last vector of a row is
    copied whole, or with `filler` beyond its columns."""
    blocks, rows, columns = sizes
    full, rest = divmod(columns, k.target.lanes)
    with k.loop(blocks) as block, k.loop(rows) as row:
        read, written = source[block.index, row.index], target[block.index, row.index]
        if full:
            written.copy(read, full)
        if rest:
            last = read.load(full)
            written.store(last if filler is None else last.first(rest, filler), full)
