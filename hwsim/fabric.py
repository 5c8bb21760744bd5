"""Collectives on a fully linked row or column of chips, as message lists and as closed forms that agree with them.

Costs follow the latency-bandwidth (Hockney) model: a step takes the link latency plus the bytes of its busiest link
over the bandwidth. Algorithms: Thakur, Rabenseifner and Gropp, "Optimization of Collective Communication Operations
in MPICH", IJHPCA 19(1), 2005.
"""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from hwbase import Record, unknown_name
from hwbase.check import Number, count, integer, non_negative, real

#: Every chip to every peer at once; the same with an all-reduce in two steps, reduce-scatter and all-gather; around a
#: ring; up and down a binary tree.
ALGORITHMS = ("direct", "two-phase", "ring", "tree")
#: The one of them that takes the least time, for each exchange of a layer.
CHEAPEST = "cheapest"
COLLECTIVES = (*ALGORITHMS, CHEAPEST)
KINDS = ("all-reduce", "reduce", "reduce-scatter", "all-gather")


@dataclass(frozen=True)
class Message(Record):
    """One transfer of a collective. Messages of a step start when those of the step before have arrived."""

    step: int
    source: int
    target: int
    elements: float


@dataclass(frozen=True)
class LinkLoad(Record):
    """Load of a collective on the links: `elements` over the busiest directed link, in `steps` dependent steps.

    `path` is the sum over steps of the elements of the largest message. It sets the latency of one collective;
    `elements` sets the throughput of many.
    """

    elements: Number
    steps: Number
    path: Number


def link_load(kind: str, vector: Number, group: Number, algorithm: str = "direct") -> LinkLoad:
    """Return the load on the busiest directed link when `group` chips run `kind` on vectors of `vector` elements.

    Parameters
    ----------
    kind : str
        "all-reduce": every chip holds a partial sum of the whole vector and ends with the total. "reduce": one chip
        ends with the total. "reduce-scatter": every chip ends with its share, 1 / `group`, of the total. "all-gather":
        every chip contributes `vector` elements and ends with all of them.
    vector : float or array
        Elements, >= 0.
    group : int or array
        Chips, >= 1. A group of one sends nothing.
    algorithm : str
        One of `ALGORITHMS`.

    Returns
    -------
    LinkLoad
        Its numbers broadcast over `vector` and `group`.

    Raises
    ------
    InputError
        For an unknown name or a size out of range.

    Examples
    --------
    >>> load = link_load("all-reduce", 2880, group=4, algorithm="ring")
    >>> float(load.elements), float(load.steps)
    (4320.0, 6.0)
    """
    _check_names(kind, algorithm)
    v = non_negative("vector", vector)
    g = np.asarray(count("group", group, high=1e6), dtype=float)
    alone = g <= 1
    elements, steps, path = (np.where(alone, 0.0, part)[()] for part in _loads(kind, algorithm, v, g))
    return LinkLoad(elements, steps, path)


def _loads(kind: str, algorithm: str, v: Number, g: Number) -> tuple[Number, Number, Number]:
    """(elements, steps, path) in a group of more than one."""
    if algorithm in ("direct", "two-phase"):
        if kind == "reduce-scatter":
            return v / g, 1.0, v / g
        if kind == "all-reduce" and algorithm == "two-phase":
            return 2.0 * v / g, 2.0, 2.0 * v / g
        return v, 1.0, v
    if algorithm == "ring":
        part = {"all-reduce": 2.0 / g, "reduce": 1.0, "reduce-scatter": 1.0 / g, "all-gather": 1.0}[kind]
        share = part * (g - 1.0) * v
        return (v if kind == "reduce" else share), (2.0 if kind == "all-reduce" else 1.0) * (g - 1.0), share
    levels = np.ceil(np.log2(np.maximum(g, 1.0)))
    if kind == "reduce-scatter":
        # The way of an all-gather of the shares, backwards.
        kind, v = "all-gather", v / g
    if kind == "all-gather":
        # What goes up and what comes down at a level add up to the whole vector; exact for powers of two.
        return v * (g - 1.0), 2.0 * levels, levels * g * v
    steps = levels if kind == "reduce" else 2.0 * levels
    return v, steps, steps * v


