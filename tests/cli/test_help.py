"""Help in groups, short options, the run as an argument, and every spelling that ever was."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from helpers.command_line import charrnn
from helpers.random_models import random_model
from helpers.small_runs import SETTINGS, write_text
from typer.main import get_command

from charrnn.cli import help as groups
from charrnn.cli.app import app
from charrnn.cli.origin import SHORT
from charrnn.training.session import train

COMMANDS: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]

# The options before there were short ones. They stay, whatever is added.
BEFORE = {
    "train": """
        --out --preset --resume --force --init-from --dry-run --show-config --tensorboard --quiet --json
        --cell --layers --hidden --embedding --nonlinearity --seq-length --batch-size --jitter --no-jitter
        --optimizer --lr --schedule --warmup-steps --decay --decay-every --final-lr --clip-value --clip-norm
        --dropout --dropout-kind --weight-drop --embedding-dropout --input-dropout --ar --tar
        --label-smoothing --l1 --l2 --weight-decay --average --freeze-layers --epochs --max-steps
        --max-minutes --patience --level --encoding --newlines --min-count --items --text-column
        --label-column --input-column --val --test --val-fraction --test-fraction --eval-every
        --checkpoint-every --snapshots --seed --init --backend --device --precision --threads
    """,
    "sample": """
        --model --prime --no-prime --with-prime --label --input --temp --stop --clamp --beam --interactive
        --raw --unique --new --novelty --novelty-min --novelty-corpus --check --counts --json --length
        --top-k --top-p --min-p --repetition-penalty --count --seed --unknown --weights
    """,
    "transform": """
        --model --text-column --input-column --beam --length --label --reference --unknown --json
    """,
    "probe": """
        --model --text-column --label-column --held-out --seed --unknown --out --predict --probe --features
        --json
    """,
    "eval": """
        --model --split --encoding --newlines --items --text-column --label-column --input-column --unknown
        --per-line --order --highlight --worst --no-baselines --counts --adapt --corpus --json
    """,
    "classify": """
        --model --items --text-column --input-column --label-column --column --prior --unknown --summary
        --json
    """,
    "inspect-cells": """
        --model --text --concept --expect --cell --gates --top --passages --guesses --style --no-causal
        --quick --list --json --csv --html
    """,
    "info": """
        --model --json
    """,
    "report": """
        --html --text --causal
    """,
    "corpus": """
        --out --force --max-bytes --symbols --seed --json
    """,
    "export": """
        --to --model --out --graph --precision --findings --inspect --module --json
    """,
    "play": """
        --model --precision --findings --inspect
    """,
    "import": """
        --out --vocab --level --cell --nonlinearity --embedding --head --json
    """,
    "learn": """
        --chapter --no-input
    """,
    "gradcheck": """
        --model --vocab --seq-length --batch-size --samples --seed --json --cell --layers --hidden
        --embedding --nonlinearity
    """,
    "gradient-flow": """
        --model --cell --layers --hidden --text --distance --seed --json
    """,
    "tune": """
        --space --out --resume --show-space --quiet --json --search --trials --max-minutes --trial-minutes
        --trial-steps --jobs --keep --seed
    """,
}


def named(command: Any) -> dict[str, Any]:
    """The options of a command by each of their spellings."""
    options = [param for param in command.params if param.param_type_name == "option"]
    return {name: option for option in options for name in (*option.opts, *option.secondary_opts)}


@pytest.mark.parametrize("name", BEFORE)
def test_old_spellings_are_taken(name: str) -> None:
    command = COMMANDS[name]
    known = named(command)
    for spelling in BEFORE[name].split():
        value = [] if known[spelling].is_flag else ["1"]
        context = command.make_context(name, [spelling, *value], resilient_parsing=True)
        source = context.get_parameter_source(known[spelling].name)
        assert source is not None, spelling
        assert source.name == "COMMANDLINE", spelling
        assert (
            known[spelling].envvar == f"CHARRNN_{groups.name_of(known[spelling]).upper().replace('-', '_')}"
        )


def test_a_spelling_that_is_gone_would_be_seen() -> None:
    assert "--out" in named(COMMANDS["train"])
    assert "--outfile" not in named(COMMANDS["train"])


@pytest.mark.parametrize("short", SHORT.values())
def test_short_options_mean_the_long_ones(short: str) -> None:
    long = next(name for name, letter in SHORT.items() if letter == short)
    having = [name for name, command in COMMANDS.items() if long in named(command)]
    assert having
    for name in having:
        assert named(COMMANDS[name])[short] is named(COMMANDS[name])[long]
        assert f"{short}, {long}" in " ".join(charrnn(name, "--help").out.split())


def test_version_by_one_letter() -> None:
    assert charrnn("-V") == charrnn("--version")
    assert charrnn("-V").out.startswith("charrnn ")


def test_every_command_is_in_one_group() -> None:
    listed = " ".join(groups.COMMANDS.values()).split()
    assert len(listed) == len(set(listed))
    assert set(COMMANDS) <= set(listed)


@pytest.mark.parametrize("name", groups.OPTIONS)
def test_the_groups_of_a_long_command_are_of_its_options(name: str) -> None:
    listed = " ".join(groups.OPTIONS[name].values()).split()
    own = {groups.name_of(option) for option in named(COMMANDS[name]).values()} - {*groups.GENERAL.split()}
    assert len(listed) == len(set(listed))
    assert set(listed) <= own
    if name == "train":  # of the others, one that is new may stand under Options
        assert set(listed) == own


def headings(shown: str) -> list[str]:
    return [line[:-1] for line in shown.splitlines() if line[:1].strip() and line.endswith(":")]


def test_train_shows_its_groups() -> None:
    assert headings(charrnn("train", "--help").out) == [
        *("Arguments", "Run", "Model", "Optimiser", "Regularisation", "Budget", "Text"),
        *("Validation and saving", "Engine", "General"),
    ]


def test_all_groups_have_the_same_columns() -> None:
    shown = charrnn("sample", "--help").out.split("What to write:")[1]
    begins = {len(line) - len(line.lstrip()) for line in shown.splitlines() if line.startswith(" " * 8)}
    texts = {match.end() for match in re.finditer(r"(?m)^  -[^\n]*?\S  +(?=\S)", shown)}
    assert len(begins) == 1
    assert {end - shown.rfind("\n", 0, end) - 1 for end in texts} == begins


def test_the_commands_come_in_groups() -> None:
    assert headings(charrnn("--help").out) == [*groups.COMMANDS, "Options"]


@pytest.mark.parametrize(("columns", "widest"), [(60, 60), (80, 80), (120, 120), (300, groups.WIDEST)])
def test_help_has_the_width_of_the_terminal(
    columns: int, widest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    longest = max(map(len, charrnn("train", "--help").out.split("Arguments:")[1].splitlines()))
    assert widest - 15 < longest <= widest


def test_headings_are_bold_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[1mBudget\x1b[0m:" in charrnn("train", "--help", terminal=True).out
    assert "\x1b" not in charrnn("train", "--help").out
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in charrnn("train", "--help", terminal=True).out


# ------------------------------------------------------------------------------------------------
# The run as an argument


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        random_model("abc", {"corpus": {"name": name}}).save(tmp_path / f"{name}.safetensors")
    return tmp_path


def card(*args: str) -> str:
    done = charrnn("info", *args, "--json")
    assert done.code == 0, done.err
    name: str = json.loads(done.out)["training"]["corpus"]["name"]
    return name


def test_the_run_is_an_argument_or_an_option(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert card("a.safetensors") == card("-m", "a.safetensors") == card("--model", "a.safetensors") == "a"
    monkeypatch.setenv("CHARRNN_MODEL", "b.safetensors")
    assert card() == "b"
    assert card("a.safetensors") == "a"
    done = charrnn("info", "a.safetensors", "--model", "b.safetensors")
    assert done.code == 2
    assert done.err == "charrnn: the model is named twice: a.safetensors and --model. Leave one out\n"


def test_commands_without_an_argument_of_their_own_take_the_run() -> None:
    taking = {
        name
        for name, command in COMMANDS.items()
        if any(p.name == "run" and p.param_type_name == "argument" for p in command.params)
    }
    has_own = {
        name
        for name in COMMANDS
        if name in ("transform", "classify", "eval", "probe", "explain", "why", "score")
    }
    assert taking == {name for name, command in COMMANDS.items() if "--model" in named(command)} - has_own
    assert {
        "info",
        "report",
        "inspect-cells",
        "sample",
        "export",
        "play",
        "gradcheck",
        "gradient-flow",
    } <= taking


def test_sample_takes_a_run_of_which_several_could_be_named(here: Path) -> None:
    drawn = charrnn(
        "sample", "a.safetensors", "-n", "2", "-t", "0.5", "-p", "ab", "--seed", "3", "--length", "5"
    )
    assert drawn.code == 0, drawn.err
    long = ["--model", "a.safetensors", "--count", "2", "--temp", "0.5", "--prime", "ab", "--seed", "3"]
    assert charrnn("sample", *long, "--length", "5") == drawn


def test_a_text_in_the_place_of_the_run_is_told_apart(here: Path) -> None:
    done = charrnn("sample", "Once upon a time")
    assert done.code == 2
    assert done.err == (
        "charrnn: 'Once upon a time' is neither a run folder nor a model file. To continue a text, give it with "
        "--prime\n"
    )


def test_resume_names_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = write_text(Path("text.txt"))
    for name in ("older", "newer"):
        train(text, out=f"runs/{name}", **SETTINGS, max_steps=3)
    os.utime("runs/older/model.safetensors", (0, 0))

    def resumed(*args: str) -> tuple[str, int]:
        done = charrnn("train", *args, "--json", "-q")
        assert done.code == 0, done.err
        found = json.loads(done.out)
        return found["model"].split("/")[1], found["steps"]

    assert resumed("--resume", "runs/older", "--max-steps", "4") == ("older", 4)
    assert resumed("text.txt", "--resume", "runs/older/", "--max-steps", "5") == ("older", 5)
    assert resumed("--resume", "text.txt", "--out", "runs/newer", "--max-steps", "4") == ("newer", 4)
    assert resumed("--resume", "runs/newer", "--out", "runs/newer", "--max-steps", "5") == ("newer", 5)
    done = charrnn("train", "--resume", "runs/odler")
    assert (done.code, done.err) == (2, "charrnn: --resume: runs/odler is neither a run nor a text\n")
    done = charrnn("train", "--resume", "runs/older", "-o", "runs/newer")
    assert done.code == 2
    assert done.err == "charrnn: --resume runs/older and --out runs/newer name two runs. Leave one out\n"


def test_a_folder_of_texts_is_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a text in it is called as a file of a run is."""
    monkeypatch.chdir(tmp_path)
    Path("texts").mkdir()
    write_text(Path("texts/config.toml"))
    train("texts", out="runs/one", **SETTINGS, max_steps=3)
    done = charrnn("train", "--resume", "texts", "--max-steps", "4", "--json", "-q")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)["model"] == "runs/one/model.safetensors"


def test_what_a_command_is_for_is_told_whole_at_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    told = " ".join(charrnn("--help").out.split())
    for name, command in COMMANDS.items():
        first = " ".join((command.help or "").split()).split(". ")[0].rstrip(".")
        assert f"{name} {first}." in told
