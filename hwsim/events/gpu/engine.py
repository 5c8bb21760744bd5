"""A serving engine on a GPU node: continuous batching with chunked prefill over a paged key-value cache.

Requests join and leave between steps. While the batch does not change, its steps are summed in closed form: time jumps
to the first end of a step at which something changes.

A sequence takes cache blocks as it grows; a prompt is admitted when there are blocks for all of it. If blocks run out,
the sequence with the lowest priority releases its blocks and is recomputed later (preemption by recompute).
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hwsim.events.account import LEVELS
from hwsim.events.bins import Bins
from hwsim.events.gpu.batch import Batch
from hwsim.events.gpu.mixed_step import Chunk, ServingNode, Stretch, mixed_step, window_of
from hwsim.events.ledger import CANCELLED, FINISHED, REJECTED, UNFINISHED, Ledger
from hwsim.events.scheduling import Scheduling, Waiting
from hwsim.gpu.split import KvCache
from hwsim.gpu.step import StepModel

RESOURCES = ("memory bandwidth", "compute", "NVLink", "steps under way")
_NEVER = float("inf")


@dataclass
class _Prefill:
    request: int
    total: int
    done: int = 0


@dataclass(frozen=True)
class _Plan:
    """Steps in progress: `steps` of them from `start_s` to `end_s`."""

    start_s: float
    stretch: Stretch
    steps: int
    end_s: float
    chunks: tuple[tuple[_Prefill, Chunk], ...] = ()


class Engine:
    """One node. `submit` adds requests in order of time; `commit` ends the steps in progress at `due_s`.

    `outstanding` counts waiting and running requests; `on_end(request, time)` is called when one ends.
    """

    def __init__(
        self,
        model: StepModel,
        cache: KvCache,
        node: ServingNode,
        ledger: Ledger,
        scheduling: Scheduling,
        on_end: Callable[[int, float], None] | None = None,
    ) -> None:
        self._model, self._cache, self._node, self._ledger = model, cache, node, ledger
        self._scheduling, self._on_end = scheduling, on_end
        self.now_s, self.jumps, self.steps, self.preemptions = 0.0, 0, 0, 0
        self.busy_s = dict.fromkeys(RESOURCES, 0.0)
        self.bins = Bins(len(RESOURCES) + len(LEVELS))
        self._waiting = Waiting(ledger, scheduling)
        self._most_running = scheduling.running(node.sequences_per_step)
        self._prefilling: list[_Prefill] = []
        self._cancels: list[tuple[float, int]] = []
        self._plan: _Plan | None = None
        block = node.kv_block_tokens
        self._block_bytes = block * cache.position_bytes
        self._sequence_bytes = cache.sequence_bytes
        self._batch = Batch(window_of(model), block)

    # The interface to routers and drivers.

    @property
    def gpus(self) -> int:
        """GPUs of the node."""
        return int(self._model.split.gpus)

    @property
    def split_words(self) -> str:
        """The split of the network, in words."""
        return self._model.split.describe(self._model.spec)

    @property
    def _answered_s(self) -> float:
        """When users receive the tokens of a step that ends now, after the delay of the server's front end."""
        return self.now_s + float(self._model.first_token_s)

    @property
    def outstanding(self) -> int:
        """Number of waiting and running requests."""
        return len(self._waiting) + len(self._prefilling) + len(self._batch)

    @property
    def due_s(self) -> float:
        """End of the steps in progress; infinity for an idle engine."""
        return self._plan.end_s if self._plan else _NEVER

    def fits(self, request: int) -> bool:
        """Return whether the request fits the empty node and the context limit."""
        tokens = self._ledger.prompt[request] + self._ledger.output[request]
        needed = self._sequence_bytes + self._blocks(tokens) * self._block_bytes
        longest = self._scheduling.max_context
        return (longest is None or tokens <= longest) and needed <= self._cache.capacity_bytes

    def submit(self, request: int, now_s: float) -> None:
        """Add a request that arrives now; it is considered at the end of the current step."""
        ledger = self._ledger
        ledger.arrival[request] = now_s
        if not self.fits(request):
            self._close(request, REJECTED, now_s)
            return
        self._waiting.push(request)
        if ledger.patience[request] < _NEVER:
            heapq.heappush(self._cancels, (now_s + ledger.patience[request], request))
        if self._plan is None:
            self._idle_until(now_s)
            self._next()
        else:
            self._shorten(min(now_s, self._cancels[0][0]) if self._cancels else now_s)

    def commit(self) -> None:
        """End the steps in progress, let requests leave and join, and start the next steps."""
        plan = self._plan
        if plan is None:
            raise RuntimeError("nothing is under way")
        self._account(plan)
        self.now_s = plan.end_s
        for request in self._batch.advance(plan.steps):
            self._drop(request)
            self._close(request, FINISHED, self._answered_s)
        for prefill, chunk in plan.chunks:
            prefill.done += chunk.tokens
            if chunk.last:
                self._prefilling.remove(prefill)
                self._emit(prefill.request)
        self._give_up()
        self._next()

    # Steps.

    def _next(self) -> None:
        """Plan one step with prompts in it, or decode steps up to the next change."""
        self._make_room()
        chunks = self._chunks()
        n = len(self._batch)
        if not chunks and not n:
            self._plan = None
            return
        decoding = self._batch.decoding()
        stretch = mixed_step(self._model, decoding, tuple(chunk for _, chunk in chunks))
        steps = 1 if chunks else self._unchanged_steps()
        self._plan = _Plan(self.now_s, stretch, steps, self.now_s + stretch.duration(steps), chunks)
        if self._cancels:
            self._shorten(self._cancels[0][0])

    def _shorten(self, until_s: float) -> None:
        """End the plan at the first end of a step at or after `until_s`."""
        plan = self._plan
        if plan is None or plan.steps == 1 or plan.end_s <= until_s:
            return
        steps = plan.stretch.steps_until(until_s - plan.start_s, plan.steps)
        self._plan = _Plan(plan.start_s, plan.stretch, steps, plan.start_s + plan.stretch.duration(steps))

    def _unchanged_steps(self) -> int:
        """Return the steps until the batch changes or blocks run out."""
        steps = self._batch.unchanged_steps()
        if self._fits_after(steps):
            return steps
        low, high = 1, steps
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self._fits_after(middle) else (low, middle - 1)
        return low

    def _chunks(self) -> tuple[tuple[_Prefill, Chunk], ...]:
        """Return chunks of prompts for the next step: started prompts first, then as many as can be admitted."""
        budget = self._scheduling.prefill_slots(self._node.tokens_per_step - len(self._batch))
        pieces = []
        for prefill in self._prefilling:
            if budget <= 0:
                break
            pieces.append(self._piece(prefill, budget))
            budget -= pieces[-1][1].tokens
        while budget > 0 and (request := self._waiting.first()) is not None:
            total = self._ledger.prompt[request] + self._ledger.generated[request]
            cached = int(self._model.device.cached_prompt_share * self._ledger.prompt[request])
            prefill = _Prefill(request, total, cached)
            if not self._admits(prefill):
                break
            self._waiting.pop()
            self._prefilling.append(prefill)
            if np.isnan(self._ledger.admitted[request]):
                self._ledger.admitted[request] = self.now_s
            pieces.append(self._piece(prefill, budget))
            budget -= pieces[-1][1].tokens
        return tuple(pieces)

    @staticmethod
    def _piece(prefill: _Prefill, budget: int) -> tuple[_Prefill, Chunk]:
        tokens = min(prefill.total - prefill.done, budget)
        return prefill, Chunk(prefill.done, tokens, prefill.done + tokens == prefill.total)

    def _account(self, plan: _Plan) -> None:
        stretch, steps = plan.stretch, plan.steps
        duration = plan.end_s - plan.start_s
        busy = (*stretch.busy_s(steps), duration)
        for name, seconds in zip(RESOURCES, busy, strict=True):
            self.busy_s[name] += seconds
        tokens = len(self._batch) * steps + sum(chunk.tokens for _, chunk in plan.chunks)
        running = len(self._batch) + len(self._prefilling)
        kv_bytes = self._kv_bytes()
        levels = (running, len(self._waiting), kv_bytes, tokens / duration)
        self.bins.add(plan.start_s, plan.end_s, (*(seconds / duration for seconds in busy), *levels))
        self.jumps += 1
        self.steps += steps

    def _idle_until(self, now_s: float) -> None:
        self.bins.add(self.now_s, now_s, np.zeros(len(RESOURCES) + len(LEVELS)))
        self.now_s = max(self.now_s, now_s)

    def _emit(self, request: int) -> None:
        """Emit the first output token of a read prompt; the sequence decodes on unless that was the last."""
        ledger = self._ledger
        ledger.generated[request] += 1
        if np.isnan(ledger.first[request]):
            ledger.first[request] = self._answered_s
        left = ledger.output[request] - ledger.generated[request]
        if left:
            self._batch.add(request, ledger.prompt[request] + ledger.generated[request], left)
        else:
            self._close(request, FINISHED, self._answered_s)

    def _drop(self, request: int) -> None:
        """Remove a sequence from the batch and count its tokens."""
        self._ledger.generated[request] = self._batch.drop(request) - self._ledger.prompt[request]

    # The cache.

    def _blocks(self, tokens: int) -> int:
        return -(-tokens // self._node.kv_block_tokens)

    def _kv_bytes(self, steps: int = 0) -> float:
        """Return the bytes in use in the step after `steps` more."""
        blocks = self._batch.blocks(steps) + sum(self._blocks(prefill.total) for prefill in self._prefilling)
        return blocks * self._block_bytes + (len(self._batch) + len(self._prefilling)) * self._sequence_bytes

    def _fits_after(self, steps: int) -> bool:
        return self._kv_bytes(steps - 1) <= self._cache.capacity_bytes

    def _admits(self, prefill: _Prefill) -> bool:
        if len(self._batch) + len(self._prefilling) >= self._most_running:
            return False
        # One token more than the prompt, so that decoding can start at once.
        needed = self._sequence_bytes + self._blocks(prefill.total + 1) * self._block_bytes
        return self._kv_bytes() + needed <= self._cache.capacity_bytes

    def _make_room(self) -> None:
        """Preempt the sequences of lowest priority until the next step has its blocks."""
        while not self._fits_after(1):
            if self._prefilling:
                request = self._prefilling.pop().request
            else:
                request = max(self._batch, key=self._waiting.key)
                self._drop(request)
            self._waiting.push(request)
            self.preemptions += 1

    # Requests.

    def settle(self) -> None:
        """Record the tokens of running sequences, for a simulation that stops before its end."""
        for request in list(self._batch):
            self._drop(request)

    def _give_up(self) -> None:
        """Cancel the requests whose users have left: waiting ones at that time, running ones now."""
        while self._cancels and self._cancels[0][0] <= self.now_s:
            at, request = heapq.heappop(self._cancels)
            if self._ledger.state[request] != UNFINISHED:
                continue
            if request in self._batch:
                self._drop(request)
                at = max(self.now_s, self._ledger.first[request])
            elif request in self._waiting:
                self._waiting.remove(request)
            else:
                self._prefilling = [prefill for prefill in self._prefilling if prefill.request != request]
                at = self.now_s
            self._close(request, CANCELLED, at)

    def _close(self, request: int, state: int, now_s: float) -> None:
        self._ledger.close(request, state, now_s)
        if self._on_end:
            self._on_end(request, now_s)
