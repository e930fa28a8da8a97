"""Match a user's regular expressions in bounded time.

A catastrophic expression such as ``(a+)+$`` can keep `re` busy for years. A signal handler can stop it, but only
in the main thread, and callers of the API may be in another. So the search runs in a fresh interpreter, which is
killed when its time is up.
"""

import json
import re
import subprocess
import sys
from collections.abc import Sequence

import numpy as np

from charrnn.errors import UsageError

SECONDS = 10.0

_WORKER = """
import json, re, sys
texts, patterns = json.load(sys.stdin)
def spans(pattern, text):
    return [m.span() for m in re.finditer(pattern, text) if m.end() > m.start()]
json.dump([[spans(pattern, text) for pattern in patterns] for text in texts], sys.stdout)
"""


def find_spans(
    patterns: Sequence[str], texts: Sequence[str], seconds: float = SECONDS
) -> list[list[np.ndarray]]:
    """Starts and ends of each pattern's matches that are not empty: of each text, an integer array (matches, 2) per
    pattern.

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
            input=json.dumps([texts, patterns]).encode("ascii"),
            capture_output=True,
            timeout=seconds,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise UsageError(
            f"--concept: {' or '.join(map(repr, patterns))} took more than {seconds:g} s "
            f"on {sum(map(len, texts)):,} characters; avoid a repeat inside a repeat, such as (a+)+"
        ) from None
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise UsageError(f"--concept: cannot match {' or '.join(map(repr, patterns))}: {reason}") from None
    return [[np.array(spans, int).reshape(-1, 2) for spans in each] for each in json.loads(worker.stdout)]
