"""The space of a search: what a file may say, what it means, and what is wrong with it."""

import math
import re
from pathlib import Path
from typing import Any

import pytest

from charrnn.config import TrainConfig, configs
from charrnn.errors import UsageError
from charrnn.tune.space import DEFAULT, Choice, Dimension, Range, parse_space, read_space


def low(name: str, dimension: Dimension) -> Any:
    return dimension.values[0] if isinstance(dimension, Choice) else dimension.low


def test_every_kind_of_dimension() -> None:
    space = parse_space(
        """
        lr = { by = "optimizer", adam = { log_uniform = [0.001, 0.1] }, sgd = 0.5 }
        layers = 2
        cell = ["lstm", "gru"]
        optimizer = ["adam", "sgd"]
        dropout = { uniform = [0, 0.5], points = 2 }
        hidden = { int = [64, 250], step = 32 }
        batch_size = { log_int = [4, 64] }
        """,
        "f",
    )
    assert space.fixed == {"layers": 2}
    assert space.dimensions["cell"] == Choice(("lstm", "gru"))
    assert space.dimensions["dropout"] == Range(0, 0.5, log=False, whole=False, step=1, points=2)
    assert space.dimensions["hidden"] == Range(64, 224, log=False, whole=True, step=32, points=None)
    assert space.dimensions["batch_size"] == Range(4, 64, log=True, whole=True, step=1, points=None)
    asked: list[str] = []

    def value_of(name: str, dimension: Dimension) -> Any:
        asked.append(name)
        return "sgd" if name == "optimizer" else low(name, dimension)

    drawn = space.draw(value_of)
    assert drawn == {
        "layers": 2,
        "cell": "lstm",
        "optimizer": "sgd",
        "dropout": 0,
        "hidden": 64,
        "batch_size": 4,
        "lr": 0.5,
    }
    assert asked == ["cell", "optimizer", "dropout", "hidden", "batch_size"]  # neither layers nor lr are open
    assert space.draw(low)["lr"] == 0.001


def test_a_grid_has_every_combination_once() -> None:
    space = parse_space(
        'layers = [1, 2]\ncell = "gru"\nhidden = { int = [8, 24], step = 8 }\n'
        'lr = { by = "layers", 1 = 0.1, 2 = { log_uniform = [0.001, 0.1], points = 3 } }',
        "f",
    )
    grid = space.grid()
    wide = [(1, h, None) for h in (8, 16, 24)] + [
        (2, h, lr) for h in (8, 16, 24) for lr in (0.001, 0.01, 0.1)
    ]
    found = [(v["layers"], v["hidden"], v.get("lr.2")) for v in grid]
    assert [f[:2] for f in found] == [w[:2] for w in wide]
    assert [f[2] for f in found if f[2]] == pytest.approx([w[2] for w in wide if w[2]])
    assert "lr.1" not in grid[0]


def test_a_grid_of_a_whole_number_with_points() -> None:
    hidden = parse_space("hidden = { int = [96, 256], step = 32, points = 3 }", "f").dimensions["hidden"]
    assert isinstance(hidden, Range)
    assert hidden.grid() == [
        96,
        160,
        256,
    ]  # 176 is no multiple of 32 above 96: the even one of its neighbours
    assert all((value - 96) % 32 == 0 for value in hidden.grid())


@pytest.mark.parametrize("centre", [0.001, 0.0013, 0.01, 0.07, 0.1])
def test_the_fine_part_of_a_log_range(centre: float) -> None:
    whole = Range(0.001, 0.1, log=True, whole=False, step=1, points=None)
    part = whole.around(centre)
    assert 0.001 <= part.low <= centre * (1 + 1e-12)
    assert centre * (1 - 1e-12) <= part.high <= 0.1
    assert math.log(part.high / part.low) == pytest.approx(math.log(100) / 3)
    if 0.005 < centre < 0.02:
        assert part.low * part.high == pytest.approx(centre**2)


@pytest.mark.parametrize("centre", range(8, 129, 8))
def test_the_fine_part_of_whole_numbers_stays_on_their_steps(centre: int) -> None:
    part = Range(8, 128, log=False, whole=True, step=8, points=None).around(centre)
    assert 8 <= part.low <= centre <= part.high <= 128
    assert part.low % 8 == part.high % 8 == 0
    assert part.high - part.low <= 48


def test_the_default_space_is_all_allowed() -> None:
    text, space = read_space(None)
    assert text == DEFAULT.read_text()
    for values in (low, lambda name, d: d.values[-1] if isinstance(d, Choice) else d.high):
        configs(**space.draw(values))
    assert {"lr", "hidden", "layers", "batch_size", "seq_length", "dropout", "optimizer"} <= set(
        space.dimensions
    )
    assert len(space.grid()) > 100


