"""What TensorBoard is given: the records of metrics.jsonl, no more and no less, also after a resume."""

import json
import random
import re
import struct
import sys
from dataclasses import asdict

import pytest
from helpers.small_runs import Recorder

from charrnn.errors import CharRNNError, Interrupted, UsageError
from charrnn.install.extras import how_to_install
from charrnn.sampling import glimpse
from charrnn.training import session
from charrnn.training.observers import Observer
from charrnn.training.tensorboard import tensorboard

event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")

SMALL = {"layers": 1, "hidden": 4, "batch_size": 2, "seq_length": 5, "threads": 1, "eval_every": 20}


@pytest.fixture
def train(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("".join(random.Random(1).choices("abc \n", k=600)))

    def run(name, follow=True, observer=None, resume=False, **settings):
        settings = settings if resume else SMALL | settings
        observer = observer or Observer()
        with tensorboard(observer.note, follow) as more:
            observers = [observer, *more]
            session.train([str(text)], out=tmp_path / name, observers=observers, resume=resume, **settings)
        return tmp_path / name

    return run


def events(run):
    """The events of the only file, parsed as TFRecord lays them down: length, its crc, data, its crc."""
    (file,) = (run / "tensorboard").iterdir()
    content, at, found = file.read_bytes(), 0, []
    while at < len(content):
        (length,) = struct.unpack_from("<Q", content, at)
        found.append(event_pb2.Event.FromString(content[at + 12 : at + 12 + length]))
        at += 12 + length + 4
    assert found[0].file_version == "brain.Event:2"
    return found[1:]


def scalars(run):
    return [(e.step, {value.tag: value.simple_value for value in e.summary.value}) for e in events(run)]


def metrics(run):
    """The records as TensorBoard can have them: float32, without what was not measured."""
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [
        (
            record.pop("step"),
            {n: struct.unpack("f", struct.pack("f", v))[0] for n, v in record.items() if v is not None},
        )
        for record in records
    ]


def test_each_report_is_an_event(train):
    run = train("a", max_steps=60)
    found = scalars(run)
    assert found == metrics(run)
    assert [step for step, _ in found][:2] == [2, 4]
    assert found[-1][0] == 60
    assert set(found[0][1]) == {"epoch", "train_loss_nats", "lr", "grad_norm", "chars_per_second", "seconds"}
    assert "val_loss_nats" in found[-1][1]
    times = [event.wall_time for event in events(run)]
    assert times == sorted(times)


def test_a_resumed_run_goes_on_at_its_step(train):
    run = train("a", max_steps=40)
    before = scalars(run)
    train("a", max_steps=80, resume=True)
    after = scalars(run)
    assert after == metrics(run)
    assert after[: len(before)] == before
    assert after[len(before)][0] > 40
    assert after[-1][0] == 80


def test_a_run_begun_without_may_go_on_with_it(train):
    run = train("a", follow=False, max_steps=40)
    assert not (run / "tensorboard").exists()
    train("a", max_steps=80, resume=True)
    assert scalars(run) == metrics(run)


def test_training_is_the_same_with_and_without(train):
    one, other = train("a", max_steps=60), train("b", follow=False, max_steps=60)
    timeless = [
        [(step, {n: v for n, v in values.items() if "second" not in n}) for step, values in metrics(run)]
        for run in (one, other)
    ]
    assert timeless[0] == timeless[1]


def test_an_interrupted_run_has_what_was_reported(train, tmp_path):
    class Stopping(Observer):
        def report(self, report, is_best):
            if report.step == 10:
                raise Interrupted("stopped", 2)

    with pytest.raises(Interrupted):
        train("a", observer=Stopping(), max_steps=60)
    assert scalars(tmp_path / "a") == metrics(tmp_path / "a")
    assert scalars(tmp_path / "a")[-1][0] == 10


@pytest.mark.parametrize("when", ["at the beginning", "later"])
def test_a_disk_that_refuses_does_not_stop_training(train, tmp_path, monkeypatch, when):
    from tensorboardX.event_file_writer import EventsWriter

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(EventsWriter, "__init__" if when == "at the beginning" else "write_event", refuse)
    notes = Recorder()
    if when == "later":  # the first event, which names the version, is written by the constructor
        monkeypatch.setattr(EventsWriter, "__init__", lambda self, prefix: None)
        monkeypatch.setattr(EventsWriter, "close", lambda self: None)
    run = train("a", observer=notes, max_steps=60)
    assert metrics(run)[-1][0] == 60
    assert [note for note in notes.notes if "TensorBoard" in note] == [
        "TensorBoard's file cannot be written (No space left on device); training goes on"
    ]


def test_the_others_hear_everything_too(train, tmp_path):
    heard = {}

    class Hearing(Observer):
        def begin(self, plan, engine):
            heard["begin"] = plan.folder.path

        def report(self, report, is_best):
            heard["report"] = asdict(report)["step"]

        def sample(self, sample):
            heard["sample"] = len(sample.text)

        def end(self, result):
            heard["end"] = result.steps

    train("a", observer=Hearing(), max_steps=60)
    assert heard == {"begin": tmp_path / "a", "report": 60, "sample": glimpse.LENGTH, "end": 60}


def test_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX.event_file_writer", None)
    with (
        pytest.raises(UsageError, match=re.escape(how_to_install("tensorboard"))),
        tensorboard(print, True),
    ):
        raise CharRNNError("training began")
