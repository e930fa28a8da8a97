"""A training run in a notebook, and where its progress is shown."""

import io
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.small_runs import SETTINGS, write_text

import charrnn
from charrnn.training import session
from charrnn.ui import training
from charrnn.ui.html.training_view import NotebookView, is_notebook

RUN = {**SETTINGS, "max_steps": 30}


def test_the_output_is_drawn_anew_until_the_run_ends(tmp_path: Path) -> None:
    outputs: list[str] = []
    view = NotebookView(outputs.append)
    result = session.train(write_text(tmp_path / "text.txt"), out=tmp_path / "run", observers=[view], **RUN)
    first, last = outputs[0], outputs[-1]
    assert '<i style="width:0.0%">' in first
    assert '<i style="width:100.0%">' in last
    assert f"{result.val_loss_nats:.4f} nats" in last
    assert f"at step {result.best_step:,}" in last
    assert result.verdict.sentence in last
    assert last.count('<circle class="best"') == 1
    assert "text: " in last
    assert str(tmp_path / "run") in last
    assert all(output.startswith('<div class="charrnn">') for output in outputs)


def test_notes_name_arguments() -> None:
    outputs: list[str] = []
    NotebookView(outputs.append).note("a smaller --hidden would help <b>")
    assert "a smaller hidden would help &lt;b&gt;" in outputs[-1]


def test_a_resumed_run_shows_its_first_part_too(tmp_path: Path) -> None:
    corpus, outputs = write_text(tmp_path / "text.txt"), list[str]()
    session.train(corpus, out=tmp_path / "run", **RUN)
    view = NotebookView(outputs.append)
    result = session.train(out=tmp_path / "run", resume=True, max_steps=60, observers=[view])
    assert view._records == list(result.history)
    assert f"epoch {result.epochs:.2f}" in outputs[-1]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def where(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes this process look like a notebook, or one with a terminal, and tells what was shown there."""

    def make(place: str) -> list[str]:
        shown: list[str] = []
        stream = Terminal() if place == "terminal" else io.StringIO()
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("TERM", "dumb")  # plain lines
        shell = SimpleNamespace(kernel=None) if place == "notebook" else SimpleNamespace()
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
        monkeypatch.setattr(training, "notebook_view", lambda: NotebookView(shown.append))
        return SimpleNamespace(notebook=shown, stderr=stream)  # type: ignore[return-value]

    return make


@pytest.mark.parametrize(
    ("place", "progress", "in_notebook", "on_stderr"),
    [
        ("terminal", None, False, True),
        ("notebook", None, True, False),
        ("pipe", None, False, False),
        ("terminal", False, False, False),
        ("notebook", False, False, False),
        ("pipe", True, False, True),
    ],
)
def test_progress_is_shown_where_somebody_looks(
    tmp_path: Path, where: Any, place: str, progress: bool | None, in_notebook: bool, on_stderr: bool
) -> None:
    shown = where(place)
    corpus = write_text(tmp_path / "text.txt")
    charrnn.train(corpus, out=tmp_path / "run", progress=progress, **RUN)
    assert bool(shown.notebook) == in_notebook
    assert ("step" in shown.stderr.getvalue()) == on_stderr


def test_what_a_notebook_is(where: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    where("notebook")
    assert is_notebook()
    where("terminal")  # IPython in a terminal
    assert not is_notebook()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert not is_notebook()
    monkeypatch.delitem(sys.modules, "IPython")
    assert not is_notebook()


def test_the_result_has_run_history_and_model(tmp_path: Path) -> None:
    result = charrnn.train(write_text(tmp_path / "text.txt"), out=tmp_path / "run", **RUN)
    assert result.run == tmp_path / "run"
    assert result.history[-1]["step"] == result.steps == 30
    assert result.history.verdict == result.verdict
    validations = [one["val_loss_nats"] for one in result.history if one["val_loss_nats"] is not None]
    assert min(validations) == result.val_loss_nats
    model = result.load()
    assert isinstance(model, charrnn.Model)
    assert model.sample(length=20, seed=1) == charrnn.load_model(result.run).sample(length=20, seed=1)
