"""The view of a training run in a notebook: one output, drawn anew as the run goes on."""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from charrnn.python.arguments import as_arguments
from charrnn.runs.records import Progress, Report, Sample
from charrnn.training.observers import Observer
from charrnn.training.plan import Plan
from charrnn.training.result import TrainResult
from charrnn.ui.html.letters import escaped, letters
from charrnn.ui.html.notebook import facts, framed, loss_chart, verdict
from charrnn.ui.terminal.training_view import duration, losses, opening_lines

SECONDS = 0.5  # at least between two pictures


def is_notebook() -> bool:
    """Whether this is the kernel of a notebook, which shows HTML. IPython is not imported to find out."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


def notebook_view() -> "NotebookView":
    """The view in the output of the cell that runs."""
    from IPython.display import HTML, display

    handle = display(HTML(""), display_id=True)
    return NotebookView(lambda html: handle.update(HTML(html)))


class NotebookView(Observer):
    """Progress, losses, their curve and the last sample; `show` puts HTML in the place of what it showed before."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._drawn = -SECONDS  # when the last picture was made
        self._notes: list[str] = []
        self._opening, self._sample = "", ""
        self._chunks = 1  # in an epoch
        self._progress, self._speed, self._used = Progress(), 0.0, 0.0
        self._begun: tuple[float, float] | None = None  # seconds and share of the budget at the first tick
        self._records: list[Mapping[str, Any]] = []
        self._result: TrainResult | None = None

    def note(self, message: str) -> None:
        self._notes.append(as_arguments(message))
        self._draw()

    def begin(self, plan: Plan, engine: str) -> None:
        self._opening = f"{opening_lines(plan, engine)}\nrun folder {plan.folder.path}"
        self._chunks = plan.streams().chunks
        self._records = [*plan.folder.read_metrics()] if plan.saved else []
        self._draw()

    def tick(self, progress: Progress, chars_per_second: float, used: float) -> None:
        if self._begun is None:
            self._begun = progress.seconds, used
        self._progress, self._speed, self._used = progress, chars_per_second, used
        if time.perf_counter() - self._drawn >= SECONDS:
            self._draw()

    def report(self, report: Report, is_best: bool) -> None:
        self._records.append(asdict(report))

    def sample(self, sample: Sample) -> None:
        self._sample = sample.text

    def end(self, result: TrainResult) -> None:
        self._used, self._result = 1.0, result
        self._draw()

    def _draw(self) -> None:
        self._show(framed(self.render()))
        self._drawn = time.perf_counter()

    def render(self) -> str:
        """The picture as it is now, as HTML."""
        told = "".join(f'<p class="note">{escaped(note)}</p>' for note in self._notes)
        opening = f"<details><summary>the run</summary><pre>{escaped(self._opening)}</pre></details>"
        if self._result is not None:
            end = verdict(self._result.verdict)
            return f"{self._bar()}{facts(self._figures())}{loss_chart(self._records)}{end}{told}{opening}"
        sample = letters(self._sample, [""] * len(self._sample)) if self._sample else ""
        drawn = loss_chart(self._records) if self._records else ""
        return f"{self._bar()}{facts(self._figures())}{drawn}{sample}{told}{opening}"

    def _bar(self) -> str:
        seconds, used = self._begun or (0.0, 0.0)
        done = self._used - used
        left = (self._progress.seconds - seconds) * (1 - self._used) / done if done > 0 else None
        elapsed = self._progress.seconds if self._result is None else self._result.seconds
        clock = f"{100 * self._used:.0f} %, elapsed {duration(elapsed)}"
        clock += "" if left is None or self._result else f", remaining {duration(left)}"
        return (
            f'<div class="bar" role="progressbar" aria-valuenow="{100 * self._used:.0f}">'
            f'<i style="width:{100 * self._used:.1f}%"></i></div><p class="note">{clock}</p>'
        )

    def _figures(self) -> list[tuple[str, str]]:
        now, end = self._progress, self._result
        if end is None:
            steps, epochs, speed = now.step, now.step / self._chunks, self._speed
            train, best, best_step = now.smooth_loss_nats or None, now.best_val_loss_nats, now.best_step
        else:
            steps, epochs, speed = end.steps, end.epochs, end.chars_per_second
            train, best, best_step = end.train_loss_nats, end.val_loss_nats, end.best_step
        return [
            ("step", f"{steps:,}, epoch {epochs:.2f}"),
            ("speed", f"{speed:,.0f} characters/s"),
            ("training", losses(train)),
            ("best validation", "–" if best is None else f"{losses(best)} at step {best_step:,}"),
        ]
