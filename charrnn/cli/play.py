"""charrnn play: the web page of a model, in the browser."""

import tempfile
import webbrowser
from pathlib import Path

from charrnn.cli.models import model_path
from charrnn.cli.options import ModelOption
from charrnn.cli.web import PRECISION, FindingsOption, InspectOption, PrecisionOption, findings_for
from charrnn.ui.terminal.output import put, say


def play(
    model: ModelOption = None,
    precision: PrecisionOption = None,
    findings: FindingsOption = None,
    inspect: InspectOption = False,
) -> None:
    """Write with a model in the browser, and see its cells as it writes.

    The page is made in a temporary folder and opened in the browser; its address is printed. It stays until the
    system clears that folder: charrnn export --to web makes one to keep.

    \b
    Examples:
      charrnn play
      charrnn play --inspect
      charrnn inspect-cells --json > found.json && charrnn play --findings found.json
    """
    from charrnn.cli.given import refuse_if
    from charrnn.model.model import load_model
    from charrnn.ui.html.play_page import write_play

    refuse_if((findings and inspect, "--findings cannot be combined with --inspect, which finds them anew"))
    file = model_path(model)
    loaded = load_model(file)
    found = findings_for(loaded, findings, inspect)
    page = Path(tempfile.mkdtemp(prefix="charrnn-")) / "page.html"
    write_play(page, file, loaded, precision or PRECISION, found)
    put(page.as_uri())
    if not _opened(page.as_uri()):
        say("no browser could be opened: open the address above in one")


def _opened(address: str) -> bool:
    try:
        return webbrowser.open(address)
    except webbrowser.Error:
        return False
