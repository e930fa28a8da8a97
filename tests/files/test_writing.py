import os
import resource
import shutil
import subprocess
import sys

import numpy as np
import pytest

from charrnn.errors import CharRNNError
from charrnn.files.writing import TEMPORARY, Folder, atomic_write, atomic_write_named, sweep, sync_folder

OLD, NEW = b"old content", b"the new content, which is longer"


def write(path, *pieces, verify=None):
    with atomic_write(path, verify) as file:
        for piece in pieces:
            file.write(piece)


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_writes_a_new_file_and_replaces_an_old_one(tmp_path):
    path = tmp_path / "file"
    write(path, b"a", b"", b"bc")
    assert path.read_bytes() == b"abc"
    write(path, NEW)
    assert path.read_bytes() == NEW
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize(
    "array",
    [np.arange(12, dtype="<u2").reshape(3, 4), np.zeros((0, 3)), np.float32(1.5), np.arange(3, dtype=">i4")],
)
def test_writes_the_bytes_of_arrays(tmp_path, array):
    write(tmp_path / "file", np.asarray(array))
    assert (tmp_path / "file").read_bytes() == np.asarray(array).tobytes()


def test_short_writes_are_continued(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:3]))
    write(tmp_path / "file", NEW)
    assert (tmp_path / "file").read_bytes() == NEW


def test_is_durable_in_the_right_order(tmp_path, monkeypatch):
    events = []

    def spy(name):
        real = getattr(os, name)

        def call(first, *args, **kwargs):
            of_folder = name == "fsync" and os.path.sameopenfile(first, folder)
            events.append("fsync folder" if of_folder else name)
            return real(first, *args, **kwargs)

        monkeypatch.setattr(os, name, call)

    def verify(path):
        assert path.read_bytes() == NEW
        events.append("verify")

    folder = os.open(tmp_path, os.O_RDONLY)
    for name in ("open", "write", "fsync", "replace"):
        spy(name)
    write(tmp_path / "file", NEW, verify=verify)
    os.close(folder)
    assert events == ["open", "write", "fsync", "verify", "replace", "open", "fsync folder"]


def test_every_failing_call_leaves_the_old_or_the_new_file_whole(tmp_path, failpoint):
    path = tmp_path / "file"
    path.write_bytes(OLD)

    def check(calls, error):
        replaced = "replace" in calls[:-1] or (failpoint.after and calls[-1] == "replace")
        assert path.read_bytes() == (NEW if replaced else OLD)
        assert names(tmp_path) == ["file"]
        if failpoint.fault == "interrupt":
            assert isinstance(error, KeyboardInterrupt)
        elif error is not None:  # a folder that may not be read cannot be synced; all else is told
            assert type(error) is CharRNNError
            assert str(path) in str(error)
            assert os.strerror(failpoint.error().errno) in str(error)
            assert ("the previous file is intact" in str(error)) is not replaced
        else:
            assert (failpoint.fault, calls[-1]) == ("EACCES", "open")
            assert replaced
        path.write_bytes(OLD)

    calls = failpoint.at_each_call(lambda: write(path, NEW[:9], NEW[9:]), check)
    assert calls == 7  # open, write, write, fsync, replace, open, fsync
    assert path.read_bytes() == NEW


def test_a_first_write_that_fails_leaves_nothing(tmp_path, failpoint):
    path = tmp_path / "file"

    def check(calls, error):
        if "replace" not in calls:
            assert names(tmp_path) == []
            assert failpoint.fault == "interrupt" or "no file was written" in str(error)
        path.unlink(missing_ok=True)

    failpoint.at_each_call(lambda: write(path, NEW), check)


def test_descriptors_are_closed_after_a_failure(tmp_path, failpoint):
    if failpoint.after or not os.path.exists("/proc/self/fd"):
        pytest.skip("an interrupt between the call and its return loses the descriptor")
    before = len(os.listdir("/proc/self/fd"))
    failpoint.at_each_call(lambda: write(tmp_path / "file", NEW), lambda calls, error: None)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    "error", [ValueError("the block's own"), OSError(5, "another file"), KeyboardInterrupt()]
)
def test_what_the_block_raises_passes_through_and_the_old_file_stays(tmp_path, error):
    path = tmp_path / "file"
    path.write_bytes(OLD)

    def fail_midway():
        with atomic_write(path) as file:
            file.write(NEW)
            raise error

    with pytest.raises(type(error)) as caught:
        fail_midway()
    assert caught.value is error
    assert path.read_bytes() == OLD
    assert names(tmp_path) == ["file"]


