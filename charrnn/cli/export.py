"""charrnn export: a model for other tools."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from charrnn.cli.options import JsonOption, ModelOption
from charrnn.errors import UsageError
from charrnn.ui.terminal.output import json_text, put, say


def export(
    to: Annotated[
        Literal["torch", "onnx", "keras"],
        typer.Option(help="Target format; torch prints Python lines to run, onnx and keras write a file."),
    ],
    model: ModelOption = None,
    out: Annotated[Path | None, typer.Option(help="File to write; an existing one is replaced.")] = None,
    graph: Annotated[
        Literal["step", "sequence", "both"] | None,
        typer.Option(
            help="With --to onnx: one symbol per call (step), a whole text (sequence), or two files (both)."
            "  [default: sequence]"
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Hand a model to torch, ONNX or Keras.

    torch loads the model file as it is: the lines of Python that do it go to stdout. An ONNX file is
    checked with onnx.checker and run beside the model with onnxruntime before it is written. What the
    files hold is told in docs/exchange.md.

    \b
    Examples:
      charrnn export --to torch
      charrnn export --to onnx --out model.onnx --graph both
      charrnn export --to keras --out model.weights.npz
    """
    from charrnn.files.writing import atomic_write_named
    from charrnn.model.model import load_model
    from charrnn.runs.folder import find_model

    if to == "torch" and out is not None:
        raise UsageError("--to torch writes no file: torch loads the model file itself. Leave --out away")
    if to != "torch" and out is None:
        raise UsageError(f"--to {to} needs a file to write to: --out FILE")
    if graph is not None and to != "onnx":
        raise UsageError(f"--graph needs --to onnx; it cannot be combined with --to {to}")
    file = find_model(model)
    if model is None:
        say(f"model {file}")
    if out is not None and os.path.exists(out) and out.samefile(file):
        raise UsageError(f"--out {out} is the model itself. Name another file")
    loaded = load_model(file)
    told = {"model": str(file), "to": to}

    if to == "torch":
        from charrnn.exchange.to_torch import loading_lines

        lines = loading_lines(loaded.config, len(loaded.vocab), loaded.network.theta.dtype.name, file)
        put(json_text(told | {"code": lines}) if as_json else lines, end="\n" if as_json else "")
        return

    assert out is not None
    if to == "keras":
        from charrnn.exchange.to_keras import to_keras

        files = {out: to_keras(loaded)}
    else:
        from charrnn.exchange.to_onnx import GRAPHS, checked_onnx

        if graph == "both":
            files = {
                out.with_name(f"{out.stem}-{each}{out.suffix}"): checked_onnx(loaded, each) for each in GRAPHS
            }
        else:
            files = {out: checked_onnx(loaded, graph or "sequence")}
    for path, content in files.items():
        with atomic_write_named(path) as written:
            written.write(content)
    names = [str(path) for path in files]
    put(json_text(told | {"files": names}) if as_json else "\n".join(names))
