"""The benchmark suite: what it counts, what it writes, and that the pages show what was measured."""

import importlib
import json
import platform
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from charrnn.config import configs
from charrnn.model import torch_layout

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture(scope="module")
def bench():
    """Imports a file of benchmarks/ as its scripts do: by the name it has in that folder."""
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def suite(bench):
    return bench("suite")


@pytest.fixture(scope="module")
def table(bench):
    return bench("table")


@pytest.fixture(scope="module")
def common(bench):
    return bench("sides.common")


# ------------------------------------------------------------------------------------------------
# What is counted


@pytest.mark.parametrize(
    ("name", "milliseconds", "gflops"), [("lstm-2x128", 9.3, 330), ("lstm-2x512", 237, 330)]
)
def test_operations_give_the_known_time_at_the_peak(common, name, milliseconds, gflops):
    assert common.SHAPES[name].flops / gflops / 1e6 == pytest.approx(milliseconds, rel=0.005)


def test_operations_are_those_of_the_tensors_that_are_multiplied(bench, common):
    """Each matrix but a look-up table: once forward, twice backward, two operations an element and character."""
    of_charrnn = bench("sides.charrnn_train")
    for shape in common.SHAPES.values():
        model, config = configs(**of_charrnn.settings(shape, "numpy"))
        look_up = "embedding.weight" if shape.embedding else f"{shape.cell}.weight_ih_l0"
        tensors = torch_layout.shapes(model, shape.vocab).items()
        matrices = {name: size for name, size in tensors if len(size) == 2 and name != look_up}
        assert look_up in dict(tensors)
        elements = sum(rows * columns for rows, columns in matrices.values())
        assert shape.flops == 2 * 3 * elements * config.batch_size * config.seq_length, shape.name


def test_all_sides_train_alike(bench, common, monkeypatch):
    """What a preset of charrnn says is what the other sides are told."""
    of_charrnn = bench("sides.charrnn_train")
    monkeypatch.setattr(of_charrnn, "CHARACTERS", 4000)
    for shape in common.SHAPES.values():
        model, config = configs(**of_charrnn.settings(shape, "numpy"))
        ours = model.cell, model.layers, model.hidden, model.embedding, config.batch_size, config.seq_length
        assert ours == (shape.cell, shape.layers, shape.hidden, shape.embedding, shape.batch, shape.chunk)
        update = config.optimizer, config.learning_rate, config.clip_norm, config.clip_value
        assert update == (shape.optimizer, shape.lr, shape.clip_norm, shape.clip_value)
        assert len(set(of_charrnn.text(shape))) == shape.vocab


def test_a_chunk_goes_on_where_the_last_one_ended(common):
    shape = common.SHAPES["gru-1x192"]
    (x0, y0), (x1, _) = common.chunks(shape, 2)
    assert x0.shape == (40, 16)
    assert np.array_equal(x0[1:], y0[:-1])
    assert np.array_equal(y0[-1], x1[0])


def test_a_measurement_counts_characters_and_not_the_warm_up(common, monkeypatch):
    shape, calls, now = common.SHAPES["lstm-classic"], [], 0.0
    monkeypatch.setattr(common, "clock", lambda: now)

    def step(x, y):
        nonlocal now
        calls.append(x.shape)
        now += 100.0 if len(calls) <= common.WARM_UP_STEPS else 0.5
        return 1.0

    found = common.measure(step, shape, 0.0)
    assert len(calls) == common.WARM_UP_STEPS + common.FEWEST_STEPS
    assert set(calls) == {(25, 1)}
    assert (found["chars_per_second"], found["step_seconds"]) == (25 / 0.5, 0.5)
    found = common.measure(lambda xs, ys: step(xs[0], ys[1]), shape, 0.0, at_once=2)
    assert (found["chars_per_second"], found["step_seconds"]) == (2 * 25 / 0.5, 0.25)


def test_a_loss_that_is_no_number_ends_the_measurement(common):
    with pytest.raises(SystemExit, match="nan"):
        common.measure(lambda x, y: float("nan"), common.SHAPES["lstm-classic"], 0.0)


# ------------------------------------------------------------------------------------------------
# What is made of it


def one(rate, seconds=0.01):
    return {
        "chars_per_second": rate,
        "step_seconds": seconds,
        "memory_mib": 100.0,
        "engine": "e",
        "threads": 2,
    }


