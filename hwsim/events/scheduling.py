"""Scheduling of a hardwired machine: the order of waiting requests, slots for prompts, and rejections."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass

from hwbase import Record, unknown_name
from hwbase.check import integer
from hwsim.events.ledger import Ledger

#: Orders of waiting requests (of equal priority).
POLICIES = ("first-come", "shortest-prompt")


@dataclass(frozen=True)
class Scheduling(Record):
    """Parameters of a scheduler.

    `policy` orders waiting requests of equal priority ("first-come", "shortest-prompt"). Of the tokens in flight at
    most `prefill_cap` belong to prompts (default: all slots). A request with more than `max_context` tokens (prompt and
    output) is rejected. At most `most_running` sequences run together (default: one a slot).
    """

    policy: str = POLICIES[0]
    prefill_cap: int | None = None
    max_context: int | None = None
    most_running: int | None = None

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise unknown_name("policy", self.policy, POLICIES)
        for name in ("prefill_cap", "max_context", "most_running"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, integer(name, getattr(self, name)))

    def prefill_slots(self, slots: int) -> int:
        """Return the slots of `slots` that prompts may take."""
        return slots if self.prefill_cap is None else min(self.prefill_cap, slots)

    def running(self, slots: int) -> int:
        """Return how many sequences may run together on `slots` slots."""
        return slots if self.most_running is None else min(self.most_running, slots)


class Waiting:
    """Waiting requests in the order of `scheduling`; the first blocks the others even if they would fit."""

    def __init__(self, ledger: Ledger, scheduling: Scheduling) -> None:
        lengths = scheduling.policy == "shortest-prompt"
        #: The sort key: priority, prompt length under that policy, arrival.
        self.key: Callable[[int], tuple[int, int, int]] = lambda request: (
            ledger.priority[request],
            ledger.prompt[request] if lengths else 0,
            request,
        )
        # Removed requests stay in the heap until they come up, but not in the set.
        self._heap: list[tuple[int, int, int]] = []
        self._queued: set[int] = set()

    def __len__(self) -> int:
        return len(self._queued)

    def __contains__(self, request: int) -> bool:
        return request in self._queued

    def push(self, request: int) -> None:
        """Add a waiting request."""
        self._queued.add(request)
        heapq.heappush(self._heap, self.key(request))

    def remove(self, request: int) -> None:
        """Remove a request that will not be served."""
        self._queued.remove(request)

    def first(self) -> int | None:
        """Return the next request, None if there is none."""
        while self._heap and self._heap[0][2] not in self._queued:
            heapq.heappop(self._heap)
        return self._heap[0][2] if self._heap else None

    def pop(self) -> int:
        """Remove and return the next request."""
        request = self.first()
        if request is None:
            raise RuntimeError("nothing waits")
        self._queued.remove(request)
        return request

    def drain(self) -> list[int]:
        """Remove and return all requests, in order."""
        left = []
        while self._queued:
            left.append(self.pop())
        return left
