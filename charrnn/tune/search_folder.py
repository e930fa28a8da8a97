"""The folder of a search: study.db (Optuna's), study.toml and space.toml (the request), trials/, best.toml."""

import shlex
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from charrnn.errors import ModelError, UsageError
from charrnn.files.reading import MOST_SETTINGS, read_file
from charrnn.files.writing import atomic_write
from charrnn.runs.folder import MOST_CONFIG, RunFolder
from charrnn.text.sources import claimed
from charrnn.tune.tune_config import TuneConfig

SEARCHES_ROOT = "tuning"
STORAGE, STUDY, SPACE, BEST, TRIALS = "study.db", "study.toml", "space.toml", "best.toml", "trials"
LIMITS = {"trials", "max_minutes"}
MAY_CHANGE = LIMITS | {"jobs"}  # at a resume


def absolute(source: str) -> str:
    return source if source == "-" else str(Path(source).absolute())


def create(out: str | Path | None, corpus: str) -> Path:
    if out is not None and (Path(out) / STORAGE).exists():
        raise UsageError(
            f"--out {out} already holds a search. Continue it with `{command_to_resume(out)}`, or name another folder"
        )
    return RunFolder.create(out, corpus, root=SEARCHES_ROOT, force=None).path


def command_to_resume(folder: str | Path) -> str:
    return f"charrnn tune --resume --out {shlex.quote(str(folder))}"


def command_to_train(folder: Path, sources: Sequence[str] = ()) -> str:
    """The command that trains with the best settings: on these texts, or else on the file of the search."""
    files = sources or read(folder)["corpus"]["sources"]
    text = shlex.join(files) if sources or len(files) == 1 else "FILES"
    return f"charrnn train {text} --config {shlex.quote(str(folder / BEST))}"


def is_search(path: str | Path) -> bool:
    """Whether this is the folder of a search; its request is written first."""
    return (Path(path) / STUDY).exists()


def find(out: str | Path | None) -> Path:
    """The folder of the search to continue."""
    if out is not None:
        if not is_search(out):  # the storage may not exist yet
            raise ModelError(f"--out {out} holds no search. Start one with `charrnn tune CORPUS`")
        return Path(out)
    storages = sorted(Path(SEARCHES_ROOT).glob(f"*/{STORAGE}"), key=lambda path: path.stat().st_mtime_ns)
    if not storages:
        raise ModelError(f"there is no search under {SEARCHES_ROOT}. Start one with `charrnn tune CORPUS`")
    return storages[-1].parent


def write(path: Path, text: str) -> None:
    with atomic_write(path) as file:
        file.write(text.encode("utf-8"))


def read(folder: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(read_file(folder / STUDY, MOST_CONFIG).decode())
        TuneConfig(**content["tune"])
        str(content["corpus"]["sha256"]), list(content["corpus"]["sources"])
    except (OSError, ValueError, RecursionError, KeyError, TypeError, UsageError) as error:
        raise ModelError(f"{folder / STUDY} is damaged: {error}") from error
    return content


def stored(
    folder: Path, sources: list[str], given: Mapping[str, Any], space: str | Path | None
) -> tuple[list[str], TuneConfig, str]:
    """The text, settings and space of a search that is resumed."""
    if space is not None:
        raise UsageError("--space cannot be combined with --resume: the search keeps its own space")
    content = read(folder)
    old = TuneConfig(**content["tune"])
    changed = {name: value for name, value in given.items() if getattr(old, name) != value}
    if other := sorted(changed.keys() - MAY_CHANGE):
        name = other[0].replace("_", "-")
        raise UsageError(
            f"{folder} was begun with --{name} {getattr(old, other[0])}, not {changed[other[0]]}. A resume may "
            "change --trials, --max-minutes and --jobs; start a new search to change other settings"
        )
    limits: dict[str, Any] = (
        dict.fromkeys(LIMITS) if given.keys() & LIMITS else {}
    )  # a new limit takes the place of the old
    config = replace(old, **(limits | dict(given)))
    try:
        text = read_file(folder / SPACE, MOST_SETTINGS).decode()
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder / SPACE} cannot be read: {error}") from error
    return [absolute(source) for source in sources] or claimed(content["corpus"]["sources"]), config, text
