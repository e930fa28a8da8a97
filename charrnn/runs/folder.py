"""The folder of one training run: its files, its lock, its metrics and its settings."""

import errno
import json
import math
import os
import re
import shlex
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from charrnn.errors import CharRNNError, ModelError, UsageError
from charrnn.files.reading import open_file, parse_json, read_file
from charrnn.files.writing import DescriptorFile, Folder, StrPath, atomic_write, sweep, sync_folder, telling
from charrnn.text.sources import is_stream

MODEL = "model.safetensors"
CHECKPOINT = "checkpoint.safetensors"
RESCUE = "checkpoint-rescue.safetensors"  # written if the usual name cannot be
METRICS = "metrics.jsonl"
SAMPLES = "samples.jsonl"
CONFIG = "config.toml"
LOCK = "lock"
SNAPSHOTS = "snapshots"
SNAPSHOT = re.compile(r"\d{1,18}\.safetensors")
OF_A_RUN = (MODEL, CHECKPOINT, METRICS, SAMPLES, CONFIG)
RUNS_ROOT = "runs"
LONGEST_RECORD = 1 << 16  # bytes per line of metrics.jsonl or samples.jsonl; usual lines have some hundreds
MOST_RECORDS = 1 << 28  # bytes of such a file
MOST_CONFIG = 1 << 22  # bytes of config.toml; it names the files of the corpus, like the model's card

if sys.platform == "win32":
    import msvcrt

    def _take_lock(fd: int) -> None:
        os.lseek(fd, 2**30, os.SEEK_SET)  # beyond the text, which other processes must be able to read
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        os.lseek(fd, 0, os.SEEK_SET)
else:
    import fcntl

    def _take_lock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


