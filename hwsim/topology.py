"""Topologies of a stage's grid: the links of a row or column, the way of a message over them, and what it loads.

Rows and columns are alike: all their chips joined pairwise, in a ring (the grid is a 2D torus), in a line (a 2D mesh,
as on a wafer), or through a switch of their own. Messages take the shortest way, hop after hop, and each hop waits for
the one before. What a collective loads is counted from its messages, once for each size of a group. Reference: Dally
and Towles, "Principles and Practices of Interconnection Networks", 2004.
"""

from collections.abc import Collection
from dataclasses import replace
from functools import cache

import numpy as np

from hwbase.check import Number
from hwsim.fabric import Message

PAIRS, TORUS, MESH, SWITCH = "row-column", "torus", "mesh", "switch"
TOPOLOGIES = (PAIRS, TORUS, MESH, SWITCH)
#: Most chips of a row or column whose messages are counted one by one.
_MOST_COUNTED = 64
#: A directed link, as the places of its two ends; the place after the last chip is that of the switch.
Hop = tuple[int, int]


class Unreachable(Exception):
    """Two chips have to exchange messages without any route between them."""


def most_chips(topology: str) -> int:
    """Return the most chips that a row or column of a topology may have."""
    return 4096 if topology == PAIRS else _MOST_COUNTED


def neighbours(topology: str, group: Number) -> Number:
    """Return the links of a chip in a row or column of `group` chips; the most where chips differ."""
    others = np.subtract(group, 1)
    most = {PAIRS: np.inf, TORUS: 2, MESH: 2, SWITCH: 1}[topology]
    return others if topology == PAIRS else np.minimum(others, most)


def mean_links(topology: str, group: Number) -> Number:
    """Return the links of a chip in a row or column of `group` chips, on average: those at an end have fewer."""
    if topology != MESH:
        return np.asarray(neighbours(topology, group), dtype=float)[()]
    return 2.0 * np.subtract(group, 1.0) / group


@cache
def links(topology: str, size: int) -> tuple[Hop, ...]:
    """Return the directed links of a row or column of `size` chips.

    >>> links("mesh", 3)
    ((0, 1), (1, 0), (1, 2), (2, 1))
    """
    if size == 1:
        return ()
    if topology == PAIRS:
        return tuple((a, b) for a in range(size) for b in range(size) if a != b)
    if topology == SWITCH:
        return tuple(each for chip in range(size) for each in ((chip, size), (size, chip)))
    ends = [(chip, chip + 1) for chip in range(size - 1)]
    if topology == TORUS and size > 2:
        ends.append((size - 1, 0))
    return tuple(each for a, b in ends for each in ((a, b), (b, a)))


def route(topology: str, size: int, source: int, target: int, failed: Collection[Hop] = ()) -> list[Hop]:
    """Return the hops of a message, in order, without the links that have `failed`.

    A message to the opposite chip of a ring goes up from chips with even numbers and down from others. Raises
    `Unreachable` where there is no way.

    >>> route("torus", 4, 0, 3), route("switch", 4, 0, 3)
    ([(0, 3)], [(0, 4), (4, 3)])
    """
    if topology == PAIRS:
        ways = [[(source, target)]]
    elif topology == SWITCH:
        ways = [[(source, size), (size, target)]]
    elif topology == MESH:
        ways = [_walk(size, source, target, 1 if target > source else -1)]
    else:
        ahead = (target - source) % size
        up_first = 2 * ahead < size or (2 * ahead == size and source % 2 == 0)
        ways = [_walk(size, source, target, step) for step in ((1, -1) if up_first else (-1, 1))]
    for way in ways:
        if not any(hop in failed for hop in way):
            return way
    raise Unreachable


def routed(sent: list[Message], topology: str, size: int, failed: Collection[Hop] = ()) -> list[Message]:
    """Return the hops of messages as messages between neighbours; those of a hop start when the hop before has ended.

    Messages of one step over one link are one message. Raises `Unreachable` where there is no way.
    """
    loads: dict[tuple[int, int, Hop], float] = {}
    for message in sent:
        for place, hop in enumerate(route(topology, size, message.source, message.target, failed)):
            key = (message.step, place, hop)
            loads[key] = loads.get(key, 0.0) + message.elements
    steps = {key: step for step, key in enumerate(sorted({key[:2] for key in loads}))}
    whole = [Message(steps[step, place], *hop, elements) for (step, place, hop), elements in loads.items()]
    return sorted(whole, key=lambda each: each.step)


def moved(sent: list[Message], size: int, by: int) -> list[Message]:
    """Return messages with the places of all chips moved on by `by`, around the group."""
    return [
        replace(each, source=(each.source + by) % size, target=(each.target + by) % size) if by else each
        for each in sent
    ]


def _walk(size: int, source: int, target: int, step: int) -> list[Hop]:
    hops, here = [], source
    while here != target:
        there = (here + step) % size
        hops.append((here, there))
        here = there
    return hops
