"""The cache for results that take long to compute, private to this user.

Its content is trusted: machine code in it is run. So each cache folder is created for this user only, and a folder or
file is used only if it belongs to this user, is not a link, and cannot be written by anyone else. Nobody else is
assumed to be able to rename entries of the folders above, which holds for a home folder and, because of its sticky
bit, for /tmp.
"""

import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.errors import CharRNNError, DataError
from charrnn.files.writing import Folder, atomic_write, sweep, telling

_IDS_AT_ONCE = 1 << 18  # ids checked at a time
_BYTES_AT_ONCE = 1 << 22  # of a checked file
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_WAY_OUT = "set CHARRNN_CACHE to a folder of your own"


class NoCache(CharRNNError):
    """This user has no cache folder that can be used and trusted; the result must be computed again."""


def cache_folder() -> Path | None:
    """$CHARRNN_CACHE, or the system's cache folder of this user. It may be deleted at any time.

    None if the user has no home folder: a cache in the current folder could belong to someone else.
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
    except RuntimeError:  # a user unknown to the system
        return None
    return home.joinpath(*parts) if home.is_absolute() else None


@contextmanager
def private_folder(*below: str) -> Iterator[Folder]:
    """Open the cache or a folder in it, creating it if needed, and keep it open.

    Raises NoCache if it cannot be created or is not private to this user.
    """
    root = cache_folder()
    if root is None:
        raise NoCache(f"no cache is used: there is no home folder. To have one, {_WAY_OUT}")
    with ExitStack() as opened:
        try:
            root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder = Folder(root.parent)
            for name in (root.name, *below):
                folder.make(name, 0o700)
                folder = opened.enter_context(folder.child(name))
                if folder.fd is not None and (fault := _not_ours(os.fstat(folder.fd))):
                    raise NoCache(
                        f"the cache is not used: {folder.path} {fault}. Remove that folder, or {_WAY_OUT}"
                    )
        except OSError as error:
            reason = error.strerror or error
            raise NoCache(
                f"the cache is not used: {root} cannot be opened ({reason}). Make it accessible, or {_WAY_OUT}"
            ) from error
        yield folder


def open_own(folder: Folder, name: str) -> int:
    """Open a file in a private folder for reading. Raises OSError unless it is private to this user."""
    fd = folder.open(name, os.O_RDONLY)
    if folder.fd is not None and (fault := _not_ours(os.fstat(fd))):
        os.close(fd)
        raise PermissionError(f"{folder.path / name} {fault}")
    return fd


def _not_ours(found: os.stat_result) -> str:
    """Why a file or folder is not private to this user; empty if it is."""
    if found.st_uid != os.geteuid():
        return "belongs to another user"
    if found.st_mode & _OTHERS_WRITE:
        return f"can be written by other users (mode {stat.S_IMODE(found.st_mode):04o})"
    return ""


def write_ids(folder: Folder, name: str, blocks: Iterable[np.ndarray]) -> None:
    """Write blocks of ids one after the other, as raw numbers. The file appears once it is complete.

    Exceptions raised while iterating over `blocks` pass through, and no file is written.
    Raises CharRNNError if the folder cannot be written to.
    """
    path = folder.path / name
    try:
        with telling(path):
            sweep(folder)  # files left by a killed process may have gigabytes
        with atomic_write(path, folder=folder, mode=0o600) as file:
            for block in blocks:
                file.write(block.data)
    except DataError:
        raise
    except CharRNNError as error:
        raise CharRNNError(f"{error}. Set CHARRNN_CACHE to keep encoded texts in another folder") from error


def map_ids(folder: Folder, name: str, dtype: np.dtype[Any], counts: np.ndarray) -> np.ndarray | None:
    """The ids in the file, memory-mapped read-only; None if it is missing or damaged.

    counts : how often each id must occur, int64 of shape (V,), to detect a damaged file
    """
    try:
        with open(open_own(folder, name), "rb") as file:
            if os.fstat(file.fileno()).st_size != counts.sum() * dtype.itemsize:
                return None
            seen = np.zeros_like(counts)
            # Unlike access through the map, reading leaves no pages in our memory.
            while (block := np.fromfile(file, dtype, _IDS_AT_ONCE)).size:
                if block.max() >= len(counts):
                    return None
                seen += np.bincount(block, minlength=len(counts))
            if not np.array_equal(seen, counts):
                return None
            ids = np.memmap(file, dtype, mode="r")
    except OSError:
        return None
    ids.filename = folder.path / name  # type: ignore[assignment]  # numpy also sets a Path
    return ids


def kept(
    name: str, dtype: np.dtype[Any], make: Callable[[], Sequence[np.ndarray]], count: int | None = None
) -> np.ndarray:
    """The numbers that the cache has under a name, memory-mapped; if it has none, those made now, which it then keeps.

    A cache that cannot be used, or has no space left, costs only time: they are made each time.

    make : makes them, as arrays that stand one after the other; count : how many there must be, if that is known
    """
    with suppress(NoCache), private_folder() as folder:
        if (found := _map_checked(folder, name, dtype, count)) is not None:
            return found
    arrays = make()
    with suppress(CharRNNError), private_folder() as folder:
        write_ids(folder, name, [*(array.view(np.uint8) for array in arrays), _digest_of(arrays)])
        if (found := _map_checked(folder, name, dtype, count)) is not None:  # which takes no memory of ours
            return found
    return np.concatenate([np.empty(0, dtype), *(array.view(dtype) for array in arrays)])


def _map_checked(folder: Folder, name: str, dtype: np.dtype[Any], count: int | None) -> np.ndarray | None:
    """The numbers that `kept` wrote; None if they are missing or damaged."""
    try:
        with open(open_own(folder, name), "rb") as file:
            size = os.fstat(file.fileno()).st_size - hashlib.sha256().digest_size
            if size < 0 or size % dtype.itemsize or count not in (None, size // dtype.itemsize):
                return None
            sizes = (min(_BYTES_AT_ONCE, size - begin) for begin in range(0, size, _BYTES_AT_ONCE))
            # Unlike access through the map, reading leaves no pages in our memory.
            digest = _digest_of(np.fromfile(file, np.uint8, each) for each in sizes)
            if file.read() != digest.tobytes():
                return None
            return np.memmap(file, np.uint8, mode="r")[:size].view(dtype)
    except OSError:
        return None


def _digest_of(arrays: Iterable[np.ndarray]) -> np.ndarray:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(array.view(np.uint8).data)
    return np.frombuffer(digest.digest(), np.uint8)


def unnamed_ids(dtype: np.dtype[Any], blocks: Iterable[np.ndarray]) -> np.ndarray:
    """The ids, memory-mapped read-only from a temporary file that disappears with them.

    Raises CharRNNError if the folder for temporary files cannot be written to.
    """
    place = tempfile.gettempdir()
    with telling(place), tempfile.TemporaryFile(dir=place) as file:
        for block in blocks:
            file.write(block.data)
        file.flush()
        return np.memmap(file, dtype, mode="r")
