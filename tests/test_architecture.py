"""The rooms of the code: imports point downward, and each outside library has its place."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from helpers import rooms
from helpers.random_models import random_model
from helpers.rooms import PACKAGE

ROOMS = ["__main__", "__init__", *rooms.ROOMS]

# Where a library may be imported; numpy may be anywhere.
PLACES = {
    "typer": ("cli",),
    "click": ("cli",),
    "rich": ("ui",),
    "prompt_toolkit": ("ui",),
    "optuna": ("tune",),
    "torch": ("engines",),
    "safetensors": ("model", "exchange"),
    "onnx": ("exchange",),
    "onnxruntime": ("exchange",),
    "tensorboardX": ("training",),
    "llvmlite": ("fast", "engines"),
    "numpy": ROOMS,
}
NUMPY_ONLY = ("nn", "interpret", "learn")

FILES = sorted(PACKAGE.rglob("*.py"))


def module_name(path: Path) -> str:
    parts = ("charrnn", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path) for path in FILES}


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> set[str]:
    """The modules a file imports anywhere, also inside functions; of charrnn's own, the file that is meant."""
    return {module for node in ast.walk(tree(path)) for module in imported_by(node)}


def imported_by(node: ast.AST) -> set[str]:
    """The modules that this statement alone imports."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if not isinstance(node, ast.ImportFrom):
        return set()
    assert node.level == 0, f"line {node.lineno}: a relative import"
    candidates = {f"{node.module}.{alias.name}" for alias in node.names}
    return {whole if whole in MODULES else node.module or "" for whole in candidates}


def test_the_parser_sees_every_kind_of_import() -> None:
    network = imports(PACKAGE / "nn/network.py")
    assert {"charrnn.nn.gru", "charrnn.nn.linear", "charrnn.config", "numpy"} <= network  # from a import b, c
    assert "importlib" in imports(PACKAGE / "__init__.py")  # within a function


def test_every_room_is_on_the_list() -> None:
    assert {room(module) for module in MODULES} == set(ROOMS)


@pytest.mark.parametrize("page", rooms.MADE)
def test_the_pages_show_the_rooms_as_they_are(page: str) -> None:
    assert rooms.written(page) == rooms.MADE[page](), "run: python tests/helpers/rooms.py"


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_point_downward(path: Path) -> None:
    here = room(module_name(path))
    own = {module for module in imports(path) if module.split(".")[0] == "charrnn"}
    below = ROOMS[ROOMS.index(here) :]
    assert not {module for module in own if room(module) not in below}


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_libraries_are_imported_where_they_belong(path: Path) -> None:
    here = room(module_name(path))
    libraries = (
        {module.split(".")[0] for module in imports(path)} - set(sys.stdlib_module_names) - {"charrnn"}
    )
    assert not {library for library in libraries if library in PLACES and here not in PLACES[library]}
    if here in NUMPY_ONLY:
        assert libraries <= {"numpy"}


@pytest.mark.parametrize("path", sorted((PACKAGE / "engines").glob("*.py")), ids=module_name)
def test_the_other_engines_do_without_the_compiler(path: Path) -> None:
    """Only the fast engine imports llvmlite, and that engine is imported where it is asked for."""
    if path.name in ("fast_backend.py", "fast_chunks.py", "fast_update.py"):
        return
    assert not {module for module in imports(path) if module.split(".")[0] == "llvmlite"}
    at_start = {module for node in tree(path).body for module in imported_by(node)}
    assert not {module for module in at_start if room(module) == "fast" or ".fast_" in module}


FORBIDDEN_CALLS = {"print", "open", "input", "exec", "eval"}
FORBIDDEN_MODULES = {
    "io",
    "logging",
    "os",
    "pathlib",
    "random",
    "secrets",
    "shutil",
    "sys",
    "tempfile",
    "time",
}
FORBIDDEN_NUMPY = {
    "fromfile",
    "load",
    "loadtxt",
    "memmap",
    "open_memmap",
    "save",
    "savetxt",
    "savez",
    "tofile",
}


@pytest.mark.parametrize("path", sorted((PACKAGE / "nn").glob("*.py")), ids=module_name)
def test_the_maths_never_prints_opens_files_or_owns_a_generator(path: Path) -> None:
    assert not {module.split(".")[0] for module in imports(path)} & FORBIDDEN_MODULES
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in FORBIDDEN_CALLS, f"{path.name}:{node.lineno}"
        if isinstance(node, ast.Attribute):
            assert node.attr not in FORBIDDEN_NUMPY, f"{path.name}:{node.lineno}"
            if ast.unparse(node.value) in ("np.random", "numpy.random"):
                assert node.attr == "Generator", f"{path.name}:{node.lineno}: only to name the type"


def loaded_by(*arguments: str) -> set[str]:
    """Names of the modules that a fresh interpreter has loaded at its end."""
    report = "import atexit, sys; atexit.register(lambda: print(*sys.modules, sep='\\n', file=sys.stderr))"
    code = f"{report}\nsys.argv = {['charrnn', *arguments]!r}\n"
    code += (
        "import runpy; runpy.run_module('charrnn', run_name='__main__')" if arguments else "import charrnn"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def test_importing_charrnn_is_light() -> None:
    loaded = loaded_by()
    assert "charrnn" in loaded
    assert not loaded & {"torch", "numpy", "typer", "rich"}


@pytest.mark.parametrize("arguments", [("--help",), ("train", "--help")])
def test_help_imports_no_torch_and_no_compiler(arguments: tuple[str, ...]) -> None:
    loaded = loaded_by(*arguments)
    assert "charrnn.cli.app" in loaded
    assert not loaded & {"torch", "llvmlite", "charrnn.install.extras"}


def test_the_first_character_waits_for_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    """Each of these takes up to a tenth of a second to load."""
    file = tmp_path / "model.safetensors"
    random_model(vocab="ab").save(file)
    loaded = loaded_by("sample", "--model", str(file), "--length", "1", "--seed", "1")
    assert "charrnn.sampling.sampler" in loaded
    assert not loaded & {
        "rich",
        "urllib.request",
        "charrnn.score.evaluation",
        "charrnn.text.corpus",
        "concurrent.futures",
        "llvmlite",
    }


def test_the_maths_is_an_evening_s_reading() -> None:
    """What `charrnn/nn/` says of itself: what is not maths lives where it is used."""
    assert (
        sum(len(path.read_text(encoding="utf-8").splitlines()) for path in (PACKAGE / "nn").glob("*.py"))
        <= 1000
    )