# Errors of systems whose folders cannot be locked, such as NFS; the file in the folder still can.
_NO_FOLDER_LOCKS = {errno.EBADF, errno.EINVAL, errno.EISDIR, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


class RunFolder:
    """Names and files of one run. Making the object touches nothing on disk.

    All writes go into the locked folder, even if it has been moved meanwhile, and never
    through a link in it. The path itself may be a link, since the user named it.
    """

    def __init__(self, path: StrPath):
        self.path = Path(path)
        self.held = Folder(self.path)  # held open while it is locked
        self._guard: os.stat_result | None = None  # the lock file, if the folder itself cannot be locked
        self.model = self.path / MODEL
        self.checkpoint = self.path / CHECKPOINT
        self.metrics = self.path / METRICS
        self.samples = self.path / SAMPLES
        self.config = self.path / CONFIG
        self.snapshots = self.path / SNAPSHOTS

    @property
    def place(self) -> Path:
        """The folder's current path: it may be moved while a run writes there."""
        try:
            return self.held.where()
        except OSError:
            return self.path

    def command_to_resume(self, sources: Sequence[str] = ()) -> str:
        """The command that resumes the run; a text from one of `sources` that is a stream has to be named again."""
        text = "TEXT " if any(map(is_stream, sources)) else ""
        return f"charrnn train {text}--resume --out {shlex.quote(str(self.path))}"

    @classmethod
    def create(
        cls, path: StrPath | None, corpus_name: str, *, root: StrPath = RUNS_ROOT, force: bool | None = False
    ) -> "RunFolder":
        """A folder for a new run: `path`, or `root`/<corpus>-<time>, with a number if that is taken.

        Raises UsageError if `path` already holds a run. `force` removes that run's files instead, unless
        a living process is writing them; None is for a command that has no --force.
        """
        if path is None:
            return cls(_make_unused(Path(root), corpus_name))
        folder = cls(path)
        with telling(folder.path):  # a name may be too long even to look for
            is_file = folder.path.exists() and not folder.path.is_dir()
        if is_file:
            raise UsageError(f"--out {folder.path} is a file. Name a new or empty folder")
        with telling(folder.path):
            folder.path.mkdir(parents=True, exist_ok=True)
            sync_folder(folder.path.parent)
        if old := [name for name in OF_A_RUN if os.path.lexists(folder.path / name)]:
            if not force:
                others = (
                    "or name another folder"
                    if force is None
                    else "name another folder, or give --force to overwrite it"
                )
                raise UsageError(
                    f"--out {folder.path} already holds a run ({', '.join(old)}). Continue it with "
                    f"`{folder.command_to_resume()}`, {others}"
                )
            with folder.lock(), telling(folder.path):
                for name in old:
                    folder.held.unlink(name)
                folder.drop_snapshots(most=0)
        return folder

    @classmethod
    def newest(cls, root: StrPath = RUNS_ROOT, *, holding: str | None = None) -> "RunFolder":
        """The run under `root` whose files were written last. holding : consider only runs with this file.

        Raises ModelError if there is none.
        """
        runs = [
            (written, path)
            for path in (Path(root).iterdir() if Path(root).is_dir() else ())
            if (written := _written(path)) and (holding is None or (path / holding).is_file())
        ]
        if not runs:
            wanted = "run" if holding is None else f"run with a {holding}"
            raise ModelError(
                f"there is no {wanted} under {root}. Train a model with `charrnn train CORPUS`, "
                "or name one with its path"
            )
        return cls(max(runs)[1])

    @classmethod
    def find(cls, path: StrPath) -> "RunFolder":
        """The run at `path`, a run folder or a file in one. Raises ModelError if there is none."""
        path = Path(path)
        folder = path if os.path.isdir(path) else path.parent  # Path.is_dir raises if a name is too long
        if not os.path.exists(path):
            raise ModelError(f"{path} does not exist. Name a run folder, or a file in one")
        if not _written(folder):
            raise ModelError(
                f"{folder} holds no run. Name a run folder, or train a model: `charrnn train CORPUS`"
            )
        return cls(folder)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only process that writes here, and remove the unfinished files of killed ones.

        The lock is on the folder itself, which nobody can replace, and on a file in it, which names the holder.
        The system frees both when the process dies, however it dies.
        Raises UsageError naming the process that holds the lock.
        """
        with ExitStack() as held:
            with telling(self.path):
                folder = held.enter_context(Folder.opened(self.path))
            with telling(self.path / LOCK):
                fd = folder.open(LOCK, os.O_RDWR | os.O_CREAT)
            held.callback(os.close, fd)
            of_folder = folder.fd is not None and self._lock_folder(folder.fd, fd)
            self._lock_file(fd)
            held.callback(setattr, self, "held", self.held)
            held.callback(setattr, self, "_guard", self._guard)
            self.held, self._guard = folder, None if of_folder else os.fstat(fd)
            self.check_alone()
            with suppress(OSError):
                sweep(folder)
            with suppress(OSError), folder.child(SNAPSHOTS) as snapshots:
                sweep(snapshots)
            with suppress(OSError):  # the holder's name is only for people; a full disk must not matter
                os.ftruncate(fd, 0)
                os.write(fd, f"process {os.getpid()} since {time.strftime('%Y-%m-%d %H:%M:%S')}\n".encode())
            yield

    def _lock_folder(self, folder: int, file: int) -> bool:
        """Lock the folder; false if the system has no locks for folders."""
        try:
            _take_lock(folder)
        except (BlockingIOError, PermissionError) as error:
            raise self._taken(file) from error
        except OSError as error:
            if error.errno in _NO_FOLDER_LOCKS:
                return False
            raise CharRNNError(self._no_locks(self.path, error)) from error
        return True

    def _lock_file(self, file: int) -> None:
        try:
            _take_lock(file)
        except (BlockingIOError, PermissionError) as error:
            raise self._taken(file) from error
        except OSError as error:
            raise CharRNNError(self._no_locks(self.path / LOCK, error)) from error

    def _taken(self, file: int) -> UsageError:
        return UsageError(
            f"{self.path} is being written by {_holder(file)}. Wait until it ends, stop it, "
            "or train into another folder with --out"
        )

    @staticmethod
    def _no_locks(path: Path, error: OSError) -> str:
        return f"cannot lock {path}: {error.strerror or error}. Use a folder on a disk that supports locks"

    def check_alone(self) -> None:
        """Raise CharRNNError if another process may be writing here: the lock file is gone, and the system has
        no lock for the folder itself."""
        if self._guard is not None:
            found = self.held.stat(LOCK)
            if found is None or not os.path.samestat(found, self._guard):
                raise CharRNNError(
                    f"{self.path / LOCK} was removed while this run was writing, so another run may be writing now. "
                    "Stop the other run, and continue one of them"
                )

    @contextmanager
    def open_snapshots(self) -> Iterator[Folder]:
        """The folder of the snapshots; it is made if missing."""
        with ExitStack() as opened:
            with telling(self.snapshots):
                if self.held.make(SNAPSHOTS):
                    self.held.sync()
                folder = opened.enter_context(self.held.child(SNAPSHOTS))
            yield folder

    def snapshot(self, step: int) -> Path:
        """The file for the snapshot of a step."""
        return self.snapshots / f"{step:09d}.safetensors"

    def drop_snapshots(self, *, most: int, after: int | None = None) -> None:
        """Remove all snapshots but the last `most`, and those of steps after `after`."""
        with telling(self.snapshots):
            if self.held.stat(SNAPSHOTS) is None:
                return
            with self.held.child(SNAPSHOTS) as folder:
                names = sorted(filter(SNAPSHOT.fullmatch, folder.names()), key=_step_of)
                kept = [name for name in names if after is None or _step_of(name) <= after]
                for name in set(names) - set(kept[-most or len(kept) :]):
                    folder.unlink(name)

    def append_metrics(self, record: Mapping[str, Any]) -> None:
        """Add one line of JSON; NaN and infinities become null. An incomplete last line is removed first.

        Raises CharRNNError if it cannot be written; the earlier lines are still there.
        """
        self._append(METRICS, record)

    def append_sample(self, record: Mapping[str, Any]) -> None:
        """Add a text that was drawn after a validation, like `append_metrics`."""
        self._append(SAMPLES, record)

    def read_metrics(self) -> list[dict[str, Any]]:
        """All records, oldest first; none before the first report. An incomplete last line is left out.

        Raises ModelError naming a line that is not a record.
        """
        return [record for _, record in _lines(self.metrics)]

    def read_samples(self) -> list[dict[str, Any]]:
        """The texts drawn so far, like `read_metrics`."""
        return [record for _, record in _lines(self.samples)]

    def truncate_metrics(self, count: int) -> None:
        """Keep the first `count` records: a resume from the checkpoint writes the later ones again."""
        self._truncate(METRICS, count)

    def truncate_samples(self, count: int) -> None:
        """Keep the first `count` texts."""
        self._truncate(SAMPLES, count)

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write the settings of the run: values, or tables of values. None is left out."""
        with atomic_write(self.config, folder=self.held) as file:
            file.write(to_toml(config).encode("utf-8", "replace"))

    def read_config(self) -> dict[str, Any]:
        """The settings of the run. Raises ModelError if they are missing or damaged."""
        try:
            return tomllib.loads(read_file(self.config, MOST_CONFIG).decode())
        except (OSError, ValueError, RecursionError) as error:
            raise ModelError(f"{self.config}: the settings of the run cannot be read ({error})") from error

    def _append(self, name: str, record: Mapping[str, Any]) -> None:
        finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in record.items()}
        line = json.dumps(finite, allow_nan=False) + "\n"
        path = self.path / name
        with telling(path):
            fd = self.held.open(name, os.O_RDWR | os.O_CREAT | os.O_APPEND)
            try:
                end = _end_of_last_line(fd)
                os.ftruncate(fd, end)
                try:
                    DescriptorFile(fd, path).write(line.encode())
                except BaseException:
                    with suppress(OSError):
                        os.ftruncate(fd, end)
                    raise
            finally:
                os.close(fd)

    def _truncate(self, name: str, count: int) -> None:
        path = self.path / name
        if self.held.is_link(name):
            raise CharRNNError(f"cannot write {path}: it is a link, which is not followed here. Remove it")
        lines = [line for line, _ in _lines(path)]
        if count < len(lines):
            with atomic_write(path, folder=self.held) as file:
                file.write(b"".join(lines[:count]))


