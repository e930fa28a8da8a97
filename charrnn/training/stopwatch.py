"""The time a run takes, without the seconds in which its process was stopped.

A process that is stopped (Ctrl-Z, a debugger, a frozen container, a machine asleep) is not told so: one lap of its
work then takes many times as long as usual. Such a lap counts as a usual one. If the next is as long, it is the
machine that has become slow, and the lap counts in full.
"""

from collections.abc import Callable

STALL = 20  # times a usual lap, from which the process may have been stopped
SHORTEST_STALL = 2.0  # seconds; a busy machine or a slow disk can make a short lap long, but not by so much


class Stopwatch:
    """Measures laps of several kinds of work, each against those of its own kind.

    clock : seconds, from any beginning
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.last = clock()  # when the last lap ended
        self._laps: dict[str, tuple[int, float]] = {}  # kind -> number and sum of the usual laps
        self._stalled: set[str] = set()  # kinds whose last lap was no usual one

    def restart(self) -> None:
        """Begin a lap: the time since the last one is nobody's."""
        self.last = self._clock()

    def lap(self, kind: str) -> float:
        """Seconds of work of this kind since the last lap, and the next one begins."""
        now = self._clock()
        took, self.last = now - self.last, now
        count, total = self._laps.get(kind, (0, 0.0))
        if count and took > max(SHORTEST_STALL, STALL * total / count):
            if kind not in self._stalled:
                self._stalled.add(kind)
                return total / count
            count, total = 0, 0.0  # as slow as this is usual from now on
        self._stalled.discard(kind)
        self._laps[kind] = count + 1, total + took
        return took
