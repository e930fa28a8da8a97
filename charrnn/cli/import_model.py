"""charrnn import: a model trained with torch."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from charrnn.cli.options import JsonOption
from charrnn.config import CELLS, LEVELS, NONLINEARITIES, as_dict
from charrnn.errors import UsageError
from charrnn.ui.terminal.text import json_text, put, say


def import_model(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A torch state dict, saved as .safetensors.")],
    out: Annotated[Path, typer.Option(help="Model file to write; it may be there already.")],
    vocab: Annotated[
        str | None,
        typer.Option(
            help="The characters in the order of their ids; @FILE is a file's (.json: a list, or {character: "
            "id}). A text in which some repeat stands for its distinct characters in ascending order."
        ),
    ] = None,
    level: Annotated[
        Literal[LEVELS],  # type: ignore[valid-type]
        typer.Option(help="byte: the ids are byte values, and --vocab is not needed."),
    ] = "char",
    cell: Annotated[
        Literal[CELLS] | None,  # type: ignore[valid-type]
        typer.Option(help="What the file must hold; by default whatever its shapes say."),
    ] = None,
    nonlinearity: Annotated[
        Literal[NONLINEARITIES],  # type: ignore[valid-type]
        typer.Option(help="Of a vanilla RNN, which no shape tells."),
    ] = "tanh",
    embedding: Annotated[
        str | None, typer.Option(help="Tensor or module of the embedding, where that cannot be told.")
    ] = None,
    head: Annotated[
        str | None, typer.Option(help="Tensor or module of the head, where that cannot be told.")
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
    from charrnn.exchange.symbols import read_symbols
    from charrnn.exchange.torch_import import from_torch_file

    if (vocab is None) == (level == "char"):
        raise UsageError("--level char needs --vocab, the characters of the ids; --level byte has none")
    if out.exists() and file.exists() and out.samefile(file):
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
