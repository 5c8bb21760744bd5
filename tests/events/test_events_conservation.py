"""No request and no token is lost, whatever the traffic, the policy and the faults; equal seeds give equal bytes."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from event_cases import BINDING, GRID, TINY, check_conserved, mixed_traffic, serve
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim import Fault, Scheduling
from hwsim.events.results import STATES
from hwsim.events.scheduling import POLICIES
from hwsim.events.serve import GRAINS
from hwsim.events.traffic import closed_loop

FAULTS = st.lists(
    st.one_of(
        st.builds(
            Fault,
            st.just("link"),
            st.floats(0.0, 1e-3),
            st.just(0),
            st.sampled_from([1, 2]),
            stop=st.booleans(),
        ),
        st.builds(Fault, st.just("chip"), st.floats(0.0, 1e-3), st.integers(0, 3), repair_s=st.floats(1e-6, 1e-3)),
        st.builds(Fault, st.just("chip"), st.floats(0.0, 1e-3), st.integers(0, 3)),
        st.builds(Fault, st.just("hbm"), st.floats(0.0, 1e-3), st.integers(0, 3), speed=st.floats(0.1, 1.0)),
    ),
    max_size=3,
)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(
    grain=st.sampled_from(GRAINS),
    seed=st.integers(0, 1000),
    rate=st.sampled_from([1e4, 2e5, 1e7]),
    policy=st.sampled_from(POLICIES),
    cap=st.sampled_from([None, 1, 5]),
    running=st.sampled_from([None, 1, 4]),
    longest=st.sampled_from([None, 40]),
    binding=st.sampled_from(sorted(BINDING)),
    faults=FAULTS,
)
def test_every_request_ends_once_and_tokens_are_conserved(
    grain, seed, rate, policy, cap, running, longest, binding, faults
):
    traffic = mixed_traffic(25, seed, rate)
    scheduling = Scheduling(policy, prefill_cap=cap, max_context=longest, most_running=running)
    result = serve(traffic, grain, set=BINDING[binding], scheduling=scheduling, faults=faults)
    check_conserved(result, traffic)
    context = traffic.prompt_tokens + traffic.output_tokens
    refused = result.state == STATES.index("rejected")
    assert np.array_equal(refused, context > (longest or np.inf))


@pytest.mark.slow
@settings(max_examples=10, deadline=None)
@given(
    grain=st.sampled_from(GRAINS), users=st.integers(1, 40), seed=st.integers(0, 100), think=st.sampled_from([0, 1e-5])
)
def test_closed_traffic_is_conserved(grain, users, seed, think):
    traffic = closed_loop(users, 40, prompt=np.arange(1, 40), output=np.arange(1, 9), think_s=think, seed=seed)
    result = serve(traffic, grain)
    check_conserved(result, traffic)
    assert result.states["finished"] == 40
    # Never more requests under way than users.
    ends = np.sort(result.end_s)
    under_way = np.searchsorted(result.arrival_s, ends, side="left") - np.arange(len(ends))
    assert under_way.max() <= users


def test_tokens_in_the_notes_are_those_of_the_slots():
    traffic = closed_loop(4, 10, prompt=10, output=5)
    result = serve(traffic, "detailed")
    assert result.notes[0].startswith(f"{10 * 14:,} tokens, ")


@pytest.mark.slow
def test_equal_seeds_give_equal_bytes_whatever_the_hash_seed():
    script = (
        "import sys, hashlib; sys.path.insert(0, sys.argv[1]);"
        "from event_cases import *; from hwsim import Fault;"
        f"runs = [serve(mixed_traffic(20, 7), grain, faults=[Fault('link', 1e-5, 0, 1)])"
        f" for grain in {tuple(GRAINS)!r}];"
        "print([hashlib.sha256(run.to_json().encode()).hexdigest() for run in runs])"
    )
    digests = set()
    for seed in ("0", "1", "4711"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        here = os.path.dirname(__file__)  # noqa: PTH120
        run = [sys.executable, "-c", script, here]
        digests.add(subprocess.run(run, env=environment, capture_output=True, text=True, check=True).stdout)
    assert len(digests) == 1


@pytest.mark.slow
def test_other_seeds_spread_sensibly():
    medians = [np.nanmedian(serve(mixed_traffic(60, seed, 2e4), "service").latency_s) for seed in range(8)]
    assert len(set(medians)) == 8
    assert 0.0 < np.std(medians) < np.mean(medians)


@pytest.mark.parametrize("grain", GRAINS)
def test_an_interrupt_returns_what_there_is(grain):
    ended = []

    def progress(done, total, now_s):
        ended.append(done)
        if done >= 16:
            raise KeyboardInterrupt

    traffic = closed_loop(4, 2000, prompt=10, output=5)
    result = serve(traffic, grain, progress=progress)
    assert result.interrupted
    assert result.states["finished"] == ended[-1]
    assert result.states["unfinished"] == 2000 - ended[-1] > 0
    assert result.duration_s > 0.0
    json.loads(result.to_json())


@pytest.mark.slow
def test_progress_counts_up_to_all():
    calls = []
    serve(mixed_traffic(40, 1), "detailed", progress=lambda *given: calls.append(given))
    assert [done for done, _, _ in calls] == sorted(done for done, _, _ in calls)
    assert all(total == 40 for _, total, _ in calls)


def test_the_tiny_model_is_what_the_tests_say():
    assert TINY.layers == 4 and GRID == {"rows": 2, "columns": 2}
