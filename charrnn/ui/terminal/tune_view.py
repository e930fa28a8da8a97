"""The view of a search for settings: a leaderboard on a terminal, plain lines elsewhere; both on stderr."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from charrnn.tune.board import Board, Listener, Trial, TuneResult
from charrnn.tune.trial import RUNGS
from charrnn.ui.terminal.console import Console
from charrnn.ui.terminal.letters import plain
from charrnn.ui.terminal.training_view import duration

TRIALS_SHOWN = 15  # trials on the leaderboard
STYLES = {"done": "green", "running": "cyan", "failed": "red"}


@contextmanager
def tune_listener(*, quiet: bool) -> Iterator["Silent"]:
    """The view for stderr: live on a terminal, otherwise plain lines."""
    console = Console(stderr=True, highlight=False)
    if quiet:
        yield Silent(console)
    elif console.is_terminal and not console.is_dumb_terminal:
        with Live(console=console, auto_refresh=False) as live:
            yield LiveView(console, live)
    else:
        yield PlainView(console)


class Silent(Listener):
    """Notes only."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def begin(self, board: Board) -> None: ...

    def changed(self, board: Board, trial: Trial) -> None: ...

    def tick(self, board: Board) -> None: ...

    def note(self, message: str) -> None:
        self.console.print(Text(plain(message, self.console)), soft_wrap=True)

    def end(self, result: TuneResult) -> None: ...


class PlainView(Silent):
    """A line for each trial that begins or ends, for logs and pipes."""

    def begin(self, board: Board) -> None:
        self.note(f"{headline(board)}\nfolder {board.folder}")

    def changed(self, board: Board, trial: Trial) -> None:
        if trial.state == "running" and trial.rung:
            return
        self.note(
            f"trial {trial.number:>3}  {trial.state:<13} {loss(trial):>6} nats  {how_far(trial):>4}  "
            + words(trial.settings)
            + (f"  {trial.why}" if trial.why else "")
            + (" *" if board.best is trial else "")
        )

    def end(self, result: TuneResult) -> None:
        self.note(summary(result))


class LiveView(Silent):
    """The leaderboard, redrawn in place."""

    def __init__(self, console: Console, live: Live) -> None:
        super().__init__(console)
        self._live = live

    def begin(self, board: Board) -> None:
        self.tick(board)

    def tick(self, board: Board) -> None:
        self._live.update(leaderboard(board, self.console), refresh=True)

    def end(self, result: TuneResult) -> None:
        self._live.stop()
        self.note(summary(result))


def headline(board: Board) -> str:
    """The search and its progress."""
    config = board.config
    ended = sum(trial.state not in ("running", "interrupted") for trial in board.trials)
    of = f" of {board.total}" if board.total is not None else ""
    limit = f" of {duration(60 * config.max_minutes)}" if config.max_minutes is not None else ""
    [(name, value)] = config.trial_budget.items()
    each = f"{value:,} steps" if name == "max_steps" else f"{duration(60 * value)}"
    return (
        f"{board.corpus}: {config.search} search, {ended}{of} trials of {each} each, "
        f"elapsed {duration(board.seconds)}{limit}, {config.jobs} at once"
    )


def leaderboard(board: Board, console: Console) -> Group:
    """The best trials and the running ones."""
    ranking = board.ranking
    shown = [t for t in ranking if t.state == "running"] + [t for t in ranking if t.state != "running"]
    shown = sorted(shown[:TRIALS_SHOWN], key=ranking.index)
    names = list(dict.fromkeys(name for trial in ranking for name in trial.settings))
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    for name in ("rank", "trial", "nats", "far"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for name in names:
        table.add_column(name.replace("_", " "), overflow="fold")
    for trial in shown:
        cells = [str(ranking.index(trial) + 1), str(trial.number), loss(trial), how_far(trial), trial.state]
        cells += [value(trial.settings.get(name, "")) for name in names]
        style = STYLES.get(trial.state, "dim")
        table.add_row(*(Text(plain(cell, console), style) for cell in cells))
    return Group(
        Text(plain(headline(board), console)),
        Text(plain(f"folder {board.folder}", console), "dim"),
        Text(""),
        table,
    )


def loss(trial: Trial) -> str:
    """The best validation loss of a trial so far."""
    return "-" if trial.val_loss_nats is None else f"{trial.val_loss_nats:.4f}"


def how_far(trial: Trial) -> str:
    """The share of its budget that a trial has used."""
    return f"{100 * trial.rung / RUNGS:.0f}%"


def words(settings: dict[str, object]) -> str:
    """Settings as on a command line."""
    return " ".join(f"--{name.replace('_', '-')} {value(v)}" for name, v in settings.items())


def value(setting: object) -> str:
    """A setting in few digits."""
    return f"{setting:.3g}" if isinstance(setting, float) else str(setting)


def summary(result: TuneResult) -> str:
    """How the search ended, and the best trial."""
    why = {"trials": "all trials done", "max_minutes": "time is up", "exhausted": "every setting was tried"}
    counts = {
        state: sum(t.state == state for t in result.trials) for state in ("done", "stopped early", "failed")
    }
    ended = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    best = result.best
    return (
        f"{why[result.stopped_because]} after {duration(result.seconds)}: {ended}\n"
        f"best: trial {best.number}, {loss(best)} nats: {words(best.settings)}\nsettings {result.best_toml}"
    )
