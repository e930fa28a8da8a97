"""charrnn tune: search for good settings."""

from pathlib import Path
from typing import Annotated, Any

import typer

from charrnn.cli.given import of_a_resume, resumed
from charrnn.cli.options import JsonOption, with_settings
from charrnn.tune.tune_config import TuneConfig
from charrnn.ui.terminal.output import json_text, put, say


@with_settings(TuneConfig)
def tune(
    ctx: typer.Context,
    corpus: Annotated[list[str] | None, typer.Argument(help="Text files, folders or patterns.")] = None,
    *,
    space: Annotated[
        str | None, typer.Option(help="TOML file of settings to try. Default: the options that matter most.")
    ] = None,
    out: Annotated[
        str | None, typer.Option(help="Folder of the search. Default: tuning/<corpus>-<time>.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue a search: --resume FOLDER, or the newest.")
    ] = False,
    show_space: Annotated[
        bool, typer.Option("--show-space", help="Print the default space, a file for --space, and exit.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only warnings and errors.")] = False,
    as_json: JsonOption = False,
    **settings: Any,
) -> None:
    """Search for good settings, by many small runs.

    Every trial is measured on the validation text at each ninth of its budget, and poor ones are stopped
    early. A search that was stopped or killed goes on with --resume: no trial is lost, none is done twice.
    The best settings are in best.toml, a file for charrnn train --config. Needs the extra tune:
    without it, the command says how to install it.

    \b
    Examples:
      charrnn tune --show-space > space.toml
      charrnn tune corpora/harbour.txt --space space.toml --trials 4 --trial-steps 90 --out search
      charrnn tune --resume search --trials 6
      charrnn train corpora/harbour.txt --config search/best.toml --max-steps 100
    """
    from charrnn.tune.search_folder import LIMITS, command_to_train, is_search
    from charrnn.tune.space import DEFAULT
    from charrnn.tune.study import tune as search
    from charrnn.ui.terminal.tune_view import tune_listener

    if show_space:
        put(DEFAULT.read_text(encoding="utf-8"), end="")
        return
    if resume:
        corpus, out = resumed(corpus or (), out, is_search, "search")
        settings = of_a_resume(ctx, {"space": space, **settings}, LIMITS)
        space = settings.pop("space")
    with tune_listener(quiet=quiet) as listener:
        result = search(corpus or (), space=space, out=out, resume=resume, listener=listener, **settings)
        listener.end(result)
    if as_json:
        put(json_text(result))
    elif not quiet:
        say(command_to_train(Path(result.folder), corpus or ()))