def snapshot_files(folder: Path) -> list[Path]:
    """The snapshots in a folder, oldest first; none if there is no such folder."""
    files = [file for file in folder.glob("*.safetensors") if SNAPSHOT.fullmatch(file.name)]
    return sorted(files, key=lambda file: _step_of(file.name))


def _step_of(snapshot: str) -> int:
    return int(Path(snapshot).stem)


def can_go_on(path: StrPath) -> bool:
    """Whether this is the folder of a run that was begun, not one of texts."""
    held = {name: os.path.lexists(Path(path) / name) for name in (CHECKPOINT, CONFIG, LOCK)}
    return held[CHECKPOINT] or (held[CONFIG] and held[LOCK])


def find_models(path: StrPath | None = None, root: StrPath = RUNS_ROOT) -> list[Path]:
    """The model files that `--model` means if several are allowed: a folder of snapshots means all of them.

    Raises ModelError if there is none.
    """
    if path is not None and not _written(Path(path)) and (snapshots := snapshot_files(Path(path))):
        return snapshots
    return [find_model(path, root)]


def find_model(path: StrPath | None = None, root: StrPath = RUNS_ROOT) -> Path:
    """The model file that `--model` means: a file, a run folder, or (None) the newest run with a model.

    Raises ModelError if there is none.
    """
    if path is None:
        return RunFolder.newest(root, holding=MODEL).model
    path = Path(path)
    if not os.path.isdir(path):
        return path
    if not _written(path) and (snapshots := snapshot_files(path)):
        raise ModelError(f"{path} holds {len(snapshots)} snapshots. Name one of them: {snapshots[-1]}")
    run = RunFolder.find(path)
    if not run.model.is_file():
        raise ModelError(
            f"{path} has no {MODEL} yet: the first validation writes it. Wait, or continue the run with "
            f"`{run.command_to_resume()}`"
        )
    return run.model