def messages(kind: str, vector: float, group: int, algorithm: str = "direct") -> list[Message]:
    """Return the messages of a collective on chips 0 .. group - 1, in the order of their steps.

    Parameters
    ----------
    kind : str
        The collective, as in `link_load`.
    vector : float
        Bytes of the vector of each chip.
    group : int
        Number of chips. A reduce ends on chip 0.
    algorithm : str
        The algorithm, as in `link_load`.

    Returns
    -------
    list of Message

    Raises
    ------
    InputError
        For an unknown name or a size out of range.
    """
    _check_names(kind, algorithm)
    v, g = real("vector", vector, low=0.0), integer("group", group, high=4096)
    if g == 1:
        return []
    if algorithm in ("direct", "two-phase"):
        if algorithm == "two-phase" and kind == "all-reduce":
            return _direct("reduce-scatter", v, g) + [replace(m, step=1) for m in _direct("all-gather", v / g, g)]
        return _direct(kind, v, g)
    if algorithm == "ring":
        return _ring(kind, v, g)
    return _tree(kind, v, g)


def busiest_link(transfers: list[Message]) -> LinkLoad:
    """Return the load of a list of messages: the busiest directed link, the steps, the largest message of each step."""
    per_link: Counter[tuple[int, int]] = Counter()
    for message in transfers:
        per_link[message.source, message.target] += message.elements  # type: ignore[assignment]
    steps = {message.step: 0.0 for message in transfers}
    for message in transfers:
        steps[message.step] = max(steps[message.step], message.elements)
    return LinkLoad(float(max(per_link.values(), default=0.0)), float(len(steps)), float(sum(steps.values())))


def _direct(kind: str, vector: float, group: int) -> list[Message]:
    targets = [0] if kind == "reduce" else range(group)
    size = vector / group if kind == "reduce-scatter" else vector
    return [Message(0, source, target, size) for source in range(group) for target in targets if source != target]


def _ring(kind: str, vector: float, group: int) -> list[Message]:
    if kind == "reduce":
        return [Message(step, group - 1 - step, group - 2 - step, vector) for step in range(group - 1)]
    rounds = (2 if kind == "all-reduce" else 1) * (group - 1)
    size = vector if kind == "all-gather" else vector / group
    return [Message(step, chip, (chip + 1) % group, size) for step in range(rounds) for chip in range(group)]


def _tree(kind: str, vector: float, group: int) -> list[Message]:
    if kind == "reduce-scatter":
        # What an all-gather copies from chip to chip comes back as sums, in the opposite order.
        gathered = _tree("all-gather", vector / group, group)
        last = gathered[-1].step
        returned = [replace(m, step=last - m.step, source=m.target, target=m.source) for m in gathered]
        return sorted(returned, key=lambda m: m.step)
    levels = int(np.ceil(np.log2(group)))
    up, down = [], []
    for level in range(levels):
        stride = 2**level
        for root in range(0, group - stride, 2 * stride):
            child = root + stride
            below = min(stride, group - child)
            gathers = kind == "all-gather"
            up.append(Message(level, child, root, vector * below if gathers else vector))
            # A gathering tree sends down what the child does not have yet.
            back = vector * (group - below) if gathers else vector
            down.append(Message(2 * levels - 1 - level, root, child, back))
    return up if kind == "reduce" else up + sorted(down, key=lambda m: m.step)


def _check_names(kind: str, algorithm: str) -> None:
    if kind not in KINDS:
        raise unknown_name("collective", kind, KINDS)
    if algorithm not in ALGORITHMS:
        raise unknown_name("collective algorithm", algorithm, ALGORITHMS)