def test_ratios_are_of_the_same_round(suite):
    """The middle of the ratios 2, 1 and 4; the ratio of the medians would be 1."""
    rounds = [{"fast": 200.0, "torch": 100.0}, {"fast": 10.0, "torch": 10.0}, {"fast": 40.0, "torch": 10.0}]
    assert suite.by_round(rounds)["fast/torch"] == 2
    assert suite.by_round([*rounds, {"torch": 5.0}])["fast/torch"] == 2, "a round without one of them"


def test_ratios_are_of_ours_to_the_others(suite):
    found = suite.by_round([{"fast": 8.0, "numpy": 4.0, "torch": 2.0, "classic": 1.0}])
    assert found == {
        "fast/numpy": 2,
        "fast/torch": 4,
        "fast/classic": 8,
        "numpy/torch": 2,
        "numpy/classic": 4,
    }


def test_result_of_a_shape(suite, common):
    shape = common.SHAPES["lstm-2x128"]
    sides = [{"fast": one(300, 0.020)}, {"fast": one(100, 0.010)}, {"fast": one(200, 0.040)}]
    # Shares of 1/2, 3/4 and 1/4: of the peak of the same round, since the machine is not always as fast.
    rounds = list(zip(sides, [307.4, 409.9, 307.4], strict=True))
    found = suite.shape_result(shape, rounds)["sides"]["fast"]
    assert found["chars_per_second"] == {"median": 200, "min": 100, "max": 300}
    assert found["step_ms"] == {"median": 20, "min": 10, "max": 40}
    assert found["gflops"] == pytest.approx(3.074 / 0.020, rel=1e-3)
    assert found["share_of_peak"] == pytest.approx(0.5, rel=1e-3)


def test_machine_is_named_by_instruction_sets(suite):
    text = "processor : 0\nmodel name : Secret CPU\nflags : fpu avx2 avx512f avx512_bf16\nflags : other\n"
    flags = suite.cpu_flags(text)
    assert flags == {"fpu", "avx2", "avx512f", "avx512_bf16"}
    assert flags & suite.BFLOAT16_FLAGS
    assert suite.cpu_flags("") == set()


def test_a_side_that_cannot_be_measured_is_told(suite):
    made = {"bfloat16": False}
    assert suite.absent(["torch-bf16", "numpy", "classic"], made, sys.executable) == {
        "torch-bf16": "this CPU has neither AMX-BF16 nor AVX512-BF16"
    }


