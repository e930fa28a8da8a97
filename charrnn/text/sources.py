"""What a user names (files, folders, patterns, streams) as a list of byte sources that can be read again."""

import glob
import math
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from charrnn.errors import DataError, UsageError
from charrnn.reading import open_file, why_not_claimed
from charrnn.text.vocabulary import listing

BLOCK = 1 << 18  # bytes read at a time: what is made of them stays within a processor's cache
IN_MEMORY = 1 << 24  # below this many bytes a text is kept in memory
MOST_CLAIMED = 1 << 32  # bytes of a text that is read because a model's card names it
WIDEST = 16  # bytes of a character, at most, in any encoding (with what switches it)

StrPath = str | os.PathLike[str]


@dataclass(frozen=True)
class Source:
    """Bytes that can be read more than once: a regular file, or a temporary copy of a stream.

    name : as a user would name it
    """

    name: str
    origin: Path | IO[bytes]

    @property
    def title(self) -> str:
        """What messages call it."""
        return "stdin" if self.name == "-" else self.name

    @property
    def size(self) -> int:
        """Bytes it has now; 0 for a file that cannot be looked at."""
        if not isinstance(self.origin, Path):
            return self.origin.seek(0, os.SEEK_END)
        try:
            return self.origin.stat().st_size
        except OSError:
            return 0

    def blocks(self) -> Iterator[bytes]:
        """All of the bytes, in order, a block at a time. Raises DataError when they cannot be read."""
        try:
            with self._opened() as stream:
                size = os.fstat(stream.fileno()).st_size if isinstance(self.origin, Path) else math.inf
                stream.seek(0)
                done = 0
                while block := stream.read(BLOCK):
                    yield block
                    done += len(block)
                    if done > size + IN_MEMORY:
                        raise DataError(
                            f"{self.title} goes on beyond the {size:,} bytes that it is said to have: it is no text "
                            "at rest. Copy what you want of it to a file, or pipe it in"
                        )
        except OSError as error:
            raise DataError(f"{self.title} cannot be read: {error.strerror or error}") from error

    def _opened(self) -> AbstractContextManager[IO[bytes]]:
        return open_file(self.origin) if isinstance(self.origin, Path) else nullcontext(self.origin)


def is_stream(name: str) -> bool:
    """Whether a source can be read only once: stdin, a pipe, or what /dev has."""
    return name == "-" or name.startswith("/dev/") or Path(name).is_fifo()


def claimed(names: Any, symbols: int | None = None) -> list[str]:
    """The files that a model's card names, when they may be read on the word of whoever made it.

    A card names regular files, never folders or patterns, which are looked through when a user names them.

    symbols : how many the text should have, where that is told: files of another size are another text

    Raises DataError saying why not; for something that is no list of names too.
    """
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise DataError("the file does not tell what it was trained on")
    for name in names:
        if name == "-" or name.startswith("/dev/"):  # to read it again would wait for a keyboard, or for ever
            raise DataError("it came from stdin or a pipe")
        if reason := why_not_claimed(name):
            raise DataError(f"{name}: {reason}")
    size = sum(os.stat(name).st_size for name in names)
    if symbols is not None and not symbols <= size <= WIDEST * (symbols + len(names)):
        raise DataError(f"{listing(names)} has changed: {size:,} bytes cannot be {symbols:,} characters")
    if symbols is not None and size > MOST_CLAIMED:
        raise DataError(
            f"{listing(names)}: {size:,} bytes are more than the {MOST_CLAIMED:,} that are read unasked"
        )
    return names


def find_sources(
    names: Sequence[StrPath],
    stack: ExitStack,
    reason_to_skip: Callable[[Source], str | None],
    copied: Callable[[int], None] = lambda n_bytes: None,
) -> tuple[list[Source], list[str]]:
    """The sources that `names` stand for, in order, and notes on what was left out.

    A name is a file; a folder (its regular files at any depth, sorted, without hidden ones and those that
    `reason_to_skip` gives a reason for); a pattern with *, ? and ** (sorted); a pipe; or - for stdin.
    What can be read only once is copied, to disk when large; `stack` closes the copies, and `copied` is told
    how many bytes each block has.

    Raises DataError for what is missing, unreadable or a device, UsageError when there are no names.
    """
    if not names:
        raise UsageError("no text was named: give a file, a folder, a pattern, or - for stdin")
    sources: list[Source] = []
    notes: list[str] = []
    for name in names:
        for path in _matches(os.fspath(name)):
            _add(path, sources, notes, stack, reason_to_skip, copied)
    return sources, notes


