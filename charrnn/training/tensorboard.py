"""TensorBoard's files for a run: every number of metrics.jsonl as a scalar of the same name.

metrics.jsonl stays the source. When a run begins or is resumed, its content is written again to the
run's `tensorboard/` folder, followed by each new report: so the two always agree, and a run begun without
--tensorboard may be resumed with it. Training is not affected: if writing fails, a note says so and the files
are no longer updated.
"""

import errno
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from charrnn.files.writing import Folder
from charrnn.install.extras import require
from charrnn.runs.records import Report
from charrnn.training.observers import Observer
from charrnn.training.plan import Plan

FOLDER = "tensorboard"
EVENTS = re.compile(r"events\.out\.tfevents\..*")


@contextmanager
def tensorboard(note: Callable[[str], None], wanted: bool) -> Iterator[list[Observer]]:
    """The observer that writes TensorBoard's event file, if `wanted`; `note` is called if writing fails.

    Raises UsageError without the extra `tensorboard`.
    """
    if not wanted:
        yield []
        return
    with require("tensorboard", "--tensorboard"):
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto import event_pb2, summary_pb2

    def event(record: Mapping[str, Any], wall_time: float) -> Any:
        values = [
            summary_pb2.Summary.Value(tag=name, simple_value=value)
            for name, value in record.items()
            if name != "step" and type(value) in (int, float)
        ]
        return event_pb2.Event(
            step=record["step"], wall_time=wall_time, summary=summary_pb2.Summary(value=values)
        )

    observer = TensorBoard(note, EventsWriter, event)
    try:
        yield [observer]
    finally:
        observer.close()


class TensorBoard(Observer):
    """Writes each report as one event.

    new_writer : makes a writer of event files from the beginning of their names
    event : makes an event of a record and the time it is of
    """

    def __init__(self, note: Callable[[str], None], new_writer: Any, event: Any) -> None:
        self._tell = note
        self._new_writer = new_writer
        self._event = event
        self._writer: Any = None

    def begin(self, plan: Plan, engine: str) -> None:
        try:
            with Folder.opened(plan.folder.path) as run:
                run.make(FOLDER)
                with run.child(FOLDER) as folder:
                    self._begin_anew(folder)
        except OSError as error:
            self._give_up(error)
        records = plan.folder.read_metrics()
        began = time.time() - (records[-1].get("seconds") or 0.0 if records else 0.0)
        for record in records:
            self._write(record, began + (record.get("seconds") or 0.0))

    def _begin_anew(self, folder: Folder) -> None:
        """Remove the old event files and begin one. The writer opens it by its path and would follow a link of
        its name: nobody but this user may put one there."""
        place = folder.where()
        if folder.fd is not None:
            found = os.fstat(folder.fd)
            if found.st_uid != os.geteuid():
                raise PermissionError(errno.EPERM, f"{place} belongs to another user")
            os.fchmod(folder.fd, stat.S_IMODE(found.st_mode) & 0o755)
            if (held := Path(f"/proc/self/fd/{folder.fd}")).exists():
                place = held  # it stays this folder, even if its path is replaced
        for name in filter(EVENTS.fullmatch, folder.names()):
            folder.unlink(name)
        self._writer = self._new_writer(str(place / "events"))

    def report(self, report: Report, is_best: bool) -> None:
        self._write(asdict(report), time.time())

    def close(self) -> None:
        """Write what is still in memory."""
        if self._writer is not None:
            with suppress(OSError):
                self._writer.close()

    def _write(self, record: Mapping[str, Any], wall_time: float) -> None:
        if self._writer is None:
            return
        try:
            self._writer.write_event(self._event(record, wall_time))
            self._writer.flush()  # reports are seconds apart, and TensorBoard shows them as they come
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self._writer = None
        self._tell(f"TensorBoard's file cannot be written ({error.strerror or error}); training goes on")
