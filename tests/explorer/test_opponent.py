"""The machine that is bought instead is that of the conventions, at every door, unless one is named."""

import json

import numpy as np
import pytest

import costmodel
import explorer
from explorer.pricing.prices import bought, machines_of
from explorer.serving.interactivity import interactivity
from explorer.uncertainty.scenario import Scenario
from hwbase import InputError

BEST, PAPERS = costmodel.CORRECTED.beside, costmodel.AS_PUBLISHED.beside


@pytest.mark.slow
def test_the_best_of_the_measured_gpus_is_beside_corrected_fleets():
    """GPUs on which the paper's model was measured, one server alone: none has a cheaper fleet."""
    ratios = {
        name: explorer.cost(volume=50, convention="corrected", beside=name).pair.tco_ratio
        for name in ("h100", "h200", "b200")
    }
    assert min(ratios, key=ratios.get) == BEST


def test_the_machines_of_the_default_were_measured():
    pytest.importorskip("aiconfigurator_core", reason="measured GPUs: pip install 'hwsim[gpu]'")
    from explorer.serving.measured_gpus import measured_points

    points = measured_points()
    assert set(points[points.network == "gpt-oss-120b"].machine) == {"h100", "h200", "b200"}


@pytest.mark.parametrize(("convention", "machine"), [("corrected", BEST), ("as-published", PAPERS)])
def test_every_door_takes_it(convention, machine):
    answer = explorer.cost(convention=convention)
    assert answer.device == machine
    frame, named = (explorer.evaluate("gpt-oss-120b", convention=convention, beside=each) for each in ("gpu", machine))
    assert frame["gpu_tokens_per_s"][0] == named["gpu_tokens_per_s"][0]
    assert Scenario(convention=convention).beside == machine
    assert machines_of(None, ("hardwired", "gpu"), costmodel.conventions.named(convention))[1][0].name == machine


def test_a_scenario_that_differs_in_convention_keeps_its_machine():
    assert Scenario().changed({"convention": "as-published"}).beside == BEST
    assert Scenario(beside="h200").changed({"volume": 3}).beside == "h200"


def test_a_named_machine_stands():
    assert explorer.cost(convention="corrected", beside="h100").device == "h100"
    with pytest.raises(InputError, match="did you mean 'b200'"):
        bought("b20", costmodel.CORRECTED)


def test_ones_own_conventions_name_theirs(tmp_path):
    (tmp_path / "mine.toml").write_text('[conventions]\nextends = "corrected"\nbeside = "h200"\n')
    assert explorer.cost(convention=tmp_path / "mine.toml").device == "h200"
    (tmp_path / "wrong.toml").write_text('[conventions]\nextends = "corrected"\nbeside = "h20"\n')
    with pytest.raises(InputError, match="did you mean 'h200'"):
        explorer.cost(convention=tmp_path / "wrong.toml")


@pytest.mark.slow
def test_a_report_shows_the_papers_gpu_and_the_best():
    answer = explorer.answer(volume=50)
    assert [(each.convention, each.device) for each in answer.costs] == [("as-published", PAPERS), ("corrected", BEST)]
    assert [(each.convention, each.device) for each in answer.costs_beside] == [("corrected", PAPERS)]
    line = next(line for line in answer.headline if line.what.startswith("TCO"))
    assert {PAPERS, f"{PAPERS}:corrected", f"{BEST}:corrected"} <= {n for n, v in line.values.items() if v is not None}
    assert line.values[BEST] is None
    alone = explorer.answer("llama-3-8b", on="hnlpu", convention="corrected")
    assert set(alone.accelerators) == {PAPERS, BEST} and alone.cost.device == BEST


def test_commands_take_it(command):
    for convention, machine in (("corrected", BEST), ("as-published", PAPERS)):
        status, out, _ = command("cost", "--convention", convention, "--json")
        assert status == 0 and json.loads(out)["device"] == machine
    status, out, _ = command("cost", "--convention", "as-published,corrected", "--json")
    assert [row["device"] for row in json.loads(out)["rows"]] == [PAPERS, BEST]


@pytest.mark.slow
def test_fronts_and_limits_take_it():
    fronts = interactivity(speeds=np.array([25.0]))
    assert [front.machine for front in fronts.fronts] == ["hnlpu", BEST, PAPERS]
    assert {row.machine for row in explorer.limits("gpt-oss-120b").rows} == {"hnlpu", BEST}