def test_the_regularisers_in_the_default_space_are_all_allowed() -> None:
    text = re.sub(r"(?m)^# (?=\w+ = )", "", DEFAULT.read_text())
    space = parse_space(text, "f")
    found = space.dimensions.keys() - read_space(None)[1].dimensions.keys()
    assert found == {
        *("dropout_kind", "weight_drop", "embedding", "embedding_dropout", "input_dropout", "ar", "tar"),
        *("label_smoothing", "weight_decay", "average", "jitter"),
    }
    drawn = space.draw(lambda name, d: d.values[-1] if isinstance(d, Choice) else d.high)
    assert all(drawn[name] != getattr(TrainConfig(), name) for name in found - {"embedding"})
    configs(**drawn)
    least = space.draw(low)
    assert least["input_dropout"] == least["embedding_dropout"] == 0  # there is no embedding to drop
    configs(**least)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr = ", "--space f is not TOML: Invalid value"),
        ("layers = 2", "--space f leaves nothing to search: give at least one list or range"),
        ("", "--space f leaves nothing to search"),
        ("hiden = [1]", "hiden (f, line 1) is not a setting of charrnn train. Did you mean 'hidden'?"),
        ("\n[hiden]\nint = [1, 2]", "hiden (f, line 2) is not a setting of charrnn train"),
        ("layers = 1\nepochs = [1, 2]", "epochs (f, line 2) is set by the search itself"),
        ("threads = [1, 2]", "threads (f, line 1) is set by the search itself"),
        ("layers = []", "layers (f, line 1) is an empty list"),
        ("layers = [1, 1]", "layers (f, line 1) has 1 more than once"),
        ('layers = [1, "2"]', "layers (f, line 1) is '2'; it must be a whole number"),
        ("layers = [1, true]", "layers (f, line 1) is True; it must be a whole number"),
        ("layers = [1, 0]", "layers (f, line 1) is 0; it must be at least 1"),
        ('cell = ["lstm", "tree"]', "cell (f, line 1) is 'tree'; it must be one of: lstm, gru, rnn"),
        ("lr = {}", "lr (f, line 1) must have one of uniform, log_uniform, int, log_int = [low, high]"),
        ("lr = { uniform = [0.1, 1], int = [1, 2] }", "lr (f, line 1) must have one of uniform"),
        ("lr = { normal = [0.1, 1] }", "lr (f, line 1) must have one of uniform"),
        ("lr = { uniform = [0.1, 1], by = 3 }", "lr (f, line 1): by is 3; it must be a setting of this file"),
        (
            "lr = { uniform = [0.1, 1], q = 3 }",
            "lr (f, line 1) has 'q', which cannot be combined with uniform",
        ),
        (
            "lr = { uniform = [0.1, 1], step = 3 }",
            "lr (f, line 1) has 'step', which cannot be combined with uniform",
        ),
        (
            "lr = { uniform = 0.1 }",
            "lr (f, line 1): uniform is 0.1; it must be two numbers, the lower one first",
        ),
        ("lr = { uniform = [0.1] }", "lr (f, line 1): uniform is [0.1]; it must be two numbers"),
        (
            "lr = { uniform = [1, 0.1] }",
            "lr (f, line 1): uniform is [1, 0.1]; it must be two numbers, the lower",
        ),
        ("lr = { uniform = [0.1, 0.1] }", "the lower one first"),
        ("lr = { uniform = [nan, 0.1] }", "the lower one first"),
        ("lr = { uniform = [0.1, inf] }", "lr (f, line 1) is inf; it must be a finite number"),
        ("lr = { uniform = [0, 0.1] }", "lr (f, line 1) is 0.0; it must be greater than 0"),
        ("dropout = { uniform = [0, 1] }", "dropout (f, line 1) is 1.0; it must be less than 1"),
        ("dropout = { log_uniform = [0, 0.5] }", "dropout (f, line 1): log_uniform begins at 0"),
        ("hidden = { int = [1, 2.5] }", "hidden (f, line 1): int is [1, 2.5]; it must be two whole numbers"),
        ("hidden = { int = [true, 5] }", "it must be two whole numbers"),
        ("hidden = { int = [0, 5] }", "hidden (f, line 1) is 0; it must be at least 1"),
        ("hidden = { uniform = [1, 5] }", "hidden (f, line 1) is 1.0; it must be a whole number"),
        (
            "hidden = { int = [1, 5], step = 0 }",
            "hidden (f, line 1): step is 0; it must be a whole number of 1",
        ),
        ("hidden = { int = [1, 5], step = 9 }", "a step of 9 does not fit between 1 and 5"),
        ("hidden = { int = [1, 5], points = 1.5 }", "hidden (f, line 1): points is 1.5"),
        ("hidden = { log_int = [1, 5], step = 2 }", "has 'step', which cannot be combined with log_int"),
        ("cell = { uniform = [0, 1] }", "cell (f, line 1) is 0.0; it must be a text"),
        ('lr = { by = "optimizer", adam = [1, 2] }', "by is 'optimizer'; it must be a setting of this file"),
        (
            'dropout = { uniform = [0, 0.5] }\nlr = { by = "dropout", a = 1 }',
            "by is 'dropout'; it must be a setting",
        ),
        (
            'cell = ["lstm", "gru"]\nlr = { by = "cell", lstm = 1 }',
            "lr (f, line 2) has lstm; it must have each of cell",
        ),
        (
            'cell = ["gru"]\nlr = { by = "cell", gru = [1, 0] }',
            "lr (f, line 2), gru is 0; it must be greater than 0",
        ),
        (
            'cell = ["lstm", "gru"]\nlr = { by = "cell", gru = 1, lstm = {int = [2, 1]} }',
            "lr (f, line 2), lstm: int",
        ),
    ],
)
def test_each_mistake(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_space(text, "f")
    assert message in str(caught.value)


def test_a_grid_needs_points() -> None:
    space = parse_space("lr = { uniform = [0.1, 0.2] }", "f")
    with pytest.raises(UsageError, match="how many values of lr to try: add points = 3"):
        space.grid()


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere.toml cannot be read: .*No such file"):
        read_space(tmp_path / "nowhere.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="cannot be read"):
        read_space(tmp_path / "binary.toml")
