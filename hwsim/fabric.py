"""Collectives on a fully linked row or column of chips: as message lists, and as closed forms that agree with them.

Costs follow the latency-bandwidth (Hockney) model: a step takes the link latency plus the bytes of its busiest link
over the bandwidth. Algorithms: Thakur, Rabenseifner and Gropp, "Optimization of Collective Communication Operations
in MPICH", IJHPCA 19(1), 2005.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from hwbase import Record, unknown_name
from hwbase.check import Number, count, non_negative

#: Every chip to every peer at once; around a ring; up and down a binary tree.
ALGORITHMS = ("direct", "ring", "tree")
KINDS = ("all-reduce", "reduce", "all-gather")


@dataclass(frozen=True)
class Message(Record):
    """One transfer of a collective: messages of a later `step` wait for those of the earlier ones."""

    step: int
    source: int
    target: int
    elements: float


@dataclass(frozen=True)
class LinkLoad(Record):
    """What a collective asks of the links: `elements` over the busiest directed one, in `steps` dependent steps.

    `path` is the elements that one step after the other takes, the busiest message of each: what the latency of a
    single collective pays for, where `elements` is what the throughput of many does.
    """

    elements: Number
    steps: Number
    path: Number


def link_load(kind: str, vector: Number, group: Number, algorithm: str = "direct") -> LinkLoad:
    """Return the load on the busiest directed link when `group` chips run `kind` on vectors of `vector` elements.

    all-reduce: every chip holds a partial sum of the whole vector and ends with the total. reduce: one chip ends with
    it. all-gather: every chip contributes `vector` elements and ends with all of them. A group of one costs nothing.
    Broadcasts over arrays. Raises `InputError` for unknown names and sizes that are negative.

    >>> load = link_load("all-reduce", 2880, group=4, algorithm="ring")
    >>> float(load.elements), float(load.steps)
    (4320.0, 6.0)
    """
    _known(kind, algorithm)
    v = non_negative("vector", vector)
    g = np.asarray(count("group", group, high=1e6), dtype=float)
    alone = g <= 1
    elements, steps, path = (np.where(alone, 0.0, part)[()] for part in _loads(kind, algorithm, v, g))
    return LinkLoad(elements, steps, path)


def _loads(kind: str, algorithm: str, v: Number, g: Number) -> tuple[Number, Number, Number]:
    """(elements, steps, path) in a group of more than one."""
    if algorithm == "direct":
        return v, 1.0, v
    if algorithm == "ring":
        share = {"all-reduce": 2.0 / g, "reduce": 1.0, "all-gather": 1.0}[kind] * (g - 1.0) * v
        return (v if kind == "reduce" else share), (2.0 if kind == "all-reduce" else 1.0) * (g - 1.0), share
    levels = np.ceil(np.log2(np.maximum(g, 1.0)))
    if kind == "all-gather":
        # What goes up at a level and what comes down make up the whole; exact for powers of two.
        return v * (g - 1.0), 2.0 * levels, levels * g * v
    steps = levels if kind == "reduce" else 2.0 * levels
    return v, steps, steps * v


def messages(kind: str, vector: float, group: int, algorithm: str = "direct") -> list[Message]:
    """Return the messages of a collective on chips 0 .. group - 1 (a reduce ends on chip 0), in order of their steps.

    Raises `InputError` as `link_load` does.
    """
    _known(kind, algorithm)
    v, g = float(non_negative("vector", vector)), int(count("group", group, high=4096))
    if g == 1:
        return []
    if algorithm == "direct":
        targets = [0] if kind == "reduce" else range(g)
        return [Message(0, s, t, v) for s in range(g) for t in targets if s != t]
    if algorithm == "ring":
        return _ring(kind, v, g)
    return _tree(kind, v, g)


def busiest_link(sent: list[Message]) -> LinkLoad:
    """Return the link load of a message list: the most loaded directed link, the steps, the busiest of each step."""
    per_link: Counter[tuple[int, int]] = Counter()
    for message in sent:
        per_link[message.source, message.target] += message.elements  # type: ignore[assignment]
    steps = {message.step: 0.0 for message in sent}
    for message in sent:
        steps[message.step] = max(steps[message.step], message.elements)
    return LinkLoad(float(max(per_link.values(), default=0.0)), float(len(steps)), float(sum(steps.values())))


def _ring(kind: str, vector: float, group: int) -> list[Message]:
    if kind == "reduce":
        return [Message(step, group - 1 - step, group - 2 - step, vector) for step in range(group - 1)]
    rounds, size = (2 * (group - 1), vector / group) if kind == "all-reduce" else (group - 1, vector)
    return [Message(step, chip, (chip + 1) % group, size) for step in range(rounds) for chip in range(group)]


def _tree(kind: str, vector: float, group: int) -> list[Message]:
    levels = int(np.ceil(np.log2(group)))
    up, down = [], []
    for level in range(levels):
        stride = 2**level
        for root in range(0, group - stride, 2 * stride):
            child = root + stride
            below = min(stride, group - child)
            gathers = kind == "all-gather"
            up.append(Message(level, child, root, vector * below if gathers else vector))
            # What comes down a gathering tree is everything the child does not have yet.
            back = vector * (group - below) if gathers else vector
            down.append(Message(2 * levels - 1 - level, root, child, back))
    return up if kind == "reduce" else up + sorted(down, key=lambda m: m.step)


def _known(kind: str, algorithm: str) -> None:
    if kind not in KINDS:
        raise unknown_name("collective", kind, KINDS)
    if algorithm not in ALGORITHMS:
        raise unknown_name("collective algorithm", algorithm, ALGORITHMS)
