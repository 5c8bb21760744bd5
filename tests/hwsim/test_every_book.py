"""Every machine that comes with the package: its book is whole, and simulates, prices and compares."""

import numpy as np
import pytest

import hwsim
import models
from hwsim.accelerator import load_accelerator
from hwsim.events.traffic import poisson
from hwsim.gpu.rate import best_rate
from hwsim.machine_books import machine_book, machine_costs, machine_names
from hwsim.wafer import load_wafer
from hwsim.wafer_rate import best_wafer_rate

FRAME = hwsim.machines()
SIMULATED = FRAME[FRAME.simulate].name.tolist()
BOUGHT = [name for name in machine_names(("gpu", "wafer", "fixed-model")) if machine_costs(name)]
SMALL = "llama-3-8b"


@pytest.mark.parametrize("name", machine_names())
def test_every_constant_has_a_source_a_year_and_a_range_that_is_one(name):
    for constant, quantity in machine_book(name).items():
        assert quantity.source and quantity.kind and quantity.year >= 2001, constant
        assert quantity.at("low") <= quantity.nominal <= quantity.at("high"), constant


@pytest.mark.parametrize("name", SIMULATED)
def test_every_machine_runs_a_dense_network_and_one_with_experts(name):
    for model in (SMALL, "gpt-oss-120b"):
        run = hwsim.simulate(model, name)
        assert run.machine == name and np.isfinite([run.tokens_per_s, run.power_w, run.area_mm2]).all()
        # Nothing reads weights faster than its memory; hardwired ones are in no memory.
        if run.kind == "gpu":
            stored = models.weight_bytes(models.load(model)).streamed
            assert run.tokens_per_s <= machine_book(name)["memory_bandwidth_bytes_per_s"].nominal * run.chips / stored


@pytest.mark.parametrize("name", FRAME[FRAME.serve].name)
def test_every_serving_machine_serves(name):
    result = hwsim.serve(SMALL, poisson(2, 4), name)
    assert result.machine == name and result.output_tokens_per_s > 0


@pytest.mark.parametrize("name", BOUGHT)
def test_every_bought_machine_states_what_it_costs_and_emits(name):
    constants = machine_costs(name)["default"]
    needed = {"node_price_usd", "gpus_per_node", "power_w", "licence_usd_per_gpu_year", "module_carbon_kg"}
    assert needed | {"die_area_mm2", "hbm_gb"} <= set(constants)
    price = constants["node_price_usd"]
    # Prices that are estimates have wide ranges.
    assert price.kind != "assumed" or price.at("high") >= 1.2 * price.at("low")


@pytest.mark.parametrize("name", sorted({*BOUGHT} - {"taalas-hc1"}))
def test_faster_users_take_more_of_every_machine(name):
    spec, promises = models.load(SMALL), 1.0 / np.array([10.0, 50.0, 100.0, 1e5])
    if machine_book(name).kind == "wafer":
        best = best_wafer_rate(spec, load_wafer(name), context=2048, time_per_token_s=promises)
    else:
        best = best_rate(spec, load_accelerator(name), context=2048, time_per_token_s=promises, sequences=256)
    assert np.isfinite(best.tokens_per_s[:2]).all() and np.isnan(best.tokens_per_s[3])
    kept = np.isfinite(best.tokens_per_s)
    assert (np.diff(best.tokens_per_s[kept]) <= 1e-9).all()
    assert (best.time_per_output_token_s[kept] <= promises[kept]).all()


def test_requests_take_more_of_a_pipeline_than_decoding():
    spec, device = models.load(SMALL), load_wafer("groq-lpu")
    decoding = best_wafer_rate(spec, device, context=1536, time_per_token_s=0.04)
    requests = best_wafer_rate(
        spec, device, context=1, prompt_tokens=1024, output_tokens=1024, time_per_token_s=[0.04, 0.01]
    )
    assert requests.tokens_per_s.shape == (2,)
    assert 0.0 < requests.tokens_per_s[0] < decoding.tokens_per_s
