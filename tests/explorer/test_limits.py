"""How far machines go within promises: each answer keeps them, and the next larger one breaks what is named."""

import json

import numpy as np
import pytest

import explorer
import hwsim
from explorer.serving.limits import SEARCHED, _largest
from hwbase import InputError


def rows(**choices):
    return {(row.machine, row.axis): row for row in explorer.limits("gpt-oss-120b", **choices).rows}


@pytest.mark.slow
def test_the_longest_context_keeps_the_promise_and_the_next_does_not():
    row = rows(on="hnlpu", users=216, latency_s="2 ms")["hnlpu", "context"]
    here, after = (
        hwsim.simulate("gpt-oss-120b", context=c, batch=216, reading="pipelined").latency_s
        for c in (row.value, row.value + 1)
    )
    assert here <= 2e-3 < after and row.limited_by == ("latency_s",)
    assert row.tokens_per_s == pytest.approx(216 / here)


@pytest.mark.slow
def test_the_most_users_fill_the_slots_or_the_memory():
    found = rows(on=["hnlpu", "h100"])
    assert found["hnlpu", "users"].value == 216 and found["hnlpu", "users"].limited_by == ("token slots",)
    free = rows(on="h100", set={"service.sequences": 1e6})
    users = int(free["h100", "users"].value)
    assert hwsim.simulate("gpt-oss-120b", on="h100", batch=users, gpus=8).feasible
    with pytest.raises(InputError, match="each would hold"):
        hwsim.simulate("gpt-oss-120b", on="h100", batch=users + 1, gpus=8)


def test_dollars_need_many_users_and_latency_few():
    found = rows(on=["h100"], usd_per_million_tokens=0.5, latency_s="9 ms")
    users, rate = found["h100", "users"], found["h100", "tokens_per_s"]
    assert users.usd_per_million_tokens <= 0.5 and users.latency_s <= 0.009 and users.limited_by == ("latency_s",)
    assert rate.tokens_per_s <= users.tokens_per_s * (1 + 1e-9)


@pytest.mark.slow
def test_nothing_keeps_impossible_promises():
    found = rows(on=["hnlpu", "h100"], latency_s="1 us")
    assert all(row.value is None and row.limited_by == ("latency_s",) for row in found.values())


def test_a_model_that_does_not_fit_says_so():
    rows_here = explorer.limits("deepseek-v3", on="h100", latency_s="1 s").rows
    assert all(row.value is None and "memory" in row.limited_by[0] for row in rows_here)


def test_memory_limits_the_users_of_long_contexts():
    """At 20 million positions memory holds three sequences, whatever the slots."""
    found = rows(on="hnlpu", context="20M", users=2)
    row, longest = found["hnlpu", "users"], found["hnlpu", "context"]
    assert row.value == 3 and row.tokens_per_s_per_user * 3 == pytest.approx(row.tokens_per_s, rel=0.01)
    alone = rows(on="hnlpu", users=1)["hnlpu", "context"].value
    assert longest.value == pytest.approx(alone / 2, rel=0.01)


def test_a_serving_engine_has_a_limit_of_its_own():
    found = rows(on="h100")["h100", "users"]
    assert found.value == 256 and found.limited_by == ("sequences of the serving engine",)
    assert rows(on="h100", set={"service.sequences": 64})["h100", "users"].value == 64


@pytest.mark.parametrize(
    ("choices", "message"),
    [({"weights": "int9"}, "int9"), ({"set": {"region": "mars"}}, "mars"), ({"on": "taalas-hc1"}, "fixed-model")],
)
def test_bad_choices_are_errors(choices, message):
    with pytest.raises(InputError, match=message):
        explorer.limits("llama-3-8b", **choices)


def test_a_fleet_is_priced_as_cost_prices_it():
    row = rows(on="hnlpu", users=216)["hnlpu", "users"]
    ours = explorer.cost(volume=50, convention="corrected").comparison.nominal.hardwired.usd_per_million_tokens
    assert row.usd_per_million_tokens == pytest.approx(ours, rel=1e-9)


@pytest.mark.parametrize("top", [1, 2, 63, 64, 1000, 10**6])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_largest_whole_number_is_found(top, share):
    limit = int(top * share)
    expected = (limit or None, (SEARCHED,) if limit == top else ("limit",))
    assert _largest(lambda values: {"limit": np.asarray(values) > limit}, top) == expected


@pytest.mark.slow
def test_the_command_answers_and_refuses(command):
    status, out, _ = command("limits", "gpt-oss-120b", "--latency", "2 ms", "--users", "216", "--json")
    answer = json.loads(out)
    assert status == 0 and answer["promises"] == {"latency_s": 0.002} and len(answer["rows"]) == 6
    assert "longest context" in command("limits")[1]
    for bad, message in (("--latency", "latency_s = 0"), ("--dollars", "usd_per_million_tokens = 0")):
        status, out, err = command("limits", bad, "0")
        assert (status, out) == (2, "") and message in err


def test_a_machine_without_prices_is_refused():
    with pytest.raises(InputError, match="has no prices"):
        explorer.limits("llama-3-8b", on="wse3")


def test_the_end_of_the_search_is_said(command):
    answer = explorer.limits("kimi-k2", on="hnlpu")
    longest = answer.rows[0]
    assert (longest.value, longest.limited_by) == (hwsim.MOST_CONTEXT, (SEARCHED,))
    assert any("kimi-k2" in note and "not stated" in note for note in answer.notes)
    status, shown, _ = command("limits", "kimi-k2", "--on", "hnlpu")
    assert status == 0 and "nothing: no more" in shown and "not stated" in shown


def test_constants_of_engines_are_among_those_read():
    read = explorer.limits("gpt-oss-120b", on="h100").assumptions
    assert {"service.sequences", "service.gpu_speed_factor"} <= read.keys()
    with pytest.raises(InputError, match=r"n7\.wafer_price_usd has no effect"):
        explorer.limits("gpt-oss-120b", on="hnlpu", set={"n7.wafer_price_usd": 1.0})
