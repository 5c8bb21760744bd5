"""Pipelines of a netlist: by the number of their stages, or by the full-adder delays of each."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from hwbase.check import integer


class Staged(Protocol):
    """A netlist with the deepest path of each of its stages."""

    @property
    def depths(self) -> tuple[int, ...]:
        """Full-adder delays of each stage."""


Plan = TypeVar("Plan", bound=Staged)

#: A carry-save accumulator takes a complement and an adder.
_FEWEST_LEVELS = 2
_NO_LIMIT = 1 << 30


def staged(build: Callable[[int], Plan], stages: int, levels: int, fewest: int) -> Plan:
    """Return the least deep plan of at most `stages` stages, or the shortest of stages no deeper than `levels`.

    `build(levels)` draws stages of at most so many full-adder delays, or, given 0, the `fewest` stages. The search for
    a number of stages begins where all would be equally deep. Raises `InputError` for stages below the fewest.
    """
    wanted = integer("stages", stages, low=fewest, high=1000)
    most = integer("levels", levels, low=0, high=1e6)
    plain = build(0)
    if max(plain.depths, default=0) <= most or (wanted == fewest and not most):
        return plain
    if most:
        return build(max(most, _FEWEST_LEVELS))
    deepest = max(-(-sum(build(_NO_LIMIT).depths) // wanted), _FEWEST_LEVELS)
    while len((plan := build(deepest)).depths) > wanted:
        deepest += 1
    return plan
