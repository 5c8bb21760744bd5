"""The cycle time of a token among others in flight: the bounds of the closed form, and the queues between them.

Alone, a token takes its path; with many, the busiest resource sets the cycle: N tokens take N times its time. Near the
crossing of the two bounds, tokens wait for each other although no resource is always busy.

On the links, and at a VEX that serves the furthest token first, mean value analysis of the closed queueing network
gives that wait, with the residual of a fixed service time in place of an exponential one: Reiser and Lavenberg,
"Mean-Value Analysis of Closed Multichain Queuing Networks", J. ACM 27(2), 1980; Reiser, "A Queueing Network Analysis of
Computer Communication Networks with Window Flow Control", IEEE Trans. Comm. 27(8), 1979. At a VEX that serves tokens as
they come they bunch (`Pace._convoy_s`).
"""

import itertools
import math
from dataclasses import dataclass
from typing import NamedTuple

from hwbase import Record
from hwsim.events.links import Fabric
from hwsim.events.timing import ATTENTION, VEX, Stage, Timing, layer_stages

#: Paths whose logarithms differ by less share one analysis, which only scales the effect of queues.
_STEP = math.log(1.02)
#: Visits of the VEX in a layer.
_VISITS = 3
#: With this many times the tokens that fill the links, queues add nothing.
_FULL = 4.0


@dataclass(frozen=True)
class Station(Record):
    """A link or VEX that every token visits: `demand_s` in `visits`, and the mean residual of a service in progress."""

    demand_s: float
    visits: float
    residual_s: float


class Load(NamedTuple):
    """The demand of the tokens in flight in one cycle: seconds of each resource, if one stage had all layers.

    `uneven` is the share of the fullest pipeline stage over the mean.
    """

    tokens: float
    attention_s: float
    buffer_s: float
    hbm_s: float
    uneven: float


class Pace:
    """The cycle of a machine: the time in which every token in flight goes through it once."""

    def __init__(self, timing: Timing, fabric: Fabric) -> None:
        self._timing, self._stages, self._ranked = timing, timing.stages, timing.ranked
        rows = [layer_stages(timing, fabric, root) for root in range(timing.rows)]
        self._links = [_busiest(rows, axis, timing.fullest_layers) for axis in ("column", "row")]
        self._linked_s = max(timing.pass_interval_s, *(station.demand_s for station in self._links))
        layer_s = sum(_path_s(stages, timing) for stages in rows) / len(rows)
        crossing_s = len(timing.stage_rounds) * (timing.stage_latency_s + timing.handover_s)
        self._path_s = timing.layers * (layer_s + timing.startup_s) + crossing_s + timing.last_pass.latency_s
        self._returns_s = [sum(s) / len(rows) for s in zip(*(_returns_s(row, timing) for row in rows), strict=True)]
        self._factors: dict[tuple[int, int], list[float]] = {}
        self._fullest_layers = timing.fullest_layers
        # Seconds of the VEX of the fullest stage that do not grow with positions.
        self._visits_s = self._fullest_layers * timing.visits_s

    def cycle_s(self, load: Load) -> float:
        """Return the seconds in which each of `load.tokens` tokens in flight goes through the machine once."""
        n = load.tokens
        # Attention ends when its data are both read and processed; both grow with every position.
        alone_s = self._path_s + max(load.attention_s, load.buffer_s) / n
        fullest = load.uneven / self._stages
        if self._ranked:
            vex_s = load.attention_s / n * load.uneven / self._stages + self._visits_s
            queued_s = self._queued_cycle_s(n, alone_s, load, vex_s)
        else:
            queued_s = max(self._queued_cycle_s(n, alone_s, None, 0.0), self._convoy_s(n, load.attention_s / n))
        return max(queued_s, load.buffer_s * fullest, load.hbm_s * fullest)

    def _vex(self, load: Load, demand_s: float) -> Station:
        """Return the VEX of the fullest pipeline stage as a station that a token of `load` occupies for `demand_s`."""
        timing = self._timing
        whole_s, recent_s = _attention_of_layers(timing, load.attention_s / load.tokens)
        gating_s = timing.nonlinear_s * timing.gating_share
        services = (
            (timing.full_layers, whole_s),
            (timing.windowed_layers, recent_s),
            (timing.layers, timing.nonlinear_s - gating_s),
            (timing.layers, gating_s),
        )
        once = sum(count * (seconds + timing.startup_s) for count, seconds in services)
        twice = sum(count * (seconds + timing.startup_s) ** 2 for count, seconds in services)
        return Station(demand_s, _VISITS * self._fullest_layers, twice / (2.0 * once))

    def _queued_cycle_s(self, tokens: float, alone_s: float, load: Load | None, vex_s: float) -> float:
        """Return the cycle if tokens wait for the links, and of a `load` for the VEX too, `vex_s` each."""
        each_s = self._linked_s if load is None else max(self._linked_s, vex_s)
        bound_s = max(alone_s, tokens * each_s)
        if tokens <= 1.0 or tokens * each_s > _FULL * alone_s:
            return bound_s
        alone, demand = round(math.log(alone_s) / _STEP), round(math.log(vex_s) / _STEP) if load is not None else 0
        known = self._factors.setdefault((alone, demand), [])
        below = int(tokens)
        if len(known) <= below:
            # One analysis serves all loads that are nearly alike.
            alike = None if load is None else self._vex(load, math.exp(_STEP * demand))
            known[:] = self._analyse(math.exp(_STEP * alone), below + 1, alike)
        return bound_s * (known[below - 1] + (known[below] - known[below - 1]) * (tokens - below))

    def _analyse(self, alone_s: float, most: int, vex: Station | None) -> list[float]:
        """Return the factors by which queues lengthen the larger of the two bounds, for 1, 2, ..., `most` tokens."""
        stations = [station for station in (*self._links, vex) if station is not None and station.demand_s > 0.0]
        each_s = max([self._linked_s, *(station.demand_s for station in stations)])
        queued, busy = [0.0] * len(stations), [0.0] * len(stations)
        factors = []
        for n in range(1, most + 1):
            waits = [
                max(there - share, 0.0) * station.demand_s + share * station.residual_s * station.visits
                for station, there, share in zip(stations, queued, busy, strict=True)
            ]
            # Every pipeline stage has such stations.
            cycle_s = max(alone_s + self._timing.stages * sum(waits), n * each_s)
            factors.append(cycle_s / max(alone_s, n * each_s))
            rate = n / cycle_s
            queued = [rate * (station.demand_s + wait) for station, wait in zip(stations, waits, strict=True)]
            busy = [min(rate * station.demand_s, 1.0) for station in stations]
        return factors

    def _convoy_s(self, tokens: float, attention_s: float) -> float:
        """Return the cycle if tokens go from one visit of the VEX to the next as a group.

        First come, first served, short visits wait behind the long ones of attention; so tokens bunch, and the VEX
        idles when its last token is done before the first one is back.
        """
        timing = self._timing
        gating_s = timing.nonlinear_s * timing.gating_share
        startup_s = timing.startup_s
        norms_s, gating_s = timing.nonlinear_s - gating_s + startup_s, gating_s + startup_s
        others = ((norms_s, self._returns_s[1]), (gating_s, self._returns_s[2]))
        shared_s = sum(max(tokens * visit_s, visit_s + back_s) for visit_s, back_s in others)
        whole_s, recent_s = (each + startup_s for each in _attention_of_layers(timing, attention_s))
        back_s = self._returns_s[0]
        return (
            timing.full_layers * max(tokens * whole_s, whole_s + back_s)
            + timing.windowed_layers * max(tokens * recent_s, recent_s + back_s)
            + timing.layers * shared_s
        )


