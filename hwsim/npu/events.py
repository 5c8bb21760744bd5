"""The tiles of a product as events: an array, a buffer of two halves, and DRAM channels that serve bursts.

Each tile asks DRAM for what it lacks as soon as a half of the buffers is free, computes once that has arrived and the
array is free, and leaves its outputs to be stored. A transfer is cut into bursts, dealt to the channels in turn; a
channel serves its transfers in order. Nothing here uses the closed form's sum: `hwsim.npu.timing` is held against it.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import simpy

from hwbase import Record
from hwsim.npu.design import Npu
from hwsim.npu.timing import Tiles

#: Halves of a double buffer.
_HALVES = 2


@dataclass(frozen=True)
class EventRun(Record):
    """Clocks of a product by events, clocks in which the array computes, and those of the busiest channel."""

    cycles: float
    array_cycles: float
    channel_cycles: float


class Memory:
    """DRAM channels that each serve one transfer at a time; `busy` are the clocks that each has served."""

    def __init__(self, env: simpy.Environment, design: Npu) -> None:
        self.env = env
        self.channels = [simpy.Resource(env) for _ in range(int(design.memory_channels))]
        self.burst_bytes = design.memory_burst_bytes
        self.burst_cycles = design.burst_cycles
        self.latency_cycles = design.latency_cycles
        self.busy = np.zeros(len(self.channels))
        self._next = 0

    def move(self, size: float, *, latency: bool) -> simpy.Event:
        """Return the event that `size` bytes have been moved, requested now; it comes `latency` later for loads."""
        bursts = int(np.ceil(size / self.burst_bytes))
        count = len(self.channels)
        shares = bursts // count + (np.arange(count) < bursts % count)
        parts = [
            self.env.process(self._serve((self._next + place) % count, int(share), latency))
            for place, share in enumerate(shares)
            if share
        ]
        self._next = (self._next + bursts) % count
        return self.env.all_of(parts)

    def _serve(self, channel: int, bursts: int, latency: bool) -> Generator[simpy.Event, Any, None]:
        with self.channels[channel].request() as turn:
            yield turn
            yield self.env.timeout(bursts * self.burst_cycles)
            self.busy[channel] += bursts * self.burst_cycles
        if latency:
            yield self.env.timeout(self.latency_cycles)


def run_events(design: Npu, walk: Tiles) -> EventRun:
    """Return the clocks of the tiles of a product, one event after the other."""
    env = simpy.Environment()
    memory = Memory(env, design)
    halves = simpy.Container(env, capacity=_HALVES, init=_HALVES)
    loads, compute = walk.loads, np.asarray(walk.fold.cycles, float)
    ready = [env.event() for _ in loads]
    stores: list[simpy.Event] = []

    def load() -> Generator[simpy.Event, Any, None]:
        for tile, size in enumerate(loads):
            yield halves.get(1)
            if size > 0.0:
                yield memory.move(size, latency=True)
            ready[tile].succeed()

    def array() -> Generator[simpy.Event, Any, None]:
        for tile, cycles in enumerate(compute):
            yield ready[tile]
            # The outputs of the tile before the last leave the half that this one writes to.
            if len(stores) >= _HALVES:
                yield stores[-_HALVES]
            yield env.timeout(cycles)
            if walk.store_bytes[tile] > 0.0:
                stores.append(memory.move(walk.store_bytes[tile], latency=False))
            yield halves.put(1)

    env.process(load())
    done = env.process(array())
    env.run(done)
    if stores:
        env.run(env.all_of(stores))
    return EventRun(float(env.now), float(compute.sum()), float(memory.busy.max()))
