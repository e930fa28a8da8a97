"""An ordinary user trains where a hostile second user may write: nothing of theirs is run, followed or overwritten."""

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.small_runs import write_text

pytest.importorskip("llvmlite")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root can become two users"),
]

VICTIM, ATTACKER, GROUP = 12345, 12346, 12340
PRECIOUS = b"the victim's own\n"

BECOME = f"""
import hashlib, json, os, sys
from pathlib import Path

def become(user):
    os.setgroups([{GROUP}])
    os.setgid(user)
    os.setuid(user)
"""

# Trains as root first, with which Python has all it needs: to another user its own files may be out of reach.
TRAINING = (
    BECOME
    + f"""
from charrnn.errors import CharRNNError
from charrnn.training.observers import Observer
from charrnn.training.session import train

class Notes(Observer):
    def note(self, message):
        told.append(message)

def run(out):
    settings = dict(layers=1, hidden=4, batch_size=2, seq_length=5, eval_every=10, max_steps=20, snapshots=2)
    try:
        train(text, out=out, force=True, backend="fast", threads=1, observers=[Notes()], **settings)
    except CharRNNError as error:
        told.append(str(error))

told = []
text, warm, work = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
os.environ["CHARRNN_CACHE"] = warm + "/cache"
run(warm + "/out")
run(warm + "/out")
become({VICTIM})
for cache, out in work:
    told.append("---")
    os.environ["CHARRNN_CACHE"] = cache
    run(out)
print(json.dumps(told))
"""
)

PLANTING = (
    BECOME
    + f"""
become({ATTACKER})
os.umask(0)
shared, home, names = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])

def plant(cache):
    (cache / "kernels").mkdir(parents=True)
    for name in names:  # LLVM ends the process that loads it
        code = b"not machine code"
        digest = hashlib.sha256(name.removesuffix(".o").encode() + code).digest()
        (cache / "kernels" / name).write_bytes(digest + code)

if len(sys.argv) > 4:
    (shared / "own").rename(shared / "gone")
    plant(shared / "own")
    sys.exit()
plant(shared / "cache")
(shared / "link").symlink_to(home)
for name in ["lock", "metrics.jsonl", "samples.jsonl", "model.safetensors", "checkpoint.safetensors", "config.toml"]:
    (shared / name.split(".")[0]).mkdir()
    (shared / name.split(".")[0] / name).symlink_to(home / "precious")
(shared / "snaps").mkdir()
(shared / "snaps" / "snapshots").symlink_to(home / "snapshots")
"""
)
RUNS = ["lock", "metrics", "samples", "model", "checkpoint", "config", "snaps"]


def python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that all users reach."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o2775], ids=["open", "sticky", "of the group"])
def test_nothing_of_theirs_is_run_followed_or_overwritten(place: Path, mode: int) -> None:
    shared, home, warm = place / "shared", place / "home", place / "warm"
    for folder in (shared, home, warm, home / "snapshots"):
        folder.mkdir()
    text = write_text(place / "text.txt")
    precious, snapshot = home / "precious", home / "snapshots" / "000000001.safetensors"
    for file in (precious, snapshot):
        file.write_bytes(PRECIOUS)
        file.chmod(0o600)
    for mine in (home, home / "snapshots", precious, snapshot):
        os.chown(mine, VICTIM, VICTIM)
    home.chmod(0o700)
    os.chown(shared, 0, GROUP)
    shared.chmod(mode)

    def victim(*work: tuple[Path, Path]) -> list[list[str]]:
        done = python(TRAINING, text, warm, json.dumps([[str(cache), str(out)] for cache, out in work]))
        assert done.returncode == 0, done.stderr
        runs: list[list[str]] = []
        for line in json.loads(done.stdout):
            if line == "---":
                runs.append([])
            elif runs:
                runs[-1].append(line)
        return runs

    victim()
    names = [file.name for file in (warm / "cache" / "kernels").iterdir()]
    assert names
    assert python(PLANTING, shared, home, json.dumps(names)).returncode == 0
    work: list[Any] = [
        (shared / "cache", home / "a"),
        (shared / "link", home / "b"),
        (shared / "own", home / "c"),
    ]
    planted, linked, own, *others = victim(*work, *((home / "d", shared / run) for run in RUNS))

    assert any(f"{shared / 'cache'} belongs to another user" in line for line in planted)
    assert any("it is a link" in line for line in linked)
    assert not any("the cache is not used" in line for line in own)
    for name in "abc":
        assert (home / name / "model.safetensors").is_file()
    told = dict(zip(RUNS, others, strict=True))
    for run in ("lock", "snaps"):
        assert any("it is a link" in line for line in told[run]), (run, told[run])
    for file in (precious, snapshot):
        found = file.lstat()
        assert file.read_bytes() == PRECIOUS
        assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o600, VICTIM)
    assert sorted(entry.name for entry in (home / "snapshots").iterdir()) == [snapshot.name]

    replaced = python(PLANTING, shared, home, json.dumps(names), "own")
    if mode & stat.S_ISVTX:
        assert "Operation not permitted" in replaced.stderr
    else:
        assert replaced.returncode == 0, replaced.stderr
        (told_of_it,) = victim((shared / "own", home / "e"))
        assert any(f"{shared / 'own'} belongs to another user" in line for line in told_of_it)