def _busiest(rows: list[list[Stage]], axis: str, layers: int) -> Station:
    """Return the busiest link of an axis, for tokens of all rows together."""
    by_link: dict[object, list[float]] = {}
    for stages in rows:
        for stage in stages:
            for link, seconds in (stage.part or {}).items():
                if link[0] == axis and seconds > 0.0:
                    by_link.setdefault(link, []).append(seconds)
    services = max(by_link.values(), key=sum, default=[])
    if not services:
        return Station(0.0, 1.0, 0.0)
    each, total = layers / len(rows), sum(services)
    return Station(each * total, each * len(services), sum(s * s for s in services) / (2.0 * total))


def _path_s(stages: list[Stage], timing: Timing) -> float:
    """Return the seconds of stages without attention."""
    return sum(
        stage.seconds
        + (max(stage.part.values()) + timing.link_latency_s if stage.part else 0.0)
        + sum(timing.passes[index].latency_s for index in stage.passes)
        for stage in stages
    )


def _returns_s(stages: list[Stage], timing: Timing) -> list[float]:
    """Return seconds from each visit of the VEX to the next: after attention, norms, gating (into the next layer)."""
    attention, norms, gating = (index for index, stage in enumerate(stages) if stage.kind in (ATTENTION, VEX))
    turned = stages[attention:] + stages[:attention]
    visits = (0, norms - attention, gating - attention, len(stages))
    return [_path_s(turned[a:b], timing) - turned[a].seconds for a, b in itertools.pairwise(visits)]


def _attention_of_layers(timing: Timing, attention_s: float) -> tuple[float, float]:
    """Return attention times of a full layer and of a windowed one, when all layers take `attention_s`."""
    recent_s = timing.window * timing.attention_s / timing.rows
    if attention_s <= timing.layers * recent_s or not timing.full_layers:
        return attention_s / timing.layers, attention_s / timing.layers
    return (attention_s - timing.windowed_layers * recent_s) / timing.full_layers, recent_s
