"""Whatever the traffic and the machine: none is overworked, nobody who left is answered, every end counts."""

import random

import numpy as np
import pytest
from event_cases import BINDING, serve

import hwsim
from hwsim import Fault, Scheduling
from hwsim.events.results import STATES
from hwsim.events.traffic import Traffic

MOST = 1.0 + 1e-9


def random_traffic(draw, scale_s, tokens):
    """A few requests, near each other or far apart, many of whose users give up at about the time of an answer."""
    numbers, n = np.random.default_rng(draw.randrange(10**6)), draw.randint(1, 12)
    gaps = numbers.exponential(scale_s * draw.choice((0.0, 0.1, 1.0, 30.0)), n)
    leaves = numbers.random(n) < draw.choice((0.0, 0.3, 0.9))
    return Traffic(
        "random",
        np.cumsum(gaps),
        numbers.integers(1, tokens, n),
        numbers.integers(1, draw.choice((2, 10, 30)), n),
        cancel_s=np.where(leaves, numbers.exponential(scale_s, n) * draw.choice((0.1, 1.0, 10.0)) + 1e-9, np.inf),
    )


def one_case(draw):
    """Return (traffic, result) of a random case."""
    grain = draw.choice(("detailed", "detailed", "service", "gpu"))
    if grain == "gpu":
        traffic = random_traffic(draw, 0.02, 3000)
        scheduling = Scheduling(max_context=draw.choice((None, 2000)))
        machines, gpus = draw.choice((1, 2)), draw.choice((1, 2))
        given = {"scheduling": scheduling, "machines": machines, "gpus": gpus}
        return traffic, hwsim.serve("llama-3-8b", traffic, on="h100", **given)
    traffic = random_traffic(draw, 1e-4, draw.choice((2, 20, 80)))
    faults = [Fault("chip", draw.random() * 1e-4, 0, repair_s=1e-5), Fault("hbm", 1e-5, 0, speed=0.5)]
    scheduling = Scheduling(max_context=draw.choice((None, 40)), most_running=draw.choice((None, 1, 4)))
    given = {"scheduling": scheduling, "faults": draw.sample(faults, draw.choice((0, 0, 1, 2)))}
    return traffic, serve(traffic, grain, set=BINDING[draw.choice(sorted(BINDING))], **given)


def check(traffic, result):
    for name, share in result.timeline.utilisation.items():
        assert share.size == 0 or (share.min() >= 0.0 and share.max() <= MOST), name
    assert all(0.0 <= share <= MOST for share in result.utilisation.values())
    widths = np.diff(result.timeline.time_s, prepend=0.0)
    for name, share in result.timeline.utilisation.items():
        assert np.isclose(widths @ share * result.capacity[name], result.busy_s[name], rtol=1e-9, atol=1e-15)
    finished = result.state == STATES.index("finished")
    latest = (result.arrival_s + traffic.cancel_s)[finished]
    assert np.all(result.end_s[finished] <= latest * MOST + 1e-15)
    assert np.nanmax(result.end_s, initial=0.0) <= result.duration_s * MOST
    assert result.timeline.time_s.size == 0 or result.timeline.time_s[-1] <= result.duration_s * MOST


@pytest.mark.parametrize("seed", [0, 1, 2, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 10))])
@pytest.mark.slow
def test_invariants_of_forty_random_cases(seed):
    draw = random.Random(seed)
    for _ in range(40):
        check(*one_case(draw))


@pytest.mark.slow
def test_one_prompt_does_not_use_a_link_twice_at_a_time():
    # Its 60 tokens follow each other through the layers, and all leave near its end.
    result = hwsim.serve("gpt-oss-120b", Traffic("one", [0.0], [60], [1]), grain="detailed")
    assert max(share.max() for share in result.timeline.utilisation.values()) <= MOST


def test_a_user_who_left_during_the_last_step_is_not_answered():
    traffic = Traffic("one", [0.0], [100], [1], cancel_s=[0.00114])
    result = hwsim.serve("llama-3-8b", traffic, on="h100", gpus=2)
    assert result.states["cancelled"] == 1 and result.end_s[0] <= result.duration_s


def test_a_refusal_after_the_last_answer_is_within_the_duration():
    traffic = Traffic("two", [0.0, 9.0], [10, 5000], [5, 5])
    for on in ("h100", "hnlpu"):
        result = hwsim.serve("llama-3-8b", traffic, on=on, scheduling=Scheduling(max_context=100))
        assert result.states["rejected"] == 1 and result.duration_s >= 9.0
