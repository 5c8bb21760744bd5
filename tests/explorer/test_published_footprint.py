"""By the paper's conventions a hardwired module has the footprint of the paper's GPU, whatever stands beside it."""

import numpy as np
import pytest

import explorer
from explorer.report.answer import answer
from explorer.serving.interactivity import interactivity

PAPERS_KG = 124.9
OPPONENTS = ("h100", "b200", "mi300x")


@pytest.mark.parametrize("beside", OPPONENTS)
def test_a_module_is_the_papers_gpu_beside_any_machine(beside):
    costed = explorer.cost(volume=1, convention="as-published", beside=beside)
    carbon = costed.comparison.low.hardwired_carbon
    assert carbon.embodied_t == pytest.approx(16 * PAPERS_KG / 1000)
    assert "h100.module_carbon_kg" in costed.assumptions
    frame = explorer.evaluate("gpt-oss-120b", convention="as-published", beside=beside, volume=50)
    assert frame.scope3_t[0] == pytest.approx(explorer.evaluate("gpt-oss-120b", convention="as-published").scope3_t[0])


def test_fronts_do_not_depend_on_the_order_of_machines():
    fronts = [
        interactivity(on=["hnlpu", *others], speeds=[50], convention="as-published").fronts[0]
        for others in (["h100", "b200"], ["b200", "h100"], ["b200"])
    ]
    grams = np.array([front.g_per_million_tokens for front in fronts])
    assert np.ptp(grams) == 0.0


def test_the_footprint_may_be_set_beside_another_machine():
    set_kg = {"h100.module_carbon_kg": 200.0}
    costed = explorer.cost(volume=1, convention="as-published", beside="b200", set=set_kg)
    assert costed.comparison.low.hardwired_carbon.embodied_t == pytest.approx(16 * 0.2)
    each = answer(on=["hnlpu", "h100", "b200"], set=set_kg).costs_beside[0]
    assert each.device == "b200" and each.assumptions["h100.module_carbon_kg"].nominal == 200.0
