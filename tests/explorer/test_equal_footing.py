"""Both machines of a comparison serve one workload: a bought GPU's rate is that of the model and of the context."""

import numpy as np
import pytest

import costmodel
import explorer
import hwsim
import models
from explorer.pricing.rates import SERVICE, Workload
from explorer.uncertainty import analyse, break_even
from hwbase import InputError
from hwsim.simulation import hardwired

MODELS = ("gpt-oss-120b", "llama-3-8b", "smollm2-135m", "deepseek-v3")
CONTEXTS = (2048, 8192, 65536, 131072)
CORRECTED = {"volume": 50, "convention": "corrected"}
BEST = costmodel.CORRECTED.beside


def rate(answer):
    return answer.book[f"{answer.device}.tokens_per_s"].nominal


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_every_door_has_the_same_rate_of_a_gpu(model):
    costs = [explorer.cost(model, context=context, **CORRECTED) for context in CONTEXTS]
    rates = np.array([rate(each) for each in costs])
    frame = explorer.evaluate(model, {}, context=np.array(CONTEXTS), beside="gpu", die_formula="exact")
    assert frame["gpu_tokens_per_s"].to_numpy() == pytest.approx(rates)
    ratios = [each.comparison.nominal.tco_ratio for each in costs]
    assert frame["tco_ratio"].to_numpy() == pytest.approx(ratios)
    for context, ratio, each in zip(CONTEXTS[::2], ratios[::2], rates[::2], strict=True):
        found = analyse(model, context=context, samples=16, only=["use.lifetime_hours"])
        assert found.nominal["tco_ratio"] == pytest.approx(ratio)
        assert found.nominal["gpu_tokens_per_s"] == pytest.approx(each)
        curve = break_even(model, context=context, axes=["volume"], low=50, high=51, points=2, samples=16)
        assert curve.curve("volume", "tco_ratio").nominal[0] == pytest.approx(ratio)
    assert (np.diff(rates) < 0).all()


@pytest.mark.slow
def test_a_report_has_the_rate_of_its_model_and_context():
    answer = explorer.answer("llama-3-8b", on=["hnlpu", BEST], context=65536, convention="corrected")
    assert rate(answer.cost) == rate(explorer.cost("llama-3-8b", context=65536, **CORRECTED))
    speeds = answer.gpu_rates[BEST]
    assert (np.diff(speeds) < 0).all() and speeds[answer.contexts == 65536] == pytest.approx(rate(answer.cost))
    tco = next(row for row in answer.headline if row.what.startswith("TCO"))
    fleets = answer.cost.comparison.nominal
    assert tco.values["hnlpu-pipelined"] == pytest.approx(float(fleets.hardwired.total_usd) / 1e6)
    assert tco.values[f"{BEST}:corrected"] == pytest.approx(float(fleets.gpu.total_usd) / 1e6)


@pytest.mark.parametrize(("model", "below"), [("smollm2-135m", 0.3), ("llama-3-8b", 0.3), ("gpt-oss-120b", 1.5)])
def test_small_models_are_not_cheaper_in_wires(model, below):
    assert explorer.cost(model, **CORRECTED).comparison.nominal.tco_ratio < below


def test_the_gpu_slows_down_with_the_context_too():
    """At 64K hardwiring is neither certain to lose nor certain to win: both machines are slower there."""
    found = explorer.evaluate("gpt-oss-120b", {}, context=np.array([2048, 65536]), beside="gpu")
    assert found["gpu_tokens_per_s"][1] < 0.2 * found["gpu_tokens_per_s"][0]
    assert 0.5 < found["tco_ratio"][1] / found["tco_ratio"][0] < 1.0


@pytest.mark.slow
def test_requests_are_served_by_both():
    decoding = explorer.cost("gpt-oss-120b", beside="b200", **CORRECTED)
    served = explorer.cost("gpt-oss-120b", beside="b200", prompt_tokens=1024, output_tokens=1024, **CORRECTED)
    # The events: 154,762 output tokens/s; measured on B200 with 256 users: 14,368 a GPU at 57 tokens/s a user
    # (aiconfigurator-core 0.12.0, silicon_sample.csv).
    assert served.inputs["tokens_per_s"] == pytest.approx(154_762, rel=0.001)
    assert served.book["b200.tokens_per_s"].nominal == pytest.approx(14_368, rel=0.15)
    assert served.inputs["tokens_per_s"] == pytest.approx(decoding.inputs["tokens_per_s"] / 2, rel=0.001)
    assert served.comparison.nominal.tco_ratio < decoding.comparison.nominal.tco_ratio
    frame = explorer.evaluate(
        "gpt-oss-120b",
        {},
        context=np.array([2048, 2048]),
        prompt_tokens=np.array([0, 1024]),
        output_tokens=np.array([0, 1024]),
        beside="b200",
        die_formula="exact",
    )
    ratios = [each.comparison.nominal.tco_ratio for each in (decoding, served)]
    assert frame["tco_ratio"].to_numpy() == pytest.approx(ratios)


def test_what_the_paper_states_holds_for_its_own_model_alone():
    assert rate(explorer.cost("gpt-oss-120b", volume=50)) == 1080
    assert rate(explorer.cost("llama-3-8b", volume=50)) > 5000


