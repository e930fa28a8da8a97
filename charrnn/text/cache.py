"""Encoded texts too large for memory, kept in files named by their content."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.errors import CharRNNError, DataError
from charrnn.files import atomic_write, sweep, telling

_BLOCK = 1 << 18  # ids checked at a time


def cache_folder() -> Path:
    """$CHARRNN_CACHE, or the folder this system gives each user for caches. It may be deleted at any time."""
    if named := os.environ.get("CHARRNN_CACHE"):
        return Path(named)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "charrnn"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "charrnn" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "charrnn"


def write_ids(path: Path, blocks: Iterable[np.ndarray]) -> None:
    """Write blocks of ids one after the other, as raw numbers; the file appears when all of them are in it.

    What iterating over `blocks` raises passes through, and then there is no file.
    Raises CharRNNError when the folder cannot be written to.
    """
    try:
        with telling(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            sweep(path.parent)  # what a killed process left may be gigabytes
        with atomic_write(path) as file:
            for block in blocks:
                file.write(block.data)
    except DataError:
        raise
    except CharRNNError as error:
        raise CharRNNError(f"{error}. CHARRNN_CACHE can name another folder for encoded texts") from error


def map_ids(path: Path, dtype: np.dtype[Any], counts: np.ndarray) -> np.ndarray | None:
    """The ids in the file, memory-mapped read-only; None when it is missing or not what it should be.

    counts : how often each id must occur, int64 of shape (V,); a damaged file does not get past this.
    """
    try:
        if path.stat().st_size != counts.sum() * dtype.itemsize:
            return None
        seen = np.zeros_like(counts)
        with open(path, "rb") as file:  # reading, unlike touching the map, leaves no pages in our memory
            while (block := np.fromfile(file, dtype, _BLOCK)).size:
                if block.max() >= len(counts):
                    return None
                seen += np.bincount(block, minlength=len(counts))
        return np.memmap(path, dtype, mode="r") if np.array_equal(seen, counts) else None
    except OSError:
        return None
