"""The `charrnn` command, also `python -m charrnn`. Ctrl-C is handled before anything else is imported."""

import _signal as signal  # type: ignore[import-not-found]  # importing `signal` itself takes milliseconds, for its enums
import os


def main() -> None:
    """Run the command line. During imports, and while Python shuts down, Ctrl-C quits at once.

    In between it raises KeyboardInterrupt, unless the parent process ignored it.
    """
    obeyed = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if obeyed:
        signal.signal(signal.SIGINT, _quit)
    from charrnn.cli.app import main as run

    if obeyed:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run()
    finally:
        if obeyed:
            signal.signal(signal.SIGINT, _quit)


def _quit(number: int, frame: object) -> None:
    os._exit(128 + number)  # an exception during import or shutdown would show a traceback


if __name__ == "__main__":
    main()
