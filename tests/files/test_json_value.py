"""A result as JSON has it."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from charrnn.files.json_value import json_value, known


@dataclass(frozen=True)
class Point:
    at: np.ndarray
    file: Path
    seen: tuple[np.float64, ...]


class Named:
    def to_json(self) -> dict[str, object]:
        return {"point": Point(np.zeros((1, 2), np.int8), Path("a/b"), (np.float64(0.1),))}


def test_everything_inside_a_result_becomes_plain_in_its_order() -> None:
    value = json_value({"z": [Named(), None, True], "a": "text", 3: np.bool_(True)})
    point = {"at": [[0, 0]], "file": str(Path("a/b")), "seen": [0.1]}
    assert value == {"z": [{"point": point}, None, True], "a": "text", 3: True}
    assert json.dumps(value).startswith('{"z": [{"point": {"at": [[0, 0]], "file"')


def test_numbers_that_json_has_not_are_none() -> None:
    nan, far = float("nan"), np.float64("-inf")
    assert known({"a": [1.5, nan, "x"], "b": (2, far, None)}) == {"a": [1.5, None, "x"], "b": [2, None, None]}
