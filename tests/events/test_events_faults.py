"""Links, chips and HBM stacks that fail: detours, stops, repairs, and what both grains say of them."""

import numpy as np
import pytest
from event_cases import BINDING, TINY, check_conserved, serve

from hwsim import Fault
from hwsim.events.links import ALIKE, Fabric, LinkClasses, Unreachable
from hwsim.events.serve import GRAINS
from hwsim.events.traffic import closed_loop
from hwsim.fabric import ALGORITHMS, KINDS, messages
from hwsim.mapping import Collective

WIDE = {"rows": 4, "columns": 4}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("axis", ["column", "row"])
def test_rounds_are_the_messages_of_every_group(kind, algorithm, axis):
    fabric = Fabric(3, 5, algorithm, 2.0)
    size = fabric.size(axis)
    for root in range(size if kind == "reduce" else 1):
        rounds = fabric.rounds(Collective("x", kind, axis, 8.0), root)
        sent = messages(kind, 8.0, size, algorithm)
        assert len(rounds) == len({message.step for message in sent})
        total = sum(len(fabric.members(link)) * seconds for part in rounds for link, seconds in part.items())
        assert total == pytest.approx(2.0 * sum(message.elements for message in sent) * (15 // size))
        if kind == "reduce":
            assert all(link[3] == root for link in rounds[-1])


def test_a_detour_passes_a_peer_and_loses_nothing():
    exchange = Collective("x", "all-reduce", "column", 10.0)
    whole, broken = Fabric(4, 4, "direct", 1.0), Fabric(4, 4, "direct", 1.0, [(1, 9)])
    assert [len(part) for part in whole.rounds(exchange, 0)] == [12]
    first, second = broken.rounds(exchange, 0)
    # Column 1 lost the link of its chips 0 and 2, both ways; the other three columns are as before.
    gone = {("column", 1, 0, 2), ("column", 1, 2, 0)}
    assert not gone & (first.keys() | second.keys())
    assert {link for link in first if link[1] == ALIKE} == whole.rounds(exchange, 0)[0].keys()
    assert sum(second.values()) == 20.0 and {link[1] for link in second} == {1}
    own = {link: seconds for link, seconds in first.items() if link[1] == 1}
    assert sum(own.values()) == 120.0
    assert len(broken.members(("column", ALIKE, 0, 1))) == 3


def test_no_peer_no_way():
    with pytest.raises(Unreachable):
        Fabric(2, 2, "direct", 1.0, [(0, 2)]).rounds(Collective("x", "all-reduce", "column", 1.0), 0)
    # Rows are whole.
    assert Fabric(2, 2, "direct", 1.0, [(0, 2)]).rounds(Collective("x", "all-reduce", "row", 1.0), 0)


def test_links_with_equal_loads_are_one_until_a_failure_parts_them():
    classes = LinkClasses()
    exchanges = [Collective("x", "all-reduce", "column", 4.0), Collective("y", "reduce", "column", 2.0)]

    def programs(fabric):
        return [[part for exchange in exchanges for part in fabric.rounds(exchange, root)] for root in range(4)]

    whole = Fabric(4, 4, "direct", 1.0)
    classes.refine(whole, programs(whole))
    # One class for each row that a link leads to, one for the idle row links.
    assert len(classes.free_s) == 5
    classes.free_s[:] = [1.0, 2.0, 3.0, 4.0, 5.0]
    known = dict(classes.number)
    broken = Fabric(4, 4, "direct", 1.0, [(0, 4)])
    classes.refine(broken, programs(broken))
    assert len(classes.free_s) > 5
    for (axis, _, source, target), number in classes.number.items():
        before = known[axis, ALIKE, source, target]
        assert classes.free_s[number] == classes.free_s[before]


@pytest.mark.slow
@pytest.mark.parametrize("grain", GRAINS)
def test_a_lost_link_slows_the_machine_and_loses_no_one(grain):
    traffic = closed_loop(30, 60, prompt=40, output=20)
    set = {**WIDE, "link_bandwidth_bytes_per_s": 4e9}
    whole = serve(traffic, grain, set=set)
    broken = serve(traffic, grain, set=set, faults=[Fault("link", 0.0, 0, 4)])
    check_conserved(broken, traffic)
    assert broken.states["finished"] == 60
    assert 0.4 < broken.tokens_per_s / whole.tokens_per_s < 0.75


@pytest.mark.slow
def test_both_grains_see_a_lost_link_alike():
    traffic = closed_loop(30, 90, prompt=40, output=20)
    set = {**WIDE, "link_bandwidth_bytes_per_s": 4e9}
    at_s = serve(traffic, "service", set=set).duration_s / 3
    one, other = (serve(traffic, grain, set=set, faults=[Fault("link", at_s, 5, 7)]) for grain in GRAINS)
    assert one.tokens_per_s == pytest.approx(other.tokens_per_s, rel=0.05)


@pytest.mark.parametrize("grain", GRAINS)
def test_a_link_without_a_detour_stops_the_machine(grain):
    traffic = closed_loop(4, 40, prompt=20, output=20)
    served = serve(traffic, grain, faults=[Fault("link", 1e-4, 0, 1)])
    check_conserved(served, traffic)
    assert served.states["failed"] > 0 and served.states["finished"] > 0
    assert np.all(served.end_s[served.state == 3] >= 1e-4 * (1 - 1e-12))


@pytest.mark.slow
@pytest.mark.parametrize("grain", GRAINS)
def test_a_chip_takes_what_runs_with_it_and_a_spare_serves_on(grain):
    traffic = closed_loop(4, 40, prompt=20, output=20)
    set = BINDING["latency"]
    whole = serve(traffic, grain, set=set)
    repaired = serve(traffic, grain, set=set, faults=[Fault("chip", 1e-4, 3, repair_s=1e-3)])
    gone = serve(traffic, grain, set=set, faults=[Fault("chip", 1e-4, 3)])
    for served in (repaired, gone):
        check_conserved(served, traffic)
    assert repaired.states == whole.states | {"finished": 36, "failed": 4}
    # Nothing ends while the machine stands; users whose requests failed send others, which wait.
    standing = (repaired.end_s > 1.001e-4) & (repaired.end_s < 1.1e-3)
    assert not standing.any()
    assert repaired.waiting_s.max() >= 0.999e-3
    assert gone.states["failed"] == 40 - gone.states["finished"] > 4


@pytest.mark.parametrize("grain", GRAINS)
def test_a_fault_may_be_told_to_stop_the_machine(grain):
    traffic = closed_loop(4, 40, prompt=20, output=20)
    served = serve(traffic, grain, faults=[Fault("hbm", 1e-4, 0, stop=True)])
    assert served.states["failed"] > 0
    assert served.duration_s == pytest.approx(1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("grain", GRAINS)
def test_a_slow_stack_slows_what_waits_for_hbm(grain):
    traffic = closed_loop(8, 24, prompt=60, output=40)
    set = BINDING["hbm"]
    whole = serve(traffic, grain, set=set)
    slow = serve(traffic, grain, set=set, faults=[Fault("hbm", 0.0, 1, speed=0.25)])
    assert slow.states["finished"] == 24
    assert slow.duration_s > 1.5 * whole.duration_s


@pytest.mark.parametrize("grain", GRAINS)
def test_faults_after_the_end_change_nothing(grain):
    traffic = closed_loop(2, 4, prompt=5, output=5)
    plain = serve(traffic, grain)
    later = serve(traffic, grain, faults=[Fault("chip", 1e3, 0), Fault("link", 1e3, 0, 1)])
    assert later.duration_s == plain.duration_s
    assert np.array_equal(later.end_s, plain.end_s)
    assert TINY.layers == 4
