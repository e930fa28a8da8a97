"""One self-contained web page: an HTML skeleton, a style sheet, a script, and the data the script shows.

A page PART is three files of this folder, PART.html, PART.css and PART.js, beside look.css, base.css and base.js,
which all pages share, and the .css and .js of what some pages share. Nothing is ever inserted into the HTML but the
title: whatever comes from a text, a model or a file name travels as JSON, and the script puts it on the page as text. A
content security policy allows this one script and this one style sheet by their hashes, and no request to anywhere.
"""

import base64
import hashlib
import html
import json
import os
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.errors import UsageError
from charrnn.files.writing import atomic_write_named

MOST_BYTES = 5_000_000  # of a page: mail and chat programs carry it
MISSING = -128  # the int8 that stands for a value that is not finite
INT8_STEPS = 127  # int8 steps from 0 to the scale

SHELL = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<header class="bar">
<p class="brand">charrnn</p>
<h1>{title}</h1>
<button type="button" id="theme" aria-label="Colours of the page">Theme: auto</button>
</header>
{body}
<noscript><p class="note">This page draws itself with a script of its own, which is switched off here.</p></noscript>
<script type="application/json" id="data">{data}</script>
<script{kind}>{script}</script>
</body>
</html>
"""


def build_page(
    title: str, part: str, data: Mapping[str, Any], module: str = "", shared: Sequence[str] = ()
) -> str:
    """The page ``part`` with its data, as HTML.

    title : heading and window title, any text
    data : plain values, as json.dumps takes them; the script finds them as ``Page.data``
    shared : names of further style sheets and scripts of this folder, which come before those of the part
    module : an ECMAScript module whose names the script of the part may use
    """
    style = "".join(asset(f"{name}.css") for name in ("look", "base", *shared, part))
    script = asset("base.js") + module + "".join(asset(f"{name}.js") for name in (*shared, part))
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    return SHELL.format(
        policy=policy,
        title=html.escape(printable(title)),
        style=style,
        body=asset(f"{part}.html"),
        data=embedded(data),
        kind=' type="module"' if module else "",
        script=script,
    )


def embedded(data: Mapping[str, Any]) -> str:
    """JSON that may stand in a script element: ASCII, and no character in it that HTML could read as markup.

    ``<``, ``>``, ``&``, U+2028 and U+2029 become escapes of JSON, and so does all that is not ASCII, lone
    surrogates included. Raises ValueError for NaN and infinities, which JSON does not have.
    """
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    for ch in "<>&":
        text = text.replace(ch, f"\\u{ord(ch):04x}")
    return text


def packed(values: np.ndarray) -> dict[str, Any]:
    """An array of integers as base64 of its bytes, for ``Page.unpack``: int8, int16 or int32, the least it takes.

    Raises ValueError for integers beyond int32.
    """
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    fitting = [k for k in ("int8", "int16", "int32") if np.iinfo(k).min <= low and high <= np.iinfo(k).max]
    if not fitting:
        raise ValueError(f"{low} to {high} do not fit in int32")
    kind = fitting[0]
    raw = np.ascontiguousarray(values, np.dtype(kind).newbyteorder("<")).tobytes()
    return {"kind": kind, "bytes": base64.b64encode(raw).decode("ascii")}


def quantised(values: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Rows (M, N) in INT8_STEPS steps of their scales (M,): value ≈ int8·scale/INT8_STEPS; MISSING where not finite.

    The error is at most scale/(2·INT8_STEPS) for values within ±scale; others are cut off there.
    """
    size = np.where(np.isfinite(scales) & (scales > 0), scales, 1.0)[:, None]
    with np.errstate(invalid="ignore", over="ignore"):
        steps = np.clip(np.rint(values / size * INT8_STEPS), -INT8_STEPS, INT8_STEPS)
    return np.where(np.isfinite(values), steps, MISSING).astype(np.int8)


def check_target(path: str | os.PathLike[str], option: str = "--html") -> None:
    """Raise UsageError, before any work, for a path where no page may be written.

    That is: stdout, something other than a file, a file that is not a web page, a folder that does not exist.
    """
    target = Path(path)
    if str(path) in ("", "-"):
        raise UsageError(f"{option} {str(path)!r}: name a file for the page, such as report.html")
    if not target.parent.is_dir():
        raise UsageError(f"{option} {path}: {target.parent} is not a folder. Make that folder first")
    if not os.path.lexists(target):
        return
    if not target.is_file():
        what = "a folder" if target.is_dir() else "not a regular file"
        raise UsageError(f"{option} {path}: this is {what}. Name a file that can be replaced")
    try:
        with target.open("rb") as file:
            start = file.read(len("<!doctype html"))
    except OSError as error:
        raise UsageError(
            f"{option} {path}: the file there cannot be read ({error.strerror}). Name another file"
        ) from None
    if start and start.lower() != b"<!doctype html":
        raise UsageError(
            f"{option} {path}: this file exists and is not a web page. Name another file, or remove it first"
        )


def write_page(path: str | os.PathLike[str], page: str, option: str = "--html") -> int:
    """Write the page durably, all of it or nothing; returns its size in bytes.

    option : that names the file, for messages

    Raises CharRNNError where the system refuses, UsageError where ``check_target`` does.
    """
    check_target(path, option)
    raw = page.encode("utf-8")
    with atomic_write_named(path) as file:
        file.write(raw)
    return len(raw)


def printable(text: str) -> str:
    """The text with U+FFFD for each character that could not be seen or would move others."""
    return "".join(ch if ch.isprintable() else "\ufffd" for ch in text)


def asset(name: str) -> str:
    """A file of this folder."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(source: str) -> str:
    digest = hashlib.sha256(source.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
