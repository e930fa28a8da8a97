"""Options from the command line, CHARRNN_ variables, a file, presets and defaults: who wins, and what is told."""

import dataclasses
import json
import os
import random
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer.main
from helpers.command_line import Outcome, charrnn_line
from helpers.patience import PATIENCE

from charrnn.cli import app as app_module
from charrnn.cli import origin
from charrnn.config import PRESETS, ModelConfig, TrainConfig
from charrnn.model.model import load_model

SMALL = "--layers 1 --batch-size 2 --seq-length 5 --threads 1 --quiet"


def run(line: str, file: str | None = None, **variables: str) -> Outcome:
    """Run a command line with this file.toml and these variables."""
    if file is not None:
        Path("file.toml").write_text(file)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        return charrnn_line(line)


def settings(line: str, file: str | None = None, **variables: str) -> dict[str, dict]:
    """What --show-config says of each setting."""
    done = run(f"train --show-config --json {line}", file, **variables)
    assert done.code == 0, done.err
    return json.loads(done.out)["settings"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder has text.txt, and no variable is set."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("CHARRNN_")]:
        monkeypatch.delenv(name)
    Path("text.txt").write_text("".join(random.Random(1).choices("abc [/d]\n", k=600)))


# ------------------------------------------------------------------------------------------------
# Who wins


def test_the_command_line_is_over_variables_over_the_file_over_the_preset() -> None:
    file = "hidden = 10\nlayers = 10\nseq_length = 10\n"
    found = settings(
        "--preset quick --config file.toml --hidden 30", file, CHARRNN_HIDDEN="20", CHARRNN_LAYERS="20"
    )
    assert found["hidden"] == {"value": 30, "from": "command line", "name": "--hidden"}
    assert found["layers"] == {"value": 20, "from": "environment", "name": "CHARRNN_LAYERS"}
    assert found["seq_length"] == {"value": 10, "from": "file", "name": "seq_length (file.toml, line 3)"}
    assert found["lr"] == {"value": PRESETS["quick"]["lr"], "from": "preset", "name": "quick"}
    assert found["patience"] == {"value": TrainConfig.patience, "from": "default", "name": ""}
    assert set(found) == {f.name for c in (ModelConfig, TrainConfig) for f in dataclasses.fields(c)}


def test_a_preset_is_beneath_wherever_it_is_named() -> None:
    for line, file, variables in [
        ("--config file.toml", 'hidden = 10\npreset = "quick"\n', {}),
        ("--config file.toml", "hidden = 10\n", {"CHARRNN_PRESET": "quick"}),
    ]:
        found = settings(line, file, **variables)
        assert (found["hidden"]["value"], found["lr"]["value"]) == (10, PRESETS["quick"]["lr"])


def test_a_table_is_over_the_top_and_for_its_command_alone() -> None:
    file = "seed = 3\nhidden = 5\n[train]\nseed = 4\n[sample]\nseed = 5\ntemp = 0\nlength = 7\n"
    found = settings("--config file.toml", file)
    assert (found["seed"]["value"], found["hidden"]["value"]) == (4, 5)
    assert run(f"train text.txt {SMALL} --hidden 4 --max-steps 2 --out here").code == 0
    done = run("sample --model here --json --config file.toml")
    sample = json.loads(done.out)["samples"][0]
    assert (sample["seed"], len(sample["text"])) == (5, 7)
    done = run("sample --model here --json --config file.toml", CHARRNN_SEED="6")
    assert json.loads(done.out)["samples"][0]["seed"] == 6


def test_flags_and_lists() -> None:
    assert run(f"train text.txt {SMALL} --hidden 4 --max-steps 2", CHARRNN_OUT="here").code == 0
    done = run("sample --model here --config file.toml", 'json = true\nstop = ["a", "b"]\n')
    text = json.loads(done.out)["samples"][0]["text"]
    assert not set(text) & {"a", "b"}
    done = run("sample --model here --config file.toml", CHARRNN_JSON="0")
    assert not done.out.startswith("{")  # a variable can take back what the file says


def test_the_settings_of_a_run_train_another() -> None:
    assert run(f"train text.txt {SMALL} --hidden 4 --lr 0.3 --max-steps 2 --out a").code == 0
    assert run("train text.txt --config a/config.toml --out b --quiet").code == 0
    models = [load_model(f"{run}/model.safetensors") for run in "ab"]
    assert models[0].config == models[1].config
    assert models[0].training["settings"] == models[1].training["settings"]
    assert (models[0].network.theta == models[1].network.theta).all()


def test_show_config_is_a_file_for_config() -> None:
    shown = run("train --show-config --preset quality --seed 7").out
    content = tomllib.loads(shown)
    assert (content["train"]["seed"], content["model"]["hidden"]) == (7, 512)
    assert "\nseed = 7 " in shown
    assert "# command line --seed\n" in shown
    assert "# preset quality\n" in shown
    direct = settings("--preset quality --seed 7")
    by_file = settings("--config file.toml", shown)
    assert {name: f["value"] for name, f in direct.items()} == {
        name: f["value"] for name, f in by_file.items()
    }


def test_show_config_knows_the_model_to_start_from() -> None:
    run(f"train text.txt {SMALL} --hidden 4 --max-steps 2 --out here")
    found = settings("--init-from here --lr 0.5")
    assert found["hidden"] == {"value": 4, "from": "model", "name": "here"}
    assert found["lr"]["from"] == "command line"
    done = run("train --show-config --resume")
    assert done.code == 2
    assert "config.toml has its settings" in done.err


def test_every_option_of_every_command_has_a_variable_and_a_key() -> None:
    group = typer.main.get_command(app_module.app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        given = [param for param in command.params if param.param_type_name == "option"]
        keys = origin.options(command)
        assert len(keys) == len(given) - 1, name  # all but --config
        assert {param.envvar for param in given} == {f"CHARRNN_{key.upper()}" for key in [*keys, "config"]}
        assert not {param.envvar for param in given} & origin.OTHERS
        for key, param in keys.items():
            assert f"--{key.replace('_', '-')}" in param.opts


# ------------------------------------------------------------------------------------------------
# Resuming


def test_variables_do_not_change_a_run_that_goes_on() -> None:
    run(f"train text.txt {SMALL} --hidden 4 --max-steps 2 --out here")
    variables = {"CHARRNN_HIDDEN": "9", "CHARRNN_LR": "0.7", "CHARRNN_PRESET": "quick", "CHARRNN_OUT": "here"}
    done = run("train --resume --max-steps 4 --json --quiet", **variables)
    assert (done.code, json.loads(done.out)["steps"]) == (0, 4), done.err
    assert (
        "--resume ignores CHARRNN_HIDDEN, CHARRNN_LR, CHARRNN_PRESET: the run keeps its own settings"
        in done.err
    )
    settings = load_model("here/model.safetensors").training["settings"]
    assert settings["lr"] is None


def test_a_file_named_at_a_resume_counts() -> None:
    run(f"train text.txt {SMALL} --hidden 4 --max-steps 2 --out here")
    line = "train --resume --out here --quiet --json --config file.toml"
    done = run(line, 'lr = 0.5\nmax_steps = 5\npreset = "quick"\n')
    assert json.loads(done.out)["steps"] == 5
    done = run(f"{line} --max-steps 7", "epochs = 0.01\n")  # its limit gives way to that of the command line
    assert json.loads(done.out)["steps"] == 7
    config = tomllib.loads(Path("here/config.toml").read_text())
    assert (config["train"]["lr"], "epochs" in config["train"]) == (0.5, False)
    done = run(line, "hidden = 5\n")
    assert done.code == 2
    assert "--hidden 4 -> 5" in done.err
    done = run("train --resume --out here --quiet --json --max-steps 8", CHARRNN_CONFIG="file.toml")
    assert (done.code, json.loads(done.out)["steps"]) == (0, 8)  # a file that only a variable names does not


# ------------------------------------------------------------------------------------------------
# What is wrong


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("hiden = 5", "hiden (file.toml, line 1) is not an option of any command. Did you mean 'hidden'?"),
        ("[train]\n\n'hiden' = 5", "hiden (file.toml, line 3) is not an option of charrnn train. Did you"),
        ("[model]\nhiden = 5", "hiden (file.toml, line 2) is not an option of charrnn train. Did you"),
        ("[sample]\nhidden = 5", "hidden (file.toml, line 2) is not an option of charrnn sample"),
        ("\n[trian]", "file.toml, line 2: no command is called 'trian'. Did you mean 'train'?"),
        ('hidden = "5"', "hidden (file.toml, line 1) is '5'; it must be a whole number"),
        ("hidden = true", "hidden (file.toml, line 1) is True; it must be a whole number"),
        ("hidden = 5.0", "hidden (file.toml, line 1) is 5.0; it must be a whole number"),
        ("hidden = [5]", "hidden (file.toml, line 1) is [5]; it must be a whole number"),
        ('lr = "fast"', "lr (file.toml, line 1) is 'fast'; it must be a number"),
        ("lr = nan", "lr (file.toml, line 1) is nan; it must be a finite number"),
        ("force = 1", "force (file.toml, line 1) is 1; it must be true or false"),
        ("out = true", "out (file.toml, line 1) is True; it must be a text in quotes"),
        ('cell = "tree"', "cell (file.toml, line 1) is 'tree'; it must be one of: lstm, gru, rnn"),
        ("layers = 2\nhidden = 0", "hidden (file.toml, line 2) is 0; it must be at least 1"),
        ("[train]\nmax-steps = 0", "max-steps (file.toml, line 2) is 0; it must be at least 1"),
        ("[train]\ndropout = 1", "dropout (file.toml, line 2) is 1.0; it must be less than 1"),
        ("config = 'other.toml'", "config (file.toml, line 1) is not an option of any command"),
        ("hidden = ", "--config file.toml is not TOML: Invalid value (at end of document)"),
        ("hidden = 5\nhidden = 6", "--config file.toml is not TOML: Cannot overwrite a value"),
        ("train = 5", "train (file.toml, line 1) is not an option of any command"),
    ],
)
def test_each_mistake_in_a_file(file: str, message: str) -> None:
    done = run("train text.txt --config file.toml", file)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"charrnn: {message}")
    assert done.err.count("\n") == 1
    assert not Path("runs").exists()


