"""The pages of docs/: they build with every link checked, ask no other server, and say what the code says."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pictures
import pytest
from page_picture import CHROMIUM, DRIVER
from typer.main import get_command

from charrnn.cli.app import app

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))


# ------------------------------------------------------------------------------------------------
# The built site


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("mkdocs")
    pytest.importorskip("material")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1", "CHARRNN_DOCS_STEPS": "3"},
    )
    assert done.returncode == 0, done.stderr
    return folder


class Requests(HTMLParser):
    """What a browser fetches for a page, beside the page: not the links that a reader may follow."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        if tag == "link" and named.get("rel") in ("canonical", "next", "prev"):
            return
        self.found += [named[name] for name in ("src", "srcset", "data", "poster") if named.get(name)]
        if tag == "link":
            self.found.append(named["href"])


@pytest.mark.slow
def test_the_site_asks_no_other_server(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) >= len(PAGES) + 2  # those made when it is built
    for page in pages:
        parser = Requests()
        parser.feed(page.read_text(encoding="utf-8"))
        assert parser.found
        assert not [url for url in parser.found if re.match(r"(https?:)?//", url)], page
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert not re.search(r"url\([\"']?(https?:)?//|@import\s*[\"']", text), sheet


@pytest.mark.slow
def test_every_page_is_in_the_menu(site):
    menu = (site / "index.html").read_text(encoding="utf-8")
    for page in [*PAGES, Path("commands.md"), Path("log.md"), Path("notebook.md")]:
        assert f'href="{page.stem}.html"' in menu


@pytest.mark.slow
def test_every_picture_is_in_the_site(site):
    """Screens as SVG; pages as PNG of 1,280 pixels, where there is a browser."""
    pytest.importorskip("pyte")
    shown = {
        one for page in site.glob("*.html") for one in re.findall(r'src="(pictures/.*?)#', page.read_text())
    }
    pages = {name for name, one in pictures.PICTURES.items() if isinstance(one, pictures.WebPage)}
    there = set(pictures.PICTURES) if CHROMIUM and DRIVER else set(pictures.PICTURES) - pages
    assert shown == {f"pictures/{pictures.file_name(name, t)}" for name in there for t in pictures.THEMES}
    for file in shown:
        raw = (site / file).read_bytes()
        if file.endswith(".png"):
            assert (raw[:8], int.from_bytes(raw[16:20], "big")) == (b"\x89PNG\r\n\x1a\n", pictures.WIDTH)
        else:
            assert b"<title>charrnn " in raw


# ------------------------------------------------------------------------------------------------
# What the pages say


def test_the_commands_page_has_every_option(monkeypatch):
    pytest.importorskip("mkdocs")
    monkeypatch.syspath_prepend(DOCS)
    spec = importlib.util.spec_from_file_location("generated_pages", DOCS / "generated_pages.py")
    generated = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generated)
    sections = re.split(r"^## charrnn ", generated.commands_page(), flags=re.M)
    by_name = {section.split("\n")[0]: section for section in sections[1:]}
    commands = get_command(app).commands
    assert list(by_name) == list(commands)
    for name, command in commands.items():
        for param in command.params:
            if param.param_type_name == "option":
                assert max(param.opts, key=len) in by_name[name], f"{name} {param.opts}"
        assert "Examples:" in by_name[name], name


def equations(path):
    """The numbered equations at the head of a file of nn/, and those of the loss."""
    head = re.match(r'"""(.*?)"""', path.read_text(encoding="utf-8"), flags=re.S)[1]
    return [
        " ".join(line.split())
        for line in head.splitlines()
        if re.search(r"\(\d\)|^ {4}\S.*=|^log p", line) and "http" not in line
    ]


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "network", "loss"])
def test_the_maths_page_has_the_equations_of_the_code(name):
    page = " ".join((DOCS / "maths.md").read_text(encoding="utf-8").split())
    found = equations(ROOT / f"charrnn/nn/{name}.py")
    assert found
    for equation in found:
        assert equation in page


# ------------------------------------------------------------------------------------------------
# What the pages tell to type


def blocks(page, language):
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.M | re.S)


def test_the_first_commands_of_the_readme():
    """The quick start has the fast path; the second block is what continuous integration runs for the tests."""
    start, tests, *_ = blocks(ROOT / "README.md", "sh")
    assert re.findall(r"pip install .*?'(.*?)'|charrnn (train|sample|inspect-cells)", start) == [
        (".[fast]", ""),
        *(("", command) for command in ("train", "sample", "inspect-cells")),
    ]
    assert "'.[test]'" in tests
    assert "pytest" in tests


@pytest.fixture
def beginner(tmp_path):
    """A folder with a short text under every name that the pages use, a small run, and `charrnn` on the path."""
    text = (ROOT / "corpora/harbour.txt").read_text(encoding="utf-8")[:24_000]
    (tmp_path / "corpora").mkdir()
    for name in ("corpora/harbour.txt", "text.txt", "mytext.txt"):
        (tmp_path / name).write_text(text, encoding="utf-8")
    for name in ("corpora/place-names.csv", "corpora/number-words.tsv"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin/charrnn"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m charrnn "$@"\n')
    command.chmod(0o755)
    environment = os.environ | {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "CHARRNN_MAX_STEPS": "40",  # of what the pages leave to take longer
        "CHARRNN_LENGTH": "100",  # a model of 40 steps may never end an item
        "CHARRNN_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "BROWSER": "true",  # the program of this name, which opens nothing
    }

    def run(script):
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env=environment,
        )

    assert run("charrnn train text.txt --hidden 16 --out runs/first --quiet").returncode == 0
    shutil.copy(tmp_path / "runs/first/model.safetensors", tmp_path / "net.safetensors")
    return run


def in_seconds(minutes):
    """As many seconds as the page says minutes."""
    return f"{float(minutes[0]) / 60:.3f}"


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "sh")], ids=lambda page: page.stem)
def test_commands_run_as_written(page, beginner):
    for library in ("onnx", "onnxruntime", "optuna", "tensorboardX"):
        pytest.importorskip(library)
    for block in blocks(page, "sh"):
        done = beginner(re.sub(r"(?<=--max-minutes )[\d.]+", in_seconds, block))
        assert done.returncode == 0, f"{block}\n{done.stderr}"


@pytest.mark.slow
def test_the_model_built_by_hand(beginner):
    (block,) = blocks(DOCS / "model-file.md", "python")
    done = beginner(f"{sys.executable} - <<'END'\n{block}\nEND")
    assert (done.stdout, done.returncode) == ("babababa\n", 0), done.stderr
