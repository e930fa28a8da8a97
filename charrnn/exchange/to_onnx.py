"""A model as an ONNX graph, for any runtime that has the standard's LSTM, GRU and RNN operators.

    step      ids (B,)    state (L, S, B, H)  ->  logits (B, V)     new_state (L, S, B, H)
    sequence  ids (T, B)  state (L, S, B, H)  ->  logits (T, B, V)  new_state (L, S, B, H)

T and B are free at run time. S is 2 for the LSTM (h, c) and 1 otherwise. A model in float64 becomes
float32, since runtimes have recurrent operators only for that.

Operators: https://onnx.ai/onnx/operators/ (LSTM-14, GRU-14, RNN-14).
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from charrnn.config import as_dict
from charrnn.errors import CharRNNError, UsageError
from charrnn.exchange.gate_order import reordered
from charrnn.install.extras import require
from charrnn.model.model import Model

OPSET = 17  # of 2022: both current and older runtimes read it
IR_VERSION = 8  # belongs to this opset
GRAPHS = ("step", "sequence")
MAX_BYTES = 2**31 - 2**20  # protobuf's limit for a message, less room for the graph itself
CHECKED_STEPS, CHECKED_STREAMS = 16, 2
LOGIT_TOLERANCE = 1e-3  # largest difference of a logit; rounding alone is about 1e-6

# For each gate in the order of ONNX (i, o, f, c and z, r, h), its place in our order.
GATE_ORDER = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "rnn": (0,)}
OPERATORS = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}


def to_onnx(model: Model, graph: str = "sequence") -> bytes:
    """The model as the bytes of an ONNX file, checked by onnx.checker.

    graph : "step" or "sequence". The file's metadata_props hold `vocab` and `config` as JSON.

    Raises UsageError without the extra `onnx`, and for a model of 2 GB or more.
    """
    onnx = _library("onnx")
    if 4 * model.network.theta.size > MAX_BYTES:
        raise UsageError(
            f"the model has {model.network.theta.size:,} parameters; an ONNX file holds at most {MAX_BYTES // 4:,}. "
            "Load the model file into torch: charrnn export --to torch"
        )
    proto = onnx.helper.make_model(
        _graph(onnx, model, graph),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="charrnn",
        doc_string=f"Character-level language model, {graph} graph: logits of the next symbol.",
    )
    onnx.helper.set_model_props(
        proto,
        {
            "vocab": json.dumps(model.vocab.to_json()),
            "config": json.dumps(as_dict(model.config)),
            "graph": graph,
        },
    )
    onnx.checker.check_model(proto, full_check=True)
    return proto.SerializeToString()


def checked_onnx(model: Model, graph: str) -> bytes:
    """The same, after a check that onnxruntime computes the model's results. Raises CharRNNError if it does not."""
    content = to_onnx(model, graph)
    difference, scale = largest_difference(content, model, graph)
    if not difference <= LOGIT_TOLERANCE * scale:
        raise CharRNNError(
            f"the {graph} graph and the model differ by {difference:.2g} in onnxruntime "
            f"{_library('onnxruntime').__version__}: nothing was written. Try another version of onnxruntime"
        )
    return content


def largest_difference(content: bytes, model: Model, graph: str) -> tuple[float, float]:
    """Compare an exported graph in onnxruntime with the model, over random symbols from a random state.

    Returns the largest difference of a logit or state, and the largest |logit or state|, at least 1.
    """
    runtime = _library("onnxruntime")
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    shape = model.network.state_shape(model.config, CHECKED_STREAMS)
    ids = rng.integers(len(model.vocab), size=(CHECKED_STEPS, CHECKED_STREAMS))
    state = rng.uniform(-1, 1, shape)
    logits, new_state = model.logits(ids, state.astype(model.network.theta.dtype))
    found, found_state = state.astype(np.float32), state.astype(np.float32)
    if graph == "step":
        steps = []
        for row in ids:
            step, found_state = session.run(None, {"ids": row, "state": found_state})
            steps.append(step)
        found = np.stack(steps)
    else:
        found, found_state = session.run(None, {"ids": ids, "state": found_state})
    scale = max(1.0, float(np.abs(logits).max()), float(np.abs(new_state).max()))
    difference = max(float(np.abs(found - logits).max()), float(np.abs(found_state - new_state).max()))
    return difference, scale


