"""The settings of sampling: apart from the sampler so that `--help` needs no numpy."""

from dataclasses import dataclass

from charrnn.config import UNKNOWN, check, option

REPETITION_WINDOW = 64  # symbols back that the repetition penalty looks
# Characters from which a run that stands in the training text counts as copied. Of two English books'
# held-out tenths fewer than 1 in 100 places begin a run that long (benchmarks/LOG.md).
NOVELTY_MIN = 20


@dataclass(frozen=True)
class DrawingConfig:
    """How much is drawn, and among which symbols."""

    length: int = option(
        500, "Characters to generate (bytes for a byte-level model).", at_least=0, at_most=10**9
    )
    top_k: int = option(0, "Choose among the K likeliest; 0 is off.", at_least=0)
    top_p: float = option(1.0, "Choose among the fewest that reach this probability.", above=0, at_most=1)
    min_p: float = option(
        0.0, "Leave out what is less likely than this share of the likeliest.", at_least=0, at_most=1
    )
    repetition_penalty: float = option(
        1.0, f"Divide the probability of each of the last {REPETITION_WINDOW} characters by this.", above=0
    )
    count: int = option(1, "Texts to generate side by side.", at_least=1, at_most=100_000)
    seed: int | None = option(None, "Of the first text; the others have the numbers after it.", at_least=0)
    unknown: str = option(
        "error", "What to do with characters of the prime the model lacks.", choices=UNKNOWN
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class SamplingConfig(DrawingConfig):
    """How a text is drawn. prime : the text to continue; temperature : 0 is always the likeliest symbol."""

    temperature: float = option(
        0.8, "Below 1 is safer, above 1 is bolder; 0 is the likeliest.", at_least=0, flag="--temp"
    )
    prime: str = ""
