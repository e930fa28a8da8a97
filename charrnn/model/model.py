"""A trained model: configuration, vocabulary and weights; run over text, load and save."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from charrnn.config import ModelConfig, as_dict
from charrnn.engines.choice import network_for_reading
from charrnn.engines.threads import blas_threads
from charrnn.errors import ModelError, UsageError
from charrnn.files.writing import Folder
from charrnn.model import model_file, torch_layout
from charrnn.model.scores import Score, TextSurprise, in_bits
from charrnn.nn.network import Clamp, Network
from charrnn.python.results import Pictured
from charrnn.text.conditions import Given, begins_with
from charrnn.text.vocabulary import Vocabulary, silent_symbol

CHUNK = 256  # time steps per forward pass over a long text: efficient products that still fit in the processor's cache
DTYPES = ("float32", "float64")


def plain_copy(network: Network, dtype: np.typing.DTypeLike | None = None) -> Network:
    """A network of its own with the same weights, all of which is in charrnn/nn; dtype : by default the same."""
    copy = Network(network.config, network.vocab_size, dtype or network.theta.dtype)
    copy.theta[...] = network.theta
    return copy


class Model(Pictured):
    """A network with its vocabulary. A model can be built by hand from a dict of arrays.

    config : ModelConfig(cell="lstm", layers=1, hidden=32)
    vocab : a Vocabulary, or the symbols themselves ("abc" or ["a", "b", "c"])
    weights : the tensors under the names of the model file, which are torch's: `lstm.weight_ih_l0`
        (4H, in), …, `head.weight` (V, H), `head.bias` (V,); all float32 or all float64
    training : the record of its training in the model file (corpus, split, losses, …)

    Raises ModelError naming the first tensor that is missing, unknown or has the wrong shape.
    """

    def __init__(
        self,
        config: ModelConfig,
        vocab: Vocabulary | str | Sequence[str],
        weights: Mapping[str, np.ndarray],
        training: Mapping[str, Any] | None = None,
    ) -> None:
        self.config = config
        self.vocab = vocab if isinstance(vocab, Vocabulary) else Vocabulary("char", tuple(vocab))
        self.training = dict(training or {})
        expected = torch_layout.shapes(config, len(self.vocab))
        for name, shape in expected.items():
            if name not in weights:
                raise ModelError(f"tensor {name} is missing; a model of this configuration needs it")
            if np.shape(weights[name]) != shape:
                raise ModelError(f"tensor {name} has shape {np.shape(weights[name])}; it must be {shape}")
        for name in weights:
            if name not in expected:
                raise ModelError(f"tensor {name} does not belong to a model of this configuration")
        dtypes = {np.asarray(tensor).dtype.name for tensor in weights.values()}
        if len(dtypes) > 1 or not dtypes <= set(DTYPES):
            raise ModelError(
                f"the tensors are {', '.join(sorted(dtypes))}; all must be {' or all '.join(DTYPES)}"
            )
        (dtype,) = dtypes
        for name, tensor in weights.items():
            if not np.isfinite(tensor).all():
                raise ModelError(f"tensor {name} holds NaN or infinite values")
        self.network = network_for_reading(config, len(self.vocab), dtype)
        torch_layout.from_torch(weights, self.network.params)

    @classmethod
    def of_network(cls, network: Network, vocab: Vocabulary, training: Mapping[str, Any]) -> "Model":
        """A model that shares the weights of a network."""
        model = cls.__new__(cls)
        model.config, model.vocab, model.network, model.training = (
            network.config,
            vocab,
            network,
            dict(training),
        )
        return model

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """The tensors under the names of the model file."""
        return torch_layout.to_torch(self.network.params)

    def __repr__(self) -> str:
        return (
            f"<Model: {self.config.in_words}, {self.network.theta.size:,} parameters, {self.vocab.in_words}>"
        )

    def __reduce__(self) -> tuple[type["Model"], tuple[Any, ...]]:
        """For pickle and copy: a model is made anew of its weights, since compiled kernels are of one process."""
        weights = {name: np.array(tensor) for name, tensor in self.weights.items()}
        return type(self), (self.config, self.vocab, weights, self.training)

    @blas_threads()
    def logits(
        self, ids: np.ndarray | str | bytes, state: np.ndarray | None = None, *, clamp: Clamp | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Unnormalised log-probabilities of the next symbol after each symbol.

        ids : (T, B), or a text, which is one stream: (T, 1)
        state : (L, S, B, H), None means zero
        Returns logits (T, B, V) and the state after the last symbol.
        """
        ids = self.vocab.encode(ids)[:, None] if isinstance(ids, str | bytes) else np.asarray(ids)
        if ids.ndim != 2 or ids.dtype.kind not in "iu":
            raise UsageError(f"ids have shape {ids.shape} and type {ids.dtype}; they must be integers (T, B)")
        if ids.size and (ids.min() < 0 or ids.max() >= len(self.vocab)):
            raise UsageError(f"ids must be between 0 and {len(self.vocab) - 1}")
        state = self.network.zero_state(ids.shape[1]) if state is None else state
        if np.shape(state) != (shape := self.network.state_shape(self.config, ids.shape[1])):
            raise UsageError(f"state has shape {np.shape(state)}; it must be (L, S, B, H) = {shape}")
        logits, state = self.network.read(ids, state, clamp)
        return logits.copy(), state

    @blas_threads()
    def activations(self, text: str | bytes) -> dict[str, np.ndarray]:
        """The state of every cell after each symbol of a text, starting from the zero state.

        Returns {"h": (N, L, H)}, for an LSTM also {"c": (N, L, H)}, where N is the number of symbols.
        """
        ids = self.vocab.encode(text)
        recorded: dict[str, list[np.ndarray]] = {name: [] for name in self.network.cell.STATES}
        state = self.network.zero_state(1)
        for start in range(0, len(ids), CHUNK):
            layers, state = self.network.record(ids[start : start + CHUNK, None], state, list(recorded))
            for name, parts in recorded.items():
                parts.append(np.stack([layer[name][:, 0] for layer in layers], axis=1))
        empty = np.zeros((0, self.config.layers, self.config.hidden), self.network.theta.dtype)
        return {name: np.concatenate([empty, *parts]) for name, parts in recorded.items()}

    def score(
        self, text: str | bytes, *, prime: str | bytes = "", label: Given = (), input: str | bytes = ""
    ) -> Score:
        """The probability of a text after a prime, or, as in `sample`, after a newline if there is no prime.

        The probabilities of all texts of the same length sum to 1. A model of items gives that of the rest of an item
        which begins with the prime, its end included; those of all items sum to 1.

        label : what the item is conditioned on: "Irish", "origin=Irish", several of these, or a mapping
        input : of a pair

        Raises DataError for unknown characters or labels, UsageError for labels or an input that the model has not.
        """
        each = self._log_p(text, prime, label, input)
        return Score(float(each.sum()), each)

    def surprise(
        self, text: str | bytes, *, prime: str | bytes = "", label: Given = (), input: str | bytes = ""
    ) -> TextSurprise:
        """How little the model expected each character of a text, in bits; the arguments are those of `score`."""
        bits = in_bits(-self._log_p(text, prime, label, input))
        if isinstance(text, bytes):
            text = text.decode("utf-8", "surrogateescape")
        ends = self.vocab.ends(text)
        begins = np.r_[0, ends[:-1] + 1] if len(ends) else ends
        of_text = bits if self.vocab.items is None else bits[:-1]
        each = np.add.reduceat(of_text, begins) if len(begins) else of_text
        return TextSurprise(text, each, None if self.vocab.items is None else float(bits[-1]))

    @blas_threads()
    def _log_p(self, text: str | bytes, prime: str | bytes, label: Given, input: str | bytes) -> np.ndarray:
        """log p of each symbol of a text (N,) given all before it; of an item its end is last."""
        ids, before = self.vocab.encode(text), self.vocab.encode(prime)
        given = begins_with(self.vocab, label, input)
        if self.vocab.items is not None:
            before, ids = np.concatenate([given, before]), np.append(ids, self.vocab.end)
        elif not len(before):
            before = np.array([silent_symbol(self.vocab)])
        x = np.concatenate([before, ids]).astype(np.intp)[:, None]
        state, found = self.network.zero_state(1), np.empty(len(x) - 1)
        for start in range(0, len(x) - 1, CHUNK):
            targets = x[start + 1 : start + 1 + CHUNK]
            (nats,), state = self.network.losses(x[start : start + len(targets)], targets, state)
            found[start : start + len(targets)] = -nats[:, 0]
        return found[len(before) - 1 :]

    def save(self, path: str | os.PathLike[str], *, folder: Folder | None = None) -> None:
        """Write the model file durably: the old file stays until the new one is complete.

        folder : the open run folder of `path`, if a run writes there
        """
        model_file.save(
            path,
            self.weights,
            {
                "kind": "model",
                "config": as_dict(self.config),
                "vocab": self.vocab.to_json(),
                "dtype": self.network.theta.dtype.name,
                "training": self.training,
            },
            folder=folder,
        )


