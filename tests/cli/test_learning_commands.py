"""charrnn learn, gradcheck and gradient-flow, as commands."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import Stream
from helpers.command_line import charrnn_line as charrnn
from helpers.patience import PATIENCE

from charrnn.config import ModelConfig
from charrnn.learn.chapter import chapters
from charrnn.learn.lesson_text import READ, SHORTEST
from charrnn.model.model import Model
from charrnn.nn import lstm
from charrnn.nn.init import initialise
from charrnn.nn.network import Network
from charrnn.runs.folder import RunFolder
from charrnn.text.vocabulary import Vocabulary


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


TEXT = "to be or not to be, that is the question.\n" * 30


@pytest.fixture
def model(tmp_path) -> Path:
    """A model file in a run folder with records of its gradient norms."""
    vocab = Vocabulary.of(TEXT)
    network = Network(ModelConfig("lstm", 2, 6), len(vocab), np.float32)
    initialise(network, np.random.default_rng(1))
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    card = {"settings": {"clip_norm": 4.0, "clip_value": 2.0}}
    Model.of_network(network, vocab, card).save(folder.model)
    for step, norm in enumerate([1.0, 3.0, 5.0, 9.0, 1.5, 1.0, 1.0, 1.0]):
        folder.append_metrics({"step": step, "grad_norm": norm})
    (tmp_path / "text.txt").write_text(TEXT)
    return folder.path


# ------------------------------------------------------------------------------------------------
# learn


def test_a_chapter_without_input():
    done = charrnn("learn --chapter 2 --no-input")
    assert done.code == 0
    assert "2 of 14 · One step" in done.out
    assert re.search(
        r"-?[\d.]+( [-+] [\d.]+){2} = (-?[\d.]+), and tanh\(\2\) = -?[\d.]+\.", " ".join(done.out.split())
    )
    assert "To go on: charrnn learn --chapter 3" in done.out
    assert "Will h be the same?" not in done.out


def test_a_chapter_with_answers_on_stdin():
    done = charrnn("learn --chapter 1", b"\n\n80\n80\n")
    assert done.code == 0
    assert "You said 80; it is 4000." in done.out
    assert "0 of 1 answered right." in done.out
    done = charrnn("learn --chapter 1", b"\n\n4000\n")
    assert "Right. H·V = 4·1,000 = 4000" in done.out


def test_into_a_pipe_it_asks_nothing():
    done = charrnn("learn --chapter 2", stdin=Stream(terminal=True))
    assert done.code == 0
    assert "In the code" in done.out
    assert "Enter" not in done.out


@pytest.mark.parametrize("stdin", [b"", b"\n", b"q\n"])
def test_the_end_of_the_input_ends_it_politely(stdin):
    done = charrnn("learn", stdin)
    assert done.code == 0
    assert done.out.endswith("Until next time. This chapter again: charrnn learn --chapter 1\n")
    assert done.err == ""


def test_ctrl_c_ends_it_politely(monkeypatch):
    def interrupt(prompt):
        raise KeyboardInterrupt

    monkeypatch.setattr("builtins.input", interrupt)
    done = charrnn("learn --chapter 2")
    assert done.code == 130
    assert done.out.endswith("Until next time. This chapter again: charrnn learn --chapter 2\n")


@pytest.mark.parametrize("number", ["0", "15", "-1"])
def test_a_chapter_that_is_not_there(number):
    done = charrnn(f"learn --chapter {number}")
    assert done.code == 2
    assert f"--chapter is {number}; the lesson has chapters 1 to 14" in done.err


def test_the_help_names_the_number_of_chapters():
    done = charrnn("learn --help")
    assert f"chapter N, 1 to {len(chapters())}." in " ".join(done.out.split())
    assert f"of {SHORTEST} characters or more; the first {READ:,} are read." in " ".join(done.out.split())


def test_a_sheet_of_questions():
    done = charrnn("learn --chapter 2 --questions")
    assert done.code == 0
    assert done.out.startswith("\n2. One step\n")
    assert "Will h be the same?" in done.out
    assert "That difference is the memory" not in done.out
    assert "Answer: b. After " in charrnn("learn --chapter 2 --questions --answers").out
    done = charrnn("learn --answers")
    assert (done.code, "--answers needs --questions" in done.err) == (2, True)


ROSE = "a rose is a rose is a rose, said she; is it, said he. "


def test_a_text_of_ones_own():
    Path("mine.txt").write_bytes((ROSE + "\r\n").encode() * 5)
    done = charrnn("learn --chapter 1 --text mine.txt --no-input")
    assert done.code == 0
    words = " ".join(done.out.split())
    kinds = len(set(ROSE + "\n"))
    assert (
        f'The first 173 characters of "mine", which the small networks of this lesson learn, have V = {kinds}'
        in words
    )
    assert "twister" not in words
    assert words.endswith("To go on: charrnn learn --text mine.txt --chapter 2")
    done = charrnn("learn --chapter 10 --questions --answers --text mine.txt")
    words = " ".join(done.out.split())
    length = 5 * len(ROSE + "\n")
    assert f"Your whole text has {length} characters" in words
    each = (length - 1) // 4
    assert (
        f"Answer: {each // 14}. The last character is only a target. A stream has {each} characters" in words
    )
    assert charrnn("learn --chapter 10 --questions --answers --text mine.txt").out == done.out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a rose", "short has 6 characters; the lesson needs at least 173. Name a longer text"),
        ("a" * 60 + ROSE * 4, "short begins with 38 times 'a'; the lesson needs different characters"),
    ],
)
def test_a_text_that_is_no_good_for_a_lesson(text, message):
    Path("short.txt").write_text(text)
    done = charrnn("learn --text short.txt --no-input")
    assert (done.code, done.out) == (3, "")
    assert message in " ".join(done.err.split())
    assert charrnn("learn --text gone.txt").code == 3


@pytest.mark.slow
def test_the_whole_lesson_runs(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "charrnn", "learn", "--no-input"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={"PYTHONIOENCODING": "utf-8", "COLUMNS": "80", "PATH": ""},
        timeout=PATIENCE,
        check=True,
    )
    assert [f"{n} of 14 · " in done.stdout for n in range(1, 15)] == [True] * 14
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    assert "That is the whole lesson." in done.stdout


# ------------------------------------------------------------------------------------------------
# gradcheck


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_gradcheck_of_made_up_networks(cell):
    done = charrnn(
        f"gradcheck --cell {cell} --layers 2 --hidden 5 --vocab 7 --seq-length 4 --samples 30 --json"
    )
    assert done.code == 0
    found = json.loads(done.out)
    assert found["passed"] is True
    assert found["vocabulary"] == 7
    names = [tensor["name"] for tensor in found["tensors"]]
    network = Network(ModelConfig(cell, 2, 5), 7)
    assert sorted(names) == sorted([*network.params, "state", "input"])
    for tensor in found["tensors"]:
        assert tensor["relative_error"] < 1e-6
        assert tensor["norm"] > 1e-3
        assert tensor["checked"] == min(30, np.prod(tensor["shape"]))


def test_gradcheck_with_an_embedding_has_no_real_input():
    found = json.loads(charrnn("gradcheck --cell rnn --layers 1 --hidden 4 --embedding 3 --json").out)
    assert "embedding.weight" in [tensor["name"] for tensor in found["tensors"]]
    assert "input" not in [tensor["name"] for tensor in found["tensors"]]


def test_gradcheck_shows_a_table_that_tells_of_samples(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    done = charrnn("gradcheck --layers 1 --hidden 10 --samples 50")
    lines = {line.split()[0]: line for line in done.out.splitlines() if line.strip()}
    assert "50 of 400" in lines["lstm.weight_hh_l0"]
    assert "40×10" in lines["lstm.weight_hh_l0"]
    assert " all " in lines["lstm.bias_l0"]
    assert lines["lstm.weight_hh_l0"].rstrip().endswith("✓ pass")
    assert "All 7 agree" in done.out
    everything = charrnn("gradcheck --layers 1 --hidden 4 --samples 0").out
    assert " of " not in everything.split("error")[1].split("All 7")[0]


def test_gradcheck_of_a_model(model):
    found = json.loads(charrnn("gradcheck --model run --samples 20 --json").out)
    assert found["passed"] is True
    assert found["config"]["hidden"] == 6
    assert found["vocabulary"] == len(set(TEXT))


def test_gradcheck_fails_where_a_gradient_is_wrong(monkeypatch):
    right = lstm.backward

    def wrong(trace, dh_out, d_state, params, grads, buffers, *, dx=None):
        d_state = right(trace, dh_out, d_state, params, grads, buffers, dx=dx)
        grads["weight_hh"][0] *= 1.001
        return d_state

    monkeypatch.setattr(lstm, "backward", wrong)
    done = charrnn("gradcheck --layers 1 --hidden 4 --samples 0")
    assert done.code == 1
    assert "FAILED: lstm.weight_hh_l0." in done.out
    assert [line.split()[0] for line in done.out.splitlines() if line.rstrip().endswith("✗ FAIL")] == [
        "lstm.weight_hh_l0"
    ]
    done = charrnn("gradcheck --layers 1 --hidden 4 --samples 0 --json")
    assert done.code == 1
    assert json.loads(done.out)["passed"] is False


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        (
            "gradcheck --model run --hidden 4",
            2,
            "--hidden cannot be combined with --model, whose network is fixed",
        ),
        ("gradcheck --model run --vocab 4", 2, "--vocab cannot be combined with --model"),
        ("gradcheck --model nowhere", 4, "nowhere"),
        ("gradcheck --hidden 0", 2, "--hidden is 0"),
        ("gradient-flow --model run --cell rnn", 2, "--cell cannot be combined with --model"),
        ("gradient-flow --model nowhere", 4, "nowhere"),
        ("gradient-flow --model run", 3, "does not name its training text"),
        (
            "gradient-flow --model run --text text.txt --distance 5000",
            3,
            "a distance of 5000 needs at least 5,002",
        ),
        ("gradient-flow --text nothing.txt", 3, "nothing.txt"),
        ("gradient-flow --distance 10001", 2, "Invalid value for '--distance'"),
    ],
)
def test_what_goes_wrong_is_told(model, line, code, message):
    done = charrnn(line)
    assert (done.code, done.out) == (code, "")
    assert message in done.err


@pytest.mark.parametrize("command", ["gradcheck", "gradient-flow"])
def test_a_setting_that_does_not_go_with_a_model_is_named_as_it_was_given(model, command, monkeypatch):
    Path("file.toml").write_text("hidden = 5\n")
    done = charrnn(f"{command} --model run --config file.toml")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("charrnn: hidden (file.toml, line 1) cannot be combined with --model")
    monkeypatch.setenv("CHARRNN_LAYERS", "2")
    assert charrnn(f"{command} --model run").err.startswith(
        "charrnn: CHARRNN_LAYERS cannot be combined with --model"
    )


# ------------------------------------------------------------------------------------------------
# gradient-flow


def test_gradient_flow_of_fresh_networks_side_by_side():
    found = json.loads(charrnn("gradient-flow --hidden 24 --distance 30 --json").out)
    networks = {network["name"]: network for network in found["networks"]}
    assert list(networks) == ["rnn", "gru", "lstm"]
    for network in networks.values():
        assert np.shape(network["h"]) == (1, 31)
        assert network["places"] == 64
        assert network["clipping"] is None
    assert networks["rnn"]["c"] is networks["gru"]["c"] is None
    decay = {name: network["h"][0][30] / network["h"][0][0] for name, network in networks.items()}
    assert decay["rnn"] < 0.01 * decay["lstm"] < 0.01
    assert networks["lstm"]["spectral_radii"][0].keys() == {"i", "f", "g", "o"}


def test_gradient_flow_of_a_model_tells_of_clipping(model, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    done = charrnn("gradient-flow --model run --text text.txt --distance 20")
    assert done.code == 0
    assert "LSTM 2×6, on text.txt" in done.out
    # of the norms 1, 3, 5, 9, 1.5, 1, 1, 1: two above 4, three above 2
    words = " ".join(done.out.split())
    assert "--clip-norm 4 acted in 25% of 8 recorded steps" in words
    assert "--clip-value 2 acted in at most 38% of 8 recorded steps" in words
    found = json.loads(charrnn("gradient-flow --model run --text text.txt --distance 20 --json").out)
    [network] = found["networks"]
    clipping = {"recorded": 8, "clip_norm": 4.0, "clip_value": 2.0, "scaled": 2, "maybe_clipped": 3}
    assert network["clipping"] == clipping
    table = {line.split()[0]: line.split()[1:] for line in done.out.splitlines() if line.strip()}
    assert table["20"] == [
        f"{v:.2e}" for v in (*np.array(network["h"])[:, 20], *np.array(network["c"])[:, 20])
    ]
    (model / "metrics.jsonl").unlink()
    assert "not recorded" in charrnn("gradient-flow --model run --text text.txt --distance 20").out


def test_help_imports_no_numpy():
    code = "import sys; sys.argv = ['charrnn', 'learn', '--help']\n"
    code += "import atexit; atexit.register(lambda: print('numpy' in sys.modules, file=sys.stderr))\n"
    code += "import runpy; runpy.run_module('charrnn', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True
    )
    assert done.stderr.strip() == "False"
