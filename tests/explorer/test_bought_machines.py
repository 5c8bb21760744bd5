"""Every machine with a price stands beside a hardwired one: in costs, over promises, and in a report."""

import json

import numpy as np
import pytest

import explorer
from explorer.serving.interactivity import interactivity
from hwbase import InputError
from hwsim.machine_books import machine_costs, machine_names

PRICED = [name for name in machine_names(("gpu", "wafer", "fixed-model")) if machine_costs(name)]
SMALL = "llama-3-8b"


@pytest.mark.parametrize("name", PRICED)
def test_a_front_of_every_machine_is_the_cost_of_its_fleet(name):
    result = interactivity(SMALL, on=["hnlpu", name], speeds=[25.0])
    answer = explorer.cost(SMALL, volume=50, convention="corrected", beside=name)
    front, gpu = result.fronts[1], answer.comparison.nominal.gpu
    assert front.machine == name and front.usd_per_million_tokens[0] == pytest.approx(
        gpu.usd_per_million_tokens, rel=0.01
    )
    assert answer.evidence["ratio"] == "fitted"


@pytest.mark.slow
def test_a_report_names_a_machine_of_another_vendor():
    answer = explorer.answer(SMALL, on=("hnlpu", "mi300x", "groq-lpu"), volume=10)
    assert {each.device for each in (*answer.costs, *answer.costs_beside)} == {"mi300x", "groq-lpu"}
    capital = next(line for line in answer.headline if line.what.startswith("capital"))
    assert {"mi300x", "groq-lpu"} <= {name for name, value in capital.values.items() if value}


@pytest.mark.slow
def test_a_published_chip_is_of_its_own_network(command):
    status, out, _ = command("compare-serving", SMALL, "--interactivity", "10:20000", "--volume", "10", "--json")
    rows = json.loads(out)["rows"]
    assert status == 0 and {row["machine"] for row in rows} == {"hnlpu", "h100", "b200", "taalas-hc1"}
    rates = {row["tokens_per_s_per_chip"] for row in rows if row["machine"] == "taalas-hc1"}
    assert rates - {None} == {17000.0}
    with pytest.raises(InputError, match="taalas-hc1 holds llama-3-8b"):
        explorer.cost("gpt-oss-120b", beside="taalas-hc1", convention="corrected")


@pytest.mark.slow
def test_interactivity_takes_the_process_and_the_format():
    one, two, wide = (
        interactivity(SMALL, speeds=[25.0], volume=volume, technology=technology, weights=weights).fronts[0]
        for volume, technology, weights in ((1, "n5", "fp4"), (50, "n5", "fp4"), (50, "n5", "int8"))
    )
    assert one.usd_per_million_tokens[0] > two.usd_per_million_tokens[0]
    assert np.isfinite(wide.usd_per_million_tokens[0])
    with pytest.raises(InputError, match=r"service\.time_per_token_s is what the speeds vary"):
        interactivity(SMALL, set={"service.time_per_token_s": 0.01})
