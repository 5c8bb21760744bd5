"""Topologies of a grid: ways of messages, and loads against counts that know nothing of the package's routing."""

from collections import Counter, deque
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwsim
import models
from hwsim.fabric import ALGORITHMS, KINDS, messages
from hwsim.loads import cheapest, grid_loads, pair_load
from hwsim.mapping import Collective, collectives, layer_links, link_elements
from hwsim.topology import MESH, PAIRS, SWITCH, TOPOLOGIES, TORUS, Unreachable, links, mean_links, neighbours, route

GPT = models.load("gpt-oss-120b")
ROUTED = (TORUS, MESH, SWITCH)
sizes = pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 9])


def joined(topology, size):
    """The neighbours of every place, written down by hand."""
    if topology == SWITCH:
        return {chip: [size] for chip in range(size)} | {size: list(range(size))}
    if topology == PAIRS:
        return {chip: [other for other in range(size) if other != chip] for chip in range(size)}
    ends = {chip: [chip - 1, chip + 1] for chip in range(size)}
    if topology == TORUS:
        return {chip: sorted({each % size for each in beside} - {chip}) for chip, beside in ends.items()}
    return {chip: [each for each in beside if 0 <= each < size] for chip, beside in ends.items()}


def distances(topology, size, source):
    """Fewest links from one place to all others, by a search in breadth."""
    beside, found, queue = joined(topology, size), {source: 0}, deque([source])
    while queue:
        here = queue.popleft()
        for there in beside[here]:
            if there not in found:
                found[there] = found[here] + 1
                queue.append(there)
    return found


@sizes
@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_links_and_shortest_ways(topology, size):
    ends = links(topology, size)
    beside = joined(topology, size)
    if size > 1:
        assert sorted(ends) == sorted((a, b) for a, others in beside.items() for b in others)
    own = Counter(a for a, _ in ends if a < size)
    assert max(own.values(), default=0) == neighbours(topology, size)
    assert sum(own.values()) / size == pytest.approx(mean_links(topology, size))
    for source in range(size):
        far = distances(topology, size, source) if size > 1 else {}
        for target in set(range(size)) - {source}:
            way = route(topology, size, source, target)
            assert way[0][0] == source and way[-1][1] == target and set(way) <= set(ends)
            assert all(a[1] == b[0] for a, b in pairwise(way))
            assert len(way) == far[target]


@pytest.mark.parametrize("topology", TOPOLOGIES)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(1, 7),
    columns=st.integers(1, 7),
    sent=st.lists(
        st.tuples(st.sampled_from(KINDS), st.sampled_from(["column", "row"]), st.floats(1, 1e4)), min_size=1, max_size=4
    ),
)
def test_elements_are_those_of_every_message_times_its_way(topology, algorithm, rows, columns, sent):
    """Elements over all links: each message as often as the links that lie between its ends."""
    exchanges = [Collective("x", kind, axis, elements) for kind, axis, elements in sent]
    loads = grid_loads(exchanges, rows, columns, algorithm, topology, 0.0, True)
    side = {"column": rows, "row": columns}
    for axis, size in side.items():
        total = 0.0
        for each in exchanges:
            if each.axis != axis:
                continue
            # A reduce ends on every chip in turn.
            roots = range(size) if each.kind == "reduce" else range(1)
            for root in roots:
                for message in messages(each.kind, each.elements, size, algorithm):
                    source, target = ((place + root) % size for place in (message.source, message.target))
                    total += message.elements * distances(topology, size, source)[target] / len(roots)
        mean = total / max(len(links(topology, size)), 1)
        assert loads[f"{axis}_mean"] == pytest.approx(mean)
        assert mean * (1 - 1e-9) <= loads[axis] <= total * (1 + 1e-9)