def _make_unused(root: Path, corpus_name: str) -> Path:
    """Make and return a new folder under `root`."""
    name = re.sub(r"[^\w.-]+", "-", corpus_name).strip("-.")[:60] or "corpus"
    name = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    path, number = root / name, 1
    with telling(path):
        root.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                path.mkdir()
            except FileExistsError:
                number += 1
                path = root / f"{name}-{number}"
            else:
                sync_folder(root)
                return path


def _written(path: Path) -> int:
    """The time at which the run in this folder last wrote a file, in ns; 0 if it holds no run."""
    times = [0]
    for name in OF_A_RUN:
        with suppress(OSError):
            times.append((path / name).stat().st_mtime_ns)
    return max(times)


def _holder(fd: int) -> str:
    with suppress(OSError, UnicodeDecodeError):
        if text := os.read(fd, 200).decode("ascii").strip():
            return text
    return "another process"


def _lines(path: Path) -> list[tuple[bytes, dict[str, Any]]]:
    """The complete lines of a file, each with its record; none if there is no file."""
    records: list[tuple[bytes, dict[str, Any]]] = []
    try:
        with open_file(path) as file:
            if (size := os.fstat(file.fileno()).st_size) > MOST_RECORDS:
                raise ModelError(f"{path}: it has {size:,} bytes, more than the limit of {MOST_RECORDS:,}")
            while line := file.readline(LONGEST_RECORD):
                if not line.endswith(b"\n") and len(line) < LONGEST_RECORD:
                    break
                try:
                    record = parse_json(line)
                except (ValueError, RecursionError):
                    record = None
                if not isinstance(record, dict) or type(record.get("step")) is not int:
                    number = len(records) + 1
                    raise ModelError(
                        f"{path}: line {number} is not a JSON object with a step. Delete that line"
                    )
                records.append((line, record))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ModelError(f"{path}: it cannot be read ({error.strerror or error})") from error
    return records


def _end_of_last_line(fd: int) -> int:
    """Bytes up to and including the last newline."""
    size = os.lseek(fd, 0, os.SEEK_END)
    end, piece = size, 4096
    while end > 0:
        start = max(0, end - piece)
        os.lseek(fd, start, os.SEEK_SET)
        newline = os.read(fd, end - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def to_toml(values: Mapping[str, Any]) -> str:
    """Values and tables of values as a TOML file. None is left out."""
    lines = [f"{_key(k)} = {toml_value(v)}" for k, v in values.items() if not isinstance(v, Mapping | None)]
    for name, table in values.items():
        if isinstance(table, Mapping):
            lines += ["", f"[{_key(name)}]"]
            lines += [f"{_key(k)} = {toml_value(v)}" for k, v in table.items() if v is not None]
    return "\n".join(lines).lstrip("\n") + "\n"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else toml_value(name)


def toml_value(value: Any) -> str:
    """A TOML value; numpy's scalars are written like Python's."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return float.__repr__(value)
    if isinstance(value, str):  # a JSON string, except that TOML wants DEL escaped
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_key(k)} = {toml_value(v)}' for k, v in value.items())}}}"
    raise TypeError(f"{CONFIG} cannot hold a {type(value).__name__}")
