"""charrnn gradcheck: is the backward pass the derivative of the forward pass?"""

from typing import Annotated, Any

import typer

from charrnn.cli.given import refuse
from charrnn.cli.options import JsonOption, with_settings
from charrnn.config import ModelConfig
from charrnn.ui.terminal.output import json_text, put


@with_settings(ModelConfig)
def gradcheck(
    ctx: typer.Context,
    *,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="RUN", help="Model file or run folder to check, instead of a network with random weights."
        ),
    ] = None,
    vocab: Annotated[
        int | None,
        typer.Option(min=2, max=100_000, help="Vocabulary size of the random network.  [default: 12]"),
    ] = None,
    seq_length: Annotated[int, typer.Option(min=1, max=10_000, help="Characters per stream.")] = 6,
    batch_size: Annotated[int, typer.Option(min=1, max=10_000, help="Number of streams in the batch.")] = 3,
    samples: Annotated[
        int, typer.Option(min=0, help="Numbers to compare per tensor, drawn at random; 0 compares all.")
    ] = 100,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed for the random weights, text and choice of numbers.")
    ] = 1,
    as_json: JsonOption = False,
    **settings: Any,
) -> None:
    """Compare each gradient with a numeric one, tensor by tensor.

    Checked in float64 are all tensors, the initial state and the input (as vectors of real numbers). Exit
    code 1 when one fails.

    \b
    Examples:
      charrnn gradcheck
      charrnn gradcheck --cell gru --layers 1 --hidden 8 --samples 0
      charrnn gradcheck --cell rnn --hidden 16 --embedding 5 --json
    """
    import numpy as np

    from charrnn.engines.threads import blas_threads
    from charrnn.interpret.tensor_checks import check_network, made_up_network
    from charrnn.model.model import load_model, plain_copy
    from charrnn.runs.folder import find_model
    from charrnn.ui.terminal import gradcheck_view as ui
    from charrnn.ui.terminal.console import Console

    given = {name: value for name, value in settings.items() if value is not None}
    rng = np.random.default_rng(seed)
    if model is None:
        network = made_up_network(ModelConfig(**given), vocab or 12, rng)
    else:
        refuse(ctx, ("vocab", *settings), "cannot be combined with --model, whose network is fixed")
        network = plain_copy(load_model(find_model(model)).network, np.float64)
    with blas_threads():
        checks = check_network(network, seq_length, batch_size, samples, rng)
    if as_json:
        put(json_text({"model": model} | ui.as_json(network.config, network.vocab_size, checks)))
    else:
        console = Console(highlight=False)
        title = (
            f"{network.config.in_words}, {network.vocab_size} symbols; {batch_size} streams × {seq_length}"
        )
        console.print(ui.view(title, checks, console))
    if not all(check.passed for check in checks):
        raise typer.Exit(1)
