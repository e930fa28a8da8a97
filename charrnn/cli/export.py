"""charrnn export: a model for other tools."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from charrnn.cli.given import refuse_if
from charrnn.cli.models import model_path, must_spare
from charrnn.cli.options import JsonOption, ModelOption
from charrnn.cli.web import PRECISION, FindingsOption, InspectOption, PrecisionOption
from charrnn.ui.terminal.output import json_text, put, say

if TYPE_CHECKING:
    from charrnn.model.model import Model


def export(
    to: Annotated[
        Literal["torch", "onnx", "keras", "web"],
        typer.Option(
            help="Target format; torch prints Python lines to run, onnx and keras write a file, web a page that writes."
        ),
    ],
    model: ModelOption = None,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write; an existing one is replaced. With --module: folder to write to."),
    ] = None,
    graph: Annotated[
        Literal["step", "sequence", "both"] | None,
        typer.Option(
            help="With --to onnx: one symbol per call (step), a whole text (sequence), or two files (both)."
            "  [default: sequence]"
        ),
    ] = None,
    precision: PrecisionOption = None,
    findings: FindingsOption = None,
    inspect: InspectOption = False,
    module: Annotated[
        bool,
        typer.Option(
            "--module",
            help="With --to web: write model.js and model.bin, for pages and programs of your own, in place of a page.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Hand a model to torch, ONNX or Keras, or make a web page of it.

    torch loads the model file as it is: the lines of Python that do it go to stdout. An ONNX file is
    checked with onnx.checker and run beside the model with onnxruntime before it is written. A web page holds the
    whole model and needs no network: it writes, and shows its cells as it writes; stderr tells what each precision
    of its weights costs on the validation text. What the files hold is told in docs/exchange.md and docs/web.md.

    \b
    Examples:
      charrnn export --to torch
      charrnn export --to onnx --out model.onnx --graph both
      charrnn export --to keras --out model.weights.npz
      charrnn export --to web --out page.html
      charrnn export --to web --module --out site
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
        (to != "web" and (precision or module), "--precision and --module need --to web"),
        ((to != "web" or module) and (findings or inspect), "--findings and --inspect need a page: --to web"),
        (findings and inspect, "--findings cannot be combined with --inspect, which finds them anew"),
    )
    if to == "web":
        assert out is not None
        _web(model, out, precision or PRECISION, findings, inspect, module, as_json)
        return
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


def _web(
    model: str | None,
    out: Path,
    precision: str,
    findings: str | None,
    inspect: bool,
    module: bool,
    as_json: bool,
) -> None:
    """Write the page, or the module and its model."""
    from charrnn.cli.web import findings_for, losses_in_words, write_module
    from charrnn.model.model import load_model
    from charrnn.score.rounding import losses_of_roundings
    from charrnn.ui.html.play_page import check_target, write_play

    if not module:
        check_target(out, "--out")
    file = model_path(model)
    for name in ("model.js", "model.bin") if module else ():
        must_spare(file, out / name)
    loaded = load_model(file)
    if module:
        files = write_module(out, loaded, precision)
    else:
        write_play(out, file, loaded, precision, findings_for(loaded, findings, inspect))
        files = [out]
    for path in files:
        say(f"{path}, {path.stat().st_size / 1e6:.2f} MB")
    losses = losses_of_roundings(loaded)
    say(losses_in_words(losses, precision))
    names = [str(path) for path in files]
    if as_json:
        put(
            json_text(
                {"model": str(file), "to": "web", "files": names, "precision": precision, **losses.to_json()}
            )
        )
    else:
        put("\n".join(names))


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
