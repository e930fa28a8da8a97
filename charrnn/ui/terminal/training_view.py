"""The view of a training run: a live display on a terminal, plain lines elsewhere; both on stderr."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from charrnn.engines.choice import why_this_engine
from charrnn.model.scores import in_bits
from charrnn.runs.records import Progress, Report, Sample
from charrnn.text.batches import predictions
from charrnn.training.loop import TICK_SECONDS, default_eval_every
from charrnn.training.observers import Observer
from charrnn.training.plan import Plan
from charrnn.training.result import TrainResult
from charrnn.ui.terminal.colours import TRAIN, VALIDATION
from charrnn.ui.terminal.console import Console
from charrnn.ui.terminal.glyphs import glyphs_of
from charrnn.ui.terminal.letters import plain
from charrnn.ui.terminal.progress import reading_bar
from charrnn.ui.terminal.sparkline import sparkline

SAMPLE_LINES = 6
SPARK_WIDTH = 40
LOG_SHARE = 0.02  # of the training time so far, at least between two lines of a log that tell no validation
LOG_SECONDS = 1.0, 60.0  # and the least and the most that this may be
WIDTH_OF_BOTH_UNITS = 62  # columns; below this there is no room for both units of a loss


@contextmanager
def training_view(*, quiet: bool) -> Iterator[Observer]:
    """The view for stderr: live on a terminal, otherwise plain lines."""
    console = Console(stderr=True, highlight=False)
    if quiet:
        yield Silent(console)
    elif console.is_terminal and not console.is_dumb_terminal:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            yield LiveView(console, live)
    else:
        yield PlainView(console)


def losses(nats: float | None, *, brief: bool = False) -> str:
    """A loss in both units, or `brief` in nats alone."""
    if nats is None:
        return "–"
    return f"{nats:.4f} nats" + ("" if brief else f"  {in_bits(nats):.4f} bits/char")


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, as on a clock."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def side_by_side(plan: Plan) -> str:
    """What a step reads."""
    if plan.corpus.items is None:
        return f"{plan.batch_size} streams × {plan.config.seq_length} characters"
    return f"{plan.batch_size} items × at most {plan.config.seq_length} characters"


def opening_lines(plan: Plan, engine: str) -> str:
    """The run in a few lines; `engine` says what computes and how."""
    config, parts = plan.config, plan.parts
    threads = f"{plan.threads} thread{'s' * (plan.threads > 1)}"
    reason = f": {why_this_engine(config)}" if why_this_engine(config) else ""
    start = "" if plan.resumed_at is None else f", resumed at step {plan.resumed_at:,}"
    items = plan.corpus.items
    size = f"{len(plan.corpus.ids):,} characters" if items is None else f"{len(items):,} items"
    padding = "" if plan.padding is None else f"; {plan.padding:.1%} padding"
    return (
        f"{plan.corpus.name}: {size} ({len(parts.training):,} train, "
        f"{len(parts.validation):,} validate), vocabulary {len(plan.corpus.vocabulary)}\n"
        f"{plan.model.in_words}, {plan.parameters:,} parameters; {config.optimizer}, "
        f"lr {config.learning_rate:g}, {config.schedule}; {side_by_side(plan)}{padding}{start}\n"
        f"{engine}; {threads}{reason}"
    )


class Silent(Observer):
    """Shows only notes for the user."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def note(self, message: str) -> None:
        self.console.print(self.text(message), soft_wrap=not self.console.is_terminal)

    def text(self, content: str, style: str = "") -> Text:
        """`content` as this console can show it, never as markup."""
        return Text(plain(content, self.console), style)


