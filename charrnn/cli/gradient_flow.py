"""charrnn gradient-flow: how far back a loss reaches."""

from typing import Annotated, Literal

import typer

from charrnn.cli.given import refuse
from charrnn.cli.options import JsonOption
from charrnn.ui.terminal.output import json_text, put


def gradient_flow(
    ctx: typer.Context,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Model file or run folder to measure, instead of freshly initialised networks.",
        ),
    ] = None,
    cell: Annotated[
        Literal["all", "rnn", "gru", "lstm"] | None,
        typer.Option(help="Cell type of the fresh networks.  [default: all, side by side]"),
    ] = None,
    layers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Layers of the fresh networks.  [default: 1]")
    ] = None,
    hidden: Annotated[
        int | None,
        typer.Option(min=1, max=65536, help="Hidden units per layer of the fresh networks.  [default: 128]"),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(
            help="Text file to read, - for stdin. Default: the held-out text of the model; random symbols for "
            "fresh networks."
        ),
    ] = None,
    distance: Annotated[
        int, typer.Option(min=1, max=10_000, help="How many steps back to follow the gradient.")
    ] = 50,
    seed: Annotated[int, typer.Option(min=0, help="Seed for fresh weights and random symbols.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Show how a loss's gradient fades with distance.

    Measured is the mean norm of ∂loss(t)/∂h[t-k], and of ∂loss(t)/∂c[t-k] in an LSTM, by k; beside it the
    spectral radius of W_hh, and of a run how often clipping acted.

    \b
    Examples:
      charrnn gradient-flow
      charrnn gradient-flow --cell rnn --layers 2 --hidden 64 --distance 30
      charrnn gradient-flow runs/harbour-20250101-120000
      charrnn gradient-flow --text corpora/harbour.txt --json
    """
    from charrnn.interpret import network_flow as flow
    from charrnn.interpret.texts import held_out_text, stream_of, text_of
    from charrnn.model.model import load_model
    from charrnn.runs.folder import find_model
    from charrnn.text.corpus import read_corpus
    from charrnn.ui.terminal import gradient_flow_view as ui
    from charrnn.ui.terminal.console import Console

    if model is not None:
        refuse(ctx, ("cell", "layers", "hidden"), "cannot be combined with --model, whose network is fixed")
    if model is not None:
        file = find_model(model)
        loaded = load_model(file)
        words = held_out_text(loaded) if text is None else text_of(loaded, [text])
        name = text or "the text held out in training"
        flows = [flow.of_model(loaded, stream_of(loaded, words), distance, file=file)]
    else:
        corpus = None if text is None else read_corpus([text], options=())
        name = f"{flow.MADE_UP_SYMBOLS} symbols at random" if text is None else text
        flows = flow.of_fresh(
            flow.FRESH if cell in (None, "all") else [cell],
            layers=layers or 1,
            hidden=hidden or 128,
            distance=distance,
            ids=None if corpus is None else corpus.ids,
            vocab_size=flow.MADE_UP_SYMBOLS if corpus is None else len(corpus.vocabulary),
            seed=seed,
        )
    if as_json:
        put(json_text({"model": model, "text": text, "distance": distance, "networks": flows}))
    else:
        console = Console(highlight=False)
        console.print(ui.view(flows, ui.title_of(flows, name), console))
