"""A text that a process writes, as a file, and beside it the truth about each of its symbols."""

import hashlib
import io
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from charrnn.errors import DataError, UsageError
from charrnn.files.writing import atomic_write
from charrnn.text import library
from charrnn.text.process import Process

STATES = ".states.npz"


@dataclass(frozen=True)
class Written:
    """A text of the library: `length` symbols of a process."""

    process: Process
    length: int
    seed: int
    licence: str = "CC0-1.0"
    source: str = "made here"

    @property
    def name(self) -> str:
        return self.process.name

    @property
    def about(self) -> str:
        return self.process.about

    @cached_property
    def drawn(self) -> tuple[np.ndarray, np.ndarray]:
        """Symbols and states, (length,) each."""
        return self.process.write(self.length, np.random.default_rng(self.seed))

    @cached_property
    def known(self) -> tuple[np.ndarray, np.ndarray]:
        """Beliefs (length, S) and losses (length,): see `Process.beliefs`."""
        return self.process.beliefs(self.drawn[0])

    def blocks(self) -> Iterator[bytes]:
        yield self.process.text(self.drawn[0]).encode()

    def states_file(self) -> bytes:
        """The content of NAME.states.npz, for a text of N symbols and S states.

        symbols, states : (N,), each symbol and the state after it
        names : (S,), of the states
        beliefs : (N, S); losses : (N,), in nats: see `Process.beliefs`
        entropy_rate : nats per symbol; NaN where no formula tells it
        sha256 : of the text's bytes
        """
        symbols, states = self.drawn
        beliefs, losses = self.known
        rate = self.process.entropy_rate()
        content = io.BytesIO()
        np.savez_compressed(
            content,
            symbols=symbols.astype(np.int16),
            states=states.astype(np.int16),
            names=np.array(self.process.states),
            beliefs=beliefs.astype(np.float32),
            losses=losses.astype(np.float32),
            entropy_rate=np.array(np.nan if rate is None else rate),
            sha256=np.array(hashlib.sha256(next(self.blocks())).hexdigest()),
        )
        return content.getvalue()

    def least_loss(self) -> float:
        """Nats per symbol that a reader loses on this text who knows the process, from its second symbol on."""
        return float(self.known[1][1:].mean())


def make(written: Written, out: Path | None, force: bool) -> tuple[Path, Path]:
    """Write the text, by default as NAME.txt in the current folder, and its states beside it. Returns both paths.

    Raises as `library.make`.
    """
    path = out if out is not None and not out.is_dir() else (out or Path()) / f"{written.name}.txt"
    beside, content = path.with_name(path.stem + STATES), written.states_file()
    if beside.exists() and beside.read_bytes() != content and not force:
        raise UsageError(
            f"{beside} exists and has other states: use --force to replace it, or --out to write another file"
        )
    path = library.make(written, out, force)
    with atomic_write(beside) as file:
        file.write(content)
    return path, beside


@dataclass(frozen=True)
class Truth:
    """What a states file tells: see `Written.states_file`."""

    states: np.ndarray
    names: tuple[str, ...]
    beliefs: np.ndarray
    losses: np.ndarray
    sha256: str


def read_truth(path: Path) -> Truth:
    """Read a states file. Raises DataError for any other file."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            names = tuple(map(str, arrays["names"].tolist()))
            truth = Truth(
                arrays["states"].astype(np.int64),
                names,
                arrays["beliefs"].astype(np.float64),
                arrays["losses"].astype(np.float64),
                str(arrays["sha256"]),
            )
    except (
        *(
            OSError,
            ValueError,
            KeyError,
            EOFError,
            TypeError,
            RuntimeError,
        ),  # NotImplementedError is a RuntimeError
        *(SyntaxError, zipfile.BadZipFile, zlib.error, tokenize.TokenError),
    ) as error:
        raise DataError(
            f"{path} is not the states of a process ({error}). charrnn corpus process NAME writes such a file"
        ) from None
    length, size = truth.states.shape[:1], len(names)
    if (
        truth.beliefs.shape != (*length, size)
        or truth.losses.shape != length
        or not np.isfinite(truth.beliefs).all()
    ):
        raise DataError(f"{path} is damaged: its arrays do not belong together. Write it again")
    return truth
