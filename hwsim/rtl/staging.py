"""The fewest full-adder delays in a stage that a number of pipeline stages allows."""

from collections.abc import Callable
from typing import Protocol, TypeVar


class Staged(Protocol):
    """A netlist with the deepest path of each of its stages."""

    @property
    def depths(self) -> tuple[int, ...]:
        """Full-adder delays of each stage."""


Plan = TypeVar("Plan", bound=Staged)

#: A carry-save accumulator takes a complement and an adder.
_FEWEST_LEVELS = 2


def shallowest(build: Callable[[int], Plan], stages: int) -> Plan:
    """Return `build(levels)` for the fewest `levels` that need at most `stages` stages.

    Found by bisection, since fewer levels never need fewer stages.
    """
    low, high = _FEWEST_LEVELS, 2 * _FEWEST_LEVELS
    while len((plan := build(high)).depths) > stages:
        low, high = high + 1, 2 * high
    while low < high:
        middle = (low + high) // 2
        tried = build(middle)
        if len(tried.depths) > stages:
            low = middle + 1
        else:
            plan, high = tried, middle
    return plan
