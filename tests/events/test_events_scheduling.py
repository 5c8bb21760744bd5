"""Who is served when: policies, priorities, caps, patience, memory, and input that cannot be used."""

import numpy as np
import pytest
from event_cases import GRID, TINY, check_conserved, serve

import hwsim
from hwsim import Fault, InputError, Scheduling
from hwsim.events.recording import Recording
from hwsim.events.serve import GRAINS
from hwsim.events.traffic import Traffic, closed_loop

NAN, INF = float("nan"), float("inf")
pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


def at_once(prompts, outputs=4, **given):
    n = len(prompts)
    return Traffic("at once", np.zeros(n), np.asarray(prompts), np.broadcast_to(outputs, n).copy(), **given)


@pytest.mark.parametrize("grain", GRAINS)
@pytest.mark.slow
def test_policies_order_those_that_wait(grain):
    prompts = [300, 200, 100, 250]
    first, shortest = (
        serve(at_once(prompts), grain, scheduling=Scheduling(policy, most_running=1))
        for policy in ("first-come", "shortest-prompt")
    )
    assert np.array_equal(np.argsort(first.admitted_s), [0, 1, 2, 3])
    # The first is taken up when it arrives, alone.
    assert np.array_equal(np.argsort(shortest.admitted_s), [0, 2, 1, 3])
    assert np.nanmean(shortest.time_to_first_token_s) < np.nanmean(first.time_to_first_token_s)


@pytest.mark.parametrize("grain", GRAINS)
@pytest.mark.parametrize("policy", ["first-come", "shortest-prompt"])
@pytest.mark.slow
def test_priority_goes_before_policy(grain, policy):
    traffic = at_once([100, 50, 60, 70], priority=[0, 2, 1, 0])
    served = serve(traffic, grain, scheduling=Scheduling(policy, most_running=1))
    assert np.array_equal(np.argsort(served.admitted_s), [0, 3, 2, 1])


@pytest.mark.slow
@pytest.mark.parametrize("grain", GRAINS)
def test_a_prefill_cap_protects_those_that_decode(grain):
    # One sequence decodes while long prompts are read.
    traffic = at_once([1] + [400] * 6, [100] + [1] * 6)
    set = {**GRID, "link_bandwidth_bytes_per_s": 8e9}
    free, capped = (serve(traffic, grain, set=set, scheduling=Scheduling(prefill_cap=cap)) for cap in (None, 3))
    assert capped.time_per_output_token_s[0] < 0.6 * free.time_per_output_token_s[0]
    assert np.nanmax(capped.time_to_first_token_s) >= 0.99 * np.nanmax(free.time_to_first_token_s)


@pytest.mark.parametrize("grain", GRAINS)
@pytest.mark.slow
def test_users_who_leave_wait_no_longer_than_their_patience(grain):
    n = 30
    traffic = at_once([200] * n, 50, cancel_s=np.full(n, 1e-4))
    served = serve(traffic, grain)
    check_conserved(served, traffic)
    assert served.states["cancelled"] > 0
    left = served.end_s[served.state == 1] - served.arrival_s[served.state == 1]
    assert left == pytest.approx(1e-4, rel=1e-9)


@pytest.mark.parametrize("grain", GRAINS)
def test_requests_beyond_the_longest_context_are_refused_at_once(grain):
    traffic = at_once([10, 1_000_000, 20])
    served = serve(traffic, grain, scheduling=Scheduling(max_context=1000))
    assert served.states == {"finished": 2, "cancelled": 0, "rejected": 1, "failed": 0, "unfinished": 0}
    assert served.end_s[1] == 0.0 and np.isnan(served.admitted_s[1])


@pytest.mark.parametrize("grain", GRAINS)
@pytest.mark.slow
def test_a_full_memory_admits_one_after_the_other(grain):
    # Room for two sequences of 100 positions: the table takes 4096 x 512 x 2 bytes.
    per_sequence = (2 * 100 + 2 * 32) * 2 * 4 * 32 * 2
    table = 4096 * 512 * 2
    set = {
        **GRID,
        "buffer_banks": 1,
        "buffer_bank_bytes": 1024.0,
        "hbm_stacks": 1,
        "hbm_stack_bytes": (table + 2.5 * per_sequence) / 4 - 1024,
    }
    traffic = closed_loop(6, 6, prompt=60, output=40)
    served = serve(traffic, grain, set=set)
    check_conserved(served, traffic)
    running = served.admitted_s[:, None] <= served.admitted_s
    under_way = (running & (served.end_s[:, None] > served.admitted_s)).sum(axis=0)
    assert under_way.max() == 2
    # One that would never fit is refused.
    huge = serve(at_once([60, 500]), grain, set=set)
    assert huge.states["rejected"] == 1 and huge.states["finished"] == 1


