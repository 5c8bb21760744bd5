"""How long a token takes when others are in flight: the closed form's bounds, and what queues add between them.

Alone, a token takes its path; with many, the busiest resource sets the pace: N tokens take N times its time. Around
the point where the two meet, tokens wait for each other although no resource is always busy. Mean value analysis of
the closed queueing network gives that wait, with the residual of a fixed service time in place of an exponential one:
Reiser and Lavenberg, "Mean-Value Analysis of Closed Multichain Queuing Networks", J. ACM 27(2), 1980; Reiser, "A
Queueing Network Analysis of Computer Communication Networks with Window Flow Control", IEEE Trans. Comm. 27(8), 1979.
"""

import math
from dataclasses import dataclass

from hwbase import Record
from hwsim.events.links import Fabric
from hwsim.events.timing import Stage, Timing, layer_stages

#: Contexts within this ratio share one analysis; it only scales what queues add.
_STEP = 1.05


@dataclass(frozen=True)
class Station(Record):
    """A resource that every token visits: `demand_s` in `visits`, and what is left of a service that is met."""

    demand_s: float
    visits: float
    residual_s: float


@dataclass(frozen=True)
class Load(Record):
    """What the tokens in flight ask for while each goes once through the machine: seconds of each resource."""

    tokens: float
    attention_s: float
    buffer_s: float
    hbm_s: float


class Pace:
    """The cycle of a machine: the time in which every token in flight goes through it once."""

    def __init__(self, timing: Timing, fabric: Fabric) -> None:
        self._timing = timing
        rows = [layer_stages(timing, fabric, root) for root in range(timing.rows)]
        layers = timing.layers
        self._links = [_busiest(rows, axis, layers) for axis in ("column", "row")]
        #: A token's way without attention and without others, with the pass of the unembedding.
        self.path_s = layers * sum(_path_s(stages, timing) for stages in rows) / len(rows) + timing.last_pass.latency_s
        self.nonlinear_s = layers * timing.nonlinear_s
        self._paced_s = max(timing.pass_interval_s, *(station.demand_s for station in self._links))
        self._excess: dict[int, list[float]] = {}

    def cycle_s(self, load: Load) -> float:
        """Return the seconds in which each of `load.tokens` tokens in flight goes through the machine once."""
        n = load.tokens
        alone_s = self.path_s + load.attention_s / n
        full_s = max(n * self._paced_s, load.attention_s + n * self.nonlinear_s, load.buffer_s)
        return max(max(alone_s, full_s) * self._waiting(n, load.attention_s / n, alone_s, full_s / n), load.hbm_s)

    def _waiting(self, tokens: float, attention_s: float, alone_s: float, paced_s: float) -> float:
        """By what factor queues lengthen the larger of the two bounds."""
        # Far from where they meet, nothing: fewer tokens than two, or four times as many as fill the machine.
        if tokens <= 1.0 or tokens * paced_s > 4.0 * alone_s:
            return 1.0
        key = round(math.log(attention_s + self.nonlinear_s) / math.log(_STEP))
        known = self._excess.setdefault(key, [])
        below = int(tokens)
        if len(known) <= below:
            known[:] = self._analyse(_STEP**key - self.nonlinear_s, below + 1)
        return known[below - 1] + (known[below] - known[below - 1]) * (tokens - below)

    def _analyse(self, attention_s: float, most: int) -> list[float]:
        """Factors for 1, 2, ... tokens, at the least up to `most`, at a mean attention time a token."""
        timing = self._timing
        attention_s = max(attention_s, 0.0)
        each_s = attention_s / timing.layers
        parts = [timing.nonlinear_s * share for share in (1.0 - timing.gating_share, timing.gating_share)] + [each_s]
        stations = [*self._links, _station([parts], timing.layers)]
        stations = [station for station in stations if station.demand_s > 0.0]
        path_s = self.path_s + attention_s
        paced_s = max(self._paced_s, attention_s + self.nonlinear_s)
        queued, busy = [0.0] * len(stations), [0.0] * len(stations)
        factors = []
        for n in range(1, most + 1):
            waits = [
                station.visits
                * (max(there - share, 0.0) * station.demand_s / station.visits + share * station.residual_s)
                for station, there, share in zip(stations, queued, busy, strict=True)
            ]
            cycle_s = max(path_s + sum(waits), n * paced_s)
            factors.append(cycle_s / max(path_s, n * paced_s))
            rate = n / cycle_s
            queued = [rate * (station.demand_s + wait) for station, wait in zip(stations, waits, strict=True)]
            busy = [min(rate * station.demand_s, 1.0) for station in stations]
        return factors

    @property
    def column_s(self) -> float:
        """Seconds of the busiest column link that a token takes."""
        return self._links[0].demand_s

    @property
    def row_s(self) -> float:
        """Seconds of the busiest row link that a token takes."""
        return self._links[1].demand_s


def _busiest(rows: list[list[Stage]], axis: str, layers: int) -> Station:
    """The link of an axis with the most to do, tokens of all rows taken together."""
    by_link: dict[object, list[list[float]]] = {}
    for root, stages in enumerate(rows):
        for stage in stages:
            for link, seconds in (stage.part or {}).items():
                if link[0] == axis:
                    by_link.setdefault(link, [[] for _ in rows])[root].append(seconds)
    return max(
        (_station(times, layers) for times in by_link.values()),
        key=lambda station: station.demand_s,
        default=Station(0.0, 1.0, 0.0),
    )


def _station(services: list[list[float]], layers: int) -> Station:
    """A station from the service times of a layer, one list for each kind of token."""
    flat = [seconds for times in services for seconds in times if seconds > 0.0]
    total = sum(flat)
    if not total:
        return Station(0.0, 1.0, 0.0)
    each = layers / len(services)
    return Station(each * total, each * len(flat), sum(s * s for s in flat) / (2.0 * total))


def _path_s(stages: list[Stage], timing: Timing) -> float:
    """Seconds of a layer's stages without attention."""
    return sum(
        stage.seconds
        + (max(stage.part.values()) + timing.link_latency_s if stage.part else 0.0)
        + sum(timing.passes[index].latency_s for index in stage.passes)
        for stage in stages
    )
