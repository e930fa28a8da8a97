"""charrnn export and charrnn import, as commands: files, stdout, exit codes, messages."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import charrnn
from helpers.random_models import random_model

from charrnn.install.extras import how_to_install
from charrnn.model.model import load_model

VOCAB = "\n abc"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The current folder has a GRU in m.safetensors."""
    monkeypatch.chdir(tmp_path)
    random_model(VOCAB, dtype=np.float32, cell="gru", hidden=4).save("m.safetensors")


def logits_of(path):
    return load_model(path).logits(np.arange(5)[:, None])[0]


def test_the_torch_lines_go_to_stdout():
    done = charrnn("export", "--to", "torch", "--model", "m.safetensors")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "from safetensors.torch import load_file; from torch import nn",
        'model = nn.ModuleDict({"gru": nn.GRU(5, 4, 2), "head": nn.Linear(4, 5)})',
        "model.load_state_dict(load_file('m.safetensors'))",
        'def logits(ids, state=None): h, state = model["gru"](nn.functional.one_hot(ids, 5).float(), state); '
        'return model["head"](h), state',
        "model.eval()",
    ]
    told = json.loads(charrnn("export", "--to", "torch", "--model", "m.safetensors", "--json").out)
    assert told == {"model": "m.safetensors", "to": "torch", "code": done.out}


def test_an_onnx_file():
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    done = charrnn("export", "--to", "onnx", "--model", "m.safetensors", "--out", "m.onnx")
    assert (done.code, done.out, done.err) == (0, "m.onnx\n", "")
    assert [i.name for i in onnx.load("m.onnx").graph.input] == ["ids", "state"]
    both = charrnn(
        *("export", "--to", "onnx", "--model", "m.safetensors"),
        *("--out", "m.onnx", "--graph", "both", "--json"),
    )
    assert json.loads(both.out)["files"] == ["m-step.onnx", "m-sequence.onnx"]
    assert Path("m-sequence.onnx").read_bytes() == Path("m.onnx").read_bytes()
    assert onnx.load("m-step.onnx").graph.name == "charrnn_gru_step"


def test_a_keras_file():
    done = charrnn("export", "--to", "keras", "--model", "m.safetensors", "--out", "m.weights.npz")
    assert (done.code, done.out, done.err) == (0, "m.weights.npz\n", "")
    with np.load(io.BytesIO(Path("m.weights.npz").read_bytes())) as arrays:
        np.testing.assert_array_equal(
            arrays["head/kernel"], load_model("m.safetensors").weights["head.weight"].T
        )


def test_import_takes_back_what_torch_would_load():
    # A model file is a torch state dict: so it can be taken in, under other symbols too.
    done = charrnn("import", "m.safetensors", "--vocab", VOCAB, "--out", "n.safetensors")
    assert (done.code, done.out) == (0, "n.safetensors\n")
    assert "gru.weight_ih_l0 -> gru.weight_ih_l0\n" in done.err
    np.testing.assert_array_equal(logits_of("n.safetensors"), logits_of("m.safetensors"))
    Path("text.txt").write_text("abba cab\n")
    done = charrnn("import", "m.safetensors", "--vocab", "@text.txt", "--out", "n.safetensors", "--json")
    assert "5 distinct characters of the text" in done.err
    told = json.loads(done.out)
    assert (told["model"], told["cell"], told["layers"], told["hidden"]) == ("n.safetensors", "gru", 2, 4)
    assert told["parameters"] == load_model("n.safetensors").network.theta.size
    assert charrnn("sample", "--model", "n.safetensors", "--length", "9", "--seed", "1").code == 0
    assert charrnn("info", "--model", "n.safetensors").code == 0
    reversed_ = charrnn("import", "m.safetensors", "--vocab", VOCAB[::-1], "--out", "r.safetensors")
    assert reversed_.code == 0
    model = load_model("r.safetensors")
    found = model.logits(np.arange(5)[::-1, None])[0][..., ::-1]
    np.testing.assert_allclose(found, logits_of("m.safetensors"), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("export --to tflite", 2, "Invalid value for '--to'"),
        ("export --to torch --out lines.py --model m.safetensors", 2, "--to torch writes no file"),
        ("export --to onnx --model m.safetensors", 2, "--to onnx needs a file to write to: --out FILE"),
        ("export --to keras --graph step --out k --model m.safetensors", 2, "--graph needs --to onnx"),
        (
            "export --to keras --out m.safetensors --model m.safetensors",
            2,
            "--out m.safetensors is the model",
        ),
        ("export --to torch --model nowhere.safetensors", 4, "nowhere.safetensors: it cannot be read"),
        ("import m.safetensors --out n", 2, "--level char needs --vocab"),
        ("import m.safetensors --out n --level byte --vocab abc", 2, "--level byte has none"),
        ("import m.safetensors --out m.safetensors --vocab abc", 2, "is the file to read"),
        ("import m.safetensors --out n --vocab abc", 4, "m.safetensors: no tensor can be the head: for 3"),
        ("import m.safetensors --out n --vocab @no.txt", 3, "--vocab @no.txt cannot be read"),
        ("import m.safetensors --out n --cell lstm --vocab abcde", 4, "of a GRU, not of --cell lstm"),
        ("import no.safetensors --out n --vocab abc", 4, "no.safetensors: it cannot be read"),
    ],
)
def test_what_goes_wrong(line, code, message):
    before = Path("m.safetensors").read_bytes()
    done = charrnn(*line.split())
    assert (done.code, done.out) == (code, "")
    assert message in done.err
    assert sorted(path.name for path in Path().iterdir()) == ["m.safetensors"]
    assert Path("m.safetensors").read_bytes() == before


def test_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    done = charrnn("export", "--to", "onnx", "--model", "m.safetensors", "--out", "m.onnx")
    assert (done.code, done.out) == (2, "")
    told = "--to onnx needs the extra onnx, which is not installed: "
    assert done.err == f"charrnn: {told}{how_to_install('onnx')}\n"