def test_a_rate_that_is_set_stands():
    answer = explorer.cost("llama-3-8b", set={f"{BEST}.tokens_per_s": 1234}, **CORRECTED)
    assert rate(answer) == 1234 and not set(SERVICE) & set(answer.assumptions)
    frame = explorer.evaluate("llama-3-8b", {f"{BEST}.tokens_per_s": [1000, 2000]}, beside="gpu")
    assert frame["gpu_tokens_per_s"].tolist() == [1000, 2000]


@pytest.mark.slow
def test_a_promise_is_a_constant_of_the_cost_book():
    slow, fast = (
        explorer.cost(set={"service.time_per_token_s": promise}, **CORRECTED) for promise in ("40 ms", "10 ms")
    )
    assert rate(fast) < rate(slow) and set(SERVICE) <= set(fast.assumptions)
    frame = explorer.evaluate(
        "gpt-oss-120b", {"service.time_per_token_s": [0.04, 0.01, 1e-5]}, beside="gpu", strict=False
    )
    assert frame["gpu_tokens_per_s"][:2].to_numpy() == pytest.approx([rate(slow), rate(fast)])
    assert f"no server of {BEST}" in frame["failure"][2] and np.isnan(frame["tco_ratio"][2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompt_tokens": 1024}, "expected both"),
        ({"prompt_tokens": -1, "output_tokens": 1}, "prompt_tokens = -1"),
        ({"prompt_tokens": 1.5, "output_tokens": 1}, "prompt_tokens = 1.5"),
        ({"set": {"service.time_per_token_s": 1e-6}}, f"no server of {BEST} serves gpt-oss-120b"),
    ],
)
def test_bad_workloads(options, message):
    with pytest.raises(InputError, match=message):
        explorer.cost(**CORRECTED, **options)


def test_a_pipelined_machine_reads_prompts_in_its_slots():
    spec = models.load("gpt-oss-120b")
    design, technology, _ = hardwired(spec)

    def at(context):
        return hwsim.simulate_hardwired(spec, design, technology, context=context, reading="pipelined")

    load = Workload(prompt_tokens=3000, output_tokens=1000)
    run = at(load.mean_context)
    expected = 1000 / (1000 * run.interval_s + 3000 * at(1500).interval_s)
    assert load.output_rate(run, at) == pytest.approx(expected)


@pytest.mark.slow
def test_a_model_that_no_server_serves_in_time_takes_a_rate_that_is_set():
    fast = {"service.time_per_token_s": "5 ms"}
    with pytest.raises(InputError, match=rf"no server of {BEST} serves llama-3\.1-405b"):
        explorer.cost("llama-3.1-405b", set=fast, **CORRECTED)
    assert rate(explorer.cost("llama-3.1-405b", set=fast | {f"{BEST}.tokens_per_s": 50}, **CORRECTED)) == 50
    assert rate(explorer.cost("llama-3.1-405b", set={"service.time_per_token_s": "80 ms"}, **CORRECTED)) > 0


@pytest.mark.slow
def test_the_papers_rate_goes_with_the_papers_system_alone():
    assert rate(explorer.cost()) == 1080
    for changes in ({"prompt_tokens": 1024, "output_tokens": 256}, {"context": 8192}, {"technology": "n7"}):
        assert rate(explorer.cost(**changes)) > 2000
    frame = explorer.evaluate("gpt-oss-120b", {}, convention="as-published", context=2**20, beside="h100")
    assert frame["gpu_tokens_per_s"][0] < 200


def test_a_machine_of_ones_own_may_state_its_rate(tmp_path):
    book = tmp_path / "mine.toml"
    book.write_text(
        '[book]\nextends = "h100"\nlabel = "Mine"\n[costs.default]\ntokens_per_s = { nominal = 2500, unit = "token/s", '
        'year = 2026, kind = "measured", source = "my rack" }\n'
    )
    answer = explorer.cost(beside=str(book), **CORRECTED)
    assert answer.book["mine.tokens_per_s"].nominal == 2500


def test_what_memory_does_not_hold_is_said_first():
    little = {"hbm_stacks": 1, "hbm_stack_bytes": "1 GB"}
    answer = explorer.cost(context=4 * 10**7, set=little | {f"{BEST}.tokens_per_s": 1}, **CORRECTED)
    assert "cannot be reached, for want of KV in HBM" in answer.notes[0]
    frame = explorer.evaluate("gpt-oss-120b", little, context=np.array([2048, 4 * 10**7]), strict=False)
    assert frame["failure"][0] is None and "even one sequence" in frame["failure"][1]


@pytest.mark.slow
def test_a_promise_that_no_gpu_keeps_leaves_the_hardwired_figures():
    point = {"service.time_per_token_s": 1e-4}
    alone = explorer.evaluate(MODELS[0], point).iloc[0]
    beside = explorer.evaluate(MODELS[0], point, beside="gpu", strict=False).iloc[0]
    assert f"no server of {BEST}" in beside.failure
    assert beside[["gpus", "gpu_tco_usd", "gpu_carbon_t", "tco_ratio"]].isna().all()
    for name in ("tokens_per_s", "tco_usd", "carbon_t"):
        assert beside[name] == alone[name]