@pytest.fixture(scope="module")
def measured(suite, tmp_path_factory):
    """The JSON of a run of the suite as short as can be."""
    path = tmp_path_factory.mktemp("suite") / "result.json"
    command = [sys.executable, str(BENCHMARKS / "suite.py"), "--only", "min-char-rnn", "--sides", "numpy"]
    command += ["classic", "--rounds", "2", "--seconds", "0.02", "--steps-only", "--json", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result = json.loads(path.read_text(encoding="utf-8"))
    assert json.loads(done.stdout.splitlines()[-1]) == result
    return result


@pytest.mark.slow
def test_suite_measures_and_writes_json(measured):
    assert measured["format"] == 1
    assert measured["failed"] == {}
    assert len(measured["load_of_rounds"]) == measured["rounds"] == 2
    assert measured["peak_gflops"].keys() == {"all_cores", "one_core"}
    shape = measured["shapes"]["min-char-rnn"]
    assert shape["sides"].keys() == {"numpy", "classic"}
    for side in shape["sides"].values():
        rate = side["chars_per_second"]
        assert 0 < rate["min"] <= rate["median"] <= rate["max"]
        assert side["step_ms"]["median"] > 0
        assert side["memory_mib"] > 10
        slowest, fastest = (shape["flops"] / side["step_ms"][name] / 1e6 for name in ("max", "min"))
        assert 0.999 * slowest <= side["gflops"] <= 1.001 * fastest
    assert shape["ratios"].keys() == {"numpy/classic"}


@pytest.mark.slow
def test_result_names_neither_host_nor_path(measured):
    text = json.dumps(measured)
    assert not re.search(rf"\b{re.escape(platform.node())}\b", text)
    assert str(Path.home()) not in text
    assert str(ROOT) not in text


# ------------------------------------------------------------------------------------------------
# Tables


def made_up_result(suite, common):
    rounds = [({"fast": one(200_000, 0.0125), "numpy": one(80_000), "torch": one(100_000)}, 330.0)]
    classic = [({"numpy": one(50_000), "classic": one(25_000)}, 330.0)]
    shapes = {
        "lstm-2x128": suite.shape_result(common.SHAPES["lstm-2x128"], rounds),
        "min-char-rnn": suite.shape_result(common.SHAPES["min-char-rnn"], classic),
    }
    return {
        "date": "2026-01-02",
        "machine": {"name": "2 cores, x86_64: AVX-512, AVX2"},
        "versions": {"python": "3.11", "numpy": "2.0"},
        "rounds": 5,
        "load_of_rounds": [0.1, 0.2],
        "warnings": ["one"],
        "failed": {"lstm-2x128 jax": "ended with 1: no memory"},
        "skipped": {"torch-bf16": "this CPU has none"},
        "peak_gflops": {"all_cores": 330.0, "one_core": 165.0},
        "shapes": shapes,
        "sampling_chars_per_second": {
            "2x128": {"one": suite.spread([44_000.0]), "torch": suite.spread([3400.0])}
        },
        "reading_chars_per_second": {"2x128": {"eval": 90_000.0, "record": 80_000.0}},
        "inspect_cells": {"concepts": 29, "total_seconds": 21.5, "peak_mib": 1234},
        "startup_cpu_seconds": {"python": suite.spread([0.02]), "help": suite.spread([0.25])},
    }


def test_short_table(suite, table, common):
    lines = table.short([made_up_result(suite, common)]).splitlines()
    assert lines[0] == (
        "2 cores, x86_64: AVX-512, AVX2; highest sgemm peak 330 GFLOP/s, on one core 165 "
        "(shares are of the peak just before each shape). 2026-01-02, medians of 5 rounds."
    )
    assert lines[2] == (
        "| characters per second | charrnn fast | charrnn numpy | torch script | classic loop "
        "| fast ÷ torch | by bare steps | numpy ÷ torch | fast: share of peak |"
    )
    assert (
        lines[4]
        == "| LSTM 2×128, batch 50, chunk 50 | 200,000 | 80,000 | 100,000 | – | 2.00 | 0.80 | 0.80 | 75% |"
    )
    assert lines[5].endswith("(preset min-char-rnn) | – | 50,000 | – | 25,000 | – | – | – | – |")


def test_full_table(suite, table, common):
    text = table.full([made_up_result(suite, common)])
    for told in (
        "| charrnn fast | 200,000 (200,000 to 200,000) | 12.5 | 246 | 75% | 2 | 100 |",
        "| times as fast | fast ÷ numpy | fast ÷ torch | numpy ÷ classic | numpy ÷ torch |",
        "| LSTM 2×128 | 3,400 | 44,000 | – | 90,000 |",
        "Reading, characters per second: LSTM 2×128 `charrnn eval` 90,000, all cells recorded 80,000.",
        "Scoring 29 concepts on 1,024 cells over 100,000 characters (`inspect-cells`): 21.5 s, 1,234 MiB.",
        "`charrnn --help` takes 0.250 s of processor time, of which Python itself 0.020 s.",
        "Not measured: torch bfloat16, since this CPU has none.",
        "Failed: lstm-2x128 jax ended with 1: no memory.",
        "In 1 measurements other processes took processor time.",
    ):
        assert told in text


def test_a_run_of_steps_alone_has_a_table(suite, table, common):
    result = made_up_result(suite, common)
    for name in (
        "sampling_chars_per_second",
        "reading_chars_per_second",
        "inspect_cells",
        "startup_cpu_seconds",
    ):
        del result[name]
    assert "Sampling" not in table.full([result])


def test_block_goes_between_the_markers(table):
    page = f"above\n{table.BEGIN}\nold\n{table.END}\nbelow\n"
    assert table.between_markers(page, "new") == f"above\n{table.BEGIN}\nnew\n{table.END}\nbelow\n"
    with pytest.raises(ValueError, match="must hold one"):
        table.between_markers("no markers", "new")
    with pytest.raises(ValueError, match="must hold one"):
        table.between_markers(page + page, "new")


@pytest.mark.parametrize(("page", "block"), [("README.md", "short"), ("docs/benchmarks.md", "full")])
def test_pages_show_the_results_that_are_kept(table, page, block):
    paths = sorted((BENCHMARKS / "results").glob("*.json"))
    results = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    text = (ROOT / page).read_text(encoding="utf-8")
    assert table.between_markers(text, getattr(table, block)(results)) == text, (
        "run: python benchmarks/table.py benchmarks/results/*.json"
    )
