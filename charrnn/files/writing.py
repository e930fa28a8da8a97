"""Durable, atomic file writing: after a crash, a file is the complete old one or the complete new one.

The new content is written to a temporary file in the same folder, forced to the disk and optionally verified.
Only then does it replace the old file:

    open  write…  fsync  close  [verify]  replace  fsync of the folder

There are two ways to write. `atomic_write` is for names chosen by charrnn: it replaces any file of that name
and never follows a symbolic link that somebody put there. `atomic_write_named` is for a path given by the user:
a link stays a link, and the file keeps its permissions.
"""

import errno
import io
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from charrnn.errors import CharRNNError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

StrPath = str | os.PathLike[str]

TEMPORARY = re.compile(r"\.charrnn-(\d{1,9})-[0-9a-f]{8}\.tmp")

# Names of temporary files that this process is writing. The process id is not enough to tell them from files left by
# a killed process: in a container, every run may be process 1.
_open_here: set[str] = set()

_NO_SPACE = "Free some disk space, or write to another disk"
_NO_ACCESS = "Choose a folder that can be written to"
_IN_THE_WAY = "Remove it, or use another folder"
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
    errno.ELOOP: _IN_THE_WAY,
    errno.EMLINK: _IN_THE_WAY,
    errno.ENXIO: _IN_THE_WAY,
    errno.EISDIR: _IN_THE_WAY,
}

# Never follow a link, and never wait for a FIFO that somebody put there.
_CAREFUL = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def why(error: OSError) -> str:
    """The end of a message: why the system could not write, and what to do about it."""
    advice = _ADVICE.get(error.errno or 0, "Check the disk, or write to another folder")
    return f"{error.strerror or error}. {advice}"


@contextmanager
def telling(path: StrPath) -> Iterator[None]:
    """Turn an OSError in the block into a CharRNNError with the path, the reason and advice."""
    try:
        yield
    except OSError as error:
        state = "the previous file is intact" if os.path.isfile(path) else "no file was written"
        raise CharRNNError(f"cannot write {path} ({state}): {why(error)}") from error


class DescriptorFile(io.RawIOBase):
    """An open descriptor as an unbuffered binary file; `write` writes everything or raises CharRNNError."""

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


