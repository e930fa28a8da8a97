"""Turn the files, folders, patterns and streams that a user names into byte sources that can be read twice."""

import glob
import io
import math
import os
import shlex
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from charrnn.errors import DataError, UsageError, did_you_mean
from charrnn.files.reading import open_file, why_not_claimed
from charrnn.text.vocabulary import listing

READ_BYTES = 1 << 18  # bytes per read; the arrays made of them fit in a processor's cache
IN_MEMORY = 1 << 24  # below this many bytes a text is kept in memory
MOST_CLAIMED = 1 << 32  # largest text that is read only because a model's card names it, in bytes
MOST_BYTES_PER_CHARACTER = 16  # most bytes per character in any encoding, with its escape sequences

MEMORY = "(in memory)"  # the name of a text that a program hands over

StrPath = str | os.PathLike[str]


@dataclass(frozen=True)
class Source:
    """Bytes that can be read more than once: a regular file, or a temporary copy of a stream.

    name : as the user would give it
    """

    name: str
    origin: Path | IO[bytes]

    @property
    def title(self) -> str:
        """Its name in messages."""
        return "stdin" if self.name == "-" else self.name

    @property
    def size(self) -> int:
        """Its current size in bytes; 0 if that cannot be read."""
        if not isinstance(self.origin, Path):
            return self.origin.seek(0, os.SEEK_END)
        try:
            return self.origin.stat().st_size
        except OSError:
            return 0

    def blocks(self) -> Iterator[bytes]:
        """All bytes in order, in blocks. Raises DataError if they cannot be read."""
        try:
            with self._opened() as stream:
                size = os.fstat(stream.fileno()).st_size if isinstance(self.origin, Path) else math.inf
                stream.seek(0)
                done = 0
                while block := stream.read(READ_BYTES):
                    yield block
                    done += len(block)
                    if done > size + IN_MEMORY:
                        raise DataError(
                            f"{self.title} has more content than its size of {size:,} bytes. Copy the part that you "
                            "want to a file, or pipe it in"
                        )
        except OSError as error:
            raise DataError(f"{self.title} cannot be read: {error.strerror or error}") from error

    def _opened(self) -> AbstractContextManager[IO[bytes]]:
        return open_file(self.origin) if isinstance(self.origin, Path) else nullcontext(self.origin)


def in_memory(text: str) -> Source:
    """A text that a program hands over, as a source."""
    return Source(MEMORY, io.BytesIO(text.encode("utf-8", "surrogatepass")))


def is_stream(name: str) -> bool:
    """Whether a source can be read only once: stdin, a pipe, an entry of /dev, or a text in memory."""
    if name in ("-", MEMORY) or name.startswith("/dev/"):
        return True
    try:
        return stat.S_ISFIFO(os.stat(name).st_mode)
    except (OSError, ValueError):  # not there, or no name at all
        return False


def claimed(names: Any, symbols: int | None = None, dense: bool = True) -> list[str]:
    """The files named by a model's card, if they may be read although the card is untrusted.

    A card names regular files, never folders or patterns, which are searched only if the user names them.

    symbols : the length of the text, if the card states it; files of another size are another text
    dense : whether the files hold nothing else; a table may have other columns, and items have symbols of their own

    Raises DataError with the reason if they may not be read, or if `names` is not a list of names.
    """
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise DataError("the model file does not name its training text")
    for name in names:
        if name == MEMORY:
            raise DataError("it was handed over by a program")
        if name == "-" or name.startswith("/dev/"):  # reading it again would block
            raise DataError("it was read from stdin or a pipe")
        if reason := why_not_claimed(name):
            raise DataError(f"{name}: {reason}")
    size = sum(os.stat(name).st_size for name in names)
    if (
        symbols is not None
        and dense
        and not symbols <= size <= MOST_BYTES_PER_CHARACTER * (symbols + len(names))
    ):
        raise DataError(
            f"{listing(names)} has changed: its {size:,} bytes cannot hold {symbols:,} characters"
        )
    if symbols is not None and size > MOST_CLAIMED:
        raise DataError(
            f"{listing(names)} has {size:,} bytes, more than the limit of {MOST_CLAIMED:,}. Name the text yourself"
        )
    return names


