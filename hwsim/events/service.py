"""The service grain: a hardwired machine request by request, at the closed form's rates.

Between two changes in flight the length of a turn grows linearly with the contexts, and time advances in one jump.
Single tokens are simulated in `detailed` only.
"""

import heapq
import operator
from collections.abc import Callable, Sequence
from typing import Any

from hwsim.events.account import LEVELS
from hwsim.events.bins import Bins
from hwsim.events.faults import Fault
from hwsim.events.flow import Flow, Prompt
from hwsim.events.ledger import CANCELLED, FAILED, FINISHED, REJECTED, UNFINISHED, Ledger
from hwsim.events.links import Pair, Unreachable
from hwsim.events.memory import Memory
from hwsim.events.outcome import RESOURCES
from hwsim.events.pace import Load, Pace
from hwsim.events.scheduling import Scheduling, Waiting
from hwsim.events.timing import Timing, layer_stages, round_means

_NEVER = float("inf")
#: Largest growth of a turn in one jump, as a share.
_GROWTH = 0.05
#: Largest growth of held bytes in one jump, as a share, for the resolution of the timeline.
_HELD, _LONG = 0.1, 100.0
#: Buffers count as full within this share of their bytes.
_NEAR = 1e-6


class ServiceMachine:
    """One machine (see `machine.Machine`); `on_end(request, time)` is called when a request ends."""

    _pace: Pace
    #: Facts of the latest load, and the load.
    _known: tuple[Any, Any]

    def __init__(
        self,
        timing: Timing,
        memory: Memory,
        ledger: Ledger,
        scheduling: Scheduling,
        faults: Sequence[Fault],
        on_end: Callable[[int, float], None],
    ) -> None:
        self._timing, self._memory, self._ledger, self._on_end = timing, memory, ledger, on_end
        self._layers, self._stages, self._rows = timing.layers, timing.stages, timing.rows
        self._kv_layer_bytes = timing.kv_layer_bytes
        # Seconds of attention, buffer and HBM for one cached position.
        self._position_s = timing.attention_s, timing.buffer_s, timing.hbm_s
        self._prefill_slots = scheduling.prefill_slots(timing.slots)
        self._most_running = scheduling.running(timing.slots)
        self._longest = scheduling.max_context
        self._faults = list(faults)
        self._failed: list[Pair] = []
        self._hbm_speed = 1.0
        self._open, self._broken, self._repair_s = True, False, _NEVER
        self._set_links()
        self._waiting = Waiting(ledger, scheduling)
        self._flow = Flow(timing)
        self._cancels: list[tuple[float, int]] = []
        self.now_s, self.jumps, self.tokens = 0.0, 0, 0.0
        self._busy_s = [0.0] * len(RESOURCES)
        self.bins = Bins(len(RESOURCES) + len(LEVELS))
        # The current jump: turns, their length at both ends, and the demand at both ends.
        self._turns, self._first_s, self._last_s = 0.0, 0.0, 0.0
        self._loads = (Load(1.0, 0.0, 0.0, 0.0, 1.0),) * 2
        self._held = (0.0, 0.0)
        self._end_s = _NEVER
        #: Time of the next change; infinity for an idle machine.
        self.due_s = _NEVER

    @property
    def busy_s(self) -> dict[str, float]:
        """Seconds that each resource was busy."""
        return dict(zip(RESOURCES, self._busy_s, strict=True))

    # The interface to routers and drivers.

    @property
    def outstanding(self) -> int:
        """Number of waiting and running requests."""
        return len(self._waiting) + self._flow.running

    def submit(self, request: int, now_s: float) -> None:
        """Add a request that arrives now."""
        while self._faults and self._faults[0].at_s <= now_s:
            self._pass(max(self._faults[0].at_s, self.now_s))
            self._break(self._faults.pop(0))
            self._plan()
        self._pass(now_s)
        self._reopen()
        ledger = self._ledger
        ledger.arrival[request] = now_s
        context = ledger.prompt[request] + ledger.output[request]
        if (self._longest is not None and context > self._longest) or not self._memory.could_fit(context):
            self._close(request, REJECTED)
        elif self._broken:
            self._close(request, FAILED)
        else:
            self._waiting.push(request)
            if ledger.patience[request] < _NEVER:
                heapq.heappush(self._cancels, (now_s + ledger.patience[request], request))
        self._plan()

    def commit(self) -> None:
        """Advance to the due time and process what is due."""
        self._pass(self.due_s)
        while self._cancels and self._cancels[0][0] <= self.now_s:
            self._cancel(heapq.heappop(self._cancels)[1])
        while self._faults and self._faults[0].at_s <= self.now_s:
            self._break(self._faults.pop(0))
        self._reopen()
        self._plan()

    def settle(self) -> None:
        """Record the tokens of running sequences, for a simulation that stops before its end."""
        for request in self._flow.requests:
            self._drop(request)

    # Time.

    def _plan(self) -> None:
        """Admit waiting requests, and compute how long nothing changes."""
        self._admit()
        while self._cancels and self._ledger.state[self._cancels[0][1]] != UNFINISHED:
            heapq.heappop(self._cancels)
        flow = self._flow
        flow.share(min(self._prefill_slots, self._timing.slots - flow.decoding))
        self.jumps += 1
        if not flow.running:
            self._end_s = _NEVER
            self._set_due()
            return
        turns = flow.unchanged()
        first, held_first, first_s = self._load(0.0)
        last, held_last, last_s = self._load(turns)
        if held_first < self._memory.buffer_bytes * (1.0 - _NEAR) and held_last > self._memory.buffer_bytes:
            # The spill begins here; the demand on HBM grows linearly only from here on.
            turns *= (self._memory.buffer_bytes - held_first) / (held_last - held_first)
            last, held_last, last_s = self._load(turns)
        if last_s > first_s * (1.0 + _GROWTH) or (turns > _LONG and held_last > held_first * (1.0 + _HELD)):
            turns = min(
                turns * _GROWTH * first_s / max(last_s - first_s, _GROWTH * first_s),
                max(turns * _HELD * held_first / max(held_last - held_first, _HELD * held_first), _LONG),
            )
            last, held_last, last_s = self._load(turns)
        self._turns, self._first_s, self._last_s = turns, first_s, last_s
        self._loads, self._held = (first, last), (held_first, held_last)
        self._end_s = self.now_s + turns * (first_s + last_s) / 2.0
        self._set_due()

    def _set_due(self) -> None:
        if not self.outstanding:
            self.due_s = _NEVER
            return
        self.due_s = min(self._end_s, self._repair_s)
        if self._cancels:
            self.due_s = min(self.due_s, self._cancels[0][0])
        if self._faults:
            self.due_s = min(self.due_s, self._faults[0].at_s)

    def _load(self, later: float) -> tuple[Load, float, float]:
        """Return the demand after `later` turns, the bytes held then, and the seconds of a turn."""
        attended, positions, tokens = self._flow.attended(later)
        running = self._flow.running
        facts = attended, positions, running, tokens, self._hbm_speed
        if facts == self._known[0]:
            # A jump mostly begins as the one before has ended.
            return self._known[1]
        uneven = 1.0
        if self._stages > 1 and running:
            mean = positions / running / self._layers
            uneven = self._timing.fullest_attended(mean) / self._timing.attended(mean)
        held_bytes = positions * self._kv_layer_bytes * uneven
        spilled = self._memory.spilled_share(held_bytes)
        per_row = attended / self._rows
        attention_s, buffer_s, hbm_s = self._position_s
        hbm_s = per_row * hbm_s * spilled / self._hbm_speed
        load = Load(tokens, per_row * attention_s, per_row * buffer_s, hbm_s, uneven)
        result = load, held_bytes, self._pace.cycle_s(load) if running else 0.0
        self._known = facts, result
        return result

    def _pass(self, until_s: float) -> None:
        """Advance to the end of the jump at most, and process what ends with it."""
        elapsed_s = until_s - self.now_s
        if not self._flow.running:
            if elapsed_s > 0.0:
                self._account(until_s, 0.0, 0.0)
            self.now_s = max(self.now_s, until_s)
            return
        if until_s >= self._end_s:
            turns = self._turns
        else:
            # The length of a turn grows linearly from the first to the last.
            growth_s = (self._last_s - self._first_s) / self._turns if self._turns else 0.0
            root = self._first_s**2 + 2.0 * growth_s * elapsed_s
            turns = 2.0 * elapsed_s / (self._first_s + max(root, 0.0) ** 0.5)
        if elapsed_s > 0.0:
            self._account(until_s, turns, turns / self._turns if self._turns else 0.0)
        self._flow.advance(turns)
        self.now_s = max(self.now_s, until_s)
        for prompt in self._flow.read():
            self._emit(prompt)
        for request in self._flow.ended():
            self._end(request, FINISHED)

    def _account(self, until_s: float, turns: float, part: float) -> None:
        """Record the use from now to `until_s`, in `turns` turns, the first `part` of the jump."""
        timing, (first, last) = self._timing, self._loads
        elapsed_s, tokens = until_s - self.now_s, first.tokens * turns
        half = part / 2.0
        column_s, row_s = self._link_means
        attention_s = turns * (first.attention_s + half * (last.attention_s - first.attention_s))
        used = (
            tokens * timing.pass_interval_s,
            (attention_s + tokens * timing.layers * timing.visits_s) / timing.stages,
            turns * (first.buffer_s + half * (last.buffer_s - first.buffer_s)) / timing.stages,
            turns * (first.hbm_s + half * (last.hbm_s - first.hbm_s)) * self._hbm_speed / timing.stages,
            tokens * column_s,
            tokens * row_s,
            tokens * self._stage_links_s,
        )
        self.tokens += tokens
        self._busy_s = list(map(operator.add, self._busy_s, used))
        held = self._held[0] + half * (self._held[1] - self._held[0]) if turns else 0.0
        rates = [seconds / elapsed_s for seconds in used]
        rates += self._flow.running, len(self._waiting), held, tokens / elapsed_s
        self.bins.add(self.now_s, until_s, rates)

    # Requests.

    def _admit(self) -> None:
        """Admit waiting requests while there are a free slot and memory, and no prompt has tokens left to send."""
        flow, ledger = self._flow, self._ledger
        while self._open and flow.running < self._most_running:
            slots = min(self._prefill_slots, self._timing.slots - flow.decoding)
            flow.share(slots)
            if flow.sending:
                return
            request = self._waiting.first()
            if request is None:
                return
            context = ledger.prompt[request] + ledger.output[request]
            if not self._memory.fits(context):
                return
            self._waiting.pop()
            self._memory.reserve(context)
            ledger.admitted[request] = self.now_s
            flow.prompts.append(Prompt(request, ledger.prompt[request]))

    def _emit(self, prompt: Prompt) -> None:
        """Emit the first token of a read prompt."""
        request, ledger = prompt.request, self._ledger
        ledger.generated[request], ledger.first[request] = 1, self.now_s
        if ledger.output[request] == 1:
            self._release(request)
            self._close(request, FINISHED)
        else:
            self._flow.add(request, prompt.tokens, ledger.output[request] - 1)

    def _drop(self, request: int) -> None:
        """Remove a request from those running, its tokens counted."""
        flow = self._flow
        if request in flow:
            self._ledger.generated[request] = 1 + flow.drop(request)
        else:
            flow.prompts = [prompt for prompt in flow.prompts if prompt.request != request]

    def _release(self, request: int) -> None:
        self._memory.release(self._ledger.prompt[request] + self._ledger.output[request])

    def _end(self, request: int, state: int) -> None:
        self._drop(request)
        self._release(request)
        self._close(request, state)

    def _cancel(self, request: int) -> None:
        if self._ledger.state[request] != UNFINISHED:
            return
        if request in self._waiting:
            self._waiting.remove(request)
            self._close(request, CANCELLED)
        else:
            self._end(request, CANCELLED)

    def _close(self, request: int, state: int) -> None:
        self._ledger.close(request, state, self.now_s)
        self._on_end(request, self.now_s)

    # Failures.

    def _set_links(self) -> None:
        self._known = (None, None)
        fabric = self._timing.fabric(self._failed)
        self._pace = Pace(self._timing, fabric)
        rows = range(self._timing.rows)
        means = [round_means(layer_stages(self._timing, fabric, root), fabric) for root in rows]
        layers = self._timing.layers / self._timing.stages / len(means)
        hops = sum(map(len, self._timing.stage_rounds))
        self._stage_links_s = self._timing.handover_s * hops / max(self._timing.stage_links, 1)
        self._link_means = layers * sum(mean[0] for mean in means), layers * sum(mean[1] for mean in means)

    def _break(self, fault: Fault) -> None:
        stop = fault.stop
        if fault.kind == "hbm" and not stop:
            self._hbm_speed = min(self._hbm_speed, fault.speed)
        elif fault.kind == "link" and not stop:
            self._failed.append(fault.pair)
            try:
                self._set_links()
            except Unreachable:
                stop = True
        elif not stop:
            stop = fault.repair_s == _NEVER
            self._open, self._repair_s = False, self.now_s + fault.repair_s
            self._fail_running()
        if stop:
            self._open, self._broken, self._repair_s = False, True, _NEVER
            self._fail_running()
            for request in self._waiting.drain():
                self._close(request, FAILED)

    def _fail_running(self) -> None:
        for request in self._flow.requests:
            self._end(request, FAILED)

    def _reopen(self) -> None:
        if self._repair_s <= self.now_s:
            self._open, self._repair_s = not self._broken, _NEVER
