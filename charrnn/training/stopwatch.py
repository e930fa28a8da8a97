"""The time that a run takes, without the seconds in which its process was stopped.

A process is not notified when it is stopped (Ctrl-Z, a debugger, a frozen container, a sleeping machine): one lap
of its work then takes many times as long as usual. Such a lap counts as a usual one. If the next one is as long,
the machine has become slow, and the lap counts in full.
"""

from collections.abc import Callable

STALL = 20  # a lap this many times longer than usual suggests that the process was stopped
SHORTEST_STALL = 2.0  # seconds; a busy machine or a slow disk delays a short lap by less


class Stopwatch:
    """Measures laps of several kinds of work, each against those of its own kind.

    clock : seconds, from any beginning
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.last = clock()  # when the last lap ended
        self._laps: dict[str, tuple[int, float]] = {}  # kind -> number and sum of the usual laps
        self._stalled: set[str] = set()  # kinds whose last lap was unusually long

    def restart(self) -> None:
        """Begin a lap; the time since the last one is not counted."""
        self.last = self._clock()

    def lap(self, kind: str) -> float:
        """Seconds of work of this kind since the last lap; begins the next one."""
        now = self._clock()
        took, self.last = now - self.last, now
        count, total = self._laps.get(kind, (0, 0.0))
        if count and took > max(SHORTEST_STALL, STALL * total / count):
            if kind not in self._stalled:
                self._stalled.add(kind)
                return total / count
            count, total = 0, 0.0  # from now on this duration is the usual one
        self._stalled.discard(kind)
        self._laps[kind] = count + 1, total + took
        return took
