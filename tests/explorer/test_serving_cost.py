"""Dollars and carbon of served traffic, against the cost model called directly."""

from dataclasses import replace

import pytest

import costmodel
import models
from explorer.pricing.prices import cost_book
from explorer.serving.cost import serving_cost
from hwbase import InputError
from hwsim.events.gpu.node import serve_accelerator
from hwsim.events.traffic import closed_loop, poisson

SPEC = models.load("gpt-oss-120b")


@pytest.fixture(scope="module")
def busy():
    """Two GPUs that are never without work, and draw what is stated of them then."""
    traffic = closed_loop(32, 320, prompt=512, output=128)
    whole = {"load_power_share": 1.0, "working_power_share": 1.0}
    return serve_accelerator(SPEC, traffic, gpus=2, set={"first_token_latency_s": 0.0} | whole)


@pytest.fixture(scope="module")
def idle():
    """Two GPUs with little to do."""
    return serve_accelerator(SPEC, poisson(0.02, 20, prompt=512, output=128), gpus=2)


@pytest.mark.parametrize("convention", ["corrected", "as-published"])
@pytest.mark.parametrize("level", ["low", "nominal", "high"])
def test_gpus_that_are_always_busy_cost_what_the_cost_model_says(busy, convention, level):
    cost = serving_cost(busy, convention=convention, level=level)
    book = cost_book({"corrected": "default", "as-published": "hnlpu-asplos26"}[convention])
    book = book.override({"use.utilisation": 1.0}).at(level)
    shared = {"units": 2, "tokens_per_s": busy.output_tokens_per_s / 2}
    conventions = costmodel.conventions.named(convention)
    fleet = costmodel.bought_fleet(book, costmodel.Device("h100", "n5"), conventions=conventions, **shared)
    tco, carbon = fleet.tco, fleet.carbon
    assert cost.load == pytest.approx(1.0)
    assert cost.total_usd == pytest.approx(tco.total_usd)
    assert cost.usd_per_million_output_tokens == pytest.approx(tco.usd_per_million_tokens)
    assert cost.kg_per_million_output_tokens == pytest.approx(1e3 * carbon.t_per_million_tokens)


def test_an_idle_machine_costs_as_much_and_serves_less(busy, idle):
    costs = [serving_cost(result) for result in (busy, idle)]
    assert costs[0].capex_usd == costs[1].capex_usd
    assert 0.3 <= costs[1].load < 0.35 < costs[0].load, "what an idle node draws is left"
    assert costs[1].electricity_usd == pytest.approx(costs[0].electricity_usd * costs[1].load / costs[0].load)
    ratio = costs[1].usd_per_million_output_tokens / costs[0].usd_per_million_output_tokens
    assert ratio > 0.5 * busy.output_tokens_per_s / idle.output_tokens_per_s


def test_parts_add_up(busy):
    cost = serving_cost(busy)
    parts = cost.capex_usd + cost.electricity_usd + cost.maintenance_usd + cost.respins_usd
    assert cost.total_usd == pytest.approx(parts)
    tokens = busy.output_tokens_per_s * 26_280 * 3600 / 1e6
    assert cost.million_output_tokens == pytest.approx(tokens)
    assert cost.usd_per_million_output_tokens * tokens == pytest.approx(cost.total_usd)
    tonnes = cost.scope2_t + cost.scope3_t
    assert cost.kg_per_million_output_tokens * cost.million_output_tokens == pytest.approx(1e3 * tonnes)
    assert cost.assumptions["h100.node_price_usd"].source


def test_books_and_overrides_reach_the_price(busy):
    dear = serving_cost(busy, set={"electricity.usd_per_kwh": 1.0})
    assert dear.electricity_usd > 5 * serving_cost(busy).electricity_usd
    with pytest.raises(InputError, match=r"electricity\.usd_per_kwh"):
        serving_cost(busy, set={"electricity.usd_per_kwhr": 1.0})
    with pytest.raises(InputError, match="corrected"):
        serving_cost(busy, convention="corected")
    with pytest.raises(InputError, match="machines"):
        serving_cost(busy, machines=0)


def test_nothing_served_has_no_price(busy):
    with pytest.raises(InputError, match="finished none of 320 requests"):
        serving_cost(replace(busy, generated_tokens=0 * busy.generated_tokens))
