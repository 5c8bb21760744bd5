"""The interface of a machine that serves requests, and the loop that delivers them."""

import heapq
from collections.abc import Callable, Sequence
from typing import Protocol

from hwsim.events.ledger import Ledger
from hwsim.events.traffic import Traffic

#: Called with (requests that have ended, all requests, simulated seconds).
Progress = Callable[[int, int, float], None]
#: Events between two reports of progress.
_REPORT_EVERY = 256
_NEVER = float("inf")


class Machine(Protocol):
    """A machine under simulation. `due_s` is the end of its current work (infinity if idle)."""

    now_s: float

    @property
    def due_s(self) -> float: ...

    @property
    def outstanding(self) -> int:
        """Number of waiting and running requests."""

    def submit(self, request: int, now_s: float) -> None:
        """Add a request; calls are in order of time."""

    def commit(self) -> None:
        """End the current work and start the next."""


class Users:
    """Arrivals: times of open traffic in order, or users who send again some time after their last answer."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic, self._sent, self._requests = traffic, 0, len(traffic)
        self._arrival_s = traffic.arrival_s.tolist()
        self._thinking = [0.0] * min(traffic.users, len(traffic))

    @property
    def all_sent(self) -> bool:
        """True if all requests have been sent."""
        return self._sent == self._requests

    @property
    def next_s(self) -> float:
        """Time of the next arrival; infinity if there is none yet."""
        if self.all_sent:
            return _NEVER
        if not self._traffic.users:
            return self._arrival_s[self._sent]
        return self._thinking[0] if self._thinking else _NEVER

    def send(self) -> int:
        """Return the next request."""
        if self._traffic.users:
            heapq.heappop(self._thinking)
        self._sent += 1
        return self._sent - 1

    def answered(self, request: int, now_s: float) -> None:
        """Start the thinking time of the user of an ended request, in closed traffic."""
        if self._traffic.users:
            heapq.heappush(self._thinking, now_s + self._traffic.think_s)


def drive(
    machines: Sequence[Machine],
    users: Users,
    ledger: Ledger,
    choose: Callable[[Sequence[Machine]], int],
    progress: Progress | None = None,
) -> None:
    """Submit every request to the machine that `choose` selects, and run until all have ended."""
    turns = 0
    # Machines by due time; an entry is valid while its machine has the same due time.
    due: list[tuple[float, int]] = []
    while True:
        arrival = users.next_s
        while due and machines[due[0][1]].due_s != due[0][0]:
            heapq.heappop(due)
        if due and due[0][0] < arrival:
            _, index = heapq.heappop(due)
            machines[index].commit()
        elif arrival < _NEVER:
            index = choose(machines)
            machines[index].submit(users.send(), arrival)
        else:
            break
        if machines[index].due_s < _NEVER:
            heapq.heappush(due, (machines[index].due_s, index))
        turns += 1
        if progress and turns % _REPORT_EVERY == 0:
            progress(ledger.closed, len(ledger.state), machines[index].now_s)
    if progress:
        progress(ledger.closed, len(ledger.state), max(machine.now_s for machine in machines))
