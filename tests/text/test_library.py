"""The library of texts: made from this Python, and downloaded from a server on loopback that misbehaves."""

import hashlib
import http.server
import shutil
import socket
import sysconfig
import threading
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from charrnn.errors import CharRNNError, DataError, UsageError
from charrnn.text import library
from charrnn.text.library import Download, Shipped, StandardLibrary

CONTENT = b"To be, or not to be.\n" * 20_000
SHAKESPEARE = Path(__file__).parents[2].parent / "shared/corpora/tinyshakespeare.txt"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        content = CONTENT
        if self.path == "/missing":
            self.send_error(404)
            return
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/good")
            self.end_headers()
            return
        if self.path == "/hanging":
            self.server.released.wait(10)
            return
        if self.path == "/wrong":
            content = CONTENT.replace(b"not", b"NOT")
        if self.path == "/page":
            content = b"<!DOCTYPE html><title>Sign in</title>"
        if self.path == "/large":
            content = CONTENT + b"x"
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.path in ("/truncated", "/stalling"):
            content = content[:1000]
        self.wfile.write(content)
        if self.path == "/stalling":
            self.server.released.wait(10)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.released = threading.Event()
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.released.set()
        server.shutdown()


@pytest.fixture
def at(server, monkeypatch, tmp_path):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.chdir(tmp_path)

    def at(path):
        sha256 = hashlib.sha256(CONTENT).hexdigest()
        return Download("play", "a play", "public domain", server + path, len(CONTENT), sha256, timeout=5)

    return at


@pytest.mark.parametrize("path", ["/good", "/moved"])
def test_a_download(at, tmp_path, path):
    assert library.make(at(path)) == Path("play.txt")
    assert (tmp_path / "play.txt").read_bytes() == CONTENT
    assert library.make(at(path), tmp_path / "other") == tmp_path / "other"
    assert (tmp_path / "other").read_bytes() == CONTENT


def test_what_is_there_already_is_not_downloaded_again(at, tmp_path):
    library.make(at("/good"))
    assert library.make(at("/missing")) == Path("play.txt")


def test_into_a_folder(at, tmp_path):
    assert library.make(at("/good"), tmp_path) == tmp_path / "play.txt"


