"""Durable, atomic file writing: after a crash at any moment a file is the old one or the new one, whole.

The new content goes to a temporary file in the same folder, is forced to the disk, may be checked there,
and only then takes the name of the old file:

    open  write…  fsync  close  [verify]  replace  fsync of the folder
"""

import errno
import io
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from charrnn.errors import CharRNNError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

StrPath = str | os.PathLike[str]

TEMPORARY = re.compile(r"\.charrnn-(\d{1,9})-[0-9a-f]{8}\.tmp")

# Temporary files this very process is writing. A process id alone cannot tell them from what a killed
# process left: in a container every run may be process 1.
_open_here: set[str] = set()

_NO_SPACE = "Free some disk space, or write to another disk"
_NO_ACCESS = "Choose a folder that can be written to"
_ADVICE = {
    errno.ENOSPC: _NO_SPACE,
    errno.EDQUOT: _NO_SPACE,
    errno.EFBIG: _NO_SPACE,
    errno.EROFS: _NO_ACCESS,
    errno.EACCES: _NO_ACCESS,
    errno.EPERM: _NO_ACCESS,
    errno.ENOENT: "Make that folder first",
    errno.EEXIST: "Choose a path that is not taken",
    errno.ENOTDIR: "Choose a path whose parent is a folder",
}


def why(error: OSError) -> str:
    """The system's reason not to write and what to do about it, to end a message with."""
    advice = _ADVICE.get(error.errno or 0, "Check the disk, or write to another folder")
    return f"{error.strerror or error}. {advice}"


@contextmanager
def telling(path: StrPath) -> Iterator[None]:
    """Turn an OSError of the block into a CharRNNError: what cannot be written, why, and what to do."""
    try:
        yield
    except OSError as error:
        state = "the previous file is intact" if os.path.lexists(path) else "no file was written"
        raise CharRNNError(f"cannot write {path} ({state}): {why(error)}") from error


class DescriptorFile(io.RawIOBase):
    """An open descriptor as an unbuffered binary file whose `write` writes all or raises CharRNNError."""

    def __init__(self, fd: int, path: StrPath):
        super().__init__()
        self._fd = fd
        self._path = path

    def fileno(self) -> int:
        return self._fd

    def writable(self) -> bool:
        return True

    def write(self, data: "ReadableBuffer", /) -> int:
        view = memoryview(data)
        if view.nbytes == 0:  # a view with a zero in its shape cannot be cast
            return 0
        view = view.cast("B")
        written = 0
        with telling(self._path):
            while written < len(view):
                written += os.write(self._fd, view[written:])
        return written


@contextmanager
def atomic_write(path: StrPath, verify: Callable[[Path], object] | None = None) -> Iterator[DescriptorFile]:
    """Replace the file at `path` by what is written in the `with` block: all of it or nothing.

    `verify` is called with the path of the finished temporary file and raises if it is not good. Whatever
    goes wrong, an interrupt included, the temporary file is removed and the previous file stays as it was.
    A symbolic link stays a link: the file it points to is replaced.

    Yields an unbuffered binary file to write to (write large pieces).
    Raises CharRNNError, naming the file and the reason, when the system refuses; what the block or `verify`
    raises passes through.
    """
    target = Path(os.path.realpath(path))
    if os.path.exists(target) and not os.path.isfile(target):  # replacing would destroy even /dev/null
        raise CharRNNError(f"cannot write {path}: it is not a regular file. Name a file that can be replaced")
    temporary = target.with_name(f".charrnn-{os.getpid()}-{secrets.token_hex(4)}.tmp")
    fd = -1
    _open_here.add(str(temporary))
    try:
        with telling(path):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            fd = os.open(temporary, flags, 0o666)
        yield DescriptorFile(fd, path)
        with telling(path):
            os.fsync(fd)
            closing, fd = fd, -1
            os.close(closing)
        if verify is not None:
            verify(temporary)
        with telling(path):
            os.replace(temporary, target)
    finally:
        if fd != -1:
            with suppress(OSError):
                os.close(fd)
        with suppress(OSError):  # gone already after a successful replace
            os.unlink(temporary)
        _open_here.discard(str(temporary))
    try:
        sync_folder(target.parent)
    except OSError as error:
        raise CharRNNError(
            f"{path} was written, but the system could not confirm that its folder is on the disk "
            f"({error.strerror}): the file may be lost in a power cut. Check the disk"
        ) from error


def sync_folder(folder: StrPath) -> None:
    """Force the names in `folder` to the disk, so that a new or renamed file survives a power cut."""
    try:
        fd = os.open(folder, os.O_RDONLY)
    except PermissionError:  # on Windows always; elsewhere when it may be written but not read
        return
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems have no fsync for folders
            raise
    finally:
        os.close(fd)


def sweep(folder: StrPath) -> list[Path]:
    """Remove the temporary files that killed processes of this machine left in `folder`; returns them."""
    swept = []
    for entry in Path(folder).iterdir():
        match = TEMPORARY.fullmatch(entry.name)
        if match and not _is_being_written(entry, int(match[1])):
            with suppress(OSError):  # another process swept it first, or the folder is read-only
                entry.unlink()
                swept.append(entry)
    return swept


def _is_being_written(temporary: Path, pid: int) -> bool:
    if pid == os.getpid():
        return str(Path(os.path.realpath(temporary.parent)) / temporary.name) in _open_here
    if os.name == "nt":  # signal 0 is Ctrl-C there; but a file in use cannot be removed either
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's process
        return True
    return True
