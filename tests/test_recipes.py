"""The measurement of recipes: what is scored is not trained on, and while settings are chosen the end is not read."""

import json
import shlex
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from charrnn.cli.app import app

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import recipes

sys.path.pop(0)
TEXT = "".join(map(chr, range(1000, 1045)))


def test_the_last_tenth_is_scored_and_while_tuning_the_tenth_before() -> None:
    assert recipes.divided(TEXT, tuning=False) == (TEXT[:40], TEXT[40:])
    assert recipes.divided(TEXT, tuning=True) == (TEXT[:36], TEXT[36:40])
    assert recipes.divided(TEXT, tuning=True, take=10) == (TEXT[:10], TEXT[36:40])


@pytest.mark.parametrize("recipe", recipes.RECIPES)
def test_a_recipe_is_made_of_options_of_train(recipe: str) -> None:
    words = shlex.split(f"train --show-config --json {recipes.RECIPES[recipe]} {recipes.ONCE}")
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 0, shown.stderr
    settings = json.loads(shown.stdout)["settings"]
    assert settings["eval_every"]["value"] == 10**9
    assert settings["optimizer"]["from"] == "preset"


def test_a_recipe_is_trained_and_scored_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("to be or not to be, that is the question\n" * 40, encoding="utf-8")
    options = "--hidden 4 --batch-size 2 --max-steps 3 --backend numpy"
    words = f"recipes.py quick --text {text} --folder {tmp_path / 'measured'} --threads 1 --tuning {options}"
    monkeypatch.setattr(sys, "argv", shlex.split(words))
    recipes.main()
    found = json.loads(capsys.readouterr().out)
    assert (found["recipe"], found["scored"], found["training"]["steps"]) == ("quick", "the next 10 %", 3)
    losses = [
        record["val_loss_nats"]
        for line in (tmp_path / "measured/quick/metrics.jsonl").read_text(encoding="utf-8").splitlines()
        if "val_loss_nats" in (record := json.loads(line))
    ]
    assert losses == [found["loss_nats"]]
