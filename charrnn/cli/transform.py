"""charrnn transform: texts into texts, by a model of pairs."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from charrnn.cli.item_options import InputColumnOption, TextColumnOption
from charrnn.cli.models import ModelsOption, open_models
from charrnn.cli.options import JsonOption
from charrnn.errors import DataError
from charrnn.sampling.sampling_config import LONGEST_OUTPUT
from charrnn.ui.terminal.output import json_text, put, say, writer

if TYPE_CHECKING:
    from charrnn.sampling.transform import Output
    from charrnn.score.answers import Agreement
    from charrnn.text.records import Record
    from charrnn.text.vocabulary import Vocabulary


def transform(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="Inputs: one per line, or a column of a table; - is stdin."),
    ],
    model: ModelsOption = None,
    text_column: TextColumnOption = None,
    input_column: InputColumnOption = None,
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
            help="Right outputs to compare with: pairs (a table, or input, tab, output; several per input are all "
            "right), or the output of each line.",
        ),
    ] = None,
    unknown: Annotated[
        Literal["error", "skip", "nearest"],
        typer.Option(help="How to treat characters that the model does not know."),
    ] = "error",
    as_json: JsonOption = False,
) -> None:
    """Write the output of each input, by a model that was trained on pairs.

    A file that ends with .csv, .tsv or .jsonl is read as a table if the model was trained on one, or if --input-column
    names its column; any other has an input per line.

    Outputs are in the order of the inputs, one per line. With --reference, stderr tells the share of outputs that are
    exactly right (the word error rate is the share of the others), and the edit distance per output and per character,
    where outputs have spaces also per token.

    \b
    Examples:
      charrnn transform inputs.txt --model runs/numbers
      charrnn transform inputs.txt --model runs/numbers --beam 4 --reference pairs.tsv --json
    """
    from charrnn.cli.given import refuse_if
    from charrnn.sampling.transform import outputs, vocabulary_of_pairs
    from charrnn.score.answers import agreement, answers_for, pairs_of
    from charrnn.score.evaluation import form_of
    from charrnn.text.records import TABLES

    files, models = open_models(model)
    vocab = vocabulary_of_pairs(models)
    has_table = any(_kind_of_table(name) for name in (file, reference or ""))
    refuse_if(
        (
            (text_column or input_column) and not has_table,
            f"{file} is no table: --text-column and --input-column "
            f"belong to files that end with {', '.join(TABLES)}",
        )
    )
    form = form_of(models[0])
    cut = form.pop("items")
    text_column, input_column = text_column or cut.text_column, input_column or cut.input_column
    inputs = _inputs(file, input_column, form, cut.kind, vocab, unknown)
    answers = None
    if reference:
        right = [record for _, record in _read(reference, text_column, input_column, form)]
        answers = answers_for(inputs, pairs_of(right), reference)
    notes: list[str] = []
    made = dict(
        outputs(models, inputs, beam=beam, length=length, unknown=unknown, label=label or (), notes=notes)
    )
    for note in notes:
        say(note)
    found = [made[n] for n in range(len(inputs))]
    compared = agreement([one.text for one in found], answers) if answers else None
    _show(found, compared, files, length, as_json)


def _inputs(
    file: str, column: str, form: dict[str, Any], kind: str, vocab: "Vocabulary", unknown: str
) -> list[str]:
    """The inputs in a file. Raises DataError where there are none, or unknown characters in one.

    kind : of the model's training text
    """
    from charrnn.text.unknown import must_be_known

    read = _read(file, column, "", form)
    inputs = [record.text for _, record in read]
    if not inputs:
        raise DataError(f"{file}: there is no input in it")
    if kind == "pairs" and any(inputs) and all("\t" in text for text in inputs if text):
        raise DataError(f"{file}: each line has a tab; give inputs only: cut -f1 {shlex.quote(file)}")
    must_be_known(((place, record.text) for place, record in read), vocab, unknown)
    return inputs


def _show(
    found: "list[Output]", compared: "Agreement | None", files: Sequence[Path], length: int, as_json: bool
) -> None:
    """Write the outputs, and how they agree with the right ones."""
    if as_json:
        name = str(files[0]) if len(files) == 1 else [str(one) for one in files]
        told = {"reference": compared.to_json()} if compared else {}
        put(json_text({"outputs": [one.to_json() for one in found], "model": name} | told))
        return
    _write(found, length)
    for line in compared.in_words() if compared else ():
        say(line)


def _read(name: str, text_column: str, input_column: str, form: dict[str, Any]) -> "list[tuple[str, Record]]":
    """The rows of a table, or the lines of any other file, each with its place.

    text_column, input_column : of a table; form : how the model's training text was read
    """
    from charrnn.text.item_corpus import read_records
    from charrnn.text.records import ItemForm

    kind = _kind_of_table(name)
    cut = ItemForm("line")
    if kind and (text_column or input_column):
        cut = ItemForm(kind, text_column, (), input_column)
    return list(read_records([name], cut, **form))


def _kind_of_table(name: str) -> str | None:
    from charrnn.text.records import TABLES

    return TABLES.get(Path(name).suffix.lower())


def _write(found: "list[Output]", length: int) -> None:
    from charrnn.text.records import ItemForm
    from charrnn.ui.terminal.samples import Layout

    layout, write = Layout(ItemForm("pairs")), writer(sys.stdout)
    for one in found:
        write(layout.within(one.text) + "\n")
    if cut := sum(one.ended == "length" for one in found):
        say(
            f"{cut:,} of {len(found):,} outputs are cut at {length:,} characters: the model does not end them. "
            "Train longer, or --length allows more"
        )
