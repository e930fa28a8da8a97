import errno
import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.errors import CharRNNError, ModelError, UsageError
from charrnn.runs import folder as run_folder
from charrnn.runs.folder import CHECKPOINT, MODEL, RunFolder, find_model


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def make(path, *files, at):
    """A folder with these files, written `at` seconds."""
    path.mkdir(parents=True)
    for name in files:
        (path / name).write_bytes(b"x")
        os.utime(path / name, (at, at))
    return path


@pytest.fixture
def run(tmp_path):
    return RunFolder.create(tmp_path / "run", "corpus")


# ------------------------------------------------------------------------------------------------
# Making and finding


def test_a_new_run_is_named_by_corpus_and_time_and_numbered_where_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(
        run_folder.time, "strftime", lambda form: form.replace("%Y%m%d-%H%M%S", "20250102-030405")
    )
    runs = [RunFolder.create(None, "shakespeare", root=tmp_path / "a" / "runs") for _ in range(3)]
    names = ["shakespeare-20250102-030405", "shakespeare-20250102-030405-2", "shakespeare-20250102-030405-3"]
    assert [run.path for run in runs] == [tmp_path / "a" / "runs" / name for name in names]
    assert all(run.path.is_dir() for run in runs)


def test_the_default_root_is_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = RunFolder.create(None, "x")
    assert re.fullmatch(r"runs/x-\d{8}-\d{6}", run.path.as_posix())
    assert run.model == run.path / "model.safetensors"
    assert run.checkpoint == run.path / "checkpoint.safetensors"
    assert run.metrics == run.path / "metrics.jsonl"
    assert run.samples == run.path / "samples.jsonl"
    assert run.config == run.path / "config.toml"


@pytest.mark.parametrize(
    ("corpus", "name"),
    [
        ("../../etc/x y", "etc-x-y"),
        ("", "corpus"),
        ("-", "corpus"),
        ("Война и мир", "Война-и-мир"),
        ("a\n\0b", "a-b"),
    ],
)
def test_any_corpus_name_makes_a_plain_folder_name(tmp_path, corpus, name):
    run = RunFolder.create(None, corpus, root=tmp_path)
    assert run.path.parent == tmp_path
    assert re.fullmatch(re.escape(name) + r"-\d{8}-\d{6}", run.path.name)


def test_a_long_corpus_name_is_cut(tmp_path):
    assert len(RunFolder.create(None, "x" * 500, root=tmp_path).path.name) == 60 + len("-20250102-030405")


@pytest.mark.parametrize(
    "name", ["model.safetensors", "checkpoint.safetensors", "metrics.jsonl", "samples.jsonl", "config.toml"]
)
def test_a_folder_that_holds_a_run_is_not_overwritten_without_force(tmp_path, name):
    out = make(tmp_path / "out", name, "notes.txt", at=5)
    resume = f"`charrnn train --resume --out {out}`"
    with pytest.raises(
        UsageError, match=rf"--out {out} already holds a run .{name}.\. Continue it with {resume},"
    ):
        RunFolder.create(out, "corpus")
    assert (out / name).read_bytes() == b"x"
    RunFolder.create(out, "corpus", force=True)
    assert names(out) == ["lock", "notes.txt"]


def test_a_folder_without_a_run_is_used_and_missing_ones_are_made(tmp_path):
    out = make(tmp_path / "out", "notes.txt", "lock", at=5)
    assert RunFolder.create(out, "corpus").path == out
    assert RunFolder.create(tmp_path / "a" / "b", "corpus").path.is_dir()


def test_force_does_not_touch_a_run_that_is_being_written(tmp_path):
    out = make(tmp_path / "out", MODEL, at=5)
    with (
        RunFolder(out).lock(),
        pytest.raises(UsageError, match=f"{out} is being written by process {os.getpid()} "),
    ):
        RunFolder.create(out, "corpus", force=True)
    assert (out / MODEL).exists()


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match=f"{tmp_path / 'file'} is a file"):
        RunFolder.create(tmp_path / "file", "x")
    for make_run in (
        lambda: RunFolder.create(tmp_path / "file" / "out", "x"),
        lambda: RunFolder.create(None, "x", root=tmp_path / "file"),
    ):
        with pytest.raises(CharRNNError, match=f"cannot write {tmp_path / 'file'}"):
            make_run()


