"""The load of collectives on the links of a grid: by closed form where all pairs are joined, by routes otherwise."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from hwbase import Record
from hwbase.check import Number
from hwsim.fabric import ALGORITHMS, CHEAPEST, LinkLoad, link_load, messages
from hwsim.topology import PAIRS, links, moved, routed

if TYPE_CHECKING:
    from hwsim.mapping import Collective

#: What `grid_loads` returns: elements over the busiest link of a column and of a row, and over the mean one; dependent
#: steps, and the elements of their path.
LOADS = ("column", "row", "column_mean", "row_mean", "steps", "path")


@dataclass(frozen=True)
class _Counted(Record):
    """The load of a collective of one element by link, in the order of `hwsim.topology.links`; steps and path."""

    elements: np.ndarray
    steps: float
    path: float


@dataclass(frozen=True)
class PairLoad(LinkLoad):
    """The load of a collective where all pairs are joined, and the `mean` elements over its links.

    A reduce counts in the mean as it does on average over the chips that it ends on.
    """

    mean: Number = 0.0


def pair_load(kind: str, vector: Number, group: Number, algorithm: str, step_elements: Number = 0.0) -> PairLoad:
    """Return `hwsim.fabric.link_load` with its mean, also of the algorithm with the least time.

    Parameters
    ----------
    kind : str
        The collective, as in `link_load`.
    vector : float or array
        Elements of the vector of each chip.
    group : int or array
        Chips.
    algorithm : str
        One of `hwsim.fabric.COLLECTIVES`.
    step_elements : float or array
        Elements that a link carries in the latency of a step, which a step costs.

    Returns
    -------
    PairLoad
        Of equally fast algorithms that of the first in `hwsim.fabric.ALGORITHMS`.
    """
    if algorithm != CHEAPEST:
        load = link_load(kind, vector, group, algorithm)
        return PairLoad(load.elements, load.steps, load.path, _mean_elements(kind, algorithm, vector, group))
    loads = [pair_load(kind, vector, group, each) for each in ALGORITHMS]
    times = np.broadcast_arrays(*(each.steps * np.asarray(step_elements) + each.path for each in loads))
    fastest = np.argmin(times, axis=0)

    def chosen(name: str) -> Number:
        parts = np.broadcast_arrays(fastest, *(getattr(each, name) for each in loads))[1:]
        return np.choose(fastest, parts)[()]

    return PairLoad(chosen("elements"), chosen("steps"), chosen("path"), chosen("mean"))


def cheapest(kind: str, vector: float, group: int, topology: str, step_elements: float) -> str:
    """Return the algorithm with the least time for one collective in a row or column of `group` chips."""
    if topology == PAIRS:
        loads = [link_load(kind, vector, group, each) for each in ALGORITHMS]
        times = [float(each.steps) * step_elements + float(each.path) for each in loads]
    else:
        counts = [_counted(kind, each, group, topology) for each in ALGORITHMS]
        times = [each.steps * step_elements + each.path * vector for each in counts]
    return ALGORITHMS[int(np.argmin(times))]


def grid_loads(
    exchanges: "Sequence[Collective]",
    rows: Number,
    columns: Number,
    algorithm: str,
    topology: str,
    step_elements: Number,
    rotating: bool,
) -> dict[str, Number]:
    """Return `LOADS` of `exchanges` by name; parameters as in `hwsim.mapping.link_elements`, numbers or arrays."""
    if topology != PAIRS:
        sizes = np.broadcast_arrays(rows, columns, step_elements, *(each.elements for each in exchanges))
        points = zip(*(each.ravel() for each in sizes), strict=True)
        loads = [
            routed_load(exchanges, vectors, int(r), int(c), algorithm, topology, float(step))
            for r, c, step, *vectors in points
        ]
        shape = sizes[0].shape
        return {name: np.reshape(each, shape)[()] for name, each in zip(LOADS, zip(*loads, strict=True), strict=True)}
    totals: dict[str, Number] = dict.fromkeys(LOADS, 0.0)
    for exchange in exchanges:
        group = rows if exchange.axis == "column" else columns
        load = pair_load(exchange.kind, exchange.elements, group, algorithm, step_elements)
        share = group if rotating and exchange.kind == "reduce" else 1.0
        totals[exchange.axis] = totals[exchange.axis] + load.elements / share
        totals["steps"] = totals["steps"] + load.steps
        totals["path"] = totals["path"] + load.path
        totals[f"{exchange.axis}_mean"] = totals[f"{exchange.axis}_mean"] + load.mean
    return totals


def routed_load(
    exchanges: "Sequence[Collective]",
    vectors: Sequence[float],
    rows: int,
    columns: int,
    algorithm: str,
    topology: str,
    step_elements: float = 0.0,
) -> tuple[float, ...]:
    """Return `LOADS` of `exchanges` on one grid, message by message.

    Parameters
    ----------
    exchanges : sequence of Collective
    vectors : sequence of float
        Elements of each, in place of its own.
    rows, columns : int
        Chips of a column and of a row of the grid.
    algorithm : str
        One of `hwsim.fabric.COLLECTIVES`.
    topology : str
        One of `hwsim.topology.TOPOLOGIES`.
    step_elements : float
        As in `pair_load`.

    Returns
    -------
    tuple of float
        A reduce ends on each chip in turn; its loads, steps and path are means over them.
    """
    sizes = {"column": rows, "row": columns}
    on_links = {axis: np.zeros(len(links(topology, size))) for axis, size in sizes.items()}
    steps = path = 0.0
    for exchange, vector in zip(exchanges, vectors, strict=True):
        size = sizes[exchange.axis]
        if size == 1 or not vector:
            continue
        how = cheapest(exchange.kind, vector, size, topology, step_elements) if algorithm == CHEAPEST else algorithm
        counted = _counted(exchange.kind, how, size, topology)
        on_links[exchange.axis] += counted.elements * vector
        steps += counted.steps
        path += counted.path * vector
    busiest = [float(each.max(initial=0.0)) for each in on_links.values()]
    means = [float(each.mean()) if each.size else 0.0 for each in on_links.values()]
    return (*busiest, *means, steps, path)


def _mean_elements(kind: str, algorithm: str, vector: Number, group: Number) -> Number:
    """Return the elements over a link on average: all that is sent, over the `group` x (`group` - 1) links."""
    if kind == "all-gather" or (kind == "all-reduce" and algorithm == "direct"):
        mean = np.asarray(vector)
    else:
        mean = (2.0 if kind == "all-reduce" else 1.0) * np.asarray(vector) / group
    return np.where(np.greater(group, 1), mean, 0.0)[()]


@cache
def _counted(kind: str, algorithm: str, size: int, topology: str) -> _Counted:
    """Return the load of a collective of vectors of one element in a group of `size` chips."""
    place = {link: index for index, link in enumerate(links(topology, size))}
    sent = messages(kind, 1.0, size, algorithm)
    roots = range(size) if kind == "reduce" else range(1)
    elements = np.zeros(len(place))
    steps = path = 0.0
    for root in roots:
        largest: dict[int, float] = {}
        for message in routed(moved(sent, size, root), topology, size):
            elements[place[message.source, message.target]] += message.elements
            largest[message.step] = max(largest.get(message.step, 0.0), message.elements)
        steps += len(largest)
        path += sum(largest.values())
    return _Counted(elements / len(roots), steps / len(roots), path / len(roots))