class Folder:
    """A folder whose files are opened by name, never through a link.

    With an open descriptor (`fd`) it stays the same folder even if it is moved or another folder takes its path.
    Without one, the path is used.
    """

    def __init__(self, path: StrPath, fd: int | None = None) -> None:
        self.path = Path(path)
        self.fd = fd

    @classmethod
    @contextmanager
    def opened(cls, path: StrPath) -> Iterator["Folder"]:
        """Open the folder at a path, which may be a link, and keep it open."""
        if os.name == "nt":  # Windows cannot open folders
            yield cls(path)
            return
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield cls(path, fd)
        finally:
            os.close(fd)

    @contextmanager
    def child(self, name: str) -> Iterator["Folder"]:
        """Open a subfolder and keep it open. Raises OSError if it is a link or not a folder."""
        if self.fd is None and os.name == "nt":
            yield Folder(self.path / name)
            return
        fd = self._open(name, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield Folder(self.path / name, fd)
        finally:
            os.close(fd)

    def make(self, name: str, mode: int = 0o777) -> bool:
        """Make a subfolder. Returns False if the name is taken."""
        try:
            os.mkdir(self._at(name), mode, dir_fd=self.fd)
        except FileExistsError:
            return False
        return True

    def open(self, name: str, flags: int, mode: int = 0o666) -> int:
        """Open a regular file without hard links and return its descriptor. Raises OSError for anything else."""
        fd = self._open(name, flags, mode)
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.ENXIO, "it is not a regular file")
            if found.st_nlink > 1:
                raise OSError(errno.EMLINK, "it is a hard link: the file has another name too")
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _open(self, name: str, flags: int, mode: int = 0o666) -> int:
        try:
            return os.open(self._at(name), flags | _CAREFUL, mode, dir_fd=self.fd)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR) and self.is_link(name):
                raise OSError(errno.ELOOP, "it is a link, which is not followed here") from error
            raise

    def stat(self, name: str) -> os.stat_result | None:
        """The status of the entry with this name, without following links; None if there is none."""
        try:
            return os.stat(self._at(name), dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def is_link(self, name: str) -> bool:
        found = self.stat(name)
        return found is not None and stat.S_ISLNK(found.st_mode)

    def names(self) -> list[str]:
        return os.listdir(self.path if self.fd is None else self.fd)

    def unlink(self, name: str) -> None:
        os.unlink(self._at(name), dir_fd=self.fd)

    def replace(self, old: str, new: str) -> None:
        os.replace(self._at(old), self._at(new), src_dir_fd=self.fd, dst_dir_fd=self.fd)

    def sync(self) -> None:
        """Force the folder's entries to the disk, so that a new or renamed file survives a power cut."""
        if self.fd is None:
            sync_folder(self.path)
        else:
            _sync(self.fd)

    def where(self) -> Path:
        """A path that leads to the folder now: its own, or its new one if it was moved and the system knows that.

        Raises OSError if there is none, for example because the folder was deleted.
        """
        if self.fd is None:
            return self.path
        held = os.fstat(self.fd)
        places = [self.path]
        with suppress(OSError):
            places.append(Path(os.readlink(f"/proc/self/fd/{self.fd}")))
        for place in places:
            with suppress(OSError):
                if os.path.samestat(os.stat(place), held):
                    return place
        raise FileNotFoundError(errno.ENOENT, "the folder was moved or deleted", str(self.path))

    def _at(self, name: str) -> StrPath:
        return self.path / name if self.fd is None else name


@contextmanager
def atomic_write(
    path: StrPath,
    verify: Callable[[Path], object] | None = None,
    *,
    folder: Folder | None = None,
    mode: int | None = None,
) -> Iterator[DescriptorFile]:
    """Replace the file at `path` by the content written in the `with` block, completely or not at all.

    A symbolic link of that name is replaced, not followed. `verify` is called with the path of the finished
    temporary file and raises if the file is wrong. After any failure, including an interrupt, the temporary file
    is removed and the previous file is unchanged.

    folder : the open folder of `path`, if the caller has one
    mode : permissions of the file; by default those of any new file

    Yields an unbuffered binary file to write to (write large pieces).
    Raises CharRNNError with the file and the reason if the system refuses. Exceptions of the block and of `verify`
    pass through.
    """
    path = Path(path)
    with _replacing(path, folder or Folder(path.parent), path.name, verify, mode) as file:
        yield file


@contextmanager
def atomic_write_named(
    path: StrPath, verify: Callable[[Path], object] | None = None
) -> Iterator[DescriptorFile]:
    """Like `atomic_write`, for a path given by the user: a symbolic link stays a link and its target is replaced;
    an existing file keeps its permissions."""
    target = Path(os.path.realpath(path))
    mode = None
    with suppress(OSError):
        mode = stat.S_IMODE(target.stat().st_mode) & 0o777
    with _replacing(path, Folder(target.parent), target.name, verify, mode) as file:
        yield file


@contextmanager
def _replacing(
    path: StrPath, folder: Folder, name: str, verify: Callable[[Path], object] | None, mode: int | None
) -> Iterator[DescriptorFile]:
    """Replace `name` in `folder`; messages call it `path`."""
    with telling(path):
        old = folder.stat(name)
    if old is not None and not (stat.S_ISREG(old.st_mode) or stat.S_ISLNK(old.st_mode)):
        raise CharRNNError(  # replacing would destroy even /dev/null
            f"cannot write {path}: it is not a regular file. Choose another path"
        )
    temporary = f".charrnn-{os.getpid()}-{secrets.token_hex(4)}.tmp"
    fd = -1
    _open_here.add(temporary)
    try:
        with telling(path):
            fd = folder.open(
                temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode & 0o600
            )
            if mode is not None and hasattr(os, "fchmod"):
                os.fchmod(fd, mode)
        yield DescriptorFile(fd, path)
        with telling(path):
            os.fsync(fd)
            closing, fd = fd, -1
            os.close(closing)
        if verify is not None:
            with telling(path):
                place = folder.where()
            verify(place / temporary)
        with telling(path):
            folder.replace(temporary, name)
    finally:
        if fd != -1:
            with suppress(OSError):
                os.close(fd)
        with suppress(OSError):  # already gone after a successful replace
            folder.unlink(temporary)
        _open_here.discard(temporary)
    try:
        folder.sync()
    except OSError as error:
        raise CharRNNError(
            f"{path} was written, but the system could not force its folder to the disk "
            f"({error.strerror}): a power cut could lose the file. Check the disk"
        ) from error


def sync_folder(folder: StrPath) -> None:
    """Force the entries of `folder` to the disk, so that a new or renamed file survives a power cut."""
    try:
        fd = os.open(folder, os.O_RDONLY)
    except PermissionError:  # always on Windows; elsewhere if the folder is writable but not readable
        return
    try:
        _sync(fd)
    finally:
        os.close(fd)


def _sync(fd: int) -> None:
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems have no fsync for folders
            raise


def sweep(folder: Folder) -> list[Path]:
    """Remove temporary files left in `folder` by killed processes of this machine, and return their paths."""
    swept = []
    for name in folder.names():
        match = TEMPORARY.fullmatch(name)
        if match and not _is_being_written(name, int(match[1])):
            with suppress(OSError):  # another process swept it first, or the folder is read-only
                folder.unlink(name)
                swept.append(folder.path / name)
    return swept


def _is_being_written(temporary: str, pid: int) -> bool:
    if pid == os.getpid():
        return temporary in _open_here
    if os.name == "nt":  # signal 0 would be Ctrl-C; but a file in use cannot be removed there anyway
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's process
        return True
    return True
