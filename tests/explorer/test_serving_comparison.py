"""The same traffic on one hardwired machine and on the fleet of GPUs that keeps the same promise."""

import json

import numpy as np
import pytest

import costmodel
import hwsim
from explorer.serving.comparison import serve_comparison
from explorer.serving.comparison_document import comparison_document, comparison_files
from explorer.serving.cost import serving_cost
from hwbase import InputError
from hwsim.events.fleet import Target

pytestmark = pytest.mark.slow

BEST = costmodel.CORRECTED.beside
TRAFFIC = hwsim.bursty(
    30.0,
    400,
    2.0,
    prompt=np.random.default_rng(0).integers(10, 3000, 100),
    output=np.random.default_rng(1).integers(1, 400, 100),
)
TARGET = Target(percentile=95.0, time_to_first_token_s=1.0, time_per_output_token_s=0.02)


@pytest.fixture(scope="module")
def found():
    return serve_comparison(TRAFFIC, target=TARGET, loads=(None, 0.5), gpus_together=(1, 2))


def test_the_fleet_is_the_smallest_that_keeps_the_promise(found):
    for served in found.loads:
        traffic = TRAFFIC.faster(served.speedup)
        assert TARGET.met(served.fleets[0].result) and served.fleets[0].gpus == served.fleets[0].result.chips
        for each in (1, 2):
            fewer = (served.fleets[0].gpus - 1) // each
            if fewer:
                tried = hwsim.serve("gpt-oss-120b", traffic, BEST, gpus=each, machines=fewer)
                assert not TARGET.met(tried)
    assert found.loads[1].fleets[0].gpus > found.loads[0].fleets[0].gpus


def test_a_load_is_how_busy_the_machine_is(found):
    plain, dense = found.loads
    assert plain.speedup == 1.0 and dense.speedup > 1.0
    assert dense.load == pytest.approx(0.5, rel=0.05)
    assert dense.binding == "column links"
    assert dense.kept == TARGET.met(dense.hardwired)


def test_both_serve_the_same_tokens(found):
    for served in found.loads:
        for result in (served.hardwired, served.fleets[0].result):
            assert result.states["finished"] == len(TRAFFIC)
            assert result.generated_tokens.sum() == TRAFFIC.output_tokens.sum()


def test_masks_are_shared_by_what_is_built(found):
    alone, shared, gpus = found.loads[0].costs
    assert (alone.built, shared.built, gpus.fleet) == (1, 50, BEST)
    assert alone.usd_per_million_output_tokens > 10 * shared.usd_per_million_output_tokens
    assert alone.electricity_usd == pytest.approx(shared.electricity_usd)
    assert alone.output_tokens_per_s == shared.output_tokens_per_s


def test_cost_per_token_falls_with_load(found):
    for fleet in range(2):
        light, heavy = (served.costs[fleet] for served in found.loads)
        assert heavy.usd_per_million_output_tokens < light.usd_per_million_output_tokens
        # Capital is the same; only electricity knows how busy the machine is.
        assert heavy.capex_usd == light.capex_usd and heavy.electricity_usd > light.electricity_usd


def test_a_machine_at_full_load_draws_full_power():
    run = hwsim.serve("gpt-oss-120b", hwsim.closed_loop(216, 216, prompt=1, output=4095))
    assert serving_cost(run).load == pytest.approx(1.0, abs=0.1)
    with pytest.raises(InputError, match="built"):
        serving_cost(run, machines=2, built=1)


def test_table_and_page_tell_what_was_found(found):
    frame = found.to_frame()
    assert len(frame) == 6 and frame.fleet.tolist() == ["hnlpu", "hnlpu", BEST] * 2
    assert np.all(frame["p95.time_to_first_token_s"] > 0)
    files = comparison_files(found, comparison_document(found, "hwsim compare-serving"))
    data = json.loads(files["comparison.json"])
    assert [load["gpus"] for load in data["loads"]] == [served.fleets[0].gpus for served in found.loads]
    assert "The trace as it is" in files["page.html"] and "as dense" in files["page.html"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"loads": (1.5,)}, "load"),
        ({"loads": (0.0,)}, "load"),
        ({"gpus_together": ()}, "gpus_together"),
        ({"gpus_together": (0,)}, "gpus_together"),
        ({"gpu_set": {"memory_share": 0.1}}, "GB of weights"),
        ({"convention": "wrong"}, "conventions"),
        ({"on": ("hnlpu", "taalas-hc1")}, "no event model follows.*--interactivity"),
        ({"on": ("hnlpu", "wse3")}, "kind 'wafer', whose requests"),
    ],
)
def test_bad_input(options, said):
    few = TRAFFIC.first(5)
    with pytest.raises(InputError, match=said):
        serve_comparison(few, target=TARGET, **{"gpus_together": (1,), "loads": (None,)} | options)


def test_several_gpus_stand_beside_the_machine():
    both = serve_comparison(TRAFFIC, on=("hnlpu", "h100", "h200"), target=TARGET, loads=(None,), gpus_together=(1,))
    assert [fleet.result.machine for fleet in both.loads[0].fleets] == ["h100", "h200"]
    assert both.to_frame().fleet.tolist() == ["hnlpu", "hnlpu", "h100", "h200"]
