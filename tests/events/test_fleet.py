"""Fleets: what a router does for its users, what machines share, and the smallest fleet that keeps a promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import models
from hwbase import InputError
from hwsim.events.fleet import ROUTERS, Target, router, smallest_fleet
from hwsim.events.gpu.node import serve_accelerator
from hwsim.events.results import STATES
from hwsim.events.scheduling import Scheduling
from hwsim.events.traffic import Traffic, bursty, closed_loop, poisson

SPEC = models.load("gpt-oss-120b")


def serve(traffic, machines=1, **options):
    return serve_accelerator(SPEC, traffic, gpus=1, machines=machines, **options)


def mixed(n=300, rate=20.0, seed=0):
    random = np.random.default_rng(seed)
    return bursty(rate, n, 2.0, prompt=random.integers(10, 8000, 100), output=random.integers(1, 600, 100), seed=seed)


@pytest.mark.slow
@pytest.mark.parametrize("route", ROUTERS)
@pytest.mark.parametrize("machines", [1, 3, 8])
def test_a_fleet_loses_nothing(machines, route):
    traffic = mixed()
    result = serve(traffic, machines, route=route)
    assert result.states["finished"] == len(traffic)
    assert np.array_equal(result.generated_tokens, traffic.output_tokens)
    assert result.chips == machines
    assert all(0.0 < share <= 1.0 for share in result.utilisation.values() if share)
    widths = np.diff(result.timeline.time_s, prepend=0.0)
    tokens = traffic.prompt_tokens.sum() + (traffic.output_tokens - 1).sum()
    done = np.dot(widths, result.timeline.tokens_per_s)
    again = not result.notes[0].endswith(" 0 preemptions")
    assert done > tokens if again else done == pytest.approx(tokens)
    for name, share in result.timeline.utilisation.items():
        assert np.dot(widths, share) * machines == pytest.approx(result.busy_s[name])


@pytest.mark.slow
@pytest.mark.parametrize("route", ROUTERS)
def test_one_machine_needs_no_router(route):
    assert np.array_equal(serve(mixed(), 1, route=route).end_s, serve(mixed()).end_s)


@pytest.mark.slow
def test_round_robin_deals_requests_out_in_turn():
    """A machine of the fleet sees every third request, and serves it as it would alone."""
    traffic = mixed()
    together = serve(traffic, 3, route="round-robin")
    for first in range(3):
        mine = slice(first, None, 3)
        alone = Traffic("a third", traffic.arrival_s[mine], traffic.prompt_tokens[mine], traffic.output_tokens[mine])
        assert np.allclose(serve(alone).end_s, together.end_s[mine], rtol=1e-12)


@pytest.mark.slow
def test_the_least_loaded_machine_is_the_better_choice():
    # Every fourth prompt is long, and would go to the same of four machines in turn.
    arrival_s = poisson(2.0, 200).arrival_s
    traffic = Traffic("long and short", arrival_s, np.tile([30_000, 100, 100, 100], 50), np.full(200, 200))
    least, turns = (serve(traffic, 4, route=route) for route in ROUTERS)
    assert np.percentile(least.latency_s, 95) < np.percentile(turns.latency_s, 95)


@pytest.mark.slow
def test_more_machines_wait_less():
    traffic = mixed(600, 100.0)
    tails = [np.percentile(serve(traffic, n).time_to_first_token_s, 99) for n in (1, 2, 4, 8, 16)]
    assert tails == sorted(tails, reverse=True)


def test_closed_traffic_is_shared():
    alone, shared = (serve(closed_loop(32, 320, prompt=512, output=64), n) for n in (1, 4))
    assert shared.states["finished"] == 320
    assert shared.duration_s < alone.duration_s


def test_a_router_that_is_not_there():
    with pytest.raises(InputError, match="least-loaded"):
        router("least-loded")
    with pytest.raises(InputError, match="machines"):
        serve(poisson(1.0, 2), 0)


@pytest.mark.slow
def test_the_smallest_fleet_is_found():
    traffic = mixed(400, 80.0)
    target = Target(percentile=95, time_to_first_token_s=0.3, time_per_output_token_s=0.03)
    found = smallest_fleet(lambda n: serve(traffic, n), target)
    assert target.met(found.result) and found.result.chips == found.machines
    assert found.machines > 1
    assert not target.met(serve(traffic, found.machines - 1))
    assert found.machines - 1 in found.tried


@given(st.integers(1, 200), st.integers(1, 200))
@pytest.mark.slow
def test_bisection_finds_the_border_from_any_start(border, start):
    class Enough(Target):
        def met(self, result):
            return result >= border

        def reached(self, result):
            return {"machines": result}

    class Size(int):
        interrupted = False

    found = smallest_fleet(Size, Enough(time_to_first_token_s=1.0), start=start)
    assert found.machines == found.result == border


def test_a_promise_that_no_fleet_keeps_is_said():
    target = Target(time_per_output_token_s=1e-6)
    with pytest.raises(InputError, match="no fleet of up to 4 machines"):
        smallest_fleet(lambda n: serve(mixed(20), n), target, most=4)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"percentile": 0.0, "time_to_first_token_s": 1.0},
        {"percentile": 101.0, "time_to_first_token_s": 1.0},
        {"time_to_first_token_s": -1.0},
        {"time_to_first_token_s": float("nan")},
        {"time_per_output_token_s": 0.0},
    ],
)
def test_targets_that_promise_nothing(wrong):
    with pytest.raises(InputError):
        Target(**wrong)


def test_an_unserved_target_is_not_met():
    result = serve(poisson(1.0, 3), scheduling=Scheduling(max_context=10))
    assert result.states["rejected"] == 3 and STATES[2] == "rejected"
    assert not Target(time_to_first_token_s=1.0).met(result)
