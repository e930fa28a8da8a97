"""The settings of sampling. Separate from the sampler so that `--help` does not import numpy."""

from dataclasses import dataclass

from charrnn.config import UNKNOWN, check, option

REPETITION_WINDOW = 64  # symbols that the repetition penalty looks back
# A passage at least this long that also occurs in the training text counts as copied. In the held-out tenths of two
# English books, fewer than 1 in 100 positions begin such a passage by chance (benchmarks/LOG.md).
NOVELTY_MIN = 20
LENGTH = 500  # characters of a text that has no end of its own
LONGEST_ITEM = 10_000  # most characters of an item
LONGEST_OUTPUT = 1_000  # most characters that an input is transformed into


@dataclass(frozen=True)
class DrawingConfig:
    """How many characters and texts to sample, and which symbols may be drawn."""

    length: int | None = option(
        None,
        f"Characters to generate (bytes for a byte-level model); of items, the most. Default: {LENGTH}, of items "
        f"{LONGEST_ITEM:,}.",
        at_least=0,
        at_most=10**9,
    )
    top_k: int = option(
        0, "Sample only from this many of the most likely characters; 0 turns it off.", at_least=0
    )
    top_p: float = option(
        1.0,
        "Sample only from the most likely characters whose probabilities add up to this value.",
        above=0,
        at_most=1,
    )
    min_p: float = option(
        0.0,
        "Leave out characters less likely than this fraction of the most likely one.",
        at_least=0,
        at_most=1,
    )
    repetition_penalty: float = option(
        1.0, f"Divide the probability of each of the last {REPETITION_WINDOW} characters by this.", above=0
    )
    count: int = option(1, "Number of texts to generate.", at_least=1, at_most=100_000)
    seed: int | None = option(None, "Seed of the first text; the second has seed + 1, and so on.", at_least=0)
    unknown: str = option(
        "error", "How to treat characters of the prime that the model does not know.", choices=UNKNOWN
    )

    weights: str = option(
        "full",
        "Precision of the large weight matrices: full, or half, which rounds them to bfloat16 and is quicker for large "
        "models.",
        choices=("full", "half"),
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class SamplingConfig(DrawingConfig):
    """All sampling settings.

    prime : the text to continue; with_prime : whether it is part of the text; None means of items only
    temperature : 0 always takes the most likely symbol
    """

    temperature: float = option(
        0.8,
        "Sampling temperature: below 1 is safer, above 1 bolder; 0 always takes the most likely character.",
        at_least=0,
        flag="--temp",
    )
    prime: str = ""
    with_prime: bool | None = None