def _matches(name: str) -> list[str]:
    """`name` itself if it exists, otherwise the files and folders it matches as a pattern."""
    try:
        if name != "-":
            os.lstat(name)
        return [name]
    except (OSError, ValueError) as error:
        is_pattern = glob.has_magic(name)
        matches = glob.glob(name, recursive=True) if is_pattern else []
        if not matches:
            reason = (
                "no file matches this pattern" if is_pattern else getattr(error, "strerror", None) or error
            )
            raise DataError(
                f"{name or repr(name)}: {reason} (looked from {os.getcwd()}). "
                "Name a text file, a folder, a pattern, or - for stdin"
            ) from error
    if "**" in name:  # it matches the files in a folder besides the folder
        matches = [path for path in matches if not os.path.isdir(path)]
    return sorted(matches, key=_in_order)


def _add(
    name: str,
    sources: list[Source],
    notes: list[str],
    stack: ExitStack,
    reason_to_skip: Callable[[Source], str | None],
    copied: Callable[[int], None],
) -> None:
    if name == "-":
        if sys.stdin is None:
            raise DataError("- names stdin, which is closed: give a file, or pipe a text in")
        sources.append(_copied("-", sys.stdin.buffer, stack, copied))
        return
    try:
        mode = os.stat(name).st_mode
        if stat.S_ISDIR(mode):
            sources += _in_folder(name, notes, reason_to_skip)
        elif stat.S_ISREG(mode):
            sources.append(Source(name, Path(name)))
        elif stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
            with open(name, "rb") as stream:
                if stat.S_ISCHR(mode) and not stream.isatty():
                    raise DataError(f"{name} is a device: give a file, a folder, a pipe, or - for stdin")
                sources.append(_copied(name, stream, stack, copied))
        else:
            raise DataError(f"{name} is a socket or device: give a file, a folder, a pipe, or - for stdin")
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror or error}") from error


def _copied(name: str, stream: IO[bytes], stack: ExitStack, copied: Callable[[int], None]) -> Source:
    copy = stack.enter_context(tempfile.SpooledTemporaryFile(IN_MEMORY))  # noqa: SIM115
    try:
        while block := stream.read(BLOCK):
            copy.write(block)
            copied(len(block))
    except OSError as error:
        raise DataError(
            f"{name} could not be copied to a temporary file in {tempfile.gettempdir()}: "
            f"{error.strerror or error}. Set TMPDIR to a folder with more room, or give a file instead"
        ) from error
    return Source(name, copy)


def _in_folder(folder: str, notes: list[str], reason_to_skip: Callable[[Source], str | None]) -> list[Source]:
    paths: list[str] = []
    skipped: dict[str, str] = {}

    def unreadable(error: OSError) -> None:
        skipped[str(error.filename)] = f"unreadable: {error.strerror}"

    for parent, folders, files in os.walk(folder, onerror=unreadable):
        for name in [*folders, *files]:
            if name.startswith("."):
                skipped[os.path.join(parent, name)] = "hidden"
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths += [os.path.join(parent, name) for name in files if not name.startswith(".")]
    sources = []
    for path in sorted(paths, key=_in_order):
        source = Source(path, Path(path))
        if not os.path.isfile(path):  # to open a pipe would wait for ever
            skipped[path] = "not a regular file"
        elif reason := reason_to_skip(source):
            skipped[path] = reason
        else:
            sources.append(source)
    left_out = listing([f"{os.path.relpath(path, folder)} ({skipped[path]})" for path in sorted(skipped)])
    if not sources:
        why = f"; skipped: {left_out}" if skipped else ""
        raise DataError(f"{folder} is a folder without text{why}")
    if skipped:
        notes.append(f"{folder}: {len(sources):,} files read; skipped: {left_out}")
    return sources


def _in_order(path: str) -> tuple[str, ...]:
    """A sort key that puts a folder's files together, the same on every system."""
    return Path(path).parts