def find_sources(
    names: Sequence[StrPath | Source],
    stack: ExitStack,
    reason_to_skip: Callable[[Source], str | None],
    copied: Callable[[int], None] = lambda n_bytes: None,
) -> tuple[list[Source], list[str]]:
    """The sources for `names`, in order, and notes on skipped files.

    A name is a file; a folder (its regular files at any depth, sorted, without hidden ones and those for which
    `reason_to_skip` returns a reason); a pattern with *, ? and ** (sorted); a pipe; or - for stdin.
    A Source stands for itself. Streams are copied, to disk if large. `stack` closes the copies, and `copied` is called
    with the size of each block.

    Raises DataError if a source is missing, unreadable or a device, UsageError if there are no names.
    """
    if not names:
        raise UsageError("no text is given: name a file, a folder, a pattern, or - for stdin")
    sources: list[Source] = []
    notes: list[str] = []
    for name in names:
        if isinstance(name, Source):
            sources.append(name)
            continue
        try:
            matches = _matches(os.fspath(name))
        except DataError as error:
            raise DataError(f"{error}{with_spaces(names)}") from error
        for path in matches:
            _add(path, sources, notes, stack, reason_to_skip, copied)
    return sources, notes


def _matches(name: str) -> list[str]:
    """`name` itself if it exists, otherwise the files and folders that match it as a pattern."""
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
                f"{name or repr(name)}: {reason} (current folder: {os.getcwd()}){_like(name)} "
                "Name a text file, a folder, a pattern, or - for stdin"
            ) from error
    if "**" in name:  # ** matches a folder as well as the files in it
        matches = [path for path in matches if not os.path.isdir(path)]
    return sorted(matches, key=_in_order)


def _like(name: str) -> str:
    """The end of a sentence on a name that does not exist: files in its folder with a name like it."""
    folder, last = os.path.split(name)
    try:
        near = did_you_mean(last, os.listdir(folder or "."), key=lambda one: os.path.splitext(one)[0])
        return near or "."
    except (OSError, ValueError):
        return "."


def with_spaces(names: Sequence[StrPath | Source]) -> str:
    """The end of a message on names that do not exist, if together they are the name of a file with spaces."""
    whole = " ".join(name for name in names if isinstance(name, str))
    if len(names) < 2 or not os.path.lexists(whole):
        return ""
    return f". A name with spaces is put in quotes: {shlex.quote(whole)}"


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
            raise DataError("stdin (-) is closed: name a file, or pipe a text in")
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
                    raise DataError(f"{name} is a device: name a file, a folder, a pipe, or - for stdin")
                sources.append(_copied(name, stream, stack, copied))
        else:
            raise DataError(f"{name} is a socket or device: name a file, a folder, a pipe, or - for stdin")
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror or error}") from error


def _copied(name: str, stream: IO[bytes], stack: ExitStack, copied: Callable[[int], None]) -> Source:
    copy = stack.enter_context(tempfile.SpooledTemporaryFile(IN_MEMORY))  # noqa: SIM115
    try:
        while block := stream.read(READ_BYTES):
            copy.write(block)
            copied(len(block))
    except OSError as error:
        raise DataError(
            f"{name} could not be copied to a temporary file in {tempfile.gettempdir()}: "
            f"{error.strerror or error}. Set TMPDIR to a folder with more space, or name a file instead"
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
        if not os.path.isfile(path):  # opening a pipe would block
            skipped[path] = "not a regular file"
        elif reason := reason_to_skip(source):
            skipped[path] = reason
        else:
            sources.append(source)
    left_out = listing([f"{os.path.relpath(path, folder)} ({skipped[path]})" for path in sorted(skipped)])
    if not sources:
        why = f"; skipped: {left_out}" if skipped else ""
        raise DataError(f"{folder} is a folder without text files{why}")
    if skipped:
        notes.append(f"{folder}: {len(sources):,} files read; skipped: {left_out}")
    return sources


def _in_order(path: str) -> tuple[str, ...]:
    """A sort key that keeps the files of a folder together, the same on every system."""
    return Path(path).parts