def test_what_does_not_verify_never_replaces(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(OLD)

    def verify(temporary):
        assert temporary.parent == tmp_path
        assert TEMPORARY.fullmatch(temporary.name)
        assert path.read_bytes() == OLD
        raise CharRNNError(f"{temporary.read_bytes()!r} is not good")

    with pytest.raises(CharRNNError, match="longer' is not good"):
        write(path, NEW, verify=verify)
    assert path.read_bytes() == OLD
    assert names(tmp_path) == ["file"]


def test_a_symbolic_link_that_the_user_named_stays_a_link(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    real, link = tmp_path / "elsewhere" / "file", tmp_path / "link"
    real.write_bytes(OLD)
    link.symlink_to(real)
    with atomic_write_named(link) as file:
        file.write(NEW)
    assert link.is_symlink()
    assert real.read_bytes() == NEW
    assert names(tmp_path / "elsewhere") == ["file"]


def test_folders_fifos_and_missing_folders_are_refused(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo"):
        with pytest.raises(CharRNNError, match=f"{path}: it is not a regular file"):
            write(path, NEW)
    with pytest.raises(CharRNNError, match=r"none/file .*No such file or directory. Make that folder first"):
        write(tmp_path / "none" / "file", NEW)
    assert names(tmp_path) == ["fifo"]


def test_new_files_have_the_usual_permissions(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    write(tmp_path / "file", NEW)
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_sweep_removes_what_dead_processes_left_and_nothing_else(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    own, others = os.getpid(), os.getppid()
    litter = [f".charrnn-{dead.pid}-0123abcd.tmp", f".charrnn-{own}-0123abcd.tmp"]  # own: of an earlier life
    kept = [
        f".charrnn-{others}-0123abcd.tmp",
        ".charrnn-x-0123abcd.tmp",
        f".charrnn-{dead.pid}-0123abcd.tmp.txt",
        "t.tmp",
    ]
    for name in litter + kept:
        (tmp_path / name).write_bytes(b"half")
    with atomic_write(tmp_path / "file") as file:
        file.write(NEW)
        assert sorted(path.name for path in sweep(Folder(tmp_path))) == sorted(litter)
    assert names(tmp_path) == sorted([*kept, "file"])
    assert (tmp_path / "file").read_bytes() == NEW


KILLED = """
import os, signal, sys
from charrnn.files.writing import atomic_write
with atomic_write(sys.argv[1]) as file:
    file.write(b"half of it")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_writer_leaves_the_old_file_and_a_temporary_one_that_is_swept(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(OLD)
    subprocess.run([sys.executable, "-c", KILLED, path], check=False)
    assert path.read_bytes() == OLD
    assert len(names(tmp_path)) == 2
    assert len(sweep(Folder(tmp_path))) == 1
    assert names(tmp_path) == ["file"]


def test_a_file_size_limit_is_told(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(OLD)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(
            CharRNNError, match=r"file .the previous file is intact.: File too large. Free some disk"
        ):
            write(path, bytes(200_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == OLD
    assert names(tmp_path) == ["file"]


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_keeps_the_old_file(small_disk):
    path = small_disk / "file"
    write(path, bytes(40_000))
    with pytest.raises(
        CharRNNError, match=r"the previous file is intact.: No space left on device. Free some disk space"
    ):
        write(path, bytes(40_001))
    assert path.read_bytes() == bytes(40_000)
    assert names(small_disk) == ["file"]


def test_a_read_only_disk_keeps_the_old_file(small_disk):
    path = small_disk / "file"
    write(path, OLD)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(CharRNNError, match=r"Read-only file system. Choose a folder that can be written to"):
        write(path, NEW)
    assert path.read_bytes() == OLD


def test_a_folder_without_fsync_will_do(tmp_path, monkeypatch):
    def fsync(fd):
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "fsync", fsync)
    sync_folder(tmp_path)
