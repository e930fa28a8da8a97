"""charrnn corpus: texts to train on, listed or made."""

from pathlib import Path
from typing import Annotated, Any

import typer

from charrnn.cli.options import JsonOption
from charrnn.errors import UsageError
from charrnn.ui.terminal.output import json_text, put


def corpus(
    name: Annotated[
        str | None, typer.Argument(help="Name of the text to make; without it, the texts are listed.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File or folder to write to. Default: NAME.txt in the current folder.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite an existing file that has different content.")
    ] = False,
    max_bytes: Annotated[
        int | None, typer.Option(min=1, help="python-stdlib only: stop after this many bytes.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List texts to train on, or make one of them.

    Making one prints its path, also where it is there already.

    \b
    Examples:
      charrnn corpus
      charrnn corpus tinyshakespeare
      charrnn train "$(charrnn corpus python-stdlib --max-bytes 2000000)"
    """
    from charrnn.text import library

    texts = library.texts(max_bytes)
    if name is None:
        if out is not None or force or max_bytes is not None:
            raise UsageError(
                "--out, --force and --max-bytes need the name of a text: charrnn corpus lists them"
            )
        _show([library.describe(text) for text in texts], as_json)
        return
    text = library.find(texts, name)
    if max_bytes is not None and not isinstance(text, library.StandardLibrary):
        raise UsageError(f"--max-bytes needs python-stdlib; {name} is always made whole")
    path = library.make(text, out, force)
    put(json_text(library.describe(text) | {"path": str(path)}) if as_json else path)


def _show(described: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        put(json_text({"corpora": described}))
        return
    rows = [("NAME", "BYTES", "LICENCE", "WHAT IT IS, AND WHERE")]
    for text in described:
        size = "not here" if text["bytes"] is None else f"{text['bytes']:,}"
        rows.append((text["name"], size, text["licence"], text["about"]))
        rows.append(("", "", "", text["source"]))
    name_width, size_width, licence_width = (max(len(row[column]) for row in rows) for column in range(3))
    for name, size, licence, what in rows:
        put(f"{name:<{name_width}}  {size:>{size_width}}  {licence:<{licence_width}}  {what}")