def config_of(metadata: Mapping[str, Any]) -> tuple[ModelConfig, Vocabulary, np.dtype]:
    """The validated configuration, vocabulary and number type from a file's metadata.

    Raises ModelError if they are missing or outside their limits.
    """
    try:
        given = metadata["config"]
        config = ModelConfig(**given)
        if {name: type(value) for name, value in as_dict(config).items()} != {
            name: type(value) for name, value in given.items()
        }:
            raise TypeError("a setting is missing or of the wrong type")
        dtype = metadata.get("dtype", "float32")
        if dtype not in DTYPES:
            raise ValueError(f"dtype {dtype!r}")
        return config, Vocabulary.from_json(metadata["vocab"]), np.dtype(dtype)
    except (KeyError, TypeError, ValueError, UsageError) as problem:
        raise ModelError(f"the configuration in the file is not valid: {problem}") from problem


def layout(metadata: Mapping[str, Any]) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shape and type of each tensor that a model file with this metadata must hold."""
    config, vocab, dtype = config_of(metadata)
    return {name: (shape, dtype) for name, shape in torch_layout.shapes(config, len(vocab)).items()}


def load_model(path: str | os.PathLike[str]) -> Model:
    """Read a model file. Raises ModelError if it is missing, damaged, forged or too new."""
    metadata, tensors = model_file.load(path, layout)
    config, vocab, _ = config_of(metadata)
    return Model(config, vocab, tensors, metadata.get("training", {}))
