"""charrnn fixed-points: the states that a model stays in."""

from typing import Annotated

import typer

from charrnn.cli.models import model_path
from charrnn.cli.options import JsonOption, ModelOption
from charrnn.ui.terminal.output import json_text, put, say


def fixed_points(
    model: ModelOption = None,
    text: Annotated[
        str | None,
        typer.Option(
            help="Text file whose states the searches begin at, - for stdin. Default: the text held out in training."
        ),
    ] = None,
    reading: Annotated[
        str | None,
        typer.Option(
            metavar="CHAR", help="Character that is read again and again. Default: none, an input of zeros."
        ),
    ] = None,
    ask: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Show what the model expects after reading TEXT from each point."),
    ] = None,
    starts: Annotated[
        int | None,
        typer.Option(
            min=1, max=10_000, help="Number of searches. Default: 200; fewer for a large model, down to 10."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed for choosing where the searches begin.")] = 1,
    out: Annotated[
        str | None, typer.Option(metavar="FILE.svg", help="Also draw states and points as an SVG picture.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    r"""Find the states that a model stays in.

    A fixed point is a state (h, and c of an LSTM) that one step leads back to, while the same character, or none, is
    read. Newton's method begins at states visited on the text and between them; the eigenvalues λ of the step's
    Jacobian say whether a small push fades (all |λ| below 1: stable), does neither
    (neutral), or grows in some directions (saddle).

    \b
    Examples:
      charrnn fixed-points
      charrnn fixed-points --reading ' ' --ask 'th' --starts 2
      charrnn fixed-points --text corpora/harbour.txt --starts 2 --out points.svg
      charrnn fixed-points --starts 2 --json
    """
    from charrnn.errors import UsageError
    from charrnn.interpret.fixed_points import find_fixed_points
    from charrnn.interpret.texts import held_out_text, stream_of, text_of
    from charrnn.model.model import load_model
    from charrnn.text.escapes import unescape
    from charrnn.ui.svg import document
    from charrnn.ui.svg.points_picture import points_picture
    from charrnn.ui.terminal.console import Console
    from charrnn.ui.terminal.fixed_points_view import view

    if out is not None:
        document.check_target(out)
    file = model_path(model)
    loaded = load_model(file)
    ids = stream_of(loaded, held_out_text(loaded) if text is None else text_of(loaded, [text]))
    symbol = None
    if reading is not None:
        symbols = loaded.vocab.encode(unescape(reading))
        if len(symbols) != 1:
            raise UsageError(f"--reading is {reading!r}; it must be one character that the model knows")
        symbol = int(symbols[0])
    asked = loaded.vocab.encode(unescape(ask or "")).tolist()
    with Console(stderr=True).status("reading", spinner="line") as step:
        found = find_fixed_points(
            loaded, ids, symbol, asked=asked, starts=starts, seed=seed, begun=step.update
        )
    if out is not None:
        document.write(out, points_picture(found, f"Fixed points of {file}"))
        say(f"picture {out}")
    if as_json:
        put(json_text({"model": str(file), "reading": reading} | found.to_json()))
    else:
        console = Console(highlight=False, markup=False)
        for line in view(found, console):
            console.print(line)
