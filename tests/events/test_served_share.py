"""Statistics over all requests: those that were refused, cancelled, failed or not finished count as not served."""

import dataclasses

import numpy as np
import pytest

import hwsim
from explorer.serving.cost import serving_cost
from explorer.serving.figures import latency_cdf, latency_frame
from explorer.study.serving import serving_points
from hwbase import InputError
from hwsim.events.faults import Fault
from hwsim.events.fleet import Target
from hwsim.events.results import percentiles_of
from hwsim.events.scheduling import Scheduling
from hwsim.events.traffic import Traffic, poisson

TARGET = Target(percentile=99.0, time_to_first_token_s=60.0, time_per_output_token_s=60.0)
SENT = poisson(20.0, 100, prompt=200, output=50)


def impatient(traffic, seconds, share):
    """The same traffic, whose users leave after `seconds`: the first `share` of them."""
    leave = np.full(len(traffic), np.inf)
    leave[: round(share * len(traffic))] = seconds
    return dataclasses.replace(traffic, cancel_s=leave)


@pytest.mark.parametrize("on", ["h100", "hnlpu"])
def test_users_who_leave_break_the_promise(on):
    everybody = hwsim.serve("gpt-oss-120b", SENT, on)
    assert everybody.served_share == 1.0 and TARGET.met(everybody)
    left = hwsim.serve("gpt-oss-120b", impatient(SENT, 1e-5, 1.0), on)
    assert left.states["cancelled"] == 100 and left.served_share == 0.0
    assert not TARGET.met(left) and set(TARGET.reached(left).values()) == {np.inf}
    with pytest.raises(InputError, match="finished none of 100 requests"):
        serving_cost(left)


@pytest.mark.parametrize("on", ["h100", "hnlpu"])
def test_a_promise_for_a_share_is_kept_by_that_share_of_all_requests(on):
    result = hwsim.serve("gpt-oss-120b", impatient(SENT, 1e-5, 0.1), on)
    assert result.served_share == pytest.approx(0.9)
    assert not TARGET.met(result) and dataclasses.replace(TARGET, percentile=90.0).met(result)
    shown = result.percentiles((50, 90, 95)).loc["time to first token"]
    assert np.isfinite(shown[["p50", "p90"]]).all() and shown["p95"] == np.inf


def test_refused_requests_count():
    mixed = Traffic("mixed", np.arange(10.0), np.full(10, 100), np.array([10] * 9 + [5000]))
    result = hwsim.serve("gpt-oss-120b", mixed, scheduling=Scheduling(max_context=1000))
    assert result.states["rejected"] == 1 and result.served_share == 0.9
    assert (result.percentiles((99,))["p99"] == np.inf).all()
    assert not TARGET.met(result)
    assert result.summary()["served_share"] == 0.9


def test_failed_requests_count():
    result = hwsim.serve("gpt-oss-120b", SENT, faults=[Fault("chip", 2.0, 0)])
    assert result.states["failed"] > 10
    assert not TARGET.met(result) and result.percentiles((99,)).loc["request", "p99"] == np.inf


def test_tokens_of_requests_that_did_not_finish_are_not_paid_for():
    """Users who leave half-way got tokens, but no answer: dollars are over the tokens of the answers."""
    traffic = dataclasses.replace(SENT, output_tokens=np.full(100, 400))
    whole = hwsim.serve("gpt-oss-120b", traffic, "h100")
    left = hwsim.serve("gpt-oss-120b", impatient(traffic, float(np.median(whole.latency_s)), 1.0), "h100")
    assert 0.0 < left.served_share < 1.0 and left.served_tokens_per_s < left.output_tokens_per_s
    cost = serving_cost(left)
    assert cost.output_tokens_per_s == left.served_tokens_per_s and cost.served_share == left.served_share
    every_token = cost.usd_per_million_output_tokens * left.served_tokens_per_s / left.output_tokens_per_s
    assert cost.usd_per_million_output_tokens > every_token
    with pytest.raises(InputError, match="interrupted"):
        serving_cost(dataclasses.replace(whole, interrupted=True))


def test_a_first_token_after_the_user_left_reached_nobody():
    whole = hwsim.serve("gpt-oss-120b", SENT, "h100")
    shortest = float(np.min(whole.time_to_first_token_s))
    left = hwsim.serve("gpt-oss-120b", impatient(SENT, 0.999 * shortest, 1.0), "h100")
    assert left.served_share == 0.0 and np.isnan(left.time_to_first_token_s).all()
    assert (left.felt("time_to_first_token_s") == np.inf).all()


def test_an_answer_that_is_complete_after_the_user_left_is_not_finished():
    one = Traffic("one", np.zeros(1), np.array([100]), np.array([1]), cancel_s=np.array([0.00114]))
    assert hwsim.serve("gpt-oss-120b", one, "h100", gpus=2).states["cancelled"] == 1


@pytest.mark.slow
def test_a_distribution_ends_at_the_served_share():
    result = hwsim.serve("gpt-oss-120b", impatient(SENT, 1e-5, 0.25), "h100")
    (line,) = latency_cdf({"a": result}, "latency_s").data
    assert line.y[-1] == pytest.approx(0.75, abs=0.01)
    rows = latency_frame({"a": result}).query("latency != 'waiting'")
    assert (rows["served"] == 0.75).all() and (rows["p90"] == np.inf).all()


def test_studies_see_requests_that_were_not_served():
    """A limit on contexts that refuses the longest requests does not improve the 99th percentile."""
    inputs = {"rate_per_s": 20.0, "requests": 50, "prompt_tokens": 200, "output_tokens": 50, "on": "h100"}
    everybody = serving_points(inputs, 1)
    nobody = serving_points(inputs | {"max_context": 100}, 1)
    assert everybody["served_share"] == 1.0 and np.isfinite(everybody["first_token_p99_s"])
    assert nobody["served_share"] == 0.0 and nobody["first_token_p99_s"] == np.inf
    assert np.isnan(nobody["usd_per_million_output_tokens"])


def test_percentiles_with_infinite_values():
    values = np.array([1.0] * 99 + [np.inf])
    assert percentiles_of(values, (50, 99, 99.5)).tolist() == [1.0, 1.0, np.inf]
    assert np.isnan(percentiles_of(values[:0], 50)) and percentiles_of(values[99:], 50) == np.inf
    random = np.random.default_rng(0).random(37)
    assert np.allclose(percentiles_of(random, (1, 50, 99)), np.percentile(random, (1, 50, 99)), rtol=0)