def test_the_newest_run_is_the_one_written_last(tmp_path):
    make(tmp_path / "z", MODEL, CHECKPOINT, at=100)
    make(tmp_path / "a", CHECKPOINT, at=300)
    make(tmp_path / "m", MODEL, at=200)
    make(tmp_path / "no run", "notes.txt", at=900)
    make(tmp_path / "only a lock", "lock", at=900)
    (tmp_path / "file").write_bytes(b"")
    assert RunFolder.newest(tmp_path).path == tmp_path / "a"
    assert RunFolder.newest(tmp_path, holding=MODEL).path == tmp_path / "m"
    os.utime(tmp_path / "z" / CHECKPOINT, (400, 400))
    assert RunFolder.newest(tmp_path).path == tmp_path / "z"
    make(tmp_path / "just begun", "config.toml", at=500)
    assert RunFolder.newest(tmp_path).path == tmp_path / "just begun"
    assert RunFolder.newest(tmp_path, holding=CHECKPOINT).path == tmp_path / "z"


def test_no_run_at_all_names_the_way_out(tmp_path):
    with pytest.raises(ModelError, match=r"there is no run under .*none\. Train a model with `charrnn train"):
        RunFolder.newest(tmp_path / "none")
    make(tmp_path / "runs" / "a", CHECKPOINT, at=1)
    with pytest.raises(ModelError, match=r"no run with a model.safetensors under .*runs\. Train"):
        find_model(root=tmp_path / "runs")


def test_a_run_is_found_by_its_folder_or_a_file_in_it(tmp_path):
    out = make(tmp_path / "out", CHECKPOINT, at=1)
    assert RunFolder.find(out).path == out
    assert RunFolder.find(str(out / CHECKPOINT)).path == out
    with pytest.raises(ModelError, match=f"{out / MODEL} does not exist"):
        RunFolder.find(out / MODEL)
    with pytest.raises(ModelError, match=f"{tmp_path} holds no run"):
        RunFolder.find(tmp_path)


def test_the_model_is_a_file_or_that_of_a_folder_or_of_the_newest_run(tmp_path, monkeypatch):
    make(tmp_path / "runs" / "old", MODEL, at=1)
    make(tmp_path / "runs" / "new", MODEL, at=2)
    make(tmp_path / "runs" / "newest", CHECKPOINT, at=3)
    monkeypatch.chdir(tmp_path)
    assert find_model().as_posix() == "runs/new/model.safetensors"
    assert find_model("runs/old").as_posix() == "runs/old/model.safetensors"
    assert (
        find_model("best.safetensors").as_posix() == "best.safetensors"
    )  # whether it exists, its reader says
    with pytest.raises(ModelError, match=r"runs/newest has no model.safetensors yet: .*--resume"):
        find_model("runs/newest")
    with pytest.raises(ModelError, match="runs holds no run"):
        find_model("runs")


# ------------------------------------------------------------------------------------------------
# One writer

HOLDER = """
import os, sys, time
from charrnn.runs.folder import RunFolder
with RunFolder(sys.argv[1]).lock():
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(run):
    """Another process that holds the lock of the run."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, run.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


def test_a_second_process_is_refused_and_told_who_writes(run, holder):
    told = rf"{run.path} is being written by process {holder.pid} since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\."
    for _ in range(2):  # being refused does not free the lock
        with pytest.raises(UsageError, match=told), run.lock():
            pass


def test_the_lock_of_a_process_that_ended_is_free(run, holder):
    holder.communicate()
    with run.lock():
        assert (run.path / "lock").read_text().startswith(f"process {os.getpid()} since ")


def test_the_lock_of_a_killed_process_is_taken_over_and_its_litter_swept(run, holder):
    (run.path / f".charrnn-{holder.pid}-0123abcd.tmp").write_bytes(b"half a checkpoint")
    with pytest.raises(UsageError), run.lock():
        pass
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with run.lock():
        assert names(run.path) == ["lock"]


