"""charrnn import: a model trained with torch."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from charrnn.cli.options import JsonOption
from charrnn.config import CELLS, LEVELS, NONLINEARITIES, as_dict
from charrnn.errors import UsageError
from charrnn.ui.terminal.output import json_text, put, say


def import_model(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Torch state dict, saved as .safetensors.")],
    out: Annotated[Path, typer.Option(help="Model file to write; an existing one is replaced.")],
    vocab: Annotated[
        str | None,
        typer.Option(
            help="The characters in the order of their ids; @FILE is a file's (.json: a list, or {character: "
            "id}). A text in which some repeat stands for its distinct characters in ascending order."
        ),
    ] = None,
    level: Annotated[
        Literal[LEVELS],  # type: ignore[valid-type]
        typer.Option(
            help="Symbols of the model: characters, given by --vocab, or byte, whose ids are the byte values."
        ),
    ] = "char",
    cell: Annotated[
        Literal[CELLS] | None,  # type: ignore[valid-type]
        typer.Option(help="Cell type that the file must hold. Default: inferred from its shapes."),
    ] = None,
    nonlinearity: Annotated[
        Literal[NONLINEARITIES],  # type: ignore[valid-type]
        typer.Option(help="Activation of a plain RNN (cannot be inferred from shapes)."),
    ] = "tanh",
    embedding: Annotated[
        str | None, typer.Option(help="Name of the embedding tensor or module, where it cannot be inferred.")
    ] = None,
    head: Annotated[
        str | None, typer.Option(help="Name of the head tensor or module, where it cannot be inferred.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a model of a torch state dict.

    It must have one nn.RNN, nn.GRU or nn.LSTM, a linear head, and perhaps an embedding. Save it where torch
    is: safetensors.torch.save_file(model.state_dict(), "net.safetensors").

    \b
    Examples:
      charrnn import net.safetensors --vocab @corpora/harbour.txt --out net-charrnn.safetensors
      charrnn import bytes.safetensors --level byte --out bytes-charrnn.safetensors
    """
    from charrnn.exchange.from_torch import from_torch_file
    from charrnn.exchange.symbols import read_symbols

    if (vocab is None) == (level == "char"):
        raise UsageError("--level char needs --vocab, the characters of the ids; --level byte has none")
    if os.path.exists(out) and os.path.exists(file) and out.samefile(file):
        raise UsageError(f"--out {out} is the file to read. Name another one")
    symbols, note = (range(256), "") if vocab is None else read_symbols(vocab)
    if note:
        say(note)
    model, reading = from_torch_file(
        file, symbols, cell=cell, nonlinearity=nonlinearity, embedding=embedding, head=head
    )
    model.save(out)
    told = {
        "model": str(out),
        **as_dict(model.config),
        "vocabulary": len(model.vocab),
        "parameters": model.network.theta.size,
        "tensors": reading.names,
    }
    if not as_json:
        for name, theirs in reading.names.items():
            say(f"{theirs} -> {name}")
    put(json_text(told) if as_json else out)
