"""What a training run came to."""

from dataclasses import dataclass
from pathlib import Path

from charrnn.python.results import Pictured
from charrnn.runs.folder import RunFolder
from charrnn.runs.history import History
from charrnn.runs.verdict import Verdict
from charrnn.sampling.writer import Model, load_model


@dataclass(frozen=True, repr=False)
class TrainResult(Pictured):
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

    @property
    def run(self) -> Path:
        """The run folder."""
        return Path(self.model).parent

    @property
    def history(self) -> History:
        """The reports of the run, as its folder has them now."""
        return History(RunFolder(self.run).read_metrics(), self.verdict)

    def load(self) -> Model:
        """The model that the run kept. Raises ModelError if it is gone."""
        return load_model(self.model)

    def __repr__(self) -> str:
        bits = self.val_bits_per_char
        best = "" if bits is None else f"best validation {bits:.3f} bits per character at step "
        best += "" if bits is None else f"{self.best_step:,}, "
        return f"<TrainResult: {self.steps:,} steps, {best}{self.verdict.kind}, in {str(self.run)!r}>"
