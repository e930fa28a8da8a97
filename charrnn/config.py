"""Every setting of a model and of a training run, defined once: name, default, help and limits.

The command line builds its options from these fields, so `--help` cannot drift from the code.
"""

import dataclasses
import math
import re
from dataclasses import Field, dataclass, field, fields
from typing import Any, get_args

from charrnn.errors import UsageError, did_you_mean

CELLS = ("lstm", "gru", "rnn")
NONLINEARITIES = ("tanh", "relu")
OPTIMIZERS = ("adagrad", "sgd", "momentum", "nesterov", "rmsprop", "adam")
SCHEDULES = ("constant", "step", "inverse-time", "cosine")
INITS = ("uniform", "min-char-rnn")
DROPOUT_KINDS = ("standard", "locked")
LEVELS = ("char", "byte")
NEWLINES = ("keep", "lf")
UNKNOWN = ("error", "skip", "nearest")  # how to treat characters that a model lacks
PRECISIONS = ("float32", "float64", "bfloat16")
BACKENDS = ("auto", "numpy", "fast", "torch")
DEVICES = ("cpu", "cuda", "mps")

# The learning rate used when none is given. Each optimiser needs its own.
DEFAULT_LR = {"adagrad": 0.1, "sgd": 0.1, "momentum": 0.01, "nesterov": 0.01, "rmsprop": 0.002, "adam": 0.002}

DEFAULT_EPOCHS = 10.0


LARGEST_INT = 2**63 - 1  # the largest whole number in files and in numpy
LONGEST_TIME = 1e9  # epochs, minutes or seconds; more is a mistake, and products with it could overflow


def option(
    default: Any,
    help: str,
    *,
    choices: tuple[str, ...] = (),
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    flag: str | None = None,
) -> Any:
    """A dataclass field with its help text and the limits that `check` enforces.

    flag : the option's name, if it differs from the field's
    """
    limits = {"at_least": at_least, "above": above, "at_most": at_most, "below": below}
    return field(default=default, metadata={"help": help, "choices": choices, "flag": flag, **limits})


def shortened(value: int) -> str:
    """A whole number for a message; one with too many digits is described instead."""
    return str(value) if abs(value) <= LARGEST_INT else f"{'-' * (value < 0)}a number of more than 18 digits"


# What the types of settings are called in messages.
IN_WORDS: dict[Any, str] = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def has_type(value: object, wanted: Any) -> bool:
    """Whether a value is of a field's type, such as `float | None`; an int is accepted for a float."""
    kinds = set(get_args(wanted) or (wanted,))
    return type(value) in (kinds | {int} if float in kinds else kinds)


def check(config: Any) -> None:
    """Raise UsageError for the first field whose value is outside its limits, by its Python name.

    Commands check their options when they read them, and name each as the user gave it.
    """
    for f in fields(config):
        check_value(f, getattr(config, f.name), f.name)


def check_value(f: Field[Any], value: object, name: str) -> None:
    """Raise UsageError, naming the setting `name`, if the value has the wrong type or is outside its limits."""
    rule = f.metadata
    if not has_type(value, f.type):
        kind = next(one for one in get_args(f.type) or (f.type,) if one in IN_WORDS)
        raise UsageError(f"{name} is {value!r}; it must be {IN_WORDS[kind]}")
    if value is None or not rule:
        return
    if rule["choices"] and value not in rule["choices"]:
        raise UsageError(f"{name} is {value!r}; it must be one of: {', '.join(rule['choices'])}")
    if not isinstance(value, int | float):
        return
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{name} is {value}; it must be a finite number")
    if abs(value) > LARGEST_INT and isinstance(value, int):
        raise UsageError(f"{name} is {shortened(value)}; it must be at most {LARGEST_INT}")
    if rule["at_least"] is not None and value < rule["at_least"]:
        raise UsageError(f"{name} is {value}; it must be at least {rule['at_least']}")
    if rule["above"] is not None and value <= rule["above"]:
        raise UsageError(f"{name} is {value}; it must be greater than {rule['above']}")
    if rule["at_most"] is not None and value > rule["at_most"]:
        raise UsageError(f"{name} is {value}; it must be at most {rule['at_most']}")
    if rule["below"] is not None and value >= rule["below"]:
        raise UsageError(f"{name} is {value}; it must be less than {rule['below']}")


