"""charrnn corpus: texts to train on, listed or made."""

from pathlib import Path
from typing import Annotated, Any

import typer

from charrnn.cli.given import refuse_if
from charrnn.cli.options import JsonOption
from charrnn.errors import UsageError
from charrnn.ui.terminal.output import json_text, put, say


def corpus(
    name: Annotated[
        str | None,
        typer.Argument(help="Name of the text to make, or process; without it, the texts are listed."),
    ] = None,
    process: Annotated[
        str | None, typer.Argument(help="With process: name of one; without it, the processes are listed.")
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
    symbols: Annotated[
        int | None,
        typer.Option(min=2, max=10**7, help="process only: length of the text.  [default: 200000]"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="process only: seed of the text.  [default: 1]")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List texts to train on, or make one of them.

    Making one prints its path, also where it is there already.

    A process is a small machine with a hidden state that writes a text. NAME.states.npz beside it has the state
    after each symbol, what a reader can know of it (the belief), and the least possible loss.

    \b
    Examples:
      charrnn corpus
      charrnn corpus tinyshakespeare
      charrnn train "$(charrnn corpus python-stdlib --max-bytes 2000000)"
      charrnn corpus process mess3 --symbols 500000
    """
    refuse_if(
        (
            process is not None and name != "process",
            "only process takes a second name: charrnn corpus process mess3",
        ),
        (
            (symbols is not None or seed is not None) and process is None,
            "--symbols and --seed need a process: charrnn corpus process lists them",
        ),
        (
            process is not None and max_bytes is not None,
            "--max-bytes needs python-stdlib; a process takes --symbols",
        ),
    )
    if name == "process":
        _process(process, out, force, symbols or 200_000, 1 if seed is None else seed, as_json)
        return
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


def _process(name: str | None, out: Path | None, force: bool, symbols: int, seed: int, as_json: bool) -> None:
    """List the processes, or write a text of one."""
    from charrnn.text import known_processes, process_files

    if name is None:
        refuse_if((out is not None or force, "--out and --force need the name of a process"))
        found = [known_processes.process(each) for each in known_processes.names()]
        if as_json:
            put(json_text({"processes": [p.to_json() for p in found]}))
            return
        for p in found:
            rate = p.entropy_rate()
            least = f"{rate:.4f} nats" if rate is not None else "no formula "
            put(f"{p.name:<10}  {len(p.states):>2} states  {least:>11}  {p.about}")
        return
    written = process_files.Written(known_processes.process(name), symbols, seed)
    path, states = process_files.make(written, out, force)
    loss = written.least_loss()
    if as_json:
        put(json_text({"name": name, "path": str(path), "states": str(states), "least_loss_nats": loss}))
        return
    put(path)
    say(f"hidden states in {states}; the least possible loss on this text is {loss:.4f} nats per symbol")


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
