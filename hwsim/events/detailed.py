"""The detailed grain: every token in flight visits every stage of every layer, in SimPy.

Servers are first come, first served with known service times, so a server is the time at which it becomes free: exact,
as visits happen in order of time. Links within a stage and vector units may choose among the tokens that wait instead
(`server.Server`). The chips of a pipeline stage work in step; they differ in the row (which positions they hold) and,
after a failure, in the links. A server is booked for the time that it works, so it works at most all of any stretch of
time.
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
from hwsim.events.group import Group
from hwsim.events.ledger import Ledger
from hwsim.events.links import Unreachable
from hwsim.events.machine import Progress, Users
from hwsim.events.memory import Memory
from hwsim.events.outcome import RESOURCES
from hwsim.events.recording import Recording
from hwsim.events.slots import Sequence, Slots, Work
from hwsim.events.timing import ATTENTION, STORE, Timing

_NEVER = float("inf")
#: Requests that end between two reports of progress.
_REPORT_EVERY = 16
#: Numbers of a booking: end, seconds, resource (place in `RESOURCES`), and the share of its servers times their speed.
_BOOKED = 4
#: Bookings that are kept before they are added to the timeline.
_MOST_BOOKED = 65_536
_ARRAYS, _VEX, _BUFFER, _HBM = map(float, range(4))
_STAGE_LINKS = float(RESOURCES.index("stage links"))
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
        self._booked = array("d")
        chips, book = timing.rows * timing.columns, self._booked.extend
        self._groups = [Group(timing, stage * chips, self._env, book) for stage in range(timing.stages)]
        # When each link between stages becomes free.
        self._between = {(a, b): 0.0 for a in range(timing.stages) for b in range(timing.stages) if a != b}
        self._between_share = 1.0 / max(timing.stage_links, 1)
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
        arrays, interval, latencies = self._arrays, timing.pass_interval_s, [p.latency_s for p in timing.passes]
        each_row, layers, windowed, recording = range(timing.rows), timing.layers, timing.windowed, self._recording
        book, row_share = self._booked.extend, 1.0 / (timing.rows * timing.stages)
        array_share, startup_s = 1.0 / (layers * len(arrays)), timing.startup_s
        groups, stage_of, ranked, by_deadline = (
            self._groups,
            timing.stage_of,
            timing.ranked,
            timing.service == "deadline",
        )
        fetched = None
        while work is not None:
            sequence, position = work
            stored, entered = sequence.stored, env.now
            row, token = position % timing.rows, (sequence.request, position)
            whole = timing.dealt(0, position)
            recent = timing.dealt(max(position + 1 - timing.window, 0), position) if timing.window else whole
            spilled = memory.spilled_share(self.slots.held_bytes)
            ready = 0.0
            if spilled:
                # The first layer's keys and values, unless the previous token has requested them already.
                ready = (
                    self._fetch(0, recent if windowed[0] else whole, spilled, *token) if fetched is None else fetched
                )
            fetched, through, stage = None, 1.0, -1
            for layer in range(layers):
                if sequence.gone:
                    through = layer / layers
                    break
                if stage_of[layer] != stage:
                    stage = stage_of[layer]
                    if stage:
                        yield timeout(self._cross(timing.stage_rounds[stage - 1]) - env.now)
                    group = groups[stage]
                    free, shares, vex, buffer = group.classes.free_s, group.shares, group.vex, group.buffer
                attending = recent if windowed[layer] else whole
                if spilled:
                    here = ready
                    if layer + 1 < layers:
                        ready = self._fetch(layer + 1, recent if windowed[layer + 1] else whole, spilled, *token)
                    elif sequence.prompt <= position + 1 < sequence.prompt + sequence.output - 1:
                        fetched = self._fetch(0, recent if windowed[0] else whole, spilled, *token)
                for place, (kind, todo, latency, passes, what) in enumerate(group.programs[row]):
                    now = end = env.now
                    # Of the tokens that wait, the one with the least rank is next: it entered first, or is furthest.
                    rank = entered if by_deadline else -(layer + place / len(group.programs[row]))
                    label = (what, *token, layer)
                    if kind <= STORE:
                        if ranked and todo:
                            yield self._send(group, todo, rank, label)
                            end = env.now
                        else:
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
                    else:
                        if kind == ATTENTION:
                            if spilled and here > now:
                                self.stalled_s += here - now
                                yield timeout(here - now)
                                now = end = env.now
                            todo = attending
                            for r, (_, read_s) in enumerate(attending):
                                t = buffer[r]
                                buffer[r] = t = (t if t > now else now) + read_s
                                book((t, read_s, _BUFFER, row_share))
                                if t > end:
                                    end = t
                        if ranked:
                            yield self._work(group, kind, todo, rank, label)
                            if env.now > end:
                                end = env.now
                        else:
                            for r in each_row:
                                work_s = todo[r][0] + startup_s if kind == ATTENTION else todo
                                t = vex[r]
                                vex[r] = t = (t if t > now else now) + work_s
                                book((t, work_s, _VEX, row_share))
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
                        self._record(recording, group, label, kind, todo, passes)
                    yield timeout(end - env.now)
            if position >= sequence.prompt - 1 and not sequence.gone:
                for part in timing.stage_rounds[timing.stages - 1 :]:
                    yield timeout(self._cross(part) - env.now)
                now = env.now
                start = max(self._last_array, now)
                self._last_array = start + interval
                yield timeout(start + timing.last_pass.latency_s - now)
            work = self._leave(sequence, position, through)
            if work is None or work[0] is not sequence:
                fetched = None

    def _cross(self, part: Many[tuple[int, int]]) -> float:
        """Send a hidden vector over the links between stages in `part`; return when the last one arrives."""
        now, seconds, between = self._env.now, self._timing.handover_s, self._between
        end = now
        for hop in part:
            between[hop] = t = max(between[hop], now) + seconds
            self._booked.extend((t, seconds, _STAGE_LINKS, self._between_share))
            end = max(end, t)
        return end + self._timing.stage_latency_s

    def _send(self, group: Group, todo: Many[tuple[int, float]], rank: float, label: Label) -> simpy.Event:
        """Queue at the links of a stage; return the event at which all messages have left."""
        recording, visits = self._recording, []
        for link, seconds in todo:
            record = (
                None if recording is None else partial(self._record_message, recording, group, link, seconds, label)
            )
            visits.append(group.links[link].visit(seconds, rank, record))
        return visits[0] if len(visits) == 1 else self._env.all_of(visits)

    def _work(self, group: Group, kind: int, todo: Any, rank: float, label: Label) -> simpy.Event:
        """Queue at the vector units of a stage; return the event at which all rows are done."""
        timing, recording, visits = self._timing, self._recording, []
        for row, unit in enumerate(group.vectors):
            seconds = todo[row][0] + timing.startup_s if kind == ATTENTION else todo
            record = None if recording is None else partial(self._record_visit, recording, group, row, seconds, label)
            visits.append(unit.visit(seconds, rank, record))
        return visits[0] if len(visits) == 1 else self._env.all_of(visits)

    def _fetch(
        self, layer: int, attending: list[tuple[float, float]], spilled: float, request: int, position: int
    ) -> float:
        """Request from HBM the keys and values of a layer that the buffers do not hold; return their arrival time."""
        timing, now, recording = self._timing, self._env.now, self._recording
        group = self._groups[timing.stage_of[layer]]
        hbm, share = group.hbm, 1.0 / (timing.rows * timing.stages)
        per_read = timing.hbm_s / timing.buffer_s * spilled
        end = now
        for row, (_, read_s) in enumerate(attending):
            start = max(hbm[row], now)
            speed = group.hbm_speed[row]
            hbm[row] = t = start + read_s * per_read / speed
            # A slower memory moves, and takes, as much less while it works.
            self._booked.extend((t, t - start, _HBM, speed * share))
            end = max(end, t)
            if recording is not None:
                for chip in self._chips(group, row):
                    recording.add(t, t - start, chip, "HBM", "keys and values", (request, position, -1))
        return end

    def _leave(self, sequence: Sequence, position: int, through: float) -> Work | None:
        """Account for a token that leaves, `through` the layers or a share of them; return the next one of its slot."""
        self._left += through
        row, timing = position % self._timing.rows, self._timing
        sent = sum(self._groups[stage].sent[row] for stage in timing.stage_of)
        if timing.stages > 1:
            sent += timing.rows * timing.columns * sum(map(len, timing.stage_rounds))
        self.messages += round(sent * through)
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

    def _chips(self, group: Group, row: int) -> range:
        """Return the chips of a row of a stage, by number."""
        first = group.first_chip + row * self._timing.columns
        return range(first, first + self._timing.columns)

    def _record(
        self, recording: Recording, group: Group, label: Label, kind: int, todo: Any, passes: tuple[int, ...]
    ) -> None:
        """Record the work that a stage has just given to its servers; each becomes free when the work is done."""
        timing = self._timing
        what, *token = label
        if kind <= STORE:
            for link, seconds in todo if not timing.ranked else ():
                self._record_message(recording, group, link, seconds, label, group.classes.free_s[link])
        else:
            for row in range(timing.rows):
                work_s, read_s = todo[row] if kind == ATTENTION else (todo, 0.0)
                if not timing.ranked:
                    self._record_visit(recording, group, row, work_s, label, group.vex[row])
                for chip in self._chips(group, row):
                    recording.add(group.buffer[row], read_s, chip, "attention buffer", what, token)
        for index in passes:
            names, end = timing.passes[index].names, self._arrays[index][label[-1]]
            for row in range(timing.rows):
                for chip in self._chips(group, row):
                    array = f"HN arrays, layer {label[-1]}: {names}"
                    recording.add(end, timing.pass_interval_s, chip, array, names, token)

    def _record_message(
        self, recording: Recording, group: Group, link: int, seconds: float, label: Label, end_s: float
    ) -> None:
        """Record a message on the links of a class, which ends at `end_s`."""
        what, *token = label
        first = group.first_chip
        for source, target in group.pairs[link]:
            recording.add(end_s, seconds, first + source, f"link to chip {first + target}", what, token)

    def _record_visit(
        self, recording: Recording, group: Group, row: int, seconds: float, label: Label, end_s: float
    ) -> None:
        """Record a visit of the vector units of a row, which ends at `end_s`."""
        what, *token = label
        for chip in self._chips(group, row):
            recording.add(end_s, seconds, chip, "VEX", what, token)

    # Failures.

    def _break(self, fault: Fault) -> None:
        self._account()
        stop = fault.stop
        stage, chip = divmod(fault.chip, self._timing.rows * self._timing.columns)
        group = self._groups[stage]
        if fault.kind == "hbm" and not stop:
            row = chip // self._timing.columns
            group.hbm_speed[row] = min(group.hbm_speed[row], fault.speed)
        elif fault.kind == "link" and not stop:
            try:
                group.break_link(fault.pair)
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
