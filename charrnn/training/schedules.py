"""How the learning rate changes over a run.

    constant      lr
    step          lr · decay^⌊epoch / decay_every⌋
    inverse-time  lr / (1 + decay · epoch)
    cosine        lr · (q + (1-q) · (1 + cos π·progress) / 2),  q = final_lr

`epoch` is a real number of passes; `progress` is the used share of the budget: of the time
if the run is limited in minutes, otherwise of its steps. During warm-up the rate rises linearly.
"""

import math

from charrnn.config import TrainConfig


def learning_rate(config: TrainConfig, step: int, epoch: float, progress: float) -> float:
    """The rate for the step after `step` steps, `epoch` passes and `progress` (0 to 1) of the budget."""
    lr = config.learning_rate
    match config.schedule:
        case "step":
            lr *= config.decay ** math.floor(epoch / config.decay_every)
        case "inverse-time":
            lr /= 1 + config.decay * epoch
        case "cosine":
            q = config.final_lr
            lr *= q + (1 - q) * (1 + math.cos(math.pi * min(progress, 1.0))) / 2
    if step < config.warmup_steps:
        lr *= (step + 1) / config.warmup_steps
    return lr