@dataclass(frozen=True)
class ModelConfig:
    """The architecture. With the vocabulary it determines the name and shape of every tensor."""

    cell: str = option("lstm", "Type of recurrent cell.", choices=CELLS)
    layers: int = option(2, "Number of recurrent layers.", at_least=1, at_most=64)
    hidden: int = option(128, "Hidden units per layer.", at_least=1, at_most=65536)
    embedding: int = option(
        0, "Size of the learned input embedding; 0 uses one-hot input.", at_least=0, at_most=65536
    )
    nonlinearity: str = option("tanh", "Activation of a plain RNN.", choices=NONLINEARITIES)

    def __post_init__(self) -> None:
        check(self)

    @property
    def in_words(self) -> str:
        """Cell, layers and sizes in a few words."""
        cell = {"lstm": "LSTM", "gru": "GRU", "rnn": f"{self.nonlinearity} RNN"}[self.cell]
        embedding = f" over an embedding of {self.embedding}" if self.embedding else ""
        return f"{cell} {self.layers}×{self.hidden}{embedding}"


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained: data, optimiser, schedule, budget, reports."""

    # chunks
    seq_length: int = option(25, "Characters per chunk, which is how far back gradients reach.", at_least=1)
    batch_size: int = option(16, "Text streams trained in parallel.", at_least=1)
    jitter: bool = option(
        False,
        "Begin each epoch at a random offset below --seq-length, so that chunks end in other places. "
        "No effect on items, which are mixed anew anyway.",
    )
    # optimiser
    optimizer: str = option("adagrad", "Optimizer that updates the weights.", choices=OPTIMIZERS)
    lr: float | None = option(None, "Learning rate; the default depends on the optimizer.", above=0)
    schedule: str = option("constant", "How the learning rate decreases during training.", choices=SCHEDULES)
    warmup_steps: int = option(200, "Steps in which the learning rate rises from zero.", at_least=0)
    decay: float = option(
        0.5,
        "Decay of the learning rate. Schedule step: factor per drop; inverse-time: lr / (1 + decay * epoch).",
        above=0,
        at_most=1,
    )
    decay_every: float = option(
        2.0, "Epochs between drops of the learning rate (schedule step).", above=0, at_most=LONGEST_TIME
    )
    final_lr: float = option(
        0.01, "Final learning rate as a fraction of --lr (schedule cosine).", at_least=0, at_most=1
    )
    clip_value: float = option(5.0, "Clip each gradient element to ± this value; 0 turns it off.", at_least=0)
    clip_norm: float = option(
        0.0, "Scale the gradient down if its norm exceeds this value; 0 turns it off.", at_least=0
    )
    # regularisation
    dropout: float = option(
        0.0, "Fraction of each recurrent layer's outputs dropped during training.", at_least=0, below=1
    )
    dropout_kind: str = option(
        "standard",
        "How outputs are dropped: standard draws again at each step, locked once per chunk.",
        choices=DROPOUT_KINDS,
    )
    weight_drop: float = option(
        0.0, "Fraction of the recurrent weights dropped in each training step.", at_least=0, below=1
    )
    embedding_dropout: float = option(
        0.0,
        "Fraction of the symbols whose embeddings are dropped in each training step.",
        at_least=0,
        below=1,
    )
    input_dropout: float = option(
        0.0,
        "Fraction of the embedded input dropped in each training step, the same for all characters of a chunk.",
        at_least=0,
        below=1,
    )
    ar: float = option(
        0.0,
        "Strength of the penalty on large outputs of the last recurrent layer, after dropout.",
        at_least=0,
    )
    tar: float = option(
        0.0,
        "Strength of the penalty on changes of the last recurrent layer's outputs from step to step.",
        at_least=0,
    )
    label_smoothing: float = option(
        0.0,
        "Fraction of each target's probability that is spread evenly over all symbols.",
        at_least=0,
        below=1,
    )
    l1: float = option(0.0, "Strength of the L1 penalty on the weights.", at_least=0)
    l2: float = option(0.0, "Strength of the L2 penalty on the weights.", at_least=0)
    weight_decay: float = option(
        0.0,
        "Strength of decoupled weight decay: each step makes the weights smaller by the factor 1 - lr * this.",
        at_least=0,
    )
    average: float = option(
        0.0,
        "Validate, keep and sample from an average of the weights: 0.999 averages over about the last 1000 steps. "
        "0 turns it off.",
        at_least=0,
        below=1,
    )
    # fine-tuning
    freeze_layers: str = option(
        "", "Layers that are not trained, counted from 0 and separated by commas: 0,1."
    )
    # budget
    epochs: float | None = option(
        None,
        f"Passes over the training text; {DEFAULT_EPOCHS:g} if no limit on steps or minutes is given.",
        above=0,
        at_most=LONGEST_TIME,
    )
    max_steps: int | None = option(None, "Stop after this many training steps.", at_least=1)
    max_minutes: float | None = option(
        None, "Stop after this many minutes of training.", above=0, at_most=LONGEST_TIME
    )
    patience: int = option(
        0, "Stop after this many validations in a row without a new best loss; 0 turns it off.", at_least=0
    )
    # data
    level: str = option("char", "Whether the model reads characters or raw bytes.", choices=LEVELS)
    encoding: str = option("utf-8", "Encoding of the text files.")
    newlines: str = option(
        "keep", "Line endings: keep leaves them, lf converts CR LF and CR to LF.", choices=NEWLINES
    )
    min_count: int = option(1, "Replace characters that occur fewer times than this by U+FFFD.", at_least=1)
    items: str = option(
        "",
        "Train on items instead of one stream. Each item starts from a zero state and ends with an end symbol: line, "
        "blank-line, file, sep:TEXT, pairs (lines of input TAB output), csv, tsv or jsonl.",
    )
    text_column: str = option("", "Column with the texts of a CSV, TSV or JSON lines file.")
    label_column: str = option(
        "", "Columns with labels, separated by commas; a label is read before its text."
    )
    input_column: str = option("", "Column with the inputs of pairs; only the text column is then predicted.")
    val: str = option("", "File with the validation text; by default a part of the corpus is held out.")
    test: str = option("", "File with the test text; by default a part of the corpus is held out.")
    val_fraction: float = option(0.1, "Fraction of the text held out for validation.", at_least=0, below=1)
    test_fraction: float = option(
        0.0, "Fraction at the end of the text held out for a final test.", at_least=0, below=1
    )
    # reports
    eval_every: int | None = option(
        None,
        "Steps between validations; by default one epoch, but at least 100 steps and at most one million characters.",
        at_least=1,
    )
    checkpoint_every: float = option(60.0, "Seconds between checkpoints.", above=0, at_most=LONGEST_TIME)
    snapshots: int = option(
        0,
        "Save this many models per epoch and keep as many of the last ones; stop when validation stops improving. "
        "0 turns it off.",
        at_least=0,
    )
    # how it runs
    seed: int = option(1, "Seed of all random numbers.", at_least=0)
    init: str = option("uniform", "How the weights are initialized.", choices=INITS)
    backend: str = option(
        "auto",
        "Compute backend: fast (compiled), numpy, torch (for GPUs and several processes), or auto: fast if installed.",
        choices=BACKENDS,
    )
    device: str = option("cpu", "Device of the torch backend.", choices=DEVICES)
    precision: str = option(
        "float32",
        "Floating-point type; bfloat16 needs the torch backend and keeps weights in float32.",
        choices=PRECISIONS,
    )
    threads: int | None = option(
        None,
        "Number of compute threads; by default 1 with numpy, all cores with fast or torch if steps are long enough.",
        at_least=1,
        at_most=1024,
    )

    def __post_init__(self) -> None:
        check(self)
        if self.val_fraction + self.test_fraction >= 1:
            raise UsageError(
                f"--val-fraction {self.val_fraction} and --test-fraction {self.test_fraction} leave no text to train on"
            )
        if not re.fullmatch(r"(\d{1,2}(,\d{1,2})*)?", self.freeze_layers):
            raise UsageError(
                f"--freeze-layers is {self.freeze_layers!r}; it must be layer numbers separated by commas, such as 0,1"
            )
        if self.backend != "torch" and (self.device != "cpu" or self.precision == "bfloat16"):
            name, value = ("device", self.device) if self.device != "cpu" else ("precision", self.precision)
            raise UsageError(f"--{name} {value} needs --backend torch, but --backend is {self.backend}")

    @property
    def dtype(self) -> str:
        """The number type of weights and state, in memory and on disk."""
        return "float32" if self.precision == "bfloat16" else self.precision

    @property
    def frozen_layers(self) -> tuple[int, ...]:
        """The numbers of the layers in `freeze_layers`."""
        return tuple(int(layer) for layer in self.freeze_layers.split(",") if layer)

    @property
    def learning_rate(self) -> float:
        """The initial learning rate, reached at the end of the warm-up."""
        return DEFAULT_LR[self.optimizer] if self.lr is None else self.lr

    def masked_steps(self, T: int) -> int:
        """How many masks of dropout a layer has in a chunk of T steps: none, one for all steps, or T."""
        return 0 if not self.dropout else 1 if self.dropout_kind == "locked" else T

    @property
    def epoch_budget(self) -> float | None:
        """Passes over the text after which the run ends, or None if only steps or minutes limit it."""
        if self.epochs is None and self.max_steps is None and self.max_minutes is None:
            return DEFAULT_EPOCHS
        return self.epochs


_ADAM: dict[str, Any] = {  # with a learning rate that falls from a high one to 0, and chunks of 80
    "seq_length": 80,
    "jitter": True,
    "optimizer": "adam",
    "schedule": "cosine",
    "final_lr": 0.0,
    "clip_value": 0.0,
    "clip_norm": 40.0,
}
_QUICK: dict[str, Any] = _ADAM | {
    "layers": 1,
    "hidden": 288,
    "dropout": 0.05,
    "batch_size": 12,
    "lr": 0.011,
    "warmup_steps": 50,
    "max_minutes": 1.0,
}

# A preset is a set of values for fields of the two classes above. The user's options override it.
PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "min-char-rnn": {
        "cell": "rnn",
        "layers": 1,
        "hidden": 100,
        "batch_size": 1,
        "init": "min-char-rnn",
        "warmup_steps": 0,
        "precision": "float64",
    },
    "quick": _QUICK,
    "tiny": _QUICK | {"dropout": 0.5, "weight_drop": 0.3, "max_minutes": 3.0},
    "quality": _ADAM
    | {
        "hidden": 512,
        "dropout": 0.5,
        "weight_drop": 0.3,
        "batch_size": 16,
        "lr": 0.004,
        "epochs": 30.0,
    },
}


def configs(preset: str = "default", **overrides: Any) -> tuple[ModelConfig, TrainConfig]:
    """The model and training settings of a preset, with `overrides` applied (None means not given).

    Raises UsageError for an unknown preset, an unknown setting, or a value outside its limits.
    """
    if preset not in PRESETS:
        raise UsageError(f"--preset is {preset!r}; it must be one of: {', '.join(PRESETS)}")
    values = PRESETS[preset] | {name: value for name, value in overrides.items() if value is not None}
    of_model = {f.name for f in fields(ModelConfig)}
    of_training = {f.name for f in fields(TrainConfig)}
    if unknown := values.keys() - of_model - of_training:
        name = sorted(unknown)[0]
        raise UsageError(f"unknown setting {name!r}{did_you_mean(name, of_model | of_training)}")
    model = ModelConfig(**{k: v for k, v in values.items() if k in of_model})
    config = TrainConfig(**{k: v for k, v in values.items() if k in of_training})
    check_together(model, config)
    return model, config


def check_together(model: ModelConfig, config: TrainConfig) -> None:
    """Raise UsageError if a setting of the training does not suit the model."""
    if beyond := [layer for layer in config.frozen_layers if layer >= model.layers]:
        raise UsageError(
            f"--freeze-layers names layer {beyond[0]}; the model has layers 0 to {model.layers - 1}"
        )
    for name in ("embedding_dropout", "input_dropout"):
        if (rate := getattr(config, name)) and not model.embedding:
            option_name = f"--{name.replace('_', '-')}"
            raise UsageError(f"{option_name} {rate} needs an embedding; set its size with --embedding")


def as_dict(config: ModelConfig | TrainConfig) -> dict[str, Any]:
    """The settings as plain values, to be written to a file."""
    return dataclasses.asdict(config)
