"""charrnn automaton: the finite machine that a model has learnt."""

from typing import Annotated

import typer

from charrnn.cli.models import model_path
from charrnn.cli.options import JsonOption, ModelOption
from charrnn.ui.terminal.output import json_text, put, say


def automaton(
    model: ModelOption = None,
    text: Annotated[
        str | None,
        typer.Option(help="Text file to read, - for stdin. Default: the text held out in training."),
    ] = None,
    process: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Compare with the process that wrote the text; charrnn corpus process lists them.",
        ),
    ] = None,
    allowed: Annotated[
        float, typer.Option(min=0.0001, max=0.5, help="Least probability of a character that may come.")
    ] = 0.05,
    clusters: Annotated[
        int, typer.Option(min=2, max=1024, help="Most clusters to group the visited states into.")
    ] = 128,
    seed: Annotated[int, typer.Option(min=0, help="Seed for grouping the states.")] = 1,
    out: Annotated[
        str | None, typer.Option(metavar="FILE.svg", help="Also draw the automaton as an SVG picture.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Extract the finite automaton that a model has learnt.

    The states visited on the first half of the text are clustered; a cluster allows the characters above --allowed,
    and leads with each to the cluster where most readings end. The smallest machine that allows the same texts is
    shown, and measured on the second half. With --process it is compared with the true machine: they are equal,
    or a shortest text tells them apart.

    \b
    Examples:
      charrnn automaton --text corpora/harbour.txt --allowed 0.2 --clusters 32
      charrnn corpus process tomita-4
      charrnn train tomita-4.txt --layers 1 --hidden 16 --max-minutes 0.2
      charrnn automaton --process tomita-4 --out machine.svg
    """
    from charrnn.interpret.automaton import extract
    from charrnn.interpret.texts import held_out_text, stream_of, text_of
    from charrnn.model.model import load_model
    from charrnn.text.known_processes import process as known_process
    from charrnn.ui.svg import document
    from charrnn.ui.svg.machine_picture import machine_picture
    from charrnn.ui.terminal.automaton_view import view
    from charrnn.ui.terminal.console import Console

    if out is not None:
        document.check_target(out)
    known = None if process is None else known_process(process)
    file = model_path(model)
    loaded = load_model(file)
    ids = stream_of(loaded, held_out_text(loaded) if text is None else text_of(loaded, [text]))
    found = extract(loaded, ids, allowed=allowed, most_clusters=clusters, process=known, seed=seed)
    if out is not None:
        document.write(out, machine_picture(found.machine, f"The automaton of {file}"))
        say(f"picture {out}")
    if as_json:
        put(json_text({"model": str(file)} | found.to_json()))
    else:
        console = Console(highlight=False, markup=False)
        for line in view(found, console):
            console.print(line)
