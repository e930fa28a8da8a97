"""charrnn automaton, fixed-points and probe --beliefs, as commands."""

import json
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from helpers.machines import latches, machine_model
from typer.testing import CliRunner, Result

from charrnn.cli.app import app
from charrnn.errors import DataError, UsageError
from charrnn.text.known_processes import process
from charrnn.text.process_files import Written, make

TRUE_STATES = 4  # of tomita-3
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models that are known machines, and texts for them."""
    folder = tmp_path_factory.mktemp("laboratory")
    known = process("tomita-3")
    make(Written(known, 3000, seed=2), folder / "odd.txt", force=False)
    machine_model(known, noise=0.05).save(folder / "odd.safetensors")
    latches(3).save(folder / "latches.safetensors")
    letters = np.random.default_rng(0).choice(list("?ABCabc"), 400)
    (folder / "letters.txt").write_text("".join(letters))
    return folder


@pytest.fixture(autouse=True)
def here(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


def run(command: str, *arguments: str) -> Result:
    result = CliRunner().invoke(app, [command, *arguments])
    if result.exception and not isinstance(result.exception, UsageError | DataError | SystemExit):
        raise result.exception
    return result


ODD = ("--model", "odd.safetensors", "--text", "odd.txt")
LATCHES = ("--model", "latches.safetensors", "--text", "letters.txt")


def labels(picture: str) -> list[str]:
    root = ElementTree.parse(picture).getroot()
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def test_the_automaton_as_a_table_a_picture_and_json() -> None:
    shown = run("automaton", *ODD, "--process", "tomita-3", "--out", "odd.svg")
    assert shown.exit_code == 0, shown.output
    words = " ".join(shown.stdout.split())
    assert "equal to tomita-3, whose smallest machine has 4 states" in words
    assert "same characters at 100.00% of the places" in words
    answer = json.loads(run("automaton", *ODD, "--process", "tomita-3", "--json").stdout)
    assert list(answer) == [
        *("model", "start", "states", "clusters", "agreement", "fidelity", "lost", "loss_nats"),
        *("network_loss_nats", "held_out_symbols", "comparison"),
    ]
    assert answer["comparison"] == {
        "process": "tomita-3",
        "states": TRUE_STATES,
        "equal": True,
        "difference": None,
    }
    assert len(answer["states"]) == TRUE_STATES
    rows = re.findall(r"^ +(\d+) +[\d.]+% (.*)$", shown.stdout, re.MULTILINE)
    for (number, edges), state in zip(rows, answer["states"], strict=True):
        assert answer["states"][int(number)] is state
        told = {c.replace("↵", "\n"): int(to) for c, to in re.findall(r"(\S) [\d.]+→(\d+)", edges)}
        assert told == state["next"]
    # The picture has each state by its number and each arrow by its characters.
    drawn = labels("odd.svg")
    arrows: dict[tuple[int, int], list[str]] = {}
    for number, state in enumerate(answer["states"]):
        for character, to in state["next"].items():
            arrows.setdefault((number, to), []).append(character.replace("\n", "↵"))
    assert sorted(drawn) == sorted([*map(str, range(TRUE_STATES)), *map(" ".join, arrows.values())])


def test_another_process_is_told_apart() -> None:
    words = " ".join(run("automaton", *ODD, "--process", "tomita-4").stdout.split())
    answer = json.loads(run("automaton", *ODD, "--process", "tomita-4", "--json").stdout)
    found = answer["comparison"]
    assert not found["equal"]
    # 000 is in the third language only.
    assert found["difference"] == {"text": "00", "character": "0", "allowed_by_first": True}
    assert "after 00 the network allows 0, tomita-4 does not" in words


def test_fixed_points_as_a_table_a_picture_and_json() -> None:
    shown = run("fixed-points", *LATCHES, "--starts", "400", "--out", "points.svg")
    assert shown.exit_code == 0, shown.output
    assert "8 stable, 18 saddle, 1 unstable; 400 searches, 0 of which ended at no point" in shown.stdout
    answer = json.loads(run("fixed-points", *LATCHES, "--starts", "400", "--json").stdout)
    assert list(answer) == ["model", "reading", "points", "searches", "lost"]
    kinds = [point["kind"] for point in answer["points"]]
    assert [kinds.count(kind) for kind in ("stable", "saddle", "unstable")] == [8, 18, 1]
    drawn = labels("points.svg")
    assert drawn[:-2] == [str(number) for number in range(27)]
    root = ElementTree.parse("points.svg").getroot()
    marks = [mark.get("class") for mark in root.iter(f"{SVG}circle")]
    assert (marks.count("stable"), marks.count("unstable"), marks.count("dot")) == (8, 19, 400)


def test_points_of_a_character_that_is_read_again_and_again() -> None:
    given = (*LATCHES, "--reading", "A", "--ask", "aB", "--json")
    answer = json.loads(run("fixed-points", *given).stdout)
    assert answer["reading"] == "A"
    assert [point["kind"] for point in answer["points"]].count("stable") == 4
    assert {point["expects"][0]["character"] for point in answer["points"][:4]} <= {"B", "C"}


def test_beliefs_as_a_table_and_json() -> None:
    given = ("--beliefs", "odd.txt", "--model", "odd.safetensors")
    shown = run("probe", *given)
    assert shown.exit_code == 0, shown.output
    answer = json.loads(run("probe", *given, "--json").stdout)
    assert answer["r2"] > 0.9999
    assert max(answer["untrained_r2"]) < 0.9
    rows = dict(re.findall(r"^(.*?)  +(-?[\d.]+)\b", shown.stdout, re.MULTILINE))
    *_, beyond = answer["beyond"]
    assert [one["symbols"] for one in answer["beyond"]] == [1, 2, 3]
    assert "beyond the last 3 symbols\n" in shown.stdout
    assert f"{answer['r2']:.4f}{beyond['r2']:>28.4f}\n" in shown.stdout
    assert f"{max(answer['untrained_r2']):.4f}{max(beyond['untrained_r2']):>28.4f}\n" in shown.stdout
    assert f"the last 3 symbols leave {beyond['left']:.1%} of the beliefs' variance untold\n" in shown.stdout
    assert float(rows["state of the model"]) == pytest.approx(answer["r2"], abs=1e-4)
    assert float(rows["the best of 5 untrained networks"]) == pytest.approx(
        max(answer["untrained_r2"]), abs=1e-4
    )
    selectivity = float(rows["selectivity: the model less the control task"])
    assert selectivity == pytest.approx(answer["r2"] - answer["control_r2"], abs=1e-4)


@pytest.mark.parametrize(
    ("command", "arguments", "error", "message"),
    [
        ("automaton", (*ODD, "--process", "tomita-9"), UsageError, "no process 'tomita-9'"),
        ("automaton", (*ODD, "--process", "mess3"), UsageError, "mess3 is no finite machine"),
        ("automaton", (*ODD, "--out", "odd.png"), UsageError, "--out odd.png: the picture is an SVG file"),
        ("automaton", (*ODD, "--out", "no/odd.svg"), UsageError, "no is not a folder"),
        (
            "fixed-points",
            (*LATCHES, "--reading", "AB"),
            UsageError,
            "--reading is 'AB'; it must be one character",
        ),
        ("fixed-points", (*LATCHES, "--reading", "x"), DataError, "'x'"),
        (
            "fixed-points",
            (*LATCHES, "--out", "odd.png"),
            UsageError,
            "--out odd.png: the picture is an SVG file",
        ),
        ("probe", ("--beliefs", "letters.txt"), DataError, "letters.states.npz"),
        ("probe", ("--beliefs", "odd.txt", "odd.csv"), UsageError, "--beliefs cannot be combined with a CSV"),
        ("probe", ("--beliefs", "odd.txt", "--out", "p"), UsageError, "combined with --out"),
    ],
)
def test_wrong_usage(command: str, arguments: tuple[str, ...], error: type[Exception], message: str) -> None:
    if command == "probe":
        arguments = (*arguments, "--model", "odd.safetensors")
    found = run(command, *arguments).exception
    assert isinstance(found, error), found
    assert message in str(found)
