"""The `charrnn` command, also as `python -m charrnn`. Nothing is imported before Ctrl-C is provided for."""

import _signal as signal  # type: ignore[import-not-found]  # what the module `signal` makes its names of, which takes it milliseconds
import os


def main() -> None:
    """Run the command line. While it is being imported, and while Python ends, Ctrl-C quits at once.

    In between it is a KeyboardInterrupt, unless who started this process had it ignored.
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
    os._exit(128 + number)  # an exception would be shown by whatever is just being imported or taken down


if __name__ == "__main__":
    main()
