"""The detailed grain: every token in flight visits every stage of every layer, in SimPy.

Servers are first come, first served with known service times, so a server is the time at which it becomes free: exact,
as visits happen in order of time. The chips of a machine work in step; they differ in the row (which positions they
hold) and, after a failure, in the links. A server is booked for the time that it works, so it works at most all of any
stretch of time.
"""

from array import array
from collections.abc import Callable, Generator
from collections.abc import Sequence as Many
from functools import partial
from typing import Any

import numpy as np
import simpy

from hwsim.events.account import LEVELS
from hwsim.events.bins import Bins
from hwsim.events.faults import Fault
from hwsim.events.ledger import Ledger
from hwsim.events.links import LinkClasses, Pair, Unreachable
from hwsim.events.machine import Progress, Users
from hwsim.events.memory import Memory
from hwsim.events.outcome import RESOURCES
from hwsim.events.recording import Recording
from hwsim.events.slots import Sequence, Slots, Work
from hwsim.events.timing import ATTENTION, STORE, VEX, Timing, compile_stages, round_means

_NEVER = float("inf")
#: Requests that end between two reports of progress.
_REPORT_EVERY = 16
#: Numbers of a booking: end, seconds, resource (place in `RESOURCES`), and the share of its servers times their speed.
_BOOKED = 4
#: Bookings that are kept before they are added to the timeline.
_MOST_BOOKED = 65_536
_ARRAYS, _VEX, _BUFFER, _HBM = map(float, range(4))
_LINKS = {"column": 4.0, "row": 5.0}
_IDLE = (0.0,) * len(RESOURCES)
#: The name of a stage, and its request, position and layer.
Label = tuple[str, int, int, int]


