"""What a driver and a router see of a machine that serves requests, and the loop that brings them there."""

import heapq
from collections.abc import Callable, Sequence
from typing import Protocol

from hwsim.events.ledger import Ledger
from hwsim.events.traffic import Traffic

#: Called with (requests that have ended, all requests, simulated seconds).
Progress = Callable[[int, int, float], None]
#: Turns between two reports of progress.
_REPORT_EVERY = 256
_NEVER = float("inf")


class Machine(Protocol):
    """A machine under simulation. `due_s` is when what is under way ends (infinity: nothing is)."""

    now_s: float

    @property
    def due_s(self) -> float: ...

    @property
    def outstanding(self) -> int:
        """Requests that wait or run."""

    def submit(self, request: int, now_s: float) -> None:
        """Let a request arrive, at a time never before the last."""

    def commit(self) -> None:
        """End what is under way, and begin what follows."""


class Users:
    """Arrivals: times of open traffic in order, or users who send again some time after their last answer."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic, self._sent = traffic, 0
        self._thinking = [0.0] * min(traffic.users, len(traffic))

    @property
    def all_sent(self) -> bool:
        """Whether there is no request left to send."""
        return self._sent == len(self._traffic)

    @property
    def next_s(self) -> float:
        """When the next request arrives; infinity for none (yet)."""
        if self.all_sent:
            return _NEVER
        if not self._traffic.users:
            return float(self._traffic.arrival_s[self._sent])
        return self._thinking[0] if self._thinking else _NEVER

    def send(self) -> int:
        """Take the next request."""
        if self._traffic.users:
            heapq.heappop(self._thinking)
        self._sent += 1
        return self._sent - 1

    def answered(self, request: int, now_s: float) -> None:
        """Let the user of a request that ended think, if the traffic is closed."""
        if self._traffic.users:
            heapq.heappush(self._thinking, now_s + self._traffic.think_s)


def drive(
    machines: Sequence[Machine],
    users: Users,
    ledger: Ledger,
    choose: Callable[[Sequence[Machine]], int],
    progress: Progress | None = None,
) -> None:
    """Bring every request to the machine that `choose` names, and run until all have ended."""
    turns = 0
    # Machines by when they are due; an entry counts while its machine still says so.
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
