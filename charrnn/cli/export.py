"""charrnn export: a model for other tools."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from charrnn.cli.given import refuse_if
from charrnn.cli.models import model_path, must_spare
from charrnn.cli.options import JsonOption, ModelOption
from charrnn.ui.terminal.output import json_text, put

if TYPE_CHECKING:
    from charrnn.model.model import Model


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

    refuse_if(
        (
            to == "torch" and out,
            "--to torch writes no file: torch loads the model file itself. Leave --out away",
        ),
        (to != "torch" and out is None, f"--to {to} needs a file to write to: --out FILE"),
        (graph and to != "onnx", f"--graph needs --to onnx; it cannot be combined with --to {to}"),
    )
    file = model_path(model)
    if out is None:  # to torch
        lines = _torch_lines(load_model(file), file)
        if as_json:
            put(json_text({"model": str(file), "to": to, "code": lines}))
        else:
            put(lines, end="")
        return
    must_spare(file, out)
    files = _contents(load_model(file), to, out, graph or "sequence")
    for path, content in files.items():
        with atomic_write_named(path) as written:
            written.write(content)
    names = [str(path) for path in files]
    put(json_text({"model": str(file), "to": to, "files": names}) if as_json else "\n".join(names))


def _torch_lines(model: "Model", file: Path) -> str:
    from charrnn.exchange.to_torch import loading_lines

    return loading_lines(model.config, len(model.vocab), model.network.theta.dtype.name, file)


def _contents(model: "Model", to: str, out: Path, graph: str) -> dict[Path, bytes]:
    """The files to write and what is to be in them."""
    if to == "keras":
        from charrnn.exchange.to_keras import to_keras

        return {out: to_keras(model)}
    from charrnn.exchange.to_onnx import GRAPHS, checked_onnx

    if graph != "both":
        return {out: checked_onnx(model, graph)}
    return {out.with_name(f"{out.stem}-{each}{out.suffix}"): checked_onnx(model, each) for each in GRAPHS}