def test_another_file_is_only_replaced_with_force(at, tmp_path):
    (tmp_path / "play.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"play\.txt exists and is not play: use --force to replace it"):
        library.make(at("/good"))
    assert (tmp_path / "play.txt").read_text() == "mine"
    library.make(at("/good"), force=True)
    assert (tmp_path / "play.txt").read_bytes() == CONTENT


BAD = [
    ("/missing", 1, "could not be downloaded (the server answered 404 Not Found). Try again later"),
    (
        "/wrong",
        3,
        f"{len(CONTENT):,} bytes with sha256 {hashlib.sha256(CONTENT.replace(b'not', b'NOT')).hexdigest()}",
    ),
    ("/page", 3, "37 bytes with sha256 "),
    ("/page", 3, "beginning with b'<!DOCTYPE html><title>Sign in<'"),
    ("/truncated", 3, f"got 1,000 bytes with sha256 {hashlib.sha256(CONTENT[:1000]).hexdigest()}"),
    ("/large", 3, f"got more than {len(CONTENT):,} bytes"),
]


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(("path", "exit_code", "message"), BAD)
def test_a_bad_download_leaves_nothing_and_keeps_what_was_there(
    at, tmp_path, path, exit_code, message, force
):
    if force:
        (tmp_path / "play.txt").write_text("mine")
    with pytest.raises(CharRNNError) as caught:
        library.make(at(path), force=force)
    assert message in str(caught.value)
    assert at(path).source in str(caught.value)
    assert caught.value.exit_code == exit_code
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == ([("play.txt", "mine")] if force else [])


@pytest.mark.parametrize("path", ["/hanging", "/stalling"])
def test_a_server_that_hangs(at, tmp_path, path):
    text = replace(at(path), timeout=0.2)
    with pytest.raises(CharRNNError, match="no answer in time"):
        library.make(text)
    assert list(tmp_path.iterdir()) == []


def test_no_server(at, tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        text = replace(at("/"), source=f"http://127.0.0.1:{port}/")
        with pytest.raises(CharRNNError, match=r"could not be downloaded .*refused") as caught:
            library.make(text)
    assert caught.value.exit_code == 1


def test_not_a_server_for_the_web(at):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def talk():
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")

        thread = threading.Thread(target=talk)
        thread.start()
        with pytest.raises(CharRNNError, match=r"could not be downloaded \(SSH-2\.0"):
            library.make(replace(at("/"), source=f"http://127.0.0.1:{listener.getsockname()[1]}/"))
        thread.join()


@pytest.mark.skipif(not SHAKESPEARE.exists(), reason="the shared text is not beside this checkout")
def test_the_known_facts_of_tinyshakespeare():
    text = library.find(library.texts(), "tinyshakespeare")
    data = SHAKESPEARE.read_bytes()
    assert (len(data), hashlib.sha256(data).hexdigest()) == library.size_and_sha256(text)


# The standard library


@pytest.fixture
def python(tmp_path):
    files = {
        "b.py": b"b = 1\n",
        "a/z.py": b"z = 1",  # no line end
        "a/test/t.py": b"no",
        "tests/t.py": b"no",
        "site-packages/s.py": b"no",
        "__pycache__/c.py": b"no",
        "latin.py": b"# -*- coding: latin-1 -*- \xe9\n",
        "nul.py": b"x = '\0'\n",
        "empty.py": b"",
        "notes.txt": b"no",
        "test_of.py": "é = 1\n".encode(),
    }
    for name, content in files.items():
        (tmp_path / "lib" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "lib" / name).write_bytes(content)

    def python(max_bytes=None, folder="lib"):
        return StandardLibrary("python-stdlib", "", "", tmp_path / folder, max_bytes)

    return python


def test_the_standard_library_in_small(python):
    assert b"".join(python().blocks()) == "z = 1\nb = 1\né = 1\n".encode()


@pytest.mark.parametrize(
    ("max_bytes", "content"),
    [
        (6, "z = 1\n"),
        (11, "z = 1\n"),
        (12, "z = 1\nb = 1\n"),
        (18, "z = 1\nb = 1\n"),
        (19, "z = 1\nb = 1\né = 1\n"),
    ],
)
def test_it_is_cut_at_the_end_of_a_line(python, max_bytes, content):
    assert b"".join(python(max_bytes).blocks()) == content.encode()


def test_no_line_fits(python):
    with pytest.raises(UsageError, match="--max-bytes is 5, less than the first line"):
        list(python(5).blocks())


def test_a_python_without_sources(python):
    with pytest.raises(DataError, match=r"no Python files in .*nowhere"):
        list(python(folder="nowhere").blocks())


def test_the_standard_library_of_this_python(tmp_path):
    text = library.find(library.texts(1_000_000), "python-stdlib")
    path = library.make(text, tmp_path)
    content = path.read_text(encoding="utf-8")
    assert 900_000 < len(content.encode()) <= 1_000_000
    assert content.endswith("\n")
    for module in ("argparse.py", "ast.py"):
        source = Path(sysconfig.get_path("stdlib"), module).read_text(encoding="utf-8")
        assert source in content
    assert library.make(text, tmp_path) == path  # the same again is no conflict
    with pytest.raises(UsageError, match="--force"):
        library.make(library.find(library.texts(500_000), "python-stdlib"), tmp_path)


# What ships


def test_a_shipped_text_stays_where_it_is_unless_copied(tmp_path):
    (tmp_path / "story.txt").write_text("Once.")
    text = Shipped("shipped", "", "", tmp_path / "story.txt")
    assert library.make(text) == tmp_path / "story.txt"
    assert library.make(text, tmp_path / "copy.txt").read_text() == "Once."


@pytest.mark.parametrize(
    ("name", "file", "size"),
    [
        ("shipped", "harbour.txt", 240_402),
        ("place-names", "place-names.csv", 48_477),
        ("number-words", "number-words.tsv", 129_389),
    ],
)
def test_what_ships_is_in_the_wheel_and_in_a_checkout(tmp_path, monkeypatch, name, file, size):
    """Where the build puts it, it is found; in a checkout the package has none, and it is beside it."""
    root = Path(__file__).parents[2]
    build = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    target = build["targets"]["wheel"]["force-include"][f"corpora/{file}"]
    (tmp_path / target).parent.mkdir(parents=True)
    shutil.copy(root / "corpora" / file, tmp_path / target)
    for package in (root / "charrnn", tmp_path / "charrnn"):
        monkeypatch.setattr("importlib.resources.files", lambda name, package=package: package)
        found = library.find(library.texts(), name)
        assert found.path == (root / "corpora" / file if package.parent == root else tmp_path / target)
        assert library.describe(found)["bytes"] == size


def test_a_copy_of_a_table_is_a_table(tmp_path):
    (tmp_path / "places.csv").write_text("name,region\n")
    made = library.make(Shipped("place-names", "", "", tmp_path / "places.csv"), tmp_path)
    assert made == tmp_path / "place-names.csv"


def test_a_shipped_text_that_is_gone(tmp_path):
    with pytest.raises(
        DataError, match=r"story\.txt, part of charrnn, cannot be read .*Install charrnn again"
    ):
        library.make(Shipped("shipped", "", "", tmp_path / "story.txt"))


def test_there_is_no_such_text():
    with pytest.raises(
        UsageError,
        match=r"no text 'war-and-peace' .* shipped, place-names, number-words, python-stdlib, tinyshakespeare",
    ):
        library.find(library.texts(), "war-and-peace")


def test_the_page_about_corpora_tells_the_same():
    page = (Path(__file__).parents[2] / "corpora/README.md").read_text(encoding="utf-8")
    for text in library.texts():
        assert f"`{text.name}`" in page
        if isinstance(text, Download):
            assert all(fact in page for fact in (text.source, text.sha256, f"{text.size:,}"))
