"""JavaScript run by Node, where there is one."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from charrnn.exchange.to_web import module

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(not NODE, reason="needs node")


def run_module(folder: Path, script: str) -> Any:
    """What a script with the module `model.mjs` beside it writes to stdout as JSON, all of it run in a folder."""
    (folder / "model.mjs").write_text(module(), encoding="utf-8")
    (folder / "script.mjs").write_text(script, encoding="utf-8")
    done = subprocess.run(
        [str(NODE), "script.mjs"], cwd=folder, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
