"""Match a user's regular expressions in bounded time.

A catastrophic expression such as ``(a+)+$`` can keep `re` busy for years. A signal handler can stop it, but only
in the main thread, and callers of the API may be in another. So the search runs in a fresh interpreter, which is
killed when its time is up.
"""

import json
import re
import subprocess
import sys

import numpy as np

from charrnn.errors import UsageError

SECONDS = 10.0

_WORKER = """
import json, re, sys
text, patterns = json.load(sys.stdin)
json.dump([[m.span() for m in re.finditer(p, text) if m.end() > m.start()] for p in patterns], sys.stdout)
"""


def find_spans(patterns: list[str], text: str, seconds: float = SECONDS) -> list[np.ndarray]:
    """Starts and ends of each pattern's matches that are not empty, one integer array (matches, 2) per pattern.

    Raises UsageError for a pattern that is not a regular expression, or that takes more than ``seconds``.
    """
    for pattern in patterns:
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise UsageError(f"--concept: {pattern!r} is not a regular expression: {error}") from None
    try:
        worker = subprocess.run(
            [sys.executable, "-I", "-W", "ignore", "-c", _WORKER],
            input=json.dumps([text, patterns]).encode("ascii"),
            capture_output=True,
            timeout=seconds,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise UsageError(
            f"--concept: {' or '.join(map(repr, patterns))} took more than {seconds:g} s "
            f"on {len(text):,} characters; avoid a repeat inside a repeat, such as (a+)+"
        ) from None
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise UsageError(f"--concept: cannot match {' or '.join(map(repr, patterns))}: {reason}") from None
    return [np.array(spans, int).reshape(-1, 2) for spans in json.loads(worker.stdout)]
