"""A search for good settings: it starts trials, stores them, and reports the best.

Optuna draws the settings (`RandomSampler`, or enqueued ones), stores every trial in SQLite (`RDBStorage`)
and decides which ones are too poor to continue (`SuccessiveHalvingPruner`). Only this process talks to it.
Each trial is trained in its own process, by `trial.work`.

A killed search leaves its state in its folder: trials that are RUNNING in the storage while nobody holds the
folder's lock have no living process. A resume continues them with their number and settings, from their
checkpoints.
"""

import multiprocessing
import shutil
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from charrnn.config import ModelConfig
from charrnn.engines.signals import StopRequest, children_wait_for_their_handlers, stop_on_signals
from charrnn.errors import CharRNNError, DataError, Interrupted, ModelError, UsageError
from charrnn.install.extras import require
from charrnn.runs.folder import RunFolder, to_toml
from charrnn.training.bounds import corpus_card
from charrnn.training.plan import plan_new
from charrnn.tune import search_folder as files
from charrnn.tune.board import Board, Listener, Trial, TuneResult
from charrnn.tune.space import Choice, Dimension, Space, parse_space, read_space
from charrnn.tune.trial import RUNGS, Failed, Job, Measured, work
from charrnn.tune.tune_config import TuneConfig

COARSE = 0.5  # share of the budget that coarse-to-fine spends on the whole space
ATTEMPTS = 50  # draws without a new setting before the space, or the neighbourhood of the best, is exhausted
POLL_SECONDS = 0.25


def tune(
    corpus: str | Path | Sequence[str | Path] = (),
    *,
    space: str | Path | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    listener: Listener,
    **settings: Any,
) -> TuneResult:
    """Search for good settings, as `charrnn tune` does.

    corpus : files, folders or patterns; may be left out when resuming
    space : a TOML file, see charrnn.tune.space; None is the default space
    out : the folder of the search; by default a new one under ./tuning, or the newest when resuming
    resume : continue the search in `out`
    settings : fields of TuneConfig by name; None means not given

    Raises UsageError, DataError; Interrupted after a signal to end, with everything saved;
    CharRNNError if no trial was completed.
    """
    optuna = _optuna()
    given = {name: value for name, value in settings.items() if value is not None}
    names = [str(corpus)] if isinstance(corpus, str | Path) else [str(source) for source in corpus]
    if resume:
        folder = files.find(out)
        sources, config, space_text = files.stored(folder, names, given, space)
        found = parse_space(space_text, str(folder / files.SPACE))
    else:
        config, sources = TuneConfig(**given), [files.absolute(name) for name in names]
        space_text, found = read_space(Path(space) if space is not None else None)
        if config.search == "grid":
            found.grid()  # told before a folder is made
    if "-" in sources:
        raise UsageError(
            "charrnn tune reads the text once for each trial, so it cannot be stdin. Name a file"
        )
    plan = plan_new(sources, None, found.fixed)
    if plan.config.val_fraction == 0:
        raise UsageError("val_fraction is 0 in the space: trials are compared by their validation loss")
    card = corpus_card(plan.corpus)
    if not resume:
        folder = files.create(out, plan.corpus.name)
    with RunFolder(folder).lock(), stop_on_signals() as stop, _quiet(optuna, folder):
        if not resume:
            files.write(folder / files.SPACE, space_text)
        elif card["sha256"] != files.read(folder)["corpus"]["sha256"]:
            raise DataError(
                f"the text has changed since {folder} began, so losses cannot be compared. "
                f"Name the same text (`{files.command_to_resume(folder)} TEXT`), or start a new search"
            )
        tables = {"corpus": card, "tune": asdict(config)}
        files.write(folder / files.STUDY, to_toml(tables))
        search = _Search(optuna, folder, plan.corpus.name, sources, config, found, listener, stop)
        return search.run()


