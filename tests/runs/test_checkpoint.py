"""A checkpoint whose metadata was forged, and sealed again, is one clear error."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from helpers.small_runs import run, write_text

from charrnn.errors import ModelError
from charrnn.runs import checkpoint


@pytest.fixture(scope="module")
def metadata(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("checkpoint")
    run(write_text(folder / "text.txt"), folder / "run", max_steps=3)
    return checkpoint.load(folder / "run" / "checkpoint.safetensors")[0]


def put(*path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(forged: dict[str, Any]) -> None:
        for name in path[:-1]:
            forged = forged[name]
        forged[path[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda forged: forged.pop("progress"),
        lambda forged: forged.pop("threads"),
        lambda forged: forged["progress"].pop("step"),
        put("progress", "more", value=1),
        put("progress", "step", value="a"),
        put("progress", "step", value=-5),
        put("progress", "smooth_loss_nats", value=None),
        put("train", "seq_length", value="25"),
        put("train", "lr", value="x"),
        put("train", "optimizer", value="x"),
        put("threads", value="x"),
        put("threads", value=0),
        put("batch_size", value=1.5),
        put("training", value={}),
        put("training", "corpus", "sources", value=[3]),
        put("training", "changes", value="none"),
    ],
)
def test_forged_metadata(metadata: dict[str, Any], change: Callable[[dict[str, Any]], object]) -> None:
    checkpoint.layout(metadata)  # as written it is valid
    forged = copy.deepcopy(metadata)
    change(forged)
    with pytest.raises(ModelError, match="not valid"):
        checkpoint.layout(forged)
