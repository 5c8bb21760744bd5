"""Fleets: equal machines behind a router, and the smallest fleet that keeps a promise to its users."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from hwbase import InputError, Record, unknown_name
from hwbase.check import integer, number, positive
from hwsim.events.machine import Machine
from hwsim.events.results import ServingResult

#: How a router picks a machine.
ROUTERS = ("least-loaded", "round-robin")
#: More machines than this are not tried.
MOST_MACHINES = 4096


def router(name: str) -> Callable[[Sequence[Machine]], int]:
    """Return the function that names the machine for the next request; raises `InputError` for an unknown router.

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
    """What users are promised: at this percentile of requests, no longer than this to the first and between tokens."""

    percentile: float = 99.0
    time_to_first_token_s: float = float("inf")
    time_per_output_token_s: float = float("inf")

    def __post_init__(self) -> None:
        number("percentile", self.percentile, above=0.0, high=100.0)
        for name in ("time_to_first_token_s", "time_per_output_token_s"):
            if getattr(self, name) != float("inf"):
                positive(name, getattr(self, name))
        if self.time_to_first_token_s == self.time_per_output_token_s == float("inf"):
            raise InputError("the target promises nothing: expected time_to_first_token_s or time_per_output_token_s")

    def reached(self, result: ServingResult) -> dict[str, float]:
        """Return what `result` comes to at the percentile, by the names of the promises; infinity where none."""
        reached = {}
        for name in ("time_to_first_token_s", "time_per_output_token_s"):
            values = getattr(result, name)
            values = values[np.isfinite(values)]
            reached[name] = float(np.percentile(values, self.percentile)) if values.size else float("inf")
        return reached

    def met(self, result: ServingResult) -> bool:
        """Return whether `result` keeps the promise (requests that are refused or given up are not counted)."""
        return all(value <= getattr(self, name) for name, value in self.reached(result).items())


@dataclass(frozen=True)
class FleetSize(Record):
    """The smallest fleet that meets a target: `result` is what its users saw, `tried` what each size came to."""

    machines: int
    target: Target
    result: ServingResult
    tried: dict[int, dict[str, float]] = field(default_factory=dict)


def smallest_fleet(
    serve: Callable[[int], ServingResult], target: Target, *, most: int = MOST_MACHINES, start: int = 1
) -> FleetSize:
    """Return the smallest number of machines with which `serve(machines)` meets `target`, by doubling and bisection.

    Waiting falls with every machine, so between a size that fails and one that meets the target there is one border.
    `start` is the first size tried. Raises `InputError` where `most` machines do not meet the target.
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
