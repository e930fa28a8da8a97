"""What `import charrnn` offers: names, near ones, signatures, docstrings, and completion in IPython."""

import inspect
import os
import pydoc
import subprocess
import sys
from pathlib import Path

import pytest

import charrnn
from charrnn.config import ModelConfig, TrainConfig
from charrnn.install.version import __version__


def test_dir_has_the_public_names_alone() -> None:
    assert dir(charrnn) == sorted(charrnn.__all__)
    assert {"train", "load_model", "sample", "Model", "CharRNN", "__version__"} <= set(dir(charrnn))
    assert charrnn.__version__ == __version__


@pytest.mark.parametrize("name", charrnn.__all__)
def test_every_name_has_a_docstring(name: str) -> None:
    if name != "__version__":
        assert len((getattr(charrnn, name).__doc__ or "").split()) > 5


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tran", "module 'charrnn' has no attribute 'tran'. Did you mean 'train' or 'transform'?"),
        ("inspect_cell", "module 'charrnn' has no attribute 'inspect_cell'. Did you mean 'inspect_cells'?"),
        ("zzz", "module 'charrnn' has no attribute 'zzz'"),
        ("_repr_html_", "module 'charrnn' has no attribute '_repr_html_'"),
    ],
)
def test_a_wrong_name_lists_the_near_ones(name: str, message: str) -> None:
    with pytest.raises(AttributeError) as refused:
        getattr(charrnn, name)
    assert str(refused.value) == message


def test_the_signature_of_train_has_every_setting() -> None:
    parameters = inspect.signature(charrnn.train).parameters
    assert list(parameters)[:5] == ["corpus", "text", "texts", "labels", "inputs"]
    for settings in (ModelConfig, TrainConfig):
        for name, field in settings.__dataclass_fields__.items():
            assert parameters[name].default == field.default, name
            assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
    assert not [p for p in parameters.values() if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    assert parameters["progress"].default is None


def test_help_says_what_a_setting_means() -> None:
    shown = pydoc.plain(pydoc.render_doc(charrnn.train))
    assert "hidden: int = 128" in shown
    assert "hidden : Hidden units per layer." in shown
    assert "cell : Type of recurrent cell. One of: lstm, gru, rnn." in shown
    assert "final_lr : Final learning rate as a fraction of lr (schedule cosine)." in shown
    assert "--" not in shown.replace("--help", "")


def test_the_signatures_of_sample() -> None:
    of_function, of_method = (
        list(inspect.signature(one).parameters) for one in (charrnn.sample, charrnn.Model.sample)
    )
    assert of_function[0] == "model"
    assert of_method[0] == "self"
    assert of_function[1:] == of_method[1:]
    assert {"count", "temp", "temperature", "length", "prime", "stop", "label", "top_k"} <= set(of_function)


COMPLETE = """
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance(history_load_length=0)
shell.run_cell("import charrnn")
for with_jedi in (False, True):
    shell.Completer.use_jedi = with_jedi
    for typed in ("charrnn.", "charrnn.lo", "charrnn.train(hid", "charrnn.sample(model, temp"):
        with provisionalcompleter():
            print(*[found.text.lstrip(".") for found in shell.Completer.completions(typed, len(typed))])
"""


@pytest.mark.slow
def test_completion_in_ipython(tmp_path: Path) -> None:
    """In a process of its own, since IPython changes much of the one that it runs in."""
    pytest.importorskip("IPython")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", COMPLETE],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"IPYTHONDIR": str(tmp_path)},
    )
    lines = [set(line.split()) for line in done.stdout.splitlines()]
    public = {name for name in charrnn.__all__ if not name.startswith("_")}
    for names, load, hidden, temperature in (lines[-8:-4], lines[-4:]):
        assert names == public
        assert load == {"load_model"}
        assert hidden == {"hidden="}
        assert temperature == {"temp=", "temperature="}
