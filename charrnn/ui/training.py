"""Training from Python: a run, its progress shown where somebody looks."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from charrnn.config import ModelConfig, TrainConfig
from charrnn.engines.ranks import follows
from charrnn.python.arguments import taking
from charrnn.training import session
from charrnn.training.given_texts import Files, Labels
from charrnn.training.observers import Observer
from charrnn.training.result import TrainResult
from charrnn.ui.html.training_view import is_notebook, notebook_view
from charrnn.ui.terminal.training_view import training_view


@taking(ModelConfig, TrainConfig)
def train(
    corpus: Files = (),
    *,
    text: str | None = None,
    texts: Iterable[str] | None = None,
    labels: Labels | None = None,
    inputs: Iterable[str] | None = None,
    preset: str | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    force: bool = False,
    init_from: str | Path | None = None,
    progress: bool | None = None,
    observers: Sequence[Observer] = (),
    command_line: Sequence[str] = (),
    **settings: Any,
) -> TrainResult:
    """Train a model on a text, as `charrnn train` does; `.load()` of the result is the model.

    corpus : files, folders, patterns or "-"; may be left out when resuming
    text : instead of files, the text itself
    texts : instead of files, items; perhaps with their labels ([…], or {column: […]} for several columns), or as the
        outputs of pairs with their inputs
    preset : a name in charrnn.config.PRESETS, whose settings stand in place of the defaults below
    out : the run folder; by default a new one under ./runs, or the newest when resuming
    resume : go on with the run in `out`, bit for bit where it stopped
    force : write into a folder that holds a run, or resume with another corpus or settings
    init_from : a model file or run folder to start from: its architecture, weights and symbols
    progress : show how it goes, on stderr or in the notebook; by default in a notebook and on a terminal alone
    observers : are told how it goes, see charrnn.training.observers
    settings : as below; None means not given

    Of several processes started by torchrun it returns in the first; the others end here (SystemExit).

    Raises UsageError, DataError, ModelError, DivergedError; Interrupted after a signal that ends (see
    charrnn.engines.signals), when everything has been saved; RankLostError when another process died.
    """
    with _view(progress) as shown:
        return session.train(
            corpus,
            text=text,
            texts=texts,
            labels=labels,
            inputs=inputs,
            preset=preset,
            out=out,
            resume=resume,
            force=force,
            init_from=init_from,
            observers=[*shown, *observers],
            command_line=command_line,
            **settings,
        )


@contextmanager
def _view(progress: bool | None) -> Iterator[list[Observer]]:
    """Who shows the progress: nobody, the notebook, or stderr."""
    notebook = is_notebook()
    if progress is None:
        progress = notebook or (sys.stderr is not None and sys.stderr.isatty())
    if not progress or follows():
        yield []
    elif notebook:
        yield [notebook_view()]
    else:
        with training_view(quiet=False) as shown:
            yield [shown]