class DetailedMachine:
    """One machine under traffic. `run` simulates to the end; the other attributes are results.

    `stalled_s` is the total time that tokens waited for keys and values from HBM; `messages` are those between chips.
    """

    def __init__(
        self,
        timing: Timing,
        memory: Memory,
        ledger: Ledger,
        users: Users,
        slots: Slots,
        faults: Many[Fault],
        recording: Recording | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._timing, self._memory, self._ledger, self._users, self.slots = timing, memory, ledger, users, slots
        self._faults, self._recording, self._progress = faults, recording, progress
        slots.on_end = self._ended
        self._env = simpy.Environment()
        self._done = self._env.event()
        self._answered: simpy.Event | None = None
        rows = timing.rows
        self._classes = LinkClasses()
        self._failed: list[Pair] = []
        self._booked = array("d")
        # Resource and share of its links for each class of links.
        self._shares: list[tuple[float, float]] = []
        self._compile()
        self._vex, self._buffer, self._hbm = [0.0] * rows, [0.0] * rows, [0.0] * rows
        self._hbm_speed = [1.0] * rows
        self._arrays = [[0.0] * timing.layers for _ in timing.passes]
        self._last_array = 0.0
        # Tokens that have left since the last account.
        self._left, self._last_s = 0.0, 0.0
        self.stalled_s = 0.0
        self.bins = Bins(len(RESOURCES) + len(LEVELS))
        self.events = self.messages = 0

    @property
    def now_s(self) -> float:
        """Simulated time."""
        return float(self._env.now)

    @property
    def busy_s(self) -> dict[str, float]:
        """Seconds that each resource was busy, means over its servers."""
        return dict(zip(RESOURCES, self.bins.totals().tolist(), strict=False))

    def run(self) -> None:
        """Simulate until all requests of the traffic have ended."""
        env = self._env
        env.process(self._arrivals())
        for fault in self._faults:
            _at(env, fault.at_s, partial(self._break, fault))
        try:
            env.run(until=self._done)
        finally:
            # Events are numbered in order; those not yet due have not been simulated.
            self.events = next(env._eid) - len(env._queue)
            self._account()
            self._settle()

    # Requests.

    def _arrivals(self) -> Generator[simpy.Event, None, None]:
        env, users = self._env, self._users
        while not users.all_sent:
            at = users.next_s
            if at == _NEVER:
                self._answered = env.event()
                yield self._answered
                continue
            if at > env.now:
                yield env.timeout(at - env.now)
            self._account()
            request = users.send()
            self.slots.arrive(request, at)
            patience = self._ledger.patience[request]
            if patience < _NEVER:
                _at(env, patience, partial(self._cancel, request))
            self._fill()

    def _ended(self, request: int, now_s: float) -> None:
        ledger = self._ledger
        self._users.answered(request, now_s)
        if self._answered is not None and not self._answered.triggered:
            self._answered.succeed()
        if self._progress and ledger.closed % _REPORT_EVERY == 0:
            self._progress(ledger.closed, len(ledger.state), now_s)
        if ledger.closed == len(ledger.state):
            self._done.succeed()

    def _cancel(self, request: int) -> None:
        self._account()
        self.slots.cancel(request, self.now_s)
        self._fill()

    def _fill(self) -> None:
        """Send tokens into free slots."""
        while (work := self.slots.enter(self.now_s)) is not None:
            self._env.process(self._walk(work))

    # Tokens.

    def _walk(self, work: Work | None) -> Generator[simpy.Event, None, None]:
        """Process one token through the layers, then the next token in its slot."""
        env, timeout, timing, memory = self._env, self._env.timeout, self._timing, self._memory
        free, vex, buffer = self._classes.free_s, self._vex, self._buffer
        arrays, interval, latencies = self._arrays, timing.pass_interval_s, [p.latency_s for p in timing.passes]
        each_row, layers, windowed, recording = range(timing.rows), timing.layers, timing.windowed, self._recording
        book, shares, row_share = self._booked.extend, self._shares, 1.0 / timing.rows
        array_share = 1.0 / (layers * len(arrays))
        fetched = None
        while work is not None:
            sequence, position = work
            stored = sequence.stored
            row, token = position % timing.rows, (sequence.request, position)
            whole = timing.dealt(0, position)
            recent = timing.dealt(max(position + 1 - timing.window, 0), position) if timing.window else whole
            spilled = memory.spilled_share(self.slots.held_bytes)
            ready = 0.0
            if spilled:
                # The first layer's keys and values, unless the previous token has requested them already.
                ready = self._fetch(recent if windowed[0] else whole, spilled, *token) if fetched is None else fetched
            fetched, through = None, 1.0
            for layer in range(layers):
                if sequence.gone:
                    through = layer / layers
                    break
                attending = recent if windowed[layer] else whole
                if spilled:
                    here = ready
                    if layer + 1 < layers:
                        ready = self._fetch(recent if windowed[layer + 1] else whole, spilled, *token)
                    elif sequence.prompt <= position + 1 < sequence.prompt + sequence.output - 1:
                        fetched = self._fetch(recent if windowed[0] else whole, spilled, *token)
                for kind, todo, latency, passes, what in self._programs[row]:
                    now = end = env.now
                    if kind <= STORE:
                        for link, seconds in todo:
                            t = free[link]
                            free[link] = t = (t if t > now else now) + seconds
                            book((t, seconds, *shares[link]))
                            if t > end:
                                end = t
                        end += latency
                        if kind == STORE:
                            if stored[layer] > end:
                                end = stored[layer]
                            stored[layer] = end
                    elif kind == VEX:
                        for r in each_row:
                            t = vex[r]
                            vex[r] = t = (t if t > now else now) + todo
                            book((t, todo, _VEX, row_share))
                            if t > end:
                                end = t
                    elif kind == ATTENTION:
                        if spilled and here > now:
                            self.stalled_s += here - now
                            yield timeout(here - now)
                            now = end = env.now
                        todo = attending
                        for r, (work_s, read_s) in enumerate(attending):
                            t = vex[r]
                            vex[r] = t = (t if t > now else now) + work_s
                            book((t, work_s, _VEX, row_share))
                            if t > end:
                                end = t
                            t = buffer[r]
                            buffer[r] = t = (t if t > now else now) + read_s
                            book((t, read_s, _BUFFER, row_share))
                            if t > end:
                                end = t
                    for which in passes:
                        array = arrays[which]
                        t = array[layer]
                        if t < end:
                            t = end
                        array[layer] = t + interval
                        book((t + interval, interval, _ARRAYS, array_share))
                        end = t + latencies[which]
                    if recording is not None and recording.covers(now):
                        self._record(recording, (what, *token, layer), kind, todo, passes)
                    yield timeout(end - now)
            if position >= sequence.prompt - 1 and not sequence.gone:
                now = env.now
                start = max(self._last_array, now)
                self._last_array = start + interval
                yield timeout(start + timing.last_pass.latency_s - now)
            work = self._leave(sequence, position, through)
            if work is None or work[0] is not sequence:
                fetched = None

    def _fetch(self, attending: list[tuple[float, float]], spilled: float, request: int, position: int) -> float:
        """Request from HBM the keys and values of a layer that the buffers do not hold; return their arrival time."""
        timing, hbm, now, recording = self._timing, self._hbm, self._env.now, self._recording
        per_read = timing.hbm_s / timing.buffer_s * spilled
        end = now
        for row, (_, read_s) in enumerate(attending):
            start = max(hbm[row], now)
            speed = self._hbm_speed[row]
            hbm[row] = t = start + read_s * per_read / speed
            # A slower memory moves, and takes, as much less while it works.
            self._booked.extend((t, t - start, _HBM, speed / timing.rows))
            end = max(end, t)
            if recording is not None:
                for chip in range(row * timing.columns, (row + 1) * timing.columns):
                    recording.add(t, t - start, chip, "HBM", "keys and values", (request, position, -1))
        return end

    def _leave(self, sequence: Sequence, position: int, through: float) -> Work | None:
        """Account for a token that leaves, `through` the layers or a share of them; return the next one of its slot."""
        self._left += through
        self.messages += round(self._timing.layers * self._sent[position % self._timing.rows] * through)
        self._account()
        work = self.slots.leave(sequence, position, self.now_s)
        # The end of a request may have freed several slots.
        self._fill()
        return work

    def _account(self) -> None:
        """Record the levels since the last account."""
        now, last = self.now_s, self._last_s
        if now <= last:
            return
        slots = self.slots
        levels = (len(slots.running), len(slots.waiting), slots.held_bytes, self._left / (now - last))
        self.bins.add(last, now, (*_IDLE, *levels))
        self._left, self._last_s = 0.0, now
        if len(self._booked) > _BOOKED * _MOST_BOOKED:
            self._settle()

    def _settle(self) -> None:
        """Add what was booked to the timeline; what servers would do after now is left for later."""
        booked = np.array(self._booked).reshape(-1, _BOOKED)
        ends_s, seconds, columns, rates = booked.T
        starts_s, now = ends_s - seconds, self.now_s
        self.bins.add_spans(np.minimum(starts_s, now), np.minimum(ends_s, now), columns, rates)
        later = booked[ends_s > now]
        later[:, 1] = np.minimum(later[:, 1], later[:, 0] - now)
        del self._booked[:]
        self._booked.extend(later.ravel())

    def _record(self, recording: Recording, label: Label, kind: int, todo: Any, passes: tuple[int, ...]) -> None:
        """Record the work that a stage has just given to its servers; each becomes free when the work is done."""
        what, *token = label
        chips, columns = range(self._timing.rows * self._timing.columns), self._timing.columns
        if kind <= STORE:
            for link, seconds in todo:
                end = self._classes.free_s[link]
                for source, target in self._pairs[link]:
                    recording.add(end, seconds, source, f"link to chip {target}", what, token)
        else:
            for chip in chips:
                row = chip // columns
                work_s, read_s = todo[row] if kind == ATTENTION else (todo, 0.0)
                recording.add(self._vex[row], work_s, chip, "VEX", what, token)
                recording.add(self._buffer[row], read_s, chip, "attention buffer", what, token)
        for index in passes:
            names, end = self._timing.passes[index].names, self._arrays[index][label[-1]]
            for chip in chips:
                array = f"HN arrays, layer {label[-1]}: {names}"
                recording.add(end, self._timing.pass_interval_s, chip, array, names, token)

    # Failures.

    def _compile(self) -> None:
        timing = self._timing
        fabric = timing.fabric(tuple(self._failed))
        rows, self._programs = compile_stages(timing, fabric, self._classes)
        self._sent = [round_means(stages, fabric)[2] for stages in rows]
        self._shares[:] = [(_LINKS[axis], share) for axis, share in self._classes.shares(fabric)]
        self._pairs: dict[int, list[Pair]] = {}
        for link, number in self._classes.number.items():
            self._pairs.setdefault(number, []).extend(fabric.members(link))

    def _break(self, fault: Fault) -> None:
        self._account()
        stop = fault.stop
        if fault.kind == "hbm" and not stop:
            row = fault.chip // self._timing.columns
            self._hbm_speed[row] = min(self._hbm_speed[row], fault.speed)
        elif fault.kind == "link" and not stop:
            self._failed.append(fault.pair)
            try:
                self._compile()
            except Unreachable:
                stop = True
        elif not stop:
            stop = fault.repair_s == _NEVER
            self.slots.open = False
            self.slots.fail(self.now_s, waiting=False)
            if not stop:
                _at(self._env, fault.repair_s, self._reopen)
        if stop:
            self.slots.open, self.slots.broken = False, True
            self.slots.fail(self.now_s, waiting=True)

    def _reopen(self) -> None:
        self.slots.open = not self.slots.broken
        self._fill()


def _at(env: simpy.Environment, delay_s: float, action: Callable[[], None]) -> None:
    """Call `action` after `delay_s`."""
    env.timeout(delay_s).callbacks.append(lambda _: action())
