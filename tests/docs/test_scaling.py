"""docs/scaling.md shows what benchmarks/scaling.py calculates."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("scaling", ROOT / "benchmarks/scaling.py")
scaling = importlib.util.module_from_spec(spec)
spec.loader.exec_module(scaling)

TABLES = scaling.tables()


@pytest.mark.parametrize("name", TABLES)
def test_the_page_has_each_table(name):
    assert TABLES[name] in (ROOT / "docs/scaling.md").read_text(encoding="utf-8")


def test_parameters_by_hand():
    case = scaling.Case(2, 512)
    assert case.parameters == 4 * 512 * (65 + 512 + 1) + 4 * 512 * (512 + 512 + 1) + 65 * 513
    assert case.multiplied == 4 * 512 * 512 * 3 + 512 * 65


def test_an_all_reduce_by_hand():
    case = scaling.Case(3, 2048)
    seconds = 20e-6 + 2 * 7 / 8 * 4 * case.parameters / 370e9
    assert case.all_reduce_seconds(8) == pytest.approx(seconds)
    assert case.all_reduce_seconds(1) == 0
