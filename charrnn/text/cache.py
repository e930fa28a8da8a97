"""The cache: what takes long to make, kept to this user alone.

What lies here is believed: machine code is run as it is. So a folder of the cache is made for its user only,
and used only where it belongs to this user, is no link, and gives nobody else the right to write; so must
each file that is read. Of the folders above, it is assumed that nobody else can rename what is in them,
which holds for a home folder and, by its sticky bit, for /tmp.
"""

import os
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.errors import CharRNNError, DataError
from charrnn.files import Folder, atomic_write, sweep, telling

_BLOCK = 1 << 18  # ids checked at a time
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_WAY_OUT = "CHARRNN_CACHE can name a folder of your own"


class NoCache(CharRNNError):
    """There is no folder for the cache that this user can use and trust: what is wanted is made anew."""


def cache_folder() -> Path | None:
    """$CHARRNN_CACHE, or the folder this system gives each user for caches. It may be deleted at any time.

    None where the user has no home: a cache in the current folder would be whoever's that folder is.
    """
    if named := os.environ.get("CHARRNN_CACHE"):
        return Path(named)
    if sys.platform == "darwin":
        return _in_home("Library", "Caches", "charrnn")
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return Path(local, "charrnn", "Cache") if local else _in_home("AppData", "Local", "charrnn", "Cache")
    caches = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return caches / "charrnn" if caches.is_absolute() else _in_home(".cache", "charrnn")


def _in_home(*parts: str) -> Path | None:
    if os.environ.get("HOME") == "":
        return None
    try:
        home = Path.home()
    except RuntimeError:  # a user that the system does not know
        return None
    return home.joinpath(*parts) if home.is_absolute() else None


@contextmanager
def private_folder(*below: str) -> Iterator[Folder]:
    """The cache, or a folder in it, made where it is missing, and held open.

    Raises NoCache where it cannot be made, or is not this user's alone.
    """
    root = cache_folder()
    if root is None:
        raise NoCache(f"there is no home folder, and so no cache. {_WAY_OUT}")
    with ExitStack() as opened:
        try:
            root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder = Folder(root.parent)
            for name in (root.name, *below):
                folder.make(name, 0o700)
                folder = opened.enter_context(folder.child(name))
                if folder.fd is not None and (fault := _not_ours(os.fstat(folder.fd))):
                    raise NoCache(
                        f"the cache is not used: {folder.path} {fault}. Remove that folder; or {_WAY_OUT}"
                    )
        except OSError as error:
            reason = error.strerror or error
            raise NoCache(f"the cache is not used: {root} cannot be opened ({reason}). {_WAY_OUT}") from error
        yield folder


def open_own(folder: Folder, name: str) -> int:
    """A descriptor of a file in a private folder, to read; OSError for anything but a file of this user's."""
    fd = folder.open(name, os.O_RDONLY)
    if folder.fd is not None and (fault := _not_ours(os.fstat(fd))):
        os.close(fd)
        raise PermissionError(f"{folder.path / name} {fault}")
    return fd


def _not_ours(found: os.stat_result) -> str:
    """Why what was found is not this user's alone; empty where it is."""
    if found.st_uid != os.geteuid():
        return "belongs to another user"
    if found.st_mode & _OTHERS_WRITE:
        return f"can be written by other users (mode {stat.S_IMODE(found.st_mode):04o})"
    return ""


def write_ids(folder: Folder, name: str, blocks: Iterable[np.ndarray]) -> None:
    """Write blocks of ids one after the other, as raw numbers; the file appears when all of them are in it.

    What iterating over `blocks` raises passes through, and then there is no file.
    Raises CharRNNError when the folder cannot be written to.
    """
    path = folder.path / name
    try:
        with telling(path):
            sweep(folder)  # what a killed process left may be gigabytes
        with atomic_write(path, folder=folder, mode=0o600) as file:
            for block in blocks:
                file.write(block.data)
    except DataError:
        raise
    except CharRNNError as error:
        raise CharRNNError(f"{error}. CHARRNN_CACHE can name another folder for encoded texts") from error


def map_ids(folder: Folder, name: str, dtype: np.dtype[Any], counts: np.ndarray) -> np.ndarray | None:
    """The ids in the file, memory-mapped read-only; None when it is missing or not what it should be.

    counts : how often each id must occur, int64 of shape (V,); a damaged file does not get past this.
    """
    try:
        with open(open_own(folder, name), "rb") as file:
            if os.fstat(file.fileno()).st_size != counts.sum() * dtype.itemsize:
                return None
            seen = np.zeros_like(counts)
            # Reading, unlike touching the map, leaves no pages in our memory.
            while (block := np.fromfile(file, dtype, _BLOCK)).size:
                if block.max() >= len(counts):
                    return None
                seen += np.bincount(block, minlength=len(counts))
            if not np.array_equal(seen, counts):
                return None
            ids = np.memmap(file, dtype, mode="r")
    except OSError:
        return None
    ids.filename = folder.path / name  # type: ignore[assignment]  # numpy's own is a Path as well
    return ids


def unnamed_ids(dtype: np.dtype[Any], blocks: Iterable[np.ndarray]) -> np.ndarray:
    """The ids, memory-mapped read-only from a file without a name, which goes when they do.

    Raises CharRNNError when the folder for temporary files cannot be written to.
    """
    place = tempfile.gettempdir()
    with telling(place), tempfile.TemporaryFile(dir=place) as file:
        for block in blocks:
            file.write(block.data)
        file.flush()
        return np.memmap(file, dtype, mode="r")