@pytest.mark.parametrize("size", range(2, 13))
def test_the_busiest_link_of_an_exchange_between_all(size):
    """Known loads of uniform traffic: the middle of a line, every link of a ring, the port of a switch."""

    def busiest(topology):
        exchange = [Collective("x", "all-gather", "row", 1.0)]
        return link_elements(exchange, 1, size, "direct", topology=topology)["row"]

    assert busiest(MESH) == (size // 2) * ((size + 1) // 2)
    assert busiest(SWITCH) == size - 1
    odd = (size * size - 1) / 8
    if size % 2:
        assert busiest(TORUS) == odd
    else:
        # Messages to the opposite chip take one way each, which no split of an odd number of them makes even.
        assert size * size / 8 <= busiest(TORUS) <= size * size / 8 + 1


def test_a_ring_of_neighbours_needs_no_other_links():
    for kind in KINDS:
        exchange = [Collective("x", kind, "column", 720.0)]
        paired = link_elements(exchange, 8, 1, "ring", rotating=True)
        ring = link_elements(exchange, 8, 1, "ring", topology=TORUS)
        # The last of a chain of reduces ends on each chip in turn: each link rests once in eight.
        assert ring["path"] == pytest.approx(paired["path"]) and ring["steps"] == paired["steps"]
        if kind != "reduce":
            assert ring["column"] == pytest.approx(paired["column"])


@pytest.mark.parametrize("topology", ROUTED)
def test_a_single_chip_has_no_traffic_and_no_links(topology):
    loads = layer_links(GPT, 1, 1, "direct", topology=topology)
    assert set(loads.values()) == {0.0} and neighbours(topology, 1) == 0


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_arrays_are_loops(topology):
    rows, columns = np.array([1.0, 2, 4, 1]), np.array([4.0, 2, 4, 1])
    many = layer_links(GPT, rows, columns, "cheapest", topology=topology, step_elements=6400.0, rotating=True)
    for place in range(4):
        one = layer_links(
            GPT,
            int(rows[place]),
            int(columns[place]),
            "cheapest",
            topology=topology,
            step_elements=6400.0,
            rotating=True,
        )
        assert {name: float(values[place]) for name, values in many.items()} == pytest.approx(one)


@pytest.mark.parametrize("topology", TOPOLOGIES)
@settings(max_examples=40, deadline=None)
@given(kind=st.sampled_from(KINDS), group=st.integers(2, 9), vector=st.floats(1, 1e5), step=st.floats(0, 1e5))
def test_the_cheapest_takes_no_more_time_than_any(topology, kind, group, vector, step):
    exchange = [Collective("x", kind, "row", vector)]

    def time(algorithm):
        loads = link_elements(exchange, 1, group, algorithm, True, topology=topology, step_elements=step)
        return loads["steps"] * step + loads["path"]

    assert time("cheapest") == pytest.approx(min(map(time, ALGORITHMS)))
    chosen = cheapest(kind, vector, group, topology, step)
    assert time(chosen) == pytest.approx(time("cheapest"))
    if topology == PAIRS:
        load = pair_load(kind, vector, group, "cheapest", step)
        assert load.steps * step + load.path == pytest.approx(time("cheapest"))


def test_ways_around_failures():
    assert route(TORUS, 5, 0, 1, {(0, 1)}) == [(0, 4), (4, 3), (3, 2), (2, 1)]
    for topology, size in ((MESH, 4), (SWITCH, 4)):
        way = route(topology, size, 0, 2)
        with pytest.raises(Unreachable):
            route(topology, size, 0, 2, {way[0]})


def test_less_wiring_never_carries_more():
    exchanges = collectives(GPT, 4, 4)
    loads = {
        topology: link_elements(exchanges, 4, 4, "direct", True, topology=topology)["column"] for topology in TOPOLOGIES
    }
    assert loads[PAIRS] <= loads[TORUS] <= loads[MESH]
    with pytest.raises(hwsim.InputError, match="rows = 65: expected at most 64 in a mesh"):
        hwsim.simulate(GPT, set={"rows": 65, "columns": 1, "grid_topology": "mesh"})
