"""charrnn transform: texts into texts, by a model of pairs."""

import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from charrnn.cli.models import ModelsOption, open_models
from charrnn.cli.options import JsonOption
from charrnn.errors import DataError
from charrnn.sampling.sampling_config import LONGEST_OUTPUT
from charrnn.ui.terminal.output import json_text, put, say, writer

if TYPE_CHECKING:
    from charrnn.model.model import Model
    from charrnn.sampling.transform import Output


def transform(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Inputs, one a line; - is stdin.")],
    model: ModelsOption = None,
    beam: Annotated[
        int,
        typer.Option(
            min=1,
            max=10_000,
            help="Beams of the search for the likeliest output; 1 takes each likeliest character.",
        ),
    ] = 1,
    length: Annotated[
        int, typer.Option(min=1, max=10**6, help="Most characters of an output.")
    ] = LONGEST_OUTPUT,
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="Label of the outputs, as VALUE or COLUMN=VALUE. May be repeated for several columns."
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Right outputs to compare with: pairs (input, tab, output; several per input are all right), or the "
            "output of each line.",
        ),
    ] = None,
    unknown: Annotated[
        Literal["error", "skip", "nearest"],
        typer.Option(help="How to treat characters that the model does not know."),
    ] = "error",
    as_json: JsonOption = False,
) -> None:
    """Write the output of each input, by a model that was trained on pairs.

    Outputs are in the order of the inputs, one a line. With --reference, stderr tells the share of outputs that are
    exactly right (the word error rate is the share of the others), and the edit distance per output and per character,
    where outputs have spaces also per token.

    \b
    Examples:
      charrnn transform inputs.txt --model runs/numbers
      charrnn transform inputs.txt --model runs/numbers --beam 4 --reference pairs.tsv --json
    """
    from charrnn.sampling.transform import outputs
    from charrnn.score.answers import agreement, answers_for
    from charrnn.text.lines import pairs_of

    files, models = open_models(model)
    inputs = _lines(file, models[0])
    if not inputs:
        raise DataError(f"{file}: there is no line in it")
    answers = answers_for(inputs, pairs_of(_lines(reference, models[0])), reference) if reference else None
    notes: list[str] = []
    made = dict(
        outputs(models, inputs, beam=beam, length=length, unknown=unknown, label=label or (), notes=notes)
    )
    for note in notes:
        say(note)
    found = [made[n] for n in range(len(inputs))]
    compared = agreement([one.text for one in found], answers) if answers else None
    if as_json:
        name = str(files[0]) if len(files) == 1 else [str(one) for one in files]
        told = {"reference": compared.to_json()} if compared else {}
        put(json_text({"outputs": [one.to_json() for one in found], "model": name} | told))
        return
    _write(found)
    for line in compared.in_words() if compared else ():
        say(line)


def _lines(name: str, model: "Model") -> list[str]:
    """The lines of a file, read as the model's training text was."""
    from charrnn.score.evaluation import form_of
    from charrnn.text.lines import read_lines
    from charrnn.text.passes import Form

    form = form_of(model)
    return read_lines([name], Form(form["level"], form["encoding"], form["newlines"], ()))


def _write(found: "list[Output]") -> None:
    from charrnn.text.records import ItemForm
    from charrnn.ui.terminal.samples import Layout

    layout, write = Layout(ItemForm("pairs")), writer(sys.stdout)
    for one in found:
        write(layout.within(one.text) + "\n")
    if cut := sum(one.ended == "length" for one in found):
        say(f"{cut:,} of {len(found):,} outputs are cut: --length allows more")