def _optuna() -> ModuleType:
    with require("tune", "charrnn tune"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import optuna
        import optuna.storages
    return optuna


@contextmanager
def _quiet(optuna: ModuleType, folder: Path) -> Iterator[None]:
    """Silence Optuna's own messages, and report a storage that it cannot use."""
    from sqlalchemy.exc import SQLAlchemyError

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (optuna.exceptions.OptunaError, SQLAlchemyError) as error:
        raise ModelError(
            f"{folder / files.STORAGE} cannot be used: {str(error.__cause__ or error).splitlines()[0]}. "
            f"If the disk is full, free it and go on with `{files.command_to_resume(folder)}`; else start a new search"
        ) from error
    finally:
        optuna.logging.set_verbosity(before)


# ------------------------------------------------------------------------------------------------
# The search


@dataclass
class _Running:
    """A trial and the process that trains it."""

    trial: Any  # optuna.trial.Trial
    row: Trial
    process: BaseProcess
    lost: int = 0  # processes of this trial that died


class _Search:
    def __init__(
        self,
        optuna: ModuleType,
        folder: Path,
        corpus: str,
        sources: Sequence[str],
        config: TuneConfig,
        space: Space,
        listener: Listener,
        stop: StopRequest,
    ) -> None:
        self.optuna, self.folder, self.sources = optuna, folder, sources
        self.config, self.space, self.listener, self.stop = config, space, listener, stop
        self.states = optuna.trial.TrialState
        pruner = optuna.pruners.NopPruner()
        if config.keep > 1:
            pruner = optuna.pruners.SuccessiveHalvingPruner(1, config.keep)
        self.study = optuna.create_study(
            storage=f"sqlite:///{(folder / files.STORAGE).absolute()}",
            study_name="charrnn",
            direction="minimize",
            pruner=pruner,
            load_if_exists=True,
        )
        self.grid = space.grid() if config.search == "grid" else None
        limits = [n for n in (config.trial_limit, len(self.grid) if self.grid else None) if n is not None]
        self.board = Board(folder, corpus, config, min(limits, default=None))
        self.running: dict[Connection, _Running] = {}
        self.exhausted = False  # every setting has been tried
        self.orphans: list[int] = []  # numbers of trials to take up again
        for frozen in self.study.get_trials(deepcopy=False):
            measured = frozen.user_attrs.get("measured", {})
            self.board.seconds = max(self.board.seconds, measured.get("search_seconds", 0.0))
            if frozen.state != self.states.WAITING:
                self.board.trials.append(self._row(frozen))
            if frozen.state == self.states.RUNNING:
                self.orphans.append(frozen.number)

    def run(self) -> TuneResult:
        """Start trials until the budget is spent or a signal comes, and wait for them."""
        self.listener.begin(self.board)
        if self.orphans:
            numbers = ", ".join(map(str, self.orphans))
            self.listener.note(f"continuing interrupted trials: {numbers}")
        began, before, leaving = time.monotonic(), self.board.seconds, False
        try:
            while True:
                self.board.seconds = before + time.monotonic() - began
                if (self.stop() or self._time_is_up()) and not leaving:
                    leaving = True
                    for talk in self.running:
                        _send(talk, "leave")
                while not leaving and len(self.running) < self.config.jobs and self._start():
                    pass
                if not self.running:
                    break
                for ready in wait(list(self.running), POLL_SECONDS):
                    assert isinstance(ready, Connection)
                    self._hear(
                        ready, leaving or self.stop()
                    )  # a signal to the group may have reached it first
                self.listener.tick(self.board)
        finally:
            for running in self.running.values():  # only after an error here
                running.process.kill()
        return self._end()

    def _time_is_up(self) -> bool:
        limit = self.config.max_minutes
        return limit is not None and self.board.seconds >= 60 * limit

    def _start(self) -> bool:
        """Start the next trial; false if there is none."""
        if self.orphans:
            number = self.orphans.pop(0)
            frozen = self.study.get_trials(deepcopy=False)[number]
            trial = self.optuna.trial.Trial(self.study, frozen._trial_id)
            row = self.board.trials[self._place(number)]
        else:
            waiting = self.study.get_trials(deepcopy=False, states=(self.states.WAITING,))
            number = len(self.study.get_trials(deepcopy=False)) - len(waiting)
            if self.board.total is not None and number >= self.board.total:
                return False
            if not waiting:  # otherwise a trial was enqueued, but not begun, when the search was killed
                if (values := self._values(number)) is None:
                    self.exhausted = True
                    return False
                self.study.enqueue_trial(values)
            trial = self.study.ask()
            row = Trial(trial.number, "running", {})
            self.board.trials.append(row)
        settings = self.space.draw(lambda name, dimension: _suggest(trial, name, dimension))
        trial.set_user_attr("settings", settings)
        row.state, row.settings = "running", self._searched(settings)
        self._launch(trial, row, settings)
        self.listener.changed(self.board, row)
        return True

    def _launch(self, trial: Any, row: Trial, settings: Mapping[str, Any], lost: int = 0) -> None:
        ours, theirs = multiprocessing.Pipe()
        job = Job(self.sources, {**settings, **self.config.trial_budget}, self._folder_of(row.number))
        process = multiprocessing.get_context("spawn").Process(target=work, args=(theirs, job), daemon=True)
        with children_wait_for_their_handlers():
            process.start()
        theirs.close()  # so that the end of the process is the end of the pipe
        self.running[ours] = _Running(trial, row, process, lost)

    def _folder_of(self, number: int) -> Path:
        return self.folder / files.TRIALS / f"{number:04}"

    def _place(self, number: int) -> int:
        return next(place for place, trial in enumerate(self.board.trials) if trial.number == number)

    # What a trial is

    def _values(self, number: int) -> dict[str, Any] | None:
        """The values of the next trial by dimension, different from all earlier ones; None if there are none left.

        They depend on the seed, the trial's number and, in the fine half, on the best trial so far.
        """
        if self.grid is not None:
            return self.grid[number]
        before = [trial.params for trial in self.study.get_trials(deepcopy=False)]
        best = self.board.best
        near = None
        if self.config.search == "coarse-to-fine" and self._share(number) >= COARSE and best is not None:
            near = self.study.get_trials(deepcopy=False)[best.number].params
        for attempt in range(2 * ATTEMPTS):
            seed = np.random.SeedSequence([self.config.seed, number, attempt]).generate_state(1)[0]
            sampler = self.optuna.samplers.RandomSampler(int(seed))
            drawn = self.optuna.create_study(sampler=sampler).ask()  # a temporary study in memory
            centre = near if attempt < ATTEMPTS else None
            self.space.draw(partial(_suggest_near, drawn, centre))
            if drawn.params not in before:
                return drawn.params
        return None

    def _share(self, number: int) -> float:
        """The share of the budget that is spent when trial `number` begins."""
        shares = [0.0]
        if self.board.total is not None:
            shares.append(number / self.board.total)
        if self.config.max_minutes is not None:
            shares.append(self.board.seconds / (60 * self.config.max_minutes))
        return max(shares)

    def _searched(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in settings.items() if name not in self.space.fixed}

    # What a trial tells

    def _hear(self, talk: Connection, leaving: bool) -> None:
        running = self.running[talk]
        try:
            told = talk.recv()
        except (EOFError, ConnectionResetError):
            self._ended(talk, leaving)
            return
        row, trial = running.row, running.trial
        if isinstance(told, Failed):
            row.why = told.why
            self._finish(talk, "failed")
        elif isinstance(told, Measured):
            if told.rung > row.rung:  # after a kill a trial may report again what is stored
                trial.report(told.val_loss_nats, told.rung)
            row.rung, row.val_loss_nats = told.rung, told.val_loss_nats
            row.steps, row.seconds = told.steps, told.seconds
            trial.set_user_attr("measured", asdict(told) | {"search_seconds": self.board.seconds})
            if told.rung == RUNGS:
                self._finish(talk, "done")
            elif trial.should_prune():
                self._finish(talk, "stopped early")
            else:
                _send(talk, "leave" if leaving else True)
                self.listener.changed(self.board, row)

    def _finish(self, talk: Connection, state: str) -> None:
        """Record how a trial ended, and end its process."""
        running = self.running.pop(talk)
        row, states = running.row, self.states
        row.state = state
        if row.why:
            running.trial.set_user_attr("why", row.why)
        ending = {"done": states.COMPLETE, "stopped early": states.PRUNED, "failed": states.FAIL}[state]
        value = row.val_loss_nats if state == "done" else None
        self.study.tell(running.trial, value, ending)
        talk.close()
        running.process.join()
        folder = self._folder_of(row.number)
        if state == "done":
            RunFolder(folder).checkpoint.unlink(missing_ok=True)
            if self.board.best is row:
                self._write_best(row)
        else:
            shutil.rmtree(folder, ignore_errors=True)
        self.listener.changed(self.board, row)

    def _ended(self, talk: Connection, leaving: bool) -> None:
        """Handle a process that ended before its trial: it was asked to, or it was killed."""
        running = self.running.pop(talk)
        talk.close()
        running.process.join()
        died = running.process.exitcode != 0  # otherwise it saved, and ended on a signal
        if leaving:
            running.row.state = "interrupted"
            self.listener.changed(self.board, running.row)
        elif not (died and running.lost):
            settings = running.trial.user_attrs["settings"]
            self._launch(running.trial, running.row, settings, running.lost + died)
        else:
            running.row.why = f"its process ended twice, with exit code {running.process.exitcode}"
            self.running[talk] = running
            self._finish(talk, "failed")

    def _row(self, frozen: Any) -> Trial:
        """A trial from the storage, as a line of the leaderboard."""
        states = self.states
        names = {states.COMPLETE: "done", states.PRUNED: "stopped early", states.FAIL: "failed"}
        row = Trial(
            frozen.number,
            names.get(frozen.state, "interrupted"),
            self._searched(frozen.user_attrs.get("settings", {})),
            why=frozen.user_attrs.get("why", ""),
        )
        if measured := frozen.user_attrs.get("measured"):
            row.rung, row.val_loss_nats = measured["rung"], measured["val_loss_nats"]
            row.steps, row.seconds = measured["steps"], measured["seconds"]
        return row

    # What came of it

    def _write_best(self, row: Trial) -> None:
        settings = self.space.fixed | row.settings
        of_model = {f.name for f in fields(ModelConfig)}
        tables = {
            "model": {name: value for name, value in settings.items() if name in of_model},
            "train": {name: value for name, value in settings.items() if name not in of_model},
        }
        head = (
            f"# Trial {row.number} of the search in {self.folder.name}: {row.val_loss_nats:.4f} nats on validation "
            f"after {row.steps:,} steps, {row.seconds:.0f} s.\n"
            f"# charrnn train CORPUS --config {files.BEST}, with a budget of your own\n"
        )
        filled = {name: values for name, values in tables.items() if values}
        files.write(self.folder / files.BEST, head + to_toml(filled))

    def _end(self) -> TuneResult:
        board, best = self.board, self.board.best
        again = files.command_to_resume(self.folder)
        if self.stop():
            assert self.stop.signal_number is not None
            raise Interrupted(
                f"stopped after {len(board.trials)} trials; everything is saved. Go on with:\n  {again}",
                self.stop.signal_number,
            )
        if best is None:
            failed = [trial for trial in board.trials if trial.state == "failed"]
            if failed and len(failed) == len(board.trials):
                raise CharRNNError(f"every trial failed; trial {failed[0].number}: {failed[0].why}")
            raise CharRNNError(
                f"no trial was completed in the given time. Go on with:\n  {again} --max-minutes "
                f"{2 * (self.config.max_minutes or 1):g}"
            )
        self._write_best(best)
        exhausted = self.exhausted or (self.grid is not None and board.total == len(self.grid))
        return TuneResult(
            folder=str(self.folder),
            best_toml=str(self.folder / files.BEST),
            best=best,
            trials=board.ranking,
            seconds=board.seconds,
            stopped_because="max_minutes" if self._time_is_up() else "exhausted" if exhausted else "trials",
        )


def _suggest(trial: Any, name: str, dimension: Dimension) -> Any:
    """The value of a dimension in an Optuna trial: drawn, enqueued or stored before."""
    if isinstance(dimension, Choice):
        return trial.suggest_categorical(name, dimension.values)
    if dimension.whole:
        low, high = int(dimension.low), int(dimension.high)
        return trial.suggest_int(name, low, high, step=dimension.step, log=dimension.log)
    return trial.suggest_float(name, dimension.low, dimension.high, log=dimension.log)


def _suggest_near(trial: Any, near: Mapping[str, Any] | None, name: str, dimension: Dimension) -> Any:
    """The same near the values `near`, if given: ranges are narrowed, choices kept."""
    if near is not None and name in near:
        dimension = Choice((near[name],)) if isinstance(dimension, Choice) else dimension.around(near[name])
    return _suggest(trial, name, dimension)


def _send(talk: Connection, message: object) -> None:
    """Send a message to a process that may be gone, which is noticed elsewhere."""
    with suppress(OSError):
        talk.send(message)
