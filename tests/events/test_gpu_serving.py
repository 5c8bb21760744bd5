"""Serving on a GPU node: jumps against single steps, conservation, policies, the cache, and bad input."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwsim
import models
from hwsim.events.gpu.engine import Engine
from hwsim.events.gpu.node import serve_accelerator
from hwsim.events.results import STATES
from hwsim.events.scheduling import POLICIES, Scheduling
from hwsim.events.traffic import Traffic, bursty, closed_loop, poisson

SPEC = models.load("gpt-oss-120b")
TIMES = ("arrival_s", "admitted_s", "first_token_s", "end_s")
#: A cache so small that sequences push each other out.
TIGHT = {"memory_share": 0.823}


def requests(n=60, rate=20.0, seed=0, cancel=False, priorities=False):
    random = np.random.default_rng(seed)
    made = bursty(rate, n, 3.0, prompt=random.integers(1, 3000, 40), output=random.integers(1, 400, 40), seed=seed)
    return Traffic(
        made.name,
        made.arrival_s,
        made.prompt_tokens,
        made.output_tokens,
        priority=random.integers(0, 3, n) if priorities else np.zeros(0, dtype=int),
        cancel_s=np.where(random.random(n) < 0.3, random.exponential(1.0, n) + 1e-3, np.inf) if cancel else np.zeros(0),
    )


def check_conserved(result, traffic):
    """Every request has one end, tokens are those asked for, and times are in order."""
    finished = result.state == STATES.index("finished")
    assert sum(result.states.values()) == len(traffic)
    assert result.states["unfinished"] == 0
    assert np.array_equal(result.generated_tokens[finished], result.output_tokens[finished])
    assert np.all(result.generated_tokens <= result.output_tokens)
    assert np.all(result.generated_tokens >= 0)
    for earlier, later in itertools.pairwise(TIMES):
        known = np.isfinite(getattr(result, earlier)) & np.isfinite(getattr(result, later))
        assert np.all(getattr(result, earlier)[known] <= getattr(result, later)[known])
    assert np.all(np.isfinite(result.end_s))
    assert np.all(np.isfinite(result.first_token_s) == (result.generated_tokens > 0))
    assert all(0.0 <= share <= 1.0 + 1e-9 for share in result.utilisation.values())
    # What the timeline holds is what was done (a token that is computed again counts again).
    line = result.timeline
    widths = np.diff(line.time_s, prepend=0.0)
    done = result.prompt_tokens[finished].sum() + (result.output_tokens[finished] - 1).sum()
    assert np.dot(widths, line.tokens_per_s) >= done * (1 - 1e-9)
    for name, share in line.utilisation.items():
        assert np.dot(widths, share) == pytest.approx(result.busy_s[name])


@pytest.mark.slow
@pytest.mark.parametrize("set", [{}, TIGHT])
@pytest.mark.parametrize("seed", [0, 1])
def test_jumps_end_where_single_steps_do(monkeypatch, set, seed):
    traffic = requests(cancel=True, priorities=True, seed=seed)
    fast = serve_accelerator(SPEC, traffic, gpus=1, set=set)
    monkeypatch.setattr(Engine, "_unchanged_steps", lambda engine: 1)
    slow = serve_accelerator(SPEC, traffic, gpus=1, set=set)
    assert slow.events > fast.events
    assert fast.notes[0] == slow.notes[0], "as many steps and preemptions"
    for name in (*TIMES, "generated_tokens", "state"):
        assert np.allclose(getattr(fast, name), getattr(slow, name), rtol=1e-9, atol=1e-9, equal_nan=True), name


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    policy=st.sampled_from(POLICIES),
    cap=st.sampled_from([None, 1, 100, 5000]),
    tight=st.booleans(),
    rate=st.sampled_from([0.5, 20.0, 1e4]),
)
def test_no_request_and_no_token_is_lost(seed, policy, cap, tight, rate):
    traffic = requests(40, rate, seed, cancel=True, priorities=True)
    result = serve_accelerator(
        SPEC, traffic, gpus=1, scheduling=Scheduling(policy, cap, 3200), set=TIGHT if tight else {}
    )
    check_conserved(result, traffic)


def test_equal_traffic_gives_equal_results_and_another_seed_others():
    first, again = (serve_accelerator(SPEC, requests(seed=3)).to_json() for _ in range(2))
    assert first == again
    assert serve_accelerator(SPEC, requests(seed=4)).to_json() != first


def test_a_tight_cache_preempts_and_still_serves_all():
    traffic = requests(120, 1e3)
    result = serve_accelerator(SPEC, traffic, gpus=1, set=TIGHT)
    check_conserved(result, traffic)
    assert result.states["finished"] == 120
    assert not result.notes[0].endswith(" 0 preemptions")
    roomy = serve_accelerator(SPEC, traffic, gpus=1)
    assert roomy.duration_s < result.duration_s


def test_what_never_fits_is_rejected():
    traffic = Traffic("long", np.array([0.0, 0.0]), np.array([10_000_000, 10]), np.array([1, 1]))
    result = serve_accelerator(SPEC, traffic, gpus=1)
    assert result.states == {"finished": 1, "cancelled": 0, "rejected": 1, "failed": 0, "unfinished": 0}
    assert serve_accelerator(SPEC, traffic, scheduling=Scheduling(max_context=10)).states["rejected"] == 2


def test_priority_and_prompt_length_set_the_order():
    n = 40
    long = Traffic("mixed", np.zeros(n), np.tile([8000, 50], n // 2), np.full(n, 5))
    engine_alone = {"first_token_latency_s": 0.0}
    first_come, shortest = (
        serve_accelerator(SPEC, long, scheduling=Scheduling(policy), set=engine_alone) for policy in POLICIES
    )
    short = long.prompt_tokens == 50
    assert shortest.time_to_first_token_s[short].mean() < 0.2 * first_come.time_to_first_token_s[short].mean()
    ranked = Traffic("ranked", np.zeros(n), np.full(n, 8000), np.full(n, 5), priority=np.arange(n) % 2)
    served = serve_accelerator(SPEC, ranked)
    assert served.first_token_s[::2].max() < served.first_token_s[1::2].min()


def test_a_prefill_cap_spares_those_who_decode():
    prompts = np.array([100] * 8 + [60_000] * 4)
    traffic = Traffic("interfering", np.array([0.0] * 8 + [0.2] * 4), prompts, np.array([400] * 8 + [2] * 4))
    free, capped = (serve_accelerator(SPEC, traffic, scheduling=Scheduling(prefill_cap=cap)) for cap in (None, 512))
    assert np.nanmax(capped.time_per_output_token_s[:8]) < np.nanmax(free.time_per_output_token_s[:8])
    assert np.nanmax(capped.time_to_first_token_s) > np.nanmax(free.time_to_first_token_s)


def test_closed_traffic_keeps_its_users_busy():
    traffic = closed_loop(16, 160, prompt=512, output=64)
    result = serve_accelerator(SPEC, traffic)
    check_conserved(result, traffic)
    assert result.timeline.running.max() <= 16 + 1e-9
    # A user sends when the last answer is there: no more than 16 requests at any time.
    events = sorted([(t, 1) for t in result.arrival_s] + [(t, -1) for t in result.end_s], key=lambda e: (e[0], e[1]))
    assert np.cumsum([step for _, step in events]).max() == 16
    thinking = serve_accelerator(SPEC, closed_loop(16, 160, prompt=512, output=64, think_s=1.0))
    assert thinking.duration_s > result.duration_s + 8


def test_one_request_takes_its_steps():
    traffic = Traffic("one", np.array([5.0]), np.array([1000]), np.array([11]))
    result = serve_accelerator(SPEC, traffic, gpus=8)
    assert result.admitted_s[0] == 5.0
    assert result.events == 2
    assert result.notes[0].startswith("11 steps")
    assert result.time_per_output_token_s[0] == pytest.approx(3e-3, rel=0.5)


def test_an_interrupt_keeps_what_there_is():
    def stop(done, total, now_s):
        if done > 50:
            raise KeyboardInterrupt

    traffic = poisson(5.0, 2000)
    result = serve_accelerator(SPEC, traffic, progress=stop)
    assert result.interrupted
    assert 50 < result.states["finished"] < 2000
    assert result.states["unfinished"] == 2000 - result.states["finished"]
    assert result.summary()["interrupted"] is True


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"gpus": 0}, "gpus"),
        ({"gpus": 1.5}, "gpus"),
        ({"set": {"memory_share": 0.5}, "gpus": 1}, "65.2 GB of weights"),
        ({"set": {"step_latncy_s": 1}}, "step_latency_s"),
        ({"book": "wse3"}, "of kind 'wafer'"),
    ],
)
def test_what_cannot_be_used_is_said(options, said):
    with pytest.raises(hwsim.InputError, match=said):
        serve_accelerator(SPEC, poisson(1.0, 2), **options)