@pytest.mark.slow
def test_what_the_buffers_do_not_hold_comes_from_hbm_and_may_stall():
    def run(bandwidth):
        set = {**GRID, "buffer_banks": 1, "hbm_stack_bandwidth_bytes_per_s": bandwidth}
        return serve(closed_loop(4, 4, prompt=40, output=40), "detailed", set=set)

    fast, slow = run(1e13), run(2e7)
    assert 0.0 < fast.utilisation["HBM"] < 0.01
    assert slow.utilisation["HBM"] > 0.9
    assert "waited" in slow.notes[1]
    assert slow.duration_s > 2 * fast.duration_s


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"policy": "first-comes"}, "did you mean 'first-come'"),
        ({"prefill_cap": 0}, "prefill_cap = 0"),
        ({"prefill_cap": NAN}, "prefill_cap"),
        ({"max_context": -1}, "max_context = -1"),
        ({"max_context": INF}, "max_context"),
        ({"max_context": 1e40}, "max_context"),
        ({"most_running": 1.5}, "most_running = 1.5"),
        ({"most_running": True}, "most_running"),
    ],
)
def test_bad_scheduling(given, said):
    with pytest.raises(InputError, match=said):
        Scheduling(**given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "links", "at_s": 0, "chip": 0}, "did you mean 'link'"),
        ({"kind": "link", "at_s": 0, "chip": 0}, "peer = None"),
        ({"kind": "chip", "at_s": 0, "chip": 0, "peer": 1}, "peer = 1"),
        ({"kind": "chip", "at_s": NAN, "chip": 0}, "at_s"),
        ({"kind": "chip", "at_s": -1, "chip": 0}, "at_s = -1"),
        ({"kind": "chip", "at_s": 0, "chip": -1}, "chip = -1"),
        ({"kind": "chip", "at_s": 0, "chip": 0.5}, "chip = 0.5"),
        ({"kind": "chip", "at_s": 0, "chip": 0, "repair_s": 0}, "repair_s = 0"),
        ({"kind": "hbm", "at_s": 0, "chip": 0, "speed": 0}, "speed = 0"),
        ({"kind": "hbm", "at_s": 0, "chip": 0, "speed": 1.5}, "speed = 1.5"),
    ],
)
def test_bad_faults(given, said):
    with pytest.raises(InputError, match=said):
        Fault(**given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"on": "hnlpus"}, "did you mean 'hnlpu'"),
        ({"grain": "detail"}, "did you mean 'detailed'"),
        ({"grain": "detailed", "machines": 2}, "machines = 2"),
        ({"machines": 0}, "machines = 0"),
        ({"route": "round-robins"}, "did you mean 'round-robin'"),
        ({"record": Recording()}, "expected grain = 'detailed'"),
        ({"on": "h100", "set": {}, "grain": "detailed"}, "service grain only"),
        ({"faults": [Fault("chip", 0.0, 4)]}, "chip = 4"),
        ({"faults": [Fault("link", 0.0, 0, 3)]}, "no link joins chips 0 and 3"),
        ({"faults": [Fault("link", 0.0, 1, 1)]}, "no link joins chips 1 and 1"),
        ({"set": {**GRID, "clock_hz": [1e9, 2e9]}}, "clock_hz is an array"),
        ({"set": {**GRID, "clocks": 1}}, "clock"),
    ],
)
def test_bad_input_of_serve(given, said):
    with pytest.raises(InputError, match=said):
        hwsim.serve(TINY, closed_loop(1, 1), **{"set": GRID, **given})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"start_s": -1.0}, "start_s"),
        ({"start_s": NAN}, "start_s"),
        ({"start_s": 1.0, "end_s": 1.0}, "end_s"),
        ({"most": 0}, "most = 0"),
        ({"most": 1e30}, "most"),
    ],
)
def test_bad_recordings(given, said):
    with pytest.raises(InputError, match=said):
        Recording(**given)
