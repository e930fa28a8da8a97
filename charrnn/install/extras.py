"""The extras: libraries that a part of charrnn needs, and how this installation gets them."""

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from charrnn.errors import UsageError

DISTRIBUTION = "charrnn-lab"  # on the package index, "charrnn" is somebody else's
EXTRAS = {  # as in pyproject.toml, which a copy that was not installed does not have
    "fast": ("llvmlite>=0.44",),
    "torch": ("torch>=2.6",),
    "onnx": ("onnx>=1.17", "onnxruntime>=1.20"),
    "tensorboard": ("tensorboardX>=2.6",),
    "probe": ("scikit-learn>=1.5",),
    "tune": ("optuna>=4",),
    "interactive": ("prompt_toolkit>=3.0.40",),
    "pandas": ("pandas>=2",),
}


@contextmanager
def require(extra: str, user: str) -> Iterator[None]:
    """Around the imports of an extra: where they fail, UsageError says that ``user`` needs it and what to do."""
    try:
        yield
    except ImportError as error:
        lacks = isinstance(error, ModuleNotFoundError)
        why = "is not installed" if lacks else f"cannot be imported ({error})"
        raise UsageError(f"{user} needs the extra {extra}, which {why}: {how_to_install(extra)}") from error


def how_to_install(extra: str) -> str:
    """The command that adds an extra to this installation.

    From where it was installed, a folder, a wheel or the package index; of a copy that was not installed, or
    that came from elsewhere, the libraries themselves.
    """
    import importlib.metadata  # takes some of the first second, which every command waits for

    options, what = "", [f"{DISTRIBUTION}[{extra}]"]
    try:
        origin = importlib.metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        what = list(EXTRAS[extra])
    else:
        if origin is not None:
            local, editable = _local(origin)
            options = "-e " if editable else ""
            what = [f"{local}[{extra}]"] if local else list(EXTRAS[extra])
    return f"{_pip()} install {options}" + " ".join(f'"{one}"' for one in what)


def _local(origin: str) -> tuple[Path | None, bool]:
    """The folder or wheel that an installation was made from, if it is still there, and whether it is run
    from that folder."""
    from urllib.request import url2pathname  # brings http and ssl

    try:
        found = json.loads(origin)
        parts = urlsplit(found["url"])
        path = Path(url2pathname(parts.path))
        editable = bool(found.get("dir_info", {}).get("editable"))
    except (ValueError, KeyError, TypeError, AttributeError):  # as no installer writes it
        return None, False
    return (path, editable) if parts.scheme == "file" and path.exists() else (None, False)


def _pip() -> str:
    """pip, where that is the one of this Python."""
    found = shutil.which("pip")
    if found and Path(found).parent == Path(sys.executable).parent:
        return "pip"
    return f'"{sys.executable}" -m pip'
