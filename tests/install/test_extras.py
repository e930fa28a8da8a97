"""How an extra is installed: by what is true of this installation, and never from a name that is not ours."""

import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from helpers.project_files import ROOT, project_files

from charrnn.errors import UsageError
from charrnn.install import extras
from charrnn.install.extras import EXTRAS, how_to_install, require
from charrnn.install.version import __version__

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes this Python have the distribution, with what its installer noted of where it came from."""
    monkeypatch.setattr(extras, "_pip", lambda: "pip")

    def install(origin: dict[str, Any] | str | None) -> None:
        folder = tmp_path / "site/charrnn_lab-9.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: charrnn-lab\nVersion: 9\n")
        if origin is not None:
            text = origin if isinstance(origin, str) else json.dumps(origin)
            (folder / "direct_url.json").write_text(text)
        monkeypatch.syspath_prepend(str(folder.parent))

    return install


def test_in_a_checkout(installed: Any, tmp_path: Path) -> None:
    checkout = tmp_path / "a clone"
    checkout.mkdir()
    installed({"url": checkout.as_uri(), "dir_info": {"editable": True}})
    assert how_to_install("tune") == f'pip install -e "{checkout}[tune]"'


def test_from_a_folder(installed: Any, tmp_path: Path) -> None:
    installed({"url": tmp_path.as_uri(), "dir_info": {}})
    assert how_to_install("probe") == f'pip install "{tmp_path}[probe]"'


def test_from_a_wheel(installed: Any, tmp_path: Path) -> None:
    wheel = tmp_path / "charrnn_lab-9-py3-none-any.whl"
    wheel.touch()
    installed({"url": wheel.as_uri(), "archive_info": {}})
    assert how_to_install("onnx") == f'pip install "{wheel}[onnx]"'


def test_from_the_index(installed: Any) -> None:
    installed(None)
    assert how_to_install("torch") == 'pip install "charrnn-lab[torch]"'


@pytest.mark.parametrize(
    "origin",
    [
        {"url": "file:///no/such/folder", "dir_info": {"editable": True}},
        {"url": "https://example.org/charrnn.git", "vcs_info": {"vcs": "git", "commit_id": "1"}},
        {"dir_info": {}},
        [],
        "{",
    ],
    ids=["gone", "elsewhere", "no url", "no object", "no JSON"],
)
def test_from_where_it_cannot_be_had_again(installed: Any, origin: Any) -> None:
    installed(origin)
    assert how_to_install("onnx") == 'pip install "onnx>=1.17" "onnxruntime>=1.20"'


def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", none)
    monkeypatch.setattr(extras, "_pip", lambda: "pip")
    assert how_to_install("tune") == 'pip install "optuna>=4"'


def test_pip_is_that_of_this_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first pip on the path, only where it is beside the interpreter: else it installs for another."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "pip").write_text("#!/bin/sh\n")
    (folder / "pip").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    assert how_to_install("fast").startswith(f'"{sys.executable}" -m pip install ')
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    assert how_to_install("fast").startswith("pip install ")


def test_what_is_missing_is_told() -> None:
    with pytest.raises(UsageError) as told, require("tune", "charrnn tune"):
        import no_such_library  # type: ignore[import-not-found]  # noqa: F401
    expected = f"charrnn tune needs the extra tune, which is not installed: {how_to_install('tune')}"
    assert str(told.value) == expected
    with (
        pytest.raises(UsageError, match=r"which cannot be imported \(libgomp is missing\): "),
        require("tune", ""),
    ):
        raise ImportError("libgomp is missing")


def test_the_extras_are_those_of_the_project() -> None:
    declared = PROJECT["optional-dependencies"]
    assert PROJECT["name"] == extras.DISTRIBUTION
    assert {name: tuple(declared[name]) for name in EXTRAS} == EXTRAS
    assert declared.keys() - EXTRAS.keys() == {"test", "docs", "dev"}  # which no command asks for


def test_the_version_needs_no_installation(tmp_path: Path) -> None:
    code = "import sys; sys.argv[1:] = ['--version']; from charrnn.cli.app import main; main()"
    environment = {"PYTHONPATH": f"{ROOT}:{':'.join(sys.path)}"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env=environment
    )
    assert (done.stdout, done.returncode) == (f"charrnn {__version__}\n", 0), done.stderr


def test_nothing_tells_to_install_the_other_charrnn() -> None:
    """On the package index that name is a stranger's: no page, message or script may send a user there."""
    ours = [*project_files(".md", ".py", ".toml", ".yml"), ROOT / ".ci/run"]
    assert ROOT / "README.md" in ours
    assert Path(__file__) in ours
    wrong = re.compile(r"""pip[ ]install[^\n`]*[ "']charrnn\b(?!-lab|[./_])|\bcharrnn\[[a-z]""")
    assert wrong.search('pip install "charrnn[tune]"')
    assert wrong.search("pip install --upgrade charrnn")
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in ours
        if path != Path(__file__)
        for line in path.read_text(encoding="utf-8").splitlines()
        if wrong.search(line)
    ]
    assert found == []
