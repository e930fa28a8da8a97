"""charrnn info: what is known of a model, and how its loss fell."""

from charrnn.cli.models import model_path
from charrnn.cli.options import JsonOption, ModelOption
from charrnn.ui.terminal.output import json_text, put


def info(model: ModelOption = None, as_json: JsonOption = False) -> None:
    """Show a model: its card, its losses, and a verdict.

    The card has architecture, text and settings; the verdict says whether to train on, and what would help.

    \b
    Examples:
      charrnn info
      charrnn info runs/harbour-20250101-120000
      charrnn info --json | jq .verdict
    """
    from charrnn.runs.card import read_info
    from charrnn.ui.terminal import info_view as ui
    from charrnn.ui.terminal.console import Console

    file = model_path(model)
    found = read_info(file)
    if as_json:
        put(json_text(ui.as_json(found)))
    else:
        console = Console(highlight=False)
        console.print(ui.view(found, console), crop=False)  # commands to copy may be longer than lines
