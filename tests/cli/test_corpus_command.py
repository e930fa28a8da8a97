"""charrnn corpus, as a command."""

import hashlib
import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from charrnn.cli.corpus import corpus
from charrnn.errors import UsageError
from charrnn.text import library


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/a.py").write_text("a = 1\n")
    (tmp_path / "story.txt").write_text("Once.")

    def texts(max_bytes=None):
        return [
            library.Shipped("shipped", "a story", "CC0-1.0", tmp_path / "story.txt"),
            library.Shipped("absent", "not here", "CC0-1.0", tmp_path / "absent.txt"),
            library.StandardLibrary("python-stdlib", "[python]", "PSF-2.0", tmp_path / "lib", max_bytes),
            library.Download("far", "a play", "public domain", "http://localhost/far", 1_115_394, "86c4"),
        ]

    monkeypatch.setattr(library, "texts", texts)
    app = typer.Typer()
    app.command()(corpus)

    def run(*arguments):
        result = CliRunner().invoke(app, arguments)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def test_the_list(run, tmp_path):
    lines = run().stdout.splitlines()
    assert lines == [
        "NAME               BYTES  LICENCE        WHAT IT IS, AND WHERE",
        "shipped                5  CC0-1.0        a story",
        f"                                         {tmp_path}/story.txt",
        "absent          not here  CC0-1.0        not here",
        f"                                         {tmp_path}/absent.txt",
        "python-stdlib          6  PSF-2.0        [python]",
        f"                                         {tmp_path}/lib",
        "far            1,115,394  public domain  a play",
        "                                         http://localhost/far",
    ]


def test_the_list_as_json(run, tmp_path):
    described = json.loads(run("--json").stdout)["corpora"]
    assert [text["bytes"] for text in described] == [5, None, 6, 1_115_394]
    assert described[0] == {
        "name": "shipped",
        "bytes": 5,
        "licence": "CC0-1.0",
        "source": f"{tmp_path}/story.txt",
        "about": "a story",
        "sha256": hashlib.sha256(b"Once.").hexdigest(),
    }


def test_a_text_is_made_and_its_path_printed(run, tmp_path):
    assert run("python-stdlib").stdout == "python-stdlib.txt\n"
    assert Path("python-stdlib.txt").read_text() == "a = 1\n"
    assert run("shipped").stdout == f"{tmp_path}/story.txt\n"
    made = json.loads(run("python-stdlib", "--out", "b.txt", "--max-bytes", "9", "--json").stdout)
    assert made["path"] == "b.txt"
    assert made["bytes"] == 6
    assert made["sha256"] == hashlib.sha256(b"a = 1\n").hexdigest()


def test_force(run):
    Path("x.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"x\.txt exists"):
        run("python-stdlib", "--out", "x.txt")
    run("python-stdlib", "--out", "x.txt", "--force")
    assert Path("x.txt").read_text() == "a = 1\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "no text 'nothing'"),
        (["--force"], "need the name of a text"),
        (["--out", "a"], "need the name of a text"),
        (["shipped", "--max-bytes", "5"], "--max-bytes needs python-stdlib"),
        (["shipped", "mess3"], "only process takes a second name"),
        (["shipped", "--symbols", "5"], "--symbols and --seed need a process"),
        (["process", "mess3", "--max-bytes", "5"], "a process takes --symbols"),
        (["process", "--force"], "need the name of a process"),
        (["process", "mess4"], "no process 'mess4'"),
    ],
)
def test_wrong_usage(run, arguments, message):
    with pytest.raises(UsageError, match=message):
        run(*arguments)


def test_the_list_of_processes(run):
    lines = run("process").stdout.splitlines()
    assert (
        "rrxor        5 states  0.4621 nats  two random bits and their exclusive or, from an unknown place on"
        in lines
    )
    described = json.loads(run("process", "--json").stdout)["processes"]
    assert [line.split()[0] for line in lines] == [process["name"] for process in described]
    mess3 = next(process for process in described if process["name"] == "mess3")
    assert (mess3["symbols"], mess3["states"], mess3["entropy_rate_nats"]) == ("ABC", ["A", "B", "C"], None)


def test_a_text_of_a_process(run, tmp_path):
    first = run("process", "rrxor", "--symbols", "300")
    assert first.stdout == "rrxor.txt\n"
    assert "hidden states in rrxor.states.npz; the least possible loss on this text is 0." in first.stderr
    text = Path("rrxor.txt").read_text()
    assert len(text) == 300
    other = json.loads(
        run("process", "rrxor", "--symbols", "300", "--seed", "2", "--out", "other.txt", "--json").stdout
    )
    assert other["states"] == "other.states.npz"
    assert Path("other.txt").read_text() != text
    assert 0.4 < other["least_loss_nats"] < 0.6


def test_wrong_numbers(run):
    assert run("python-stdlib", "--max-bytes", "0").exit_code == 2