def test_the_lock_speaks_of_its_holder_alone(run):
    (run.path / "lock").write_text("process 1234567890 since 2001-01-01 01:01:01, whose text was longer\n")
    with run.lock():
        text = (run.path / "lock").read_text()
    assert re.fullmatch(rf"process {os.getpid()} since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\n", text)


def test_the_lock_is_freed_after_an_error(run):
    with suppress(KeyboardInterrupt), run.lock():
        raise KeyboardInterrupt
    with run.lock(), pytest.raises(UsageError, match=f"process {os.getpid()} "), RunFolder(run.path).lock():
        pass


def test_the_lock_of_one_run_is_no_lock_of_another(run, tmp_path):
    with run.lock(), RunFolder.create(tmp_path / "other", "x").lock():
        pass


def test_a_disk_without_locks_is_told(run, monkeypatch):
    def take(fd):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(run_folder, "_take_lock", take)
    with (
        pytest.raises(CharRNNError, match=r"cannot lock .*lock: No locks available. Use a folder"),
        run.lock(),
    ):
        pass


def test_locking_survives_or_tells_every_failing_call(run, failpoint):
    descriptors = len(os.listdir("/dev/fd"))

    def lock():
        with run.lock():
            pass

    def check(calls, error):
        if failpoint.fault == "interrupt":
            assert isinstance(error, KeyboardInterrupt)
        elif calls in (["open"], ["open", "open"]):  # of the folder, and of the file in it
            assert type(error) is CharRNNError
        else:
            assert error is None  # a full disk does not keep anyone from locking
        with run.lock():
            assert (run.path / "lock").read_text().startswith(f"process {os.getpid()} ")

    if not failpoint.after:  # then the descriptor is lost, and with it the lock until the process ends
        failpoint.at_each_call(lock, check)
        assert len(os.listdir("/dev/fd")) == descriptors


# ------------------------------------------------------------------------------------------------
# Metrics

RECORDS = [{"step": 10, "loss": 2.5, "text": "ü\n"}, {"step": 20, "loss": None}, {"step": 30, "loss": 1.25}]


def test_metrics_are_lines_of_json(run):
    assert run.read_metrics() == []
    for count, record in enumerate(RECORDS, 1):
        run.append_metrics(record)
        assert run.read_metrics() == RECORDS[:count]  # each is in the file when it has been appended
    lines = run.metrics.read_text().splitlines()
    assert [json.loads(line) for line in lines] == RECORDS


def test_what_is_not_finite_becomes_null(run):
    run.append_metrics({"step": 1, "a": float("nan"), "b": float("inf"), "c": 0.5, "d": "NaN"})
    assert run.read_metrics() == [{"step": 1, "a": None, "b": None, "c": 0.5, "d": "NaN"}]


@pytest.mark.parametrize("torn", ['{"step": 40, "lo', "{", '{"step": 40}', "\0" * 20_000, "x" * 4096])
def test_a_torn_last_line_is_left_out_and_then_replaced(run, torn):
    for record in RECORDS[:2]:
        run.append_metrics(record)
    with run.metrics.open("a") as file:
        file.write(torn)
    assert run.read_metrics() == RECORDS[:2]
    run.append_metrics(RECORDS[2])
    assert run.read_metrics() == RECORDS


def test_a_long_torn_line_after_many_whole_ones(run):
    records = [{"step": step} for step in range(1000)]
    run.metrics.write_text("".join(json.dumps(record) + "\n" for record in records) + "x" * 10_000)
    run.append_metrics({"step": 1000})
    assert run.read_metrics() == [*records, {"step": 1000}]


def test_a_file_of_nothing_but_a_torn_line(run):
    run.metrics.write_text('{"ste' + "p" * 10_000)
    assert run.read_metrics() == []
    run.append_metrics(RECORDS[0])
    assert run.read_metrics() == RECORDS[:1]


@pytest.mark.parametrize(
    "bad", ["{", "[1]", '{"loss": 1}', '{"step": "1"}', '{"step": true}', "", "[" * 100_000]
)
def test_a_damaged_line_is_named(run, bad):
    run.metrics.write_text('{"step": 1}\n' + bad + '\n{"step": 2}\n')
    with pytest.raises(ModelError, match=f"{run.metrics}: line 2 is not a JSON object with a step"):
        run.read_metrics()


