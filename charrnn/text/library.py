"""Texts to train on: shipped with charrnn, built from this Python, or downloaded and verified."""

import hashlib
import http.client
import importlib.resources
import os
import sys
import sysconfig
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from charrnn.errors import CharRNNError, DataError, UsageError
from charrnn.files.writing import atomic_write, atomic_write_named

_READ_BYTES = 1 << 18


class Text(Protocol):
    """A text of the library. `blocks` yields its bytes, and raises if they are wrong."""

    @property
    def name(self) -> str: ...
    @property
    def about(self) -> str: ...
    @property
    def licence(self) -> str: ...
    @property
    def source(self) -> str: ...

    def blocks(self) -> Iterator[bytes]: ...


@dataclass(frozen=True)
class Shipped:
    """A text that comes with the project, in a checkout and in the installed package."""

    name: str
    about: str
    licence: str
    path: Path

    @property
    def source(self) -> str:
        return str(self.path)

    def blocks(self) -> Iterator[bytes]:
        try:
            yield self.path.read_bytes()
        except OSError as error:
            raise DataError(
                f"{self.name}: {self.path}, part of charrnn, cannot be read ({error.strerror}). "
                "Install charrnn again, or choose another text: charrnn corpus lists them"
            ) from error


@dataclass(frozen=True)
class StandardLibrary:
    """The Python files under `folder` as one text, sorted, without tests and files that are not UTF-8."""

    name: str
    about: str
    licence: str
    folder: Path = field(default_factory=lambda: Path(sysconfig.get_path("stdlib")))
    max_bytes: int | None = None

    _LEFT_OUT = frozenset({"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"})

    @property
    def source(self) -> str:
        return str(self.folder)

    def blocks(self) -> Iterator[bytes]:
        """One file at a time; the last one is cut at a line end to keep within `max_bytes`."""
        bytes_left = sys.maxsize if self.max_bytes is None else self.max_bytes
        empty = True
        for path in self._paths():
            block = _utf8_lines(path)
            fits = block if len(block) <= bytes_left else block[: block.rfind(b"\n", 0, bytes_left) + 1]
            if fits:
                empty = False
                yield fits
            if len(fits) < len(block):
                break
            bytes_left -= len(fits)
        if empty and self.max_bytes is not None:
            raise UsageError(f"--max-bytes is {self.max_bytes}, less than the first line; raise it")
        if empty:
            raise DataError(
                f"{self.name}: no Python files in {self.folder}; this Python ships without sources"
            )

    def _paths(self) -> list[Path]:
        paths = []
        for parent, folders, files in os.walk(self.folder):
            folders[:] = [name for name in folders if name not in self._LEFT_OUT]
            paths += [Path(parent, name) for name in files if name.endswith(".py")]
        return sorted(paths)  # paths sort by their parts, so the order is the same on every system


@dataclass(frozen=True)
class Download:
    """A text on the web with known size and sha256."""

    name: str
    about: str
    licence: str
    source: str
    size: int
    sha256: str
    timeout: float = 30.0  # seconds without an answer

    def blocks(self) -> Iterator[bytes]:
        sha256 = hashlib.sha256()
        came = 0
        head = b""
        try:
            request = urllib.request.Request(self.source, headers={"User-Agent": "charrnn"})
            with urllib.request.urlopen(request, timeout=self.timeout) as response:
                while block := response.read(_READ_BYTES):
                    came += len(block)
                    if came > self.size:
                        raise self._wrong(f"more than {self.size:,} bytes", head or block)
                    head = head or block
                    sha256.update(block)
                    yield block
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            raise CharRNNError(
                f"{self.name}: {self.source} could not be downloaded ({_reason(error)}). Try again later, or "
                "download the file in another way and give its path to charrnn train"
            ) from error
        if came != self.size or sha256.hexdigest() != self.sha256:
            raise self._wrong(f"{came:,} bytes with sha256 {sha256.hexdigest()}", head)

    def _wrong(self, what_came: str, head: bytes) -> DataError:
        return DataError(
            f"{self.name}: {self.source} has changed: got {what_came}, beginning with {head[:30]!r}; "
            f"expected {self.size:,} bytes with sha256 {self.sha256}. Nothing was kept; try again later"
        )


