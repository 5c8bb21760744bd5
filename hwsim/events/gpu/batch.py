"""Sequences that decode together, stored so that a step has a constant cost.

All sequences advance by one token a step, so each is an offset to the count of steps: in the next step it attends to
offset + count positions. Sums over the batch, and its next change, follow from the count.
"""

import heapq
from collections.abc import Iterator

from hwsim.events.gpu.mixed_step import Decoding


class Batch:
    """Sequences by request; `window` is the sliding window (0: none), `block` the positions of a cache block."""

    def __init__(self, window: int, block: int) -> None:
        self._window, self._block = window, block
        self._count, self._offset_sum = 0, 0
        self._offsets: dict[int, int] = {}
        # Number of offsets with each remainder by the block's size: the slack in the last blocks.
        self._remainders = [0] * block
        # Sequences whose context is still inside the window.
        self._inside: dict[int, int] = {}
        self._inside_sum = 0
        # Heaps of (count, request); entries of sequences that have left are skipped when they come up.
        self._ending: list[tuple[int, int]] = []
        self._leaving_window: list[tuple[int, int]] = []
        self._ends: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._offsets)

    def __contains__(self, request: int) -> bool:
        return request in self._offsets

    def __iter__(self) -> Iterator[int]:
        return iter(self._offsets)

    def add(self, request: int, positions: int, steps: int) -> None:
        """Add a sequence that attends to `positions` in the next step and ends after `steps` steps."""
        offset = positions - self._count
        self._offsets[request] = offset
        self._offset_sum += offset
        self._remainders[offset % self._block] += 1
        self._ends[request] = self._count + steps
        heapq.heappush(self._ending, (self._count + steps, request))
        if positions < self._window:
            self._inside[request] = offset
            self._inside_sum += offset
            heapq.heappush(self._leaving_window, (self._window - offset, request))

    def drop(self, request: int) -> int:
        """Remove a sequence, and return the positions it would have attended to in the next step."""
        offset = self._offsets.pop(request)
        self._offset_sum -= offset
        self._remainders[offset % self._block] -= 1
        del self._ends[request]
        if request in self._inside:
            self._inside_sum -= self._inside.pop(request)
        return offset + self._count

    def advance(self, steps: int) -> list[int]:
        """Advance all by `steps`; return the sequences that ended, which are still in the batch."""
        self._count += steps
        while self._leaving_window and self._leaving_window[0][0] <= self._count:
            at, request = heapq.heappop(self._leaving_window)
            if self._leaves_at(at, request):
                self._inside_sum -= self._inside.pop(request)
        # A sequence that left and came back may have two entries for one count.
        ended: dict[int, None] = {}
        while self._ending and self._ending[0][0] <= self._count:
            at, request = heapq.heappop(self._ending)
            if self._ends.get(request) == at:
                ended[request] = None
        return list(ended)

    def unchanged_steps(self) -> int:
        """Return the steps until a sequence ends or its context leaves the window; for a batch that is not empty."""
        while self._ends.get(self._ending[0][1]) != self._ending[0][0]:
            heapq.heappop(self._ending)
        steps = self._ending[0][0] - self._count
        if self._inside:
            while not self._leaves_at(*self._leaving_window[0]):
                heapq.heappop(self._leaving_window)
            steps = min(steps, self._leaving_window[0][0] - self._count)
        return steps

    def decoding(self) -> Decoding:
        """Return the decoding of the next step."""
        n, inside = len(self._offsets), len(self._inside)
        windowed = inside * self._count + self._inside_sum + (n - inside) * self._window
        return Decoding(n, n * self._count + self._offset_sum, windowed, inside)

    def blocks(self, steps: int = 0) -> int:
        """Return the cache blocks in use in the step after `steps` more."""
        at = self._count + steps
        slack = sum(many * (-(at + rest) % self._block) for rest, many in enumerate(self._remainders))
        return (len(self._offsets) * at + self._offset_sum + slack) // self._block

    def _leaves_at(self, at: int, request: int) -> bool:
        return self._inside.get(request) == self._window - at
