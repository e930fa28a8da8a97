"""What a training run came to."""

from dataclasses import dataclass

from charrnn.runs.verdict import Verdict


@dataclass(frozen=True)
class TrainResult:
    """What a run came to. Losses are in nats per character; `val_loss_nats` is the best."""

    model: str
    checkpoint: str
    steps: int
    epochs: float
    seconds: float
    chars_per_second: float
    parameters: int
    train_loss_nats: float | None
    val_loss_nats: float | None
    val_bits_per_char: float | None
    best_step: int
    stopped_because: str
    verdict: Verdict