def texts(max_bytes: int | None = None) -> list[Text]:
    """All texts of the library. `max_bytes` limits the size of the standard library's text."""
    return [
        Shipped(
            "shipped",
            "The Harbour Clock, a story in four parts written for this project",
            "CC0-1.0",
            _shipped("harbour.txt"),
        ),
        Shipped(
            "place-names",
            "2,600 invented names of places, labelled with the region they sound like",
            "CC0-1.0",
            _shipped("place-names.csv"),
        ),
        Shipped(
            "number-words",
            "3,000 numbers in digits and in English words, as pairs",
            "CC0-1.0",
            _shipped("number-words.tsv"),
        ),
        StandardLibrary(
            "python-stdlib",
            "the standard library of this Python, without tests",
            "PSF-2.0",
            max_bytes=max_bytes,
        ),
        Download(
            "tinyshakespeare",
            "40,000 lines of Shakespeare's plays, as used by char-rnn",
            "public domain",
            "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
            1_115_394,
            "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        ),
    ]


def _shipped(name: str) -> Path:
    """A file of corpora/: in the installed package, or in the checkout."""
    package = importlib.resources.files("charrnn")
    built, checkout = (Path(str(folder), "corpora", name) for folder in (package, Path(str(package)).parent))
    return built if built.is_file() else checkout


def find(library: Sequence[Text], name: str) -> Text:
    """The text called `name`. Raises UsageError if there is none."""
    for text in library:
        if text.name == name:
            return text
    names = ", ".join(text.name for text in library)
    raise UsageError(f"there is no text {name!r} in the library; it has: {names}")


def size_and_sha256(text: Text) -> tuple[int, str]:
    """Size in bytes and sha256 of the text; the expected ones for a download."""
    if isinstance(text, Download):
        return text.size, text.sha256
    size = 0
    sha256 = hashlib.sha256()
    for block in text.blocks():
        size += len(block)
        sha256.update(block)
    return size, sha256.hexdigest()


def describe(text: Text) -> dict[str, Any]:
    """The entry of `text` in a list; size and sha256 are None if the text is missing."""
    try:
        size, sha256 = size_and_sha256(text)
    except DataError:
        size, sha256 = None, None
    return {
        "name": text.name,
        "bytes": size,
        "licence": text.licence,
        "source": text.source,
        "about": text.about,
        "sha256": sha256,
    }


def make(text: Text, out: Path | None = None, force: bool = False) -> Path:
    """Write `text` to `out` (a file or a folder) and return the file's path.

    Without `out` it is written to NAME.txt in the current folder; a shipped text stays where it is, and a copy of
    it in a folder keeps its kind, such as .csv. A file that
    already has this content is left alone; any other is replaced only with `force`.

    Raises UsageError if another file is in the way, DataError if the text is not as expected, CharRNNError if
    downloading or writing fails. Then no file is written and an old one is unchanged.
    """
    if out is None and isinstance(text, Shipped):
        size_and_sha256(text)  # raises if it is missing
        return text.path
    named = out is not None and not out.is_dir()
    suffix = text.path.suffix if isinstance(text, Shipped) else ".txt"
    path = out if out is not None and named else (out or Path()) / f"{text.name}{suffix}"
    if path.exists():
        if path.is_file() and _sha256_of(path) == size_and_sha256(text)[1]:
            return path
        if not force:
            raise UsageError(
                f"{path} exists and is not {text.name}: use --force to replace it, or --out to write another file"
            )
    with atomic_write_named(path) if named else atomic_write(path) as file:
        for block in text.blocks():
            file.write(block)
    return path


def _sha256_of(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(
            f"{path} exists but cannot be read ({error.strerror}): choose another file"
        ) from error


def _utf8_lines(path: Path) -> bytes:
    """The file's content, ending with a line end; empty if it cannot be read or is not UTF-8 text."""
    try:
        block = path.read_bytes()
        if "\0" in block.decode("utf-8"):
            return b""
    except (OSError, UnicodeDecodeError):
        return b""
    return block if block.endswith(b"\n") or not block else block + b"\n"


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} {error.reason}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error.reason if isinstance(error, urllib.error.URLError) else error) or type(error).__name__
