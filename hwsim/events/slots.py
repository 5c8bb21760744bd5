"""The token slots of a hardwired machine: the next token and sequence of each slot, and the states of requests.

A decoding sequence keeps a slot for its one token in flight; tokens of prompts follow each other through the other
slots. Prompts start one after the other, each when the earlier ones have no token left to send.
"""

from collections import deque
from collections.abc import Callable

from hwsim.events.ledger import CANCELLED, FAILED, FINISHED, REJECTED, UNFINISHED, Ledger
from hwsim.events.memory import Memory
from hwsim.events.scheduling import Scheduling, Waiting

#: A sequence and the position of its next token.
Work = tuple["Sequence", int]


class Sequence:
    """A running request: tokens that have `entered`, are `inside` and are `written`; `gone` when it has ended."""

    __slots__ = ("entered", "gone", "inside", "output", "prompt", "request", "stored", "written")

    def __init__(self, request: int, prompt: int, output: int, layers: int) -> None:
        self.request, self.prompt, self.output = request, prompt, output
        self.entered = self.inside = self.written = 0
        self.gone = False
        # When a layer's last keys and values are in place; the next token may not read earlier.
        self.stored = [0.0] * layers


class Slots:
    """`slots` token slots. Times are passed in order; `on_end(request, time)` is called when a request ends.

    Where requests are `prefilled`, the keys and values of all but the last token of a prompt are in place.
    """

    def __init__(
        self,
        slots: int,
        layers: int,
        ledger: Ledger,
        memory: Memory,
        scheduling: Scheduling,
        prefilled: bool = False,
    ) -> None:
        self._prefilled = prefilled
        self._slots, self._layers, self._ledger, self._memory = slots, layers, ledger, memory
        self._prefill_slots = scheduling.prefill_slots(slots)
        self._most_running = scheduling.running(slots)
        self._longest = scheduling.max_context
        self.on_end: Callable[[int, float], None] = lambda request, now_s: None
        self.waiting = Waiting(ledger, scheduling)
        self.running: dict[int, Sequence] = {}
        self._sending: deque[Sequence] = deque()
        self.inside = self.prefilling = 0
        #: Keys and values that running sequences have written.
        self.held_bytes = 0.0
        #: Tokens that left the last layer: useful ones, and those of requests that had ended.
        self.tokens = self.dropped = 0
        #: Whether tokens may enter; a machine that has stopped for good fails its requests.
        self.open, self.broken = True, False

    def arrive(self, request: int, now_s: float) -> None:
        """Queue a request, or reject it."""
        ledger = self._ledger
        ledger.arrival[request] = now_s
        context = ledger.prompt[request] + ledger.output[request]
        if (self._longest is not None and context > self._longest) or not self._memory.could_fit(context):
            self._close(request, REJECTED, now_s)
        elif self.broken:
            self._close(request, FAILED, now_s)
        else:
            self.waiting.push(request)

    def enter(self, now_s: float) -> Work | None:
        """Return the next token of a prompt that enters a free slot, None without a slot or a token."""
        if not self.open or self.inside >= self._slots or self.prefilling >= self._prefill_slots:
            return None
        if not self._sending and not self._admit(now_s):
            return None
        sequence = self._sending[0]
        position = sequence.entered
        sequence.entered += 1
        sequence.inside += 1
        self.inside += 1
        self.prefilling += 1
        if sequence.entered == sequence.prompt:
            self._sending.popleft()
        return sequence, position

    def leave(self, sequence: Sequence, position: int, now_s: float) -> Work | None:
        """Process a token that leaves the last layer; return the next of its slot: the sequence's, or a prompt's."""
        self.inside -= 1
        sequence.inside -= 1
        prompt = sequence.prompt
        if position < prompt:
            self.prefilling -= 1
        if sequence.gone:
            self.dropped += 1
            return self.enter(now_s)
        self.tokens += 1
        sequence.written += 1
        self.held_bytes += self._memory.bytes_of(position + 1) - self._memory.bytes_of(position)
        if position < prompt - 1:
            return self.enter(now_s)
        request, ledger = sequence.request, self._ledger
        ledger.generated[request] += 1
        if position == prompt - 1:
            ledger.first[request] = now_s
        if ledger.generated[request] == sequence.output:
            self._end(sequence, FINISHED, now_s)
            return self.enter(now_s)
        self.inside += 1
        sequence.inside += 1
        return sequence, position + 1

    def cancel(self, request: int, now_s: float) -> None:
        """Cancel a request whose user has left, unless it has ended."""
        if self._ledger.state[request] != UNFINISHED:
            return
        if request in self.waiting:
            self.waiting.remove(request)
            self._close(request, CANCELLED, now_s)
        else:
            self._end(self.running[request], CANCELLED, now_s)

    def fail(self, now_s: float, waiting: bool) -> None:
        """Fail all running requests, and waiting ones too if `waiting`."""
        for sequence in list(self.running.values()):
            self._end(sequence, FAILED, now_s)
        if waiting:
            for request in self.waiting.drain():
                self._close(request, FAILED, now_s)

    def _admit(self, now_s: float) -> bool:
        request = self.waiting.first()
        if request is None or len(self.running) >= self._most_running:
            return False
        prompt, output = self._ledger.prompt[request], self._ledger.output[request]
        if not self._memory.fits(prompt + output):
            return False
        self.waiting.pop()
        self._memory.reserve(prompt + output)
        self._ledger.admitted[request] = now_s
        sequence = Sequence(request, prompt, output, self._layers)
        if self._prefilled:
            sequence.entered = sequence.written = prompt - 1
            self.held_bytes += self._memory.bytes_of(prompt - 1)
        self.running[request] = sequence
        self._sending.append(sequence)
        return True

    def _end(self, sequence: Sequence, state: int, now_s: float) -> None:
        """End a running sequence; its memory is free at once, its tokens leave at the end of their layer."""
        sequence.gone = True
        del self.running[sequence.request]
        if sequence in self._sending:
            self._sending.remove(sequence)
        self._memory.release(sequence.prompt + sequence.output)
        self.held_bytes -= self._memory.bytes_of(sequence.written)
        self._close(sequence.request, state, now_s)

    def _close(self, request: int, state: int, now_s: float) -> None:
        self._ledger.close(request, state, now_s)
        self.on_end(request, now_s)
