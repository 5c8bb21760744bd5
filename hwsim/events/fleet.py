"""Fleets: equal machines behind a router, and the smallest fleet that meets a target."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from hwbase import InputError, Record, unknown_name
from hwbase.check import integer, number, positive
from hwsim.events.machine import Machine
from hwsim.events.results import ServingResult, percentiles_of

#: Policies of a router.
ROUTERS = ("least-loaded", "round-robin")
#: The largest fleet that is tried.
MOST_MACHINES = 4096


def router(name: str) -> Callable[[Sequence[Machine]], int]:
    """Return the function that selects the machine for the next request. Raises `InputError` for an unknown router.

    "least-loaded" takes the machine with the fewest requests waiting and running (the first of equals), "round-robin"
    each in turn.
    """
    if name not in ROUTERS:
        raise unknown_name("router", name, ROUTERS)
    if name == "least-loaded":
        return lambda machines: min(range(len(machines)), key=lambda index: machines[index].outstanding)
    turn = iter(range(1 << 62))
    return lambda machines: next(turn) % len(machines)


@dataclass(frozen=True)
class Target(Record):
    """Latencies for users: at this percentile of all requests, the longest time to the first token and between tokens.

    A request that does not finish (rejected, cancelled, failed, unfinished) breaks the promise.
    """

    percentile: float = 99.0
    time_to_first_token_s: float = float("inf")
    time_per_output_token_s: float = float("inf")

    def __post_init__(self) -> None:
        number("percentile", self.percentile, above=0.0, high=100.0)
        for name in ("time_to_first_token_s", "time_per_output_token_s"):
            if getattr(self, name) != float("inf"):
                positive(name, getattr(self, name))
        if self.time_to_first_token_s == self.time_per_output_token_s == float("inf"):
            raise InputError("the target has no limit: expected time_to_first_token_s or time_per_output_token_s")

    def reached(self, result: ServingResult) -> dict[str, float]:
        """Return the latencies of `result` at the percentile of all requests, by the names of the limits.

        Requests that did not finish count as infinite. Infinity where undefined.
        """
        reached = {}
        for name in ("time_to_first_token_s", "time_per_output_token_s"):
            values = np.where(result.finished, getattr(result, name), np.inf)
            values = values[~np.isnan(values)]
            reached[name] = float(percentiles_of(values, self.percentile)) if values.size else float("inf")
        return reached

    def met(self, result: ServingResult) -> bool:
        """Return whether `result` meets the target: enough of all requests finished, and within the limits."""
        served = 100 * np.count_nonzero(result.finished) >= self.percentile * result.state.size
        return bool(served) and all(value <= getattr(self, name) for name, value in self.reached(result).items())


@dataclass(frozen=True)
class FleetSize(Record):
    """The smallest fleet that meets a target: `result` is its serving result, `tried` the latencies of each size."""

    machines: int
    target: Target
    result: ServingResult
    tried: dict[int, dict[str, float]] = field(default_factory=dict)


def smallest_fleet(
    serve: Callable[[int], ServingResult], target: Target, *, most: int = MOST_MACHINES, start: int = 1
) -> FleetSize:
    """Return the smallest number of machines with which `serve(machines)` meets `target`, by doubling and bisection.

    Waiting falls with every machine, so one size separates those that fail from those that meet the target. `start` is
    the first size tried. Raises `InputError` where `most` machines do not meet the target.
    """
    most = integer("most", most, high=MOST_MACHINES)
    tried: dict[int, dict[str, float]] = {}
    best: ServingResult | None = None

    def meets(machines: int) -> bool:
        nonlocal best
        result = serve(machines)
        tried[machines] = target.reached(result)
        met = target.met(result) and not result.interrupted
        if result.interrupted:
            raise KeyboardInterrupt
        if met:
            best = result
        return met

    low, high = 0, min(integer("start", start), most)
    while not meets(high):
        if high == most:
            reached = ", ".join(f"{name} = {value:.4g}" for name, value in tried[high].items())
            raise InputError(f"no fleet of up to {most} machines meets the target: {most} reach {reached}")
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if meets(middle) else (middle, high)
    assert best is not None
    return FleetSize(high, target, best, tried)
