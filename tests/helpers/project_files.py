"""The files of the project, without what tools leave beside them."""

import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
_NOT_OURS = {"build", "dist", "node_modules", "runs", "site", "tuning"}


def project_files(*suffixes: str) -> Iterator[Path]:
    """Every file of the project with one of these suffixes."""
    for parent, folders, names in os.walk(ROOT):
        folders[:] = sorted(name for name in folders if name[0] != "." and name not in _NOT_OURS)
        yield from (Path(parent, name) for name in sorted(names) if name.endswith(suffixes))