class PlainView(Silent):
    """For logs and pipes: a line for every validation, and more and more rarely one in between."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._told: float | None = None  # training seconds at the last line

    def begin(self, plan: Plan, engine: str) -> None:
        self.note(f"{opening_lines(plan, engine)}\nrun folder {plan.folder.path}")

    def report(self, report: Report, is_best: bool) -> None:
        least, most = LOG_SECONDS
        pause = min(max(least, LOG_SHARE * report.seconds), most)
        if report.val_loss_nats is None and self._told is not None and report.seconds < self._told + pause:
            return
        self._told = report.seconds
        validation = "" if report.val_loss_nats is None else f"  val {losses(report.val_loss_nats)}"
        self.note(
            f"step {report.step:>7,}  epoch {report.epoch:6.2f}  {duration(report.seconds):>7}  "
            f"{report.chars_per_second:>8,.0f} chars/s  train {losses(report.train_loss_nats)}{validation}"
            + (" *" if is_best and validation else "")
        )

    def end(self, result: TrainResult) -> None:
        self.note(summary(result))


class LiveView(Silent):
    """Progress, losses, a sparkline and the last sample, redrawn in place."""

    def __init__(self, console: Console, live: Live) -> None:
        super().__init__(console)
        self._live = live
        self._opening, self._folder = "", ""  # description and folder of the run
        self._chunks = 1  # in an epoch
        self._eval_every = 1  # steps between validations, for which there may be no text
        self._has_validation = True
        self._progress = Progress()
        self._speed, self._used = 0.0, 0.0
        self._train: list[float] = []
        self._validation: list[float] = []
        self._sample = ""
        self._seconds_at_begin, self._used_at_begin, self._step_at_begin = 0.0, 0.0, 0
        self._read = time.perf_counter()  # when the bar of reading was last drawn

    def reading(self, done: int, total: int) -> None:
        now = time.perf_counter()
        if done == total:
            self._live.update(Text(""), refresh=True)
        elif now - self._read >= TICK_SECONDS:
            self._read = now
            self._live.update(reading_bar(done, total, self.console.width), refresh=True)

    def begin(self, plan: Plan, engine: str) -> None:
        self._live.transient = False  # from here on what is shown is to stay
        self._opening, self._folder = opening_lines(plan, engine), f"run folder {plan.folder.path}"
        streams = plan.streams()
        self._chunks = streams.chunks
        self._eval_every = plan.config.eval_every or default_eval_every(streams)
        self._has_validation = predictions(plan.parts.validation) > 0
        self._draw()

    def tick(self, progress: Progress, chars_per_second: float, used: float) -> None:
        if not self._used:
            self._seconds_at_begin, self._used_at_begin = progress.seconds, used
            self._step_at_begin = progress.step
        self._progress, self._speed, self._used = progress, chars_per_second, used
        self._draw()

    def report(self, report: Report, is_best: bool) -> None:
        self._train.append(report.train_loss_nats)
        if report.val_loss_nats is not None:
            self._validation.append(report.val_loss_nats)

    def sample(self, sample: Sample) -> None:
        self._sample = sample.text

    def end(self, result: TrainResult) -> None:
        self._used = 1.0
        self._draw()
        self._live.stop()
        self.console.print(to_be_copied(plain(summary(result), self.console)), crop=False)

    def _first_validation(self) -> str:
        """When the first one is to be expected: at the latest, since the clock may call for one before."""
        progress = self._progress
        left = self._eval_every - progress.step % self._eval_every
        done = progress.step - self._step_at_begin
        passed = progress.seconds - self._seconds_at_begin
        when = f", in about {duration(left * passed / done)}" if done and passed else ""
        return f"step {progress.step + left:,}{when}"

    def _draw(self) -> None:
        self._live.update(self.render(), refresh=True)

    def render(self) -> Group:
        """The display as it is now."""
        progress = self._progress
        bars = glyphs_of(self.console).bars
        brief = self.console.width < WIDTH_OF_BOTH_UNITS
        width = min(SPARK_WIDTH, max(8, self.console.width - (32 if brief else 50)))
        passed = progress.seconds - self._seconds_at_begin
        done = self._used - self._used_at_begin
        remaining = duration(passed * (1 - self._used) / done) if done > 0 else "–"
        head = Table.grid(padding=(0, 2))
        head.add_row(
            ProgressBar(total=1.0, completed=self._used, width=width),
            Text(f"{100 * self._used:3.0f}%"),
            self.text(f"elapsed {duration(progress.seconds)}, remaining {remaining}"),
        )
        pace = Table.grid(padding=(0, 2))
        pace.add_column(min_width=len("validate"))
        pace.add_row(
            Text("step", "dim"), Text(f"{progress.step:,}, epoch {progress.step / self._chunks:.2f}")
        )
        pace.add_row(
            Text("speed", "dim"), self.text(f"{self._speed:,.0f} characters/s" if self._speed else "–")
        )
        rows = Table.grid(padding=(0, 2))
        rows.add_row(
            Text("train", "dim"),
            self.text(losses(progress.smooth_loss_nats or None, brief=brief)),
            Text(sparkline(self._train, width, bars), TRAIN),
        )
        waits = not self._validation and progress.val_loss_nats is None
        if waits:
            first = f"first at {self._first_validation()}" if self._has_validation else "no text is held out"
            rows.add_row(Text("validate", "dim"), self.text(first), Text(""))
        else:
            rows.add_row(
                Text("validate", "dim"),
                self.text(losses(progress.val_loss_nats, brief=brief)),
                Text(sparkline(self._validation, width, bars), VALIDATION),
            )
            rows.add_row(
                Text("best", "dim"),
                self.text(losses(progress.best_val_loss_nats, brief=brief)),
                Text(f"at step {progress.best_step:,}" if progress.best_step else "", "dim"),
            )
        parts: list[Text | Table | Panel] = [
            self.text(_broken_at_clauses(self._opening, self.console.width)),
            self.text(self._folder, "dim"),
            Text(""),
            head,
            pace,
            rows,
        ]
        if self._sample:
            lines = self.text(self._sample).wrap(
                self.console, max(10, self.console.width - 4), overflow="fold"
            )[:SAMPLE_LINES]
            parts.append(
                Panel(Text("\n").join(lines), title="sample", title_align="left", border_style="dim")
            )
        elif self._used < 1:
            parts += [
                Text(""),
                self.text("A sample of what it writes comes with the first validation.", "dim"),
            ]
        return Group(*parts)


def _broken_at_clauses(lines: str, width: int) -> str:
    """Lines too long for a terminal begin anew after a semicolon, where they have one."""
    broken = []
    for line in lines.split("\n"):
        while len(line) > width and (end := line.rfind("; ", 0, width)) > 0:
            broken.append(line[: end + 1])
            line = line[end + 2 :]
        broken.append(line)
    return "\n".join(broken)


def to_be_copied(lines: str) -> Group:
    """Lines of talk; a command, which is indented, stays on one line, however long."""
    shown = [Text(line) for line in lines.split("\n")]
    for line in shown:
        if line.plain.startswith("  "):
            line.no_wrap, line.overflow = True, "ignore"
    return Group(*shown)


def summary(result: TrainResult) -> str:
    """How the run ended, and the verdict on it, in a few lines."""
    why = {
        "epochs": "all epochs done",
        "max_steps": "all steps done",
        "max_minutes": "time is up",
        "patience": "no better validation for a while",
    }[result.stopped_because]
    best = ""
    if result.val_loss_nats is not None:
        best = f"; best validation loss {losses(result.val_loss_nats)} at step {result.best_step:,}"
    verdict = f"{result.verdict.sentence} {result.verdict.advice}"
    if result.verdict.kind == "unlike validation":  # a note before the first step has said it all
        verdict = "The validation text is unlike the training text: see the note before the first step."
    return (
        f"{why} after {result.steps:,} steps, {duration(result.seconds)}, "
        f"{result.chars_per_second:,.0f} characters/s{best}\n"
        f"{verdict}\nmodel {result.model}"
    )