@pytest.mark.parametrize(("count", "left"), [(0, 0), (1, 1), (2, 2), (3, 3), (99, 3)])
def test_a_resume_drops_what_came_after_the_checkpoint(run, count, left):
    for record in RECORDS:
        run.append_metrics(record)
    before = run.metrics.read_bytes()
    run.truncate_metrics(count)
    assert run.read_metrics() == RECORDS[:left]
    assert before.startswith(run.metrics.read_bytes())


def test_truncating_no_metrics_makes_no_file(run):
    run.truncate_metrics(5)
    assert names(run.path) == []


def test_samples_are_kept_as_metrics_are(run):
    for record in RECORDS:
        run.append_sample(record)
    with run.samples.open("a") as file:
        file.write('{"step": 40, "te')
    assert run.read_samples() == RECORDS
    assert run.read_metrics() == []
    run.truncate_samples(2)
    assert run.read_samples() == RECORDS[:2]
    assert names(run.path) == ["samples.jsonl"]


def test_every_failing_call_keeps_the_metrics_that_were_there(run, failpoint):
    run.append_metrics(RECORDS[0])

    def check(calls, error):
        assert isinstance(error, KeyboardInterrupt if failpoint.fault == "interrupt" else CharRNNError)
        assert run.metrics.read_text() == json.dumps(RECORDS[0]) + "\n"

    failpoint.at_each_call(lambda: run.append_metrics(RECORDS[1]), check)
    assert run.read_metrics() == RECORDS[:2]


def test_every_failing_call_of_a_truncation_keeps_the_metrics_whole(run, failpoint):
    for record in RECORDS:
        run.append_metrics(record)
    before = run.metrics.read_bytes()

    def check(calls, error):
        replaced = "replace" in calls[:-1] or (failpoint.after and calls[-1] == "replace")
        assert run.read_metrics() == (RECORDS[:1] if replaced else RECORDS)
        assert names(run.path) == ["metrics.jsonl"]
        run.metrics.write_bytes(before)

    failpoint.at_each_call(lambda: run.truncate_metrics(1), check)
    assert run.read_metrics() == RECORDS[:1]


# ------------------------------------------------------------------------------------------------
# Settings


def test_settings_are_toml(run):
    settings = {
        "version": 1,
        "model": {"cell": "lstm", "layers": 2, "patience": None},
        "train": {"lr": 0.002, "tiny": 1e-05, "huge": 1e22, "quiet": False, "epochs": 10.0},
        "corpus": {
            "sources": ["a.txt", 'b "c"\\\n\t\x7f😀.txt'],
            "odd key": [1, 2.5, True],
            "counts": {"a b": {"=": 2}, "none": {}},
        },
    }
    run.write_config(settings)
    read = tomllib.loads(run.config.read_text(encoding="utf-8"))
    del settings["model"]["patience"]
    assert read == settings == run.read_config()
    assert type(read["train"]["epochs"]) is float
    assert read["train"]["quiet"] is False
    assert run.config.read_text(encoding="utf-8").startswith(
        'version = 1\n\n[model]\ncell = "lstm"\nlayers = 2\n'
    )


scalars = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.text(min_size=1), scalars | st.lists(scalars, max_size=3) | st.dictionaries(st.text(), scalars)
    )
)
def test_any_settings_go_round(tmp_path_factory, values):
    run = RunFolder(tmp_path_factory.getbasetemp())
    run.write_config(values)
    assert run.read_config() == values


def test_missing_or_damaged_settings_are_told(run):
    for content in (None, b"a = ", b"\xff", b"a = " + b"[" * 100_000):
        if content is not None:
            run.config.write_bytes(content)
        with pytest.raises(ModelError, match=f"{run.config}: the settings of the run cannot be read"):
            run.read_config()


def test_every_failing_call_keeps_the_settings(run, failpoint):
    run.write_config({"a": 1})

    def check(calls, error):
        assert run.read_config() in ({"a": 1}, {"a": 2})
        assert "replace" in calls or run.read_config() == {"a": 1}
        assert names(run.path) == ["config.toml"]
        run.write_config({"a": 1})

    failpoint.at_each_call(lambda: run.write_config({"a": 2}), check)
    assert run.read_config() == {"a": 2}
