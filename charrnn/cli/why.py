"""charrnn why: the earlier characters, and the cells, that made a model expect a character."""

from typing import Annotated

import typer

from charrnn.cli.arguments import prime_of
from charrnn.cli.inspect_cells import Style
from charrnn.cli.models import model_path
from charrnn.cli.options import JsonOption, ModelOption
from charrnn.errors import DataError, UsageError
from charrnn.ui.terminal.output import json_text, put, say


def why(
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="Text to read; @FILE reads it from a file, - from stdin.")
    ],
    model: ModelOption = None,
    at: Annotated[
        int | None,
        typer.Option(
            metavar="PLACE",
            help="Place, from 0, of the character to explain. Default: the one that follows the text.",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="C",
            help=r"Character to explain (\n is a newline). Default: the one at PLACE, after the text the likeliest.",
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="D", help="Character to compare it with. Default: the likeliest other one."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="Of a model of labels: the label of the item, as VALUE or COLUMN=VALUE. May be repeated."
        ),
    ] = None,
    input_text: Annotated[
        str, typer.Option("--input", help="Of a model of pairs: the input whose output is explained.")
    ] = "",
    context: Annotated[
        int,
        typer.Option(min=1, max=5000, help="Number of characters to explain it by; those before are held."),
    ] = 200,
    cells: Annotated[
        int, typer.Option(min=0, max=64, help="Number of cells that are explained by characters too.")
    ] = 3,
    style: Annotated[Style, typer.Option(help="How the parts are drawn on the text.")] = "auto",
    html: Annotated[
        str | None, typer.Option(metavar="FILE", help="Also write the result to this file as a web page.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Explain a prediction: which earlier characters and which cells made it.

    Explained are the log-odds of one character against another, log p(C) - log p(D), in nats. The parts of earlier
    characters are told in three ways. Two are the change of the log-odds when the character is replaced by the mean of
    what the model expected there, and when it is removed. The third, integrated gradients, sums to the difference
    between this text and one in which each character is the average of what the model expected over the text.

    The parts of the cells of the last layer are exact: weight times output. Change is the part of a cell less its part
    after the average characters. Layers below act through these cells alone. A model of items reads the text as the
    beginning of an item.

    \b
    Examples:
      charrnn why 'He said that the'
      charrnn why 'He said that the' --target n --against r
      charrnn why 'He said that the' --at 3 --json
      charrnn why 'He said that the' --html why.html
      charrnn why @letters.txt --context 60 --model runs/tale-1
    """
    from charrnn.interpret.reading import beginning
    from charrnn.interpret.why import symbol_of
    from charrnn.interpret.why import why as explained
    from charrnn.model.model import load_model
    from charrnn.text.conditions import begins_with
    from charrnn.ui.html.why_page import check_target, write_why
    from charrnn.ui.terminal.findings_view import Look, console_for
    from charrnn.ui.terminal.why_view import view

    if html is not None:
        check_target(html)
    path = model_path(model)
    loaded = load_model(path)
    vocab = loaded.vocab
    words = prime_of(text, loaded)
    condition = begins_with(vocab, label or (), input_text)
    first = 0 if condition else 1
    if len(words) < first:
        raise DataError("the text is empty; there is nothing to explain a character by")
    place = len(words) if at is None else at
    if not first <= place <= len(words):
        raise UsageError(
            f"--at is {place}; it must be between {first} and {len(words):,}, the end of the text"
        )
    wanted = None if target is None else symbol_of(vocab, target, "--target")
    if wanted is None and place < len(words):
        wanted = int(vocab.encode(words[place])[0])
    with console_for(stderr=True).status("explaining", spinner="line"):
        found = explained(
            loaded,
            beginning(loaded, words[:place], condition),
            wanted,
            None if against is None else symbol_of(vocab, against, "--against"),
            place=place,
            context=context,
            cells=cells,
        )
    if html is not None:
        say(f"page {html}, {write_why(html, path, found) / 1e6:.1f} MB")
    if as_json:
        put(json_text({"model": str(path), **found.to_json()}))
    else:
        console = console_for(style)
        console.print(view(found, console.width, Look.of(console, style)))
