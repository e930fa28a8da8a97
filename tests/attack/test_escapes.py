"""Nothing that a file of someone else's holds can drive the terminal."""

import ast
import json
import re
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from helpers.command_line import Outcome, charrnn
from helpers.victims import TEXT, card_of, commands, run_folder, small_model

from charrnn.model.model import load_model
from charrnn.model.model_file import read_metadata
from charrnn.probe.probe import Probe
from charrnn.text.vocabulary import Vocabulary
from charrnn.ui.terminal.output import json_text

PACKAGE = Path(__file__).parents[2] / "charrnn"
ESC, CSI, RIGHT_TO_LEFT, DELETE = "\x1b", "\x9b", "\u202e", "\x7f"
EVIL = f"{ESC}]0;owned\x07{CSI}31m{RIGHT_TO_LEFT}{DELETE}"
LINE = f"bad {EVIL} text\n"

# What our own views send: colours, and the cursor of progress bars.
OURS = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[[0-9]*[AK]|\x1b\[2K")


def acting(text: str) -> set[str]:
    """The characters of a text that could act on a terminal, but for line ends and tabs."""
    acts = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    return {c for c in OURS.sub("", text) if unicodedata.category(c) in acts} - set("\n\t\r")


def evil(value: Any) -> Any:
    """The same card with every string in it (but those that are looked up) made evil."""
    if isinstance(value, dict):
        return {k: evil(v) if k not in ("sha256", "settings", "sources") else v for k, v in value.items()}
    if isinstance(value, list):
        return [evil(item) for item in value]
    return value + EVIL if isinstance(value, str) else value


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of which every name, string and symbol is evil, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERM", "xterm-256color")
    folder = run_folder(tmp_path / f"run{EVIL}", (TEXT + LINE) * 3)
    corpus = tmp_path / f"run{EVIL}.txt"
    card = evil(card_of(corpus)) | {"changes": [EVIL], "init_from": {"path": EVIL}, "versions": {EVIL: EVIL}}
    small_model(corpus.read_text(encoding="utf-8"), card).save(folder / "model.safetensors")
    with open(folder / "samples.jsonl", "w") as file:
        file.write(json.dumps({"step": 1, "text": EVIL}) + "\n")
    rows = "".join(f'"{LINE.strip()} {"ab"[k % 2] * k}","{EVIL}{k % 2}"\n' for k in range(40))
    (tmp_path / "labels.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    return folder


def test_commands_that_read_a_model(run: Path) -> None:
    for args in commands(run):
        harmless(charrnn(*args, terminal=True), args)


def test_the_newest_run_is_named_without_acting(run: Path) -> None:
    (run.parent / "runs").mkdir()
    run.rename(run.parent / "runs" / run.name)
    told = charrnn("info", terminal=True)
    harmless(told, ["info"])
    assert r"run\x1b]0;owned\x07\x9b31m\u202e\x7f" in told.err


@pytest.mark.slow
def test_probes_that_are_fitted(run: Path) -> None:
    harmless(charrnn("probe", "labels.csv", "--model", run, terminal=True), ["probe"])
    harmless(charrnn("probe", "labels.csv", "--model", run, "--json", terminal=True), ["probe", "--json"])


def test_probes_that_tell(run: Path) -> None:
    file = run / "model.safetensors"
    labels = (f"a{EVIL}", f"b{EVIL}")
    model = load_model(file).config
    cells = model.layers * model.hidden
    probe = Probe(labels, np.ones((2, cells)), np.ones(2), read_metadata(file)["sha256"], str(file))
    probe.save(run / "p.safetensors")
    for as_json in ([], ["--json"]):
        args = ["probe", "--predict", "labels.csv", "--probe", run / "p.safetensors", *as_json]
        harmless(charrnn(*args, terminal=True), args)


def test_import(tmp_path: Path) -> None:
    names = {"weight_ih_l0": (4, 3), "weight_hh_l0": (4, 4), "bias_ih_l0": (4,), "bias_hh_l0": (4,)}
    tensors = {f"{EVIL}.rnn.{name}": np.ones(shape, np.float32) for name, shape in names.items()}
    tensors |= {f"{EVIL}.fc.weight": np.ones((3, 4), np.float32), f"{EVIL}.fc.bias": np.ones(3, np.float32)}
    file = tmp_path / "net.safetensors"
    safetensors.numpy.save_file(tensors, file)
    told = charrnn("import", file, "--vocab", "abc", "--out", tmp_path / f"{EVIL}.safetensors", terminal=True)
    harmless(told, ["import"])
    assert r"\x1b]0;owned" in told.err


def test_training_and_its_last_line(run: Path) -> None:
    small = ["--hidden", 4, "--layers", 1, "--max-steps", 3, "--backend", "numpy", "--threads", 1]
    told = charrnn("train", run.with_suffix(".txt"), "--out", f"new{EVIL}", *small, terminal=True)
    harmless(told, ["train"])
    assert "charrnn sample --model" in told.err


@pytest.mark.parametrize(
    "args", [["--nope" + EVIL], ["ev" + EVIL], ["eval", "--model", EVIL, EVIL], ["info", "--model", EVIL]]
)
def test_messages_of_errors(args: list[str]) -> None:
    told = charrnn(*args, terminal=True)
    assert told.code in (2, 4)
    assert not acting(told.out + told.err)
    assert r"\x1b" in told.err


def harmless(told: Outcome, args: list[Any]) -> None:
    assert told.code == 0, (args, told.err)
    assert not acting(told.out), args
    assert not acting(told.err), args
    assert told.out or told.err


def test_json_is_still_json_when_it_is_escaped() -> None:
    value = {EVIL: [EVIL, "é", "\n", "\U000e0001", '"\\']}
    for ascii in (True, False):
        text = json_text(value, ascii=ascii)
        assert not acting(text)
        assert json.loads(text) == value
    assert json_text("é", ascii=False) == '"é"'


def test_a_pipe_gets_the_data_as_it_is(tmp_path: Path) -> None:
    model = small_model(Vocabulary("char", ("\x1b", "\x9b")))
    model.save(tmp_path / "m.safetensors")
    told = charrnn("sample", "--model", tmp_path / "m.safetensors", "--length", 50, "--seed", 1)
    assert set(told.out) == {"\x1b", "\x9b"}


# ------------------------------------------------------------------------------------------------
# One way to the terminal

SPEAKS = {"ui/terminal/output.py", "ui/terminal/console.py"}
ECHOES = {
    "typer.echo",
    "typer.secho",
    "typer.prompt",
    "typer.confirm",
    "click.echo",
    "click.secho",
    "os.system",
}


def ways_to_a_terminal(source: str) -> list[str]:
    """The calls and imports of a file that write to stdout or stderr, each with its line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "rich":
            found += [
                f"{node.lineno}: {a.name}"
                for a in node.names
                if a.name in ("Console", "print", "get_console")
            ]
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        descriptor = name == "os.write" and ast.unparse(node.args[0]) in ("1", "2")
        stream = re.fullmatch(r"sys\.(__)?std(out|err)(__)?(\.buffer)?\.write(lines)?", name)
        if name == "print" or name in ECHOES or descriptor or stream or name == "rich.console.Console":
            found.append(f"{node.lineno}: {name}")
    return found


def test_the_search_finds_what_it_looks_for() -> None:
    for line in (
        "print(1)",
        "typer.echo(1, err=True)",
        "sys.stderr.write('')",
        "sys.stdout.buffer.write(b'')",
        "os.write(2, b'')",
        "from rich.console import Console",
    ):
        assert ways_to_a_terminal(line), line


def test_nothing_else_writes_to_a_terminal() -> None:
    found = {
        path.relative_to(PACKAGE).as_posix(): ways_to_a_terminal(path.read_text(encoding="utf-8"))
        for path in PACKAGE.rglob("*.py")
    }
    assert {path: ways for path, ways in found.items() if ways and path not in SPEAKS} == {}
