"""The `charrnn` command: its subcommands, and how an error ends it."""

import io
import sys
from typing import Annotated, NoReturn

import typer

from charrnn.cli.automaton import automaton
from charrnn.cli.classify import classify
from charrnn.cli.corpus import corpus
from charrnn.cli.eval import evaluate
from charrnn.cli.explain import explain
from charrnn.cli.export import export
from charrnn.cli.fixed_points import fixed_points
from charrnn.cli.gradcheck import gradcheck
from charrnn.cli.gradient_flow import gradient_flow
from charrnn.cli.help import WIDEST
from charrnn.cli.import_model import import_model
from charrnn.cli.info import info
from charrnn.cli.inspect_cells import inspect_cells
from charrnn.cli.learn import learn
from charrnn.cli.options import App, Group
from charrnn.cli.pipes import discard, guard_streams
from charrnn.cli.play import play
from charrnn.cli.probe import probe
from charrnn.cli.report import report
from charrnn.cli.sample import sample
from charrnn.cli.score import score
from charrnn.cli.train import train
from charrnn.cli.transform import transform
from charrnn.cli.tune import tune
from charrnn.cli.why import why
from charrnn.errors import CharRNNError, UsageError
from charrnn.install.version import __version__
from charrnn.ui.terminal.output import put, say

app = App(
    name="charrnn",
    cls=Group,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDEST},
)
app.command()(train)
app.command()(sample)
app.command()(transform)
app.command()(probe)
app.command("eval")(evaluate)
app.command()(score)
app.command()(classify)
app.command()(inspect_cells)
app.command()(explain)
app.command()(why)
app.command()(automaton)
app.command()(fixed_points)
app.command()(info)
app.command()(report)
app.command()(corpus)
app.command()(export)
app.command()(play)
app.command("import")(import_model)
app.command()(learn)
app.command()(gradcheck)
app.command()(gradient_flow)
app.command()(tune)

_debug = False


def _version(wanted: bool) -> None:
    if wanted:
        put(f"charrnn {__version__}")
        raise typer.Exit


@app.callback()
def charrnn(
    debug: Annotated[
        bool,
        typer.Option(
            "--debug",
            envvar="CHARRNN_DEBUG",
            show_envvar=False,
            help="Show a traceback when a command fails.",
        ),
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", "-V", callback=_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Character-level recurrent networks: train on a text, sample more of it, see what single cells learn."""
    global _debug
    _debug = debug


def main() -> None:
    """Run the command line; an error is one message on stderr and its exit code."""
    guard_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a pipe on Windows, an old terminal: not all is UTF-8
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = app(prog_name="charrnn", standalone_mode=False)
        sys.stdout.flush()  # so that it fails here, if it does
        sys.exit(code)
    except CharRNNError as error:
        if _debug:
            raise
        if isinstance(error, UsageError):
            from charrnn.engines.ranks import follows

            if follows():  # the first process tells the same
                sys.exit(error.exit_code)
        fail(str(error), error.exit_code)
    except MemoryError:
        fail(
            "out of memory. A smaller --hidden or --batch-size needs less; charrnn train --dry-run tells how much",
            1,
        )
    except KeyboardInterrupt:
        sys.exit(130)
    except typer.Abort:
        fail("stdin ended before the answer", 1)
    except OSError as error:  # files are read and written with messages of their own; this is stdout
        if _debug:
            raise
        discard(sys.stdout.fileno())  # which Python flushes once more
        fail(f"cannot write the result: {error.strerror or error}", 1)
    except Exception as error:
        if not hasattr(error, "show"):  # Click's errors, which name what was typed
            raise
        words = io.StringIO()
        error.show(words)
        say(words.getvalue().rstrip("\n"))
        sys.exit(getattr(error, "exit_code", 2))


def fail(message: str, exit_code: int) -> NoReturn:
    """Say what was wrong and end."""
    say(f"charrnn: {message}")
    sys.exit(exit_code)
