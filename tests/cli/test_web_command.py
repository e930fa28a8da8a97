"""charrnn export --to web and charrnn play, as commands: files, stdout, stderr, messages."""

import json
import webbrowser
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import numpy as np
import pytest
from helpers.command_line import charrnn
from helpers.random_models import random_model

from charrnn.exchange.to_web import module
from charrnn.model.model import load_model
from charrnn.score.rounding import losses_of_roundings
from charrnn.training.session import train
from charrnn.ui.html.play_page import model_bytes

FINDING = {"concept": "quote", "layer": 0, "cell": 2, "sign": 1, "verdict": "tracker", "confirm_score": 0.9}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The current folder has a GRU in m.safetensors and one finding of its cells in f.json."""
    monkeypatch.chdir(tmp_path)
    random_model("\n abc", dtype=np.float32, cell="gru", hidden=4).save("m.safetensors")
    Path("f.json").write_text(json.dumps({"findings": [FINDING]}))


def data_of(page):
    text = Path(page).read_text(encoding="utf-8")
    return json.loads(text.split('<script type="application/json" id="data">')[1].split("</script>")[0])


def test_a_page():
    done = charrnn(
        *("export", "--to", "web", "--model", "m.safetensors", "--out", "p.html", "--findings", "f.json")
    )
    assert (done.code, done.out) == (0, "p.html\n")
    assert "what the precisions cost is not known: the model file does not name its training text" in done.err
    data = data_of("p.html")
    assert [one["concept"] for one in data["findings"]] == ["quote"]
    assert data["file"] == "m.safetensors"
    assert charrnn("export", "--to", "web", "--model", "m.safetensors", "--out", "p.html").code == 0
    assert data_of("p.html")["findings"] == []


def test_the_module_spares_the_model():
    Path("m.safetensors").rename("model.bin")
    before = Path("model.bin").read_bytes()
    done = charrnn("export", "--to", "web", "--module", "--model", "model.bin", "--out", ".")
    assert done.code == 2
    assert "model.bin" in done.err
    assert Path("model.bin").read_bytes() == before


def test_the_module():
    done = charrnn(
        *(
            "export",
            "--to",
            "web",
            "--module",
            "--model",
            "m.safetensors",
            "--out",
            "site",
            "--precision",
            "int8",
        ),
        "--json",
    )
    assert done.code == 0
    told = json.loads(done.out)
    assert (told["files"], told["precision"], told["loss_nats"]) == (
        ["site/model.js", "site/model.bin"],
        "int8",
        None,
    )
    assert Path("site/model.js").read_text(encoding="utf-8") == module()
    assert Path("site/model.bin").read_bytes() == model_bytes(load_model("m.safetensors"), "int8")


def test_what_each_precision_costs_is_told():
    Path("t.txt").write_text("to be or not to be, that is the question. " * 60)
    train("t.txt", out="run", cell="rnn", layers=1, hidden=12, max_steps=60, backend="numpy")
    done = charrnn("export", "--to", "web", "--model", "run", "--out", "p.html", "--json")
    told = json.loads(done.out)
    losses = told["loss_nats"]
    assert told["symbols"] == 252
    assert losses["trained"] == pytest.approx(losses["float32"], abs=1e-6)
    assert abs(losses["float16"] - losses["trained"]) < 1e-3
    assert 0 < abs(losses["int8"] - losses["trained"]) < 0.1
    assert losses["int8"] != losses["float16"]
    assert f"{losses['trained']:.4f} nats per symbol" in done.err
    assert "(chosen)" in done.err.split("float16")[1].split(",")[0]
    model = load_model("run/model.safetensors")
    model.network.params["head.weight"][0, 0] = 1e6  # beyond float16
    assert sorted(losses_of_roundings(model).rounded) == ["float32", "int8"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--to web", "--to web needs a file"),
        ("--to keras --out k.npz --precision int8", "--precision and --module need --to web"),
        ("--to keras --out k.npz --module", "--precision and --module need --to web"),
        ("--to onnx --out k.onnx --inspect", "--findings and --inspect need a page"),
        ("--to web --module --out d --findings f.json", "--findings and --inspect need a page"),
        ("--to web --out p.html --findings f.json --inspect", "--findings cannot be combined with --inspect"),
        ("--to web --out f.json", "--out f.json: this file exists and is not a web page"),
        ("--to web --out gone/p.html", "gone is not a folder"),
        ("--to web --module --out gone/d", "--out gone/d cannot be used as a folder"),
        ("--to web --module --out f.json", "--out f.json cannot be used as a folder"),
        ("--to web --out p.html --findings m.safetensors", "cannot be read as JSON"),
        ("--to web --out p.html --findings gone.json", "--findings gone.json cannot be read"),
        ("--to web --out p.html --precision int4", "int4"),
    ],
)
def test_what_is_refused(arguments, message):
    done = charrnn("export", "--model", "m.safetensors", *arguments.split())
    assert done.code in (1, 2, 3)
    assert message in done.err
    assert done.out == ""
    assert not Path("p.html").exists()


@pytest.mark.parametrize("opens", [True, False, webbrowser.Error])
def test_play_opens_a_page_and_tells_its_address(opens, tmp_path, monkeypatch):
    asked = []

    def opened(address):
        asked.append(address)
        if opens is webbrowser.Error:
            raise webbrowser.Error("none")
        return opens

    monkeypatch.setattr(webbrowser, "open", opened)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    done = charrnn("play", "--model", "m.safetensors", "--findings", "f.json")
    assert done.code == 0
    assert asked == [done.out.strip()]
    page = Path(url2pathname(urlparse(asked[0]).path))
    assert tmp_path in page.parents
    assert data_of(page)["findings"][0]["concept"] == "quote"
    assert ("open the address above" in done.err) == (opens is not True)
