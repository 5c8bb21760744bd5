"""A server that serves the visit that is furthest along first, in SimPy.

First come, first served lets tokens bunch: short visits wait behind the long ones of other tokens. A token that is
further along leaves sooner and makes room for those behind it.
"""

import heapq
from collections.abc import Callable
from functools import partial

import simpy


class Server:
    """One unit that serves one visit at a time; `started(end, seconds)` is called as each starts."""

    def __init__(self, env: simpy.Environment, started: Callable[[float, float], None]) -> None:
        self._env, self._started = env, started
        self._waiting: list[tuple[float, int, float, simpy.Event, Callable[[float], None] | None]] = []
        self._visits = 0
        self._busy = False

    def visit(self, seconds: float, rank: float, record: Callable[[float], None] | None = None) -> simpy.Event:
        """Return the event at which a visit of `seconds` ends; of those waiting, the least `rank` is next.

        Visits of one rank are served as they come. `record(end)` is called when the end is known.
        """
        done = self._env.event()
        self._visits += 1
        heapq.heappush(self._waiting, (rank, self._visits, seconds, done, record))
        if not self._busy:
            self._serve()
        return done

    def _serve(self) -> None:
        _, _, seconds, done, record = heapq.heappop(self._waiting)
        self._busy = True
        end = self._env.now + seconds
        self._started(end, seconds)
        if record is not None:
            record(end)
        self._env.timeout(seconds).callbacks.append(partial(self._finish, done))

    def _finish(self, done: simpy.Event, _: simpy.Event) -> None:
        self._busy = False
        done.succeed()
        if self._waiting:
            self._serve()
