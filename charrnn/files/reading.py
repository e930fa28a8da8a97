"""Reading untrusted files: opening never blocks, and sizes are limited.

A path may be a pipe without a writer, a device, or an endless file (such as those in /proc, which report size 0).
A path found inside another file is only a claim by the author of that file.
"""

import errno
import json
import math
import os
import stat
import sys
from typing import Any, BinaryIO, NoReturn

from charrnn.files.writing import StrPath

MOST_SETTINGS = 1 << 20  # largest settings file, in bytes
HANDED_OVER = "/dev/"  # /dev/stdin, /dev/fd/63: files opened for us by the user's shell
NOT_ON_A_DISK = ("/dev", "/proc", "/sys")
KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def open_file(path: StrPath) -> BinaryIO:
    """Open a regular file for reading. Raises OSError at once for anything else: a pipe could block forever."""
    _must_be_regular(os.stat(path).st_mode)
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        _must_be_regular(os.fstat(fd).st_mode)  # the path may lead to another file by now
        return open(fd, "rb")
    except BaseException:
        os.close(fd)
        raise


def check_file(path: StrPath, most: int) -> None:
    """Raise OSError if `read_file` could not read this file."""
    found = os.stat(path)
    if os.fspath(path).startswith(HANDED_OVER) and stat.S_ISFIFO(found.st_mode):
        return
    _must_be_regular(found.st_mode)
    if found.st_size > most:
        raise OSError(errno.EFBIG, f"it is larger than the limit of {most:,} bytes")


def read_file(path: StrPath, most: int) -> bytes:
    """The content of a regular file, or of a pipe opened by the shell, of at most `most` bytes.

    Raises OSError if it is larger or not such a file.
    """
    name = os.fspath(path)
    is_pipe = name.startswith(HANDED_OVER) and stat.S_ISFIFO(os.stat(name).st_mode)
    with open(name, "rb") if is_pipe else open_file(name) as file:
        return read_bounded(file, most)


def read_stdin(most: int) -> bytes:
    """The content of stdin. Raises OSError if it has more than `most` bytes or is closed."""
    if sys.stdin is None:
        raise OSError(errno.EBADF, "stdin is closed")
    return read_bounded(sys.stdin.buffer, most)


def read_bounded(file: BinaryIO, most: int) -> bytes:
    """The content of an open file or stream. Raises OSError if it has more than `most` bytes."""
    content = file.read(most + 1)
    if content is None:  # a file such as /proc/kmsg, which would block
        raise OSError(errno.EAGAIN, "it has no content to read now")
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it is larger than the limit of {most:,} bytes")
    return content


def parse_json(text: bytes | str) -> Any:
    """Parse JSON strictly: no duplicate keys, no NaN or infinity, no integers beyond 64 bits.

    Raises ValueError; RecursionError if it is nested too deeply.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = dict(pairs)
        if len(keys) < len(pairs):
            raise ValueError("a key appears twice in one object")
        return keys

    def whole(number: str) -> int:
        if not -(2**63) <= (value := int(number)) < 2**63:
            raise ValueError(f"{number[:20]}… is out of range")
        return value

    def finite(number: str) -> float:
        if not math.isfinite(value := float(number)):
            raise ValueError(f"{number[:20]} is out of range")
        return value

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not a JSON number")

    return json.loads(
        text, object_pairs_hook=unique, parse_int=whole, parse_float=finite, parse_constant=refuse
    )


def why_not_claimed(name: str) -> str | None:
    """Why a file named by another file must not be opened; None if it may be: a regular file on a local disk."""
    if name.startswith(("//", "\\\\")) or "://" in name:
        return "it is on a network"
    for path in (os.path.abspath(name), os.path.realpath(name)):
        if any(path == root or path.startswith(f"{root}/") for root in NOT_ON_A_DISK):
            return "it is not on a disk"
    try:
        _must_be_regular(os.stat(name).st_mode)
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    return None


def _must_be_regular(mode: int) -> None:
    if not stat.S_ISREG(mode):
        what = next((name for is_kind, name in KINDS if is_kind(mode)), "something else")
        raise OSError(errno.EINVAL, f"it is {what}, not a regular file")
