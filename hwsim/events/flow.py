"""Sequences in flight as a flow, counted in turns; in a turn every token goes through the machine once.

A decoding sequence makes one token a turn. A prompt has a width, the number of its tokens in flight, and advances by
that many tokens a turn. Sums over sequences follow from the count of turns, so a running sequence needs no work.
"""

import heapq
from dataclasses import dataclass

from hwsim.events.timing import Timing

#: Turns and tokens closer than this to an end count as ended.
_NEAR = 1e-7


@dataclass
class Prompt:
    """A prompt being read: tokens out of the last layer (`done`), and in flight (`width`).

    Its tokens go through in groups that enter together, as many as it has `slots`, and a last group with the rest;
    until that one has entered, `bulk` tokens have to be done.
    """

    request: int
    tokens: int
    done: float = 0.0
    width: float = 0.0
    slots: float = 0.0
    bulk: float = 0.0
    last: float = 0.0

    @property
    def left(self) -> float:
        """Tokens that have not left the last layer."""
        return self.tokens - self.done

    @property
    def over(self) -> bool:
        """True if its last token has left the last layer."""
        return self.left <= _NEAR * self.tokens

    def share(self, slots: float) -> None:
        """Take the usable part of `slots`."""
        slots = slots if slots >= 1.0 else 0.0
        if not self.last and slots:
            if slots != self.slots:
                remains = self.left % slots
                self.slots, self.bulk = slots, self.tokens - (remains if remains > _NEAR else min(slots, self.left))
            if self.done >= self.bulk - _NEAR:
                self.last = self.left
        self.width = min(self.last or slots, slots)

    def turns(self) -> float:
        """Turns until the last group has entered, or left; infinity for a prompt without slots."""
        if not self.width:
            return float("inf")
        return (self.left if self.last else self.bulk - self.done) / self.width


@dataclass
class _Decoding:
    context: float
    since: float
    inside: bool


class Flow:
    """All sequences in flight. `turns` is the count so far; `prompts` are in order of admission."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self.turns = 0.0
        self.prompts: list[Prompt] = []
        self._decoding: dict[int, _Decoding] = {}
        # Heaps of (turn, request); entries of sequences that have left are skipped when they come up.
        self._ends: list[tuple[float, int]] = []
        self._leaves_window: list[tuple[float, int]] = []
        # Sum of context minus turns; sequences inside the window separately.
        self._offset = self._inside_offset = 0.0
        self._inside = 0

    def __contains__(self, request: int) -> bool:
        return request in self._decoding

    @property
    def decoding(self) -> int:
        """Number of decoding sequences."""
        return len(self._decoding)

    @property
    def running(self) -> int:
        """Number of sequences that decode or whose prompts are being read."""
        return len(self._decoding) + len(self.prompts)

    @property
    def requests(self) -> list[int]:
        """Requests of the running sequences."""
        return [*self._decoding, *(prompt.request for prompt in self.prompts)]

    def share(self, slots: int) -> None:
        """Distribute `slots` token slots over the prompts, in order, each as many as it can use."""
        left = float(slots)
        for prompt in self.prompts:
            prompt.share(left)
            left -= prompt.width

    @property
    def sending(self) -> bool:
        """True if a prompt has tokens that are not in flight yet."""
        return any(not prompt.last for prompt in self.prompts)

    def attended(self, later: float) -> tuple[float, float, float]:
        """Return what is in flight after `later` turns, over all layers.

        (positions attended to by tokens in flight, positions held, tokens in flight).
        """
        timing = self._timing
        window, turns = timing.window, self.turns + later
        n, inside = len(self._decoding), self._inside
        whole = self._offset + n * turns
        recent = (n - inside) * window + self._inside_offset + inside * turns if window else 0.0
        attended = held = timing.full_layers * whole + timing.windowed_layers * recent
        if not self.prompts:
            return attended, held, n
        widths = 0.0
        for prompt in self.prompts:
            # A token attends to itself too: half a position more than those done, on average.
            positions = timing.attended(min(prompt.done + prompt.width * later, prompt.tokens) + 0.5)
            attended += prompt.width * positions
            held += positions
            widths += prompt.width
        return attended, held, n + widths

    def unchanged(self) -> float:
        """Return the turns until a sequence ends, leaves its window, or has sent its last token; infinity for never."""
        turns = float("inf")
        for heap in (self._ends, self._leaves_window):
            while heap and heap[0][1] not in self._decoding:
                heapq.heappop(heap)
            if heap:
                turns = min(turns, heap[0][0] - self.turns)
        window = self._timing.window
        for prompt in self.prompts:
            turns = min(turns, prompt.turns())
            if prompt.width and prompt.done + _NEAR < window:
                turns = min(turns, (window - prompt.done) / prompt.width)
        return max(turns, 0.0)

    def advance(self, turns: float) -> None:
        """Advance by `turns`, at most `unchanged`."""
        self.turns += turns
        for prompt in self.prompts:
            prompt.done += prompt.width * turns

    def read(self) -> list[Prompt]:
        """Remove and return the prompts that have been read."""
        if not self.prompts:
            return []
        over = [prompt for prompt in self.prompts if prompt.over]
        if over:
            self.prompts = [prompt for prompt in self.prompts if not prompt.over]
        return over

    def ended(self) -> list[int]:
        """Return the sequences that have made their last token, in order; they are still to be dropped."""
        over = []
        while self._ends and self._ends[0][0] <= self.turns + _NEAR:
            request = heapq.heappop(self._ends)[1]
            if request in self._decoding:
                over.append(request)
        self._leave_window()
        return over

    def add(self, request: int, prompt: int, left: int) -> None:
        """Start to decode `left` more tokens of a sequence after its `prompt`."""
        # The first token attends to the prompt and itself, on average half a turn from now.
        context = prompt + 0.5
        window = self._timing.window
        one = self._decoding[request] = _Decoding(context, self.turns, context < window)
        self._offset += context - self.turns
        if one.inside:
            self._inside += 1
            self._inside_offset += context - self.turns
            heapq.heappush(self._leaves_window, (self.turns + window - context, request))
        heapq.heappush(self._ends, (self.turns + left, request))

    def drop(self, request: int) -> int:
        """Remove a sequence and return the tokens it has made since `add`."""
        one = self._decoding.pop(request)
        self._offset -= one.context - one.since
        self._outside(one)
        if not self._decoding:
            self._offset = self._inside_offset = 0.0
        return int(self.turns - one.since + _NEAR)

    def _leave_window(self) -> None:
        while self._leaves_window and self._leaves_window[0][0] <= self.turns + _NEAR:
            one = self._decoding.get(heapq.heappop(self._leaves_window)[1])
            if one:
                self._outside(one)

    def _outside(self, one: _Decoding) -> None:
        if one.inside:
            one.inside = False
            self._inside -= 1
            self._inside_offset -= one.context - one.since
