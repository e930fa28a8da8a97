"""charrnn score: how probable a sentence is, and where it surprises."""

import os
import sys
from typing import Annotated

import typer

from charrnn.cli.arguments import named, prime_of
from charrnn.cli.models import model_path
from charrnn.cli.options import JsonOption, ModelOption
from charrnn.ui.terminal.output import json_text, put, say


def score(
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="Text to score; @FILE reads it from a file, - from stdin.")
    ],
    model: ModelOption = None,
    prime: Annotated[
        str,
        typer.Option(
            help="What stands before the text: itself, @FILE or -. Default: a newline, or an item's begin."
        ),
    ] = "",
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="Label of the item, as VALUE or COLUMN=VALUE. May be repeated for several columns."
        ),
    ] = None,
    input_text: Annotated[
        str, typer.Option("--input", help="Of a model of pairs: the input whose output the text is.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Tell how probable a text is, and colour it by surprise.

    The model reads the text once, after a newline or after --prime, and gives each character a probability. Their
    product is p. With a model of items, the text is a whole item, and its end counts too.

    \b
    Examples:
      charrnn score "The sea was calm."
      charrnn score "calm." --prime "The sea was "
      charrnn score "The sea was calm." --json
    """
    from charrnn.model.model import load_model
    from charrnn.model.scores import in_bits
    from charrnn.ui.terminal import surprise

    file = model_path(model)
    loaded = load_model(file)
    vocab = loaded.vocab
    words = prime_of(text, loaded)
    if words == text and os.path.isfile(text):
        say(f"this scores the name itself; @{text} is the text in that file")
    found = loaded.score(words, prime=prime_of(prime, loaded), label=label or (), input=input_text)
    nats, count = found.log_probability_nats, len(found.symbols_nats)
    ids = [*vocab.encode(words).tolist(), *([] if vocab.items is None else [vocab.end])]
    if as_json:
        each = [
            named(vocab, symbol) | {"nats": -log_p}
            for symbol, log_p in zip(ids, found.symbols_nats.tolist(), strict=True)
        ]
        told = {
            "model": str(file),
            "text": words,
            "chars": count,
            "log_probability_nats": nats,
            "log_probability_bits": in_bits(nats),
            "bits_per_char": -in_bits(nats) / count if count else None,
            "characters": each,
        }
        put(json_text(told))
        return
    surprise.show_probability(vocab, ids, found.symbols_nats, sys.stdout)
