"""The cache holds what is run and believed: nothing in it that another user could have put there is used."""

import hashlib
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from charrnn.novelty.suffixes import indexed
from charrnn.text import cache
from charrnn.text.cache import NoCache, cache_folder, private_folder
from charrnn.text.corpus import read_corpus

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="owners and permissions are those of POSIX")

OTHER = 12345  # a uid without a name


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own, not made yet."""
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


# ------------------------------------------------------------------------------------------------
# Where the cache is


@pytest.mark.parametrize(
    "variables",
    [
        {"HOME": ""},
        {"HOME": "", "XDG_CACHE_HOME": ".cache"},
        {"HOME": "here"},
        {"HOME": "", "XDG_CACHE_HOME": "", "CHARRNN_CACHE": ""},
    ],
)
def test_without_a_home_there_is_no_cache_in_the_current_folder(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name in ("CHARRNN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() is None
    with pytest.raises(NoCache, match="set CHARRNN_CACHE to a folder"), private_folder():
        pass


def test_a_relative_xdg_folder_is_not_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHARRNN_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", ".cache")
    monkeypatch.setenv("HOME", "/home/me")
    assert cache_folder() == Path("/home/me/.cache/charrnn")


def test_a_user_that_the_system_does_not_know_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CHARRNN_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: OTHER)
    assert cache_folder() is None


# ------------------------------------------------------------------------------------------------
# Folders


def test_folders_are_made_for_their_user_alone(root: Path) -> None:
    before = os.umask(0)
    try:
        with private_folder("kernels") as folder:
            assert folder.path == root / "kernels"
    finally:
        os.umask(before)
    for made in (root, root / "kernels"):
        assert stat.S_IMODE(made.stat().st_mode) == 0o700


def link(path: Path) -> None:
    path.rename(path.with_name("real"))
    path.symlink_to(path.with_name("real"))


def fifo(path: Path) -> None:
    path.rename(path.with_name("real"))
    os.mkfifo(path)


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "written by the group": (lambda path: path.chmod(0o770), "can be written by other users .mode 0770"),
    "written by all": (lambda path: path.chmod(0o1777), "can be written by other users .mode 1777"),
    "another's": (lambda path: os.chown(path, OTHER, -1), "belongs to another user"),
    "a link": (link, "it is a link"),
    "a FIFO": (fifo, "Not a directory"),
}


@pytest.fixture(params=FAULTS)
def fault(request: pytest.FixtureRequest) -> tuple[Callable[[Path], None], str]:
    if request.param == "another's" and os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    return FAULTS[request.param]


@pytest.mark.parametrize("below", ["", "kernels"])
def test_a_folder_that_is_not_this_users_alone_is_not_used(
    root: Path, fault: tuple[Callable[[Path], None], str], below: str
) -> None:
    with private_folder("kernels"):
        pass
    spoil, told = fault
    spoil(root / below)
    with pytest.raises(NoCache, match=f"the cache is not used: .*{told}"), private_folder("kernels"):
        pass


# ------------------------------------------------------------------------------------------------
# Encoded texts and indices


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A text that counts as too large for memory."""
    monkeypatch.setattr("charrnn.text.corpus.IN_MEMORY", 0)
    file = tmp_path / "text.txt"
    file.write_text("hello")
    return file


def test_a_text_is_encoded_anew_where_the_cache_is_open_to_others(root: Path, large: Path) -> None:
    """The file of another text with as many of each symbol passes every other check."""
    read_corpus([large])
    (file,) = root.iterdir()
    right = file.read_bytes()
    file.write_bytes(right[::-1])
    root.chmod(0o777)
    corpus = read_corpus([large])
    assert "".join(corpus.vocabulary.decode(corpus.ids)) == "hello"
    (note,) = corpus.notes
    assert note.startswith(f"the cache is not used: {root} can be written by other users (mode 0777)")
    assert file.read_bytes() == right[::-1]


def test_an_index_is_made_anew_where_the_cache_is_open_to_others(root: Path) -> None:
    ids = np.frombuffer(b"banana", np.uint8)
    right = list(indexed(ids)._suffixes)
    (file,) = root.iterdir()
    wrong = np.arange(6, dtype=np.int32).tobytes()
    file.write_bytes(wrong + hashlib.sha256(wrong).digest())
    root.chmod(0o777)
    assert list(indexed(ids)._suffixes) == right == [5, 3, 1, 0, 4, 2]


@pytest.mark.parametrize("kind", ["link", "fifo", "folder", "another's", "written by the group"])
def test_a_file_that_is_not_a_plain_one_of_this_user_is_not_read(root: Path, large: Path, kind: str) -> None:
    read_corpus([large])
    (file,) = root.iterdir()
    content = file.read_bytes()
    if kind == "another's":
        if os.geteuid() != 0:
            pytest.skip("only root can give a file away")
        os.chown(file, OTHER, -1)
    elif kind == "written by the group":
        file.chmod(0o660)
    else:
        file.rename(root / "other")
        {"link": file.symlink_to, "folder": lambda _: file.mkdir(), "fifo": lambda _: os.mkfifo(file)}[kind](
            root / "other"
        )
    with private_folder() as folder, pytest.raises(OSError, match=r"link|regular|directory|user"):
        cache.open_own(folder, file.name)
    if kind not in ("folder", "fifo"):  # which a replacement would destroy
        corpus = read_corpus([large])
        assert "".join(corpus.vocabulary.decode(corpus.ids)) == "hello"
        assert stat.S_IMODE(file.lstat().st_mode) == 0o600
        assert stat.S_ISREG(file.lstat().st_mode)
        assert file.read_bytes() == content


# ------------------------------------------------------------------------------------------------
# A user without a name or home, as `docker run --user 12345` makes one

STRANGER = f"""
import os
import numpy as np
from charrnn.text import cache, corpus
corpus.read_corpus(["text.txt"])  # imports what is needed: for the other user Python may be out of reach
cache.unnamed_ids(np.dtype("u1"), [np.zeros(1, "u1")])
os.setgid({OTHER}); os.setuid({OTHER})
corpus.IN_MEMORY = 0
read = corpus.read_corpus(["text.txt"])
print("".join(read.vocabulary.decode(read.ids)), *read.notes, sep="|")
"""


@pytest.mark.parametrize("home", [None, "", "/", "/nonexistent"])
def test_a_user_without_a_home_reads_a_large_text(tmp_path: Path, home: str | None) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    work = Path("/tmp") / f"charrnn-test-{os.getpid()}-{hash(home) % 1000}"
    work.mkdir()
    work.chmod(0o777)
    try:
        (work / "text.txt").write_text("hello")
        environment = {k: v for k, v in os.environ.items() if k not in ("CHARRNN_CACHE", "HOME")}
        environment |= {"TMPDIR": str(work), "PYTHONDONTWRITEBYTECODE": "1"}
        environment |= {} if home is None else {"HOME": home}
        done = subprocess.run(
            [sys.executable, "-c", STRANGER],
            cwd=work,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        text, note = done.stdout.strip().split("|")
        assert text == "hello"
        assert "set CHARRNN_CACHE to a folder of your own" in note
        assert [entry.name for entry in work.iterdir()] == ["text.txt"]
    finally:
        (work / "text.txt").unlink()
        work.rmdir()