def _graph(onnx: Any, model: Model, graph: str) -> Any:
    """The whole network as an ONNX GraphProto."""
    helper, config, V = onnx.helper, model.config, len(model.vocab)
    L, S, _, H = model.network.state_shape(config, 1)
    nodes: list[Any] = []
    constants: dict[str, np.ndarray] = {
        "zero": np.array([0], np.int64),
        "one": np.array([1], np.int64),
    }

    def add(operator: str, inputs: list[str], *outputs: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(operator, inputs, list(outputs), name=outputs[-1], **attributes))
        return outputs[0]

    ids = add("Unsqueeze", ["ids", "zero"], "ids_of_one_step") if graph == "step" else "ids"
    if config.embedding:
        constants["embedding"] = model.weights["embedding.weight"]
        x = add("Gather", ["embedding", ids], "x")
    else:
        constants |= {"vocab_size": np.array([V], np.int64), "off_on": np.array([0, 1], np.float32)}
        x = add("OneHot", [ids, "vocab_size", "off_on"], "x")
    states = []
    for k in range(L):
        layer = f"layer{k}"
        names = [f"{layer}_{name}" for name in ("W", "R", "B")]
        constants |= dict(zip(names, _operator_weights(model, k), strict=True))
        constants[f"{layer}_index"] = np.array(k, np.int64)
        before = add("Gather", ["state", f"{layer}_index"], f"{layer}_state", axis=0)  # (S, B, H)
        first = [
            add("Gather", [before, signal], f"{layer}_first{s}", axis=0)  # (1, B, H)
            for s, signal in enumerate(("zero", "one")[:S])
        ]
        last = [f"{layer}_last{s}" for s in range(S)]
        y = add(
            OPERATORS[config.cell],
            [x, *names, "", *first],
            f"{layer}_y",  # (T, 1, B, H)
            *last,
            hidden_size=H,
            **_options(model),
        )
        x = add("Squeeze", [y, "one"], f"{layer}_h")
        after = add("Concat", last, f"{layer}_new", axis=0)
        states.append(add("Unsqueeze", [after, "zero"], f"{layer}_new_state"))
    constants["head_weight"] = model.weights["head.weight"].T
    constants["head_bias"] = model.weights["head.bias"]
    product = add("MatMul", [x, "head_weight"], "head_product")
    if graph == "step":
        product = add("Squeeze", [product, "zero"], "head_product_of_one_step")
    add("Add", [product, "head_bias"], "logits")
    add("Concat", states, "new_state", axis=0)

    time = [] if graph == "step" else ["T"]
    kind = onnx.TensorProto
    return helper.make_graph(
        nodes,
        f"charrnn_{config.cell}_{graph}",
        [
            helper.make_tensor_value_info("ids", kind.INT64, [*time, "B"]),
            helper.make_tensor_value_info("state", kind.FLOAT, [L, S, "B", H]),
        ],
        [
            helper.make_tensor_value_info("logits", kind.FLOAT, [*time, "B", V]),
            helper.make_tensor_value_info("new_state", kind.FLOAT, [L, S, "B", H]),
        ],
        [
            onnx.numpy_helper.from_array(
                np.asarray(value, np.int64 if value.dtype == np.int64 else np.float32, order="C"), name
            )
            for name, value in constants.items()
        ],
    )


def _operator_weights(model: Model, layer: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """W (1, G·H, in), R (1, G·H, H) and B (1, 2·G·H): input biases, then recurrent ones."""
    W, R, *biases = (
        reordered(model, name, layer, GATE_ORDER[model.config.cell])
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    return W[None], R[None], np.concatenate(biases)[None]


def _options(model: Model) -> Mapping[str, Any]:
    """The attributes of this cell's operator, besides its size."""
    if model.config.cell == "gru":
        return {"linear_before_reset": 1}  # the reset gate acts after the matrix product
    if model.config.cell == "rnn":
        return {"activations": [{"tanh": "Tanh", "relu": "Relu"}[model.config.nonlinearity]]}
    return {}


def _library(name: str) -> Any:
    with require("onnx", "--to onnx"):
        if name == "onnx":
            import onnx
            import onnx.checker
            import onnx.helper
            import onnx.numpy_helper

            return onnx
        import onnxruntime
    return onnxruntime