def test_a_file_that_is_not_there_or_no_text() -> None:
    done = run("train text.txt --config nowhere.toml")
    assert (done.code, done.err) == (
        2,
        "charrnn: --config nowhere.toml cannot be read: No such file or directory\n",
    )
    Path("file.toml").write_bytes(b"\xff")
    assert "is not TOML" in run("train text.txt --config file.toml").err


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("CHARRNN_HIDDEN", "many", "CHARRNN_HIDDEN is 'many': "),
        ("CHARRNN_HIDDEN", "0", "CHARRNN_HIDDEN is 0; it must be at least 1"),
        ("CHARRNN_CELL", "tree", "CHARRNN_CELL is 'tree': "),
        ("CHARRNN_QUIET", "perhaps", "CHARRNN_QUIET is 'perhaps': "),
        ("CHARRNN_DROPOUT", "1", "CHARRNN_DROPOUT is 1.0; it must be less than 1"),
    ],
)
def test_each_mistake_in_a_variable(name: str, value: str, message: str) -> None:
    done = run("train text.txt", **{name: value})
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"charrnn: {message}")
    assert run("train --show-config --hidden 5 --cell gru --dropout 0", **{name: value}).code == (
        2 if name == "CHARRNN_QUIET" else 0
    )


def test_unknown_variables_break_nothing() -> None:
    assert run("train --show-config", CHARRNN_ZZZ="1").err == ""
    done = run("train --show-config", CHARRNN_HIDEN="1")
    assert done.code == 0
    assert done.err == "Ignoring unknown CHARRNN_HIDEN; did you mean CHARRNN_HIDDEN?\n"


# ------------------------------------------------------------------------------------------------
# Completion


def completions(words: str) -> list[str]:
    """What bash would be offered for the last word."""
    environment = {
        **os.environ,
        "_CHARRNN_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
        "CHARRNN_HIDEN": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "charrnn"], env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes_commands_options_and_choices() -> None:
    assert {"train", "sample", "eval", "inspect-cells", "info", "corpus"} <= set(completions("charrnn "))
    assert {"--hidden", "--config", "--show-config"} <= set(completions("charrnn train --"))
    assert completions("charrnn train --cell g") == ["gru"]


def test_the_script_for_bash_calls_charrnn() -> None:
    environment = {**os.environ, "_CHARRNN_COMPLETE": "source_bash"}
    done = subprocess.run(
        [sys.executable, "-m", "charrnn"], env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    assert "complete -o default -F _charrnn_completion charrnn" in done.stdout
