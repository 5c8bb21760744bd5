"""The fleet's own uncertainty: which constants count, two machines that share draws, SALib on the same model."""

import json

import numpy as np
import pytest
from SALib.analyze import sobol as salib_analyze
from SALib.sample import sobol as salib_sample

import costmodel
import explorer
from explorer.uncertainty import RATIOS, VERSUS_RATIOS, Scenario, analyse, factors_of
from explorer.uncertainty.distributions import correlated_shares
from explorer.uncertainty.scenario import Machine, chosen
from hwbase import InputError

pytestmark = pytest.mark.slow

FEW = ("service.*", "use.*", "n5.*", "link_element_bytes")


@pytest.fixture(scope="module")
def machine():
    return Machine.of(Scenario())


@pytest.fixture(scope="module")
def found():
    return analyse(samples=128)


def test_nominal_is_what_the_cost_command_says(found):
    nominal = explorer.cost(convention="corrected", volume=50).comparison.nominal
    assert found.nominal["tco_ratio"] == pytest.approx(nominal.tco_ratio, rel=1e-9)
    assert found.nominal["carbon_ratio"] == pytest.approx(nominal.carbon_ratio, rel=1e-9)
    assert found.nominal["gpu_tco_usd"] == pytest.approx(nominal.gpu.total_usd, rel=1e-9)


def test_every_constant_that_moves_an_answer_is_among_those_read(machine):
    """Each ranged constant of the cost book at its high end: what is not read changes nothing."""
    book = costmodel.load_book("default")
    ranged = [name for name, q in book.items() if q.at("low") < q.at("high")]
    ends = {
        name: np.where(np.eye(len(ranged), dtype=bool)[i], book[name].at("high"), book[name].nominal)
        for i, name in enumerate(ranged)
    }
    lows = {
        name: np.where(np.eye(len(ranged), dtype=bool)[i], book[name].at("low"), book[name].nominal)
        for i, name in enumerate(ranged)
    }
    at, high, low = machine({}), machine(ends), machine(lows)
    moved = np.zeros(len(ranged), dtype=bool)
    for column, values in at.items():
        if values.dtype.kind == "f":
            moved |= (high[column] != values[0]) | (low[column] != values[0])
    assert {name for name, moves in zip(ranged, moved, strict=True) if moves} <= set(machine.read)
    assert {"server.power_factor", "b200.tokens_per_s", "grid.taiwan_g_per_kwh"} <= set(machine.read)
    assert not {"n3.wafer_price_usd", "dram.price_usd_per_gb", "use.nothing"} & set(machine.read)


def test_draws_evaluate_as_the_model_does(found):
    """Three draws, one by one through the public function."""
    row = found.to_frame().iloc[[3, 50, 99]].reset_index(drop=True)
    for i in range(3):
        one = {name: row[name][i].item() for name in found.inputs}
        alone = explorer.evaluate("gpt-oss-120b", one, beside="gpu", die_formula="exact").iloc[0]
        for name in ("tco_ratio", "carbon_ratio", "chips", "tokens_per_s", "tco_usd"):
            assert row[name][i] == pytest.approx(alone[name], rel=1e-9), name
        assert row["bound_by"][i] == alone["bound_by"]


def test_counts_stay_whole_and_formats_are_formats(found):
    draws = found.inputs
    for name in ("use.respins", "n5.euv_masks", "n5.duv_masks"):
        assert (draws[name] == np.rint(draws[name])).all(), name
    assert set(draws["link_element_bytes"]) == {1, 2, 4} and set(draws["kv_element_bytes"]) == {1, 2}
    assert set(draws["fp4_sigma"]) <= {1.9, 2.7, 3.8}


def test_stated_correlations_are_in_the_draws(found):
    table = found.stated_correlations()
    assert {"use.lifetime_hours + use.respins", "n5.duv_masks + n5.euv_masks"} <= set(table["between"])
    draws = found.inputs.corr(method="spearman")
    assert draws.loc["n5.wafer_price_usd", "n5.mask_set_usd"] == pytest.approx(0.48, abs=0.12)
    assert (
        draws.loc["n5.euv_masks", "n5.duv_masks"]
        < -0.25
        < 0.5
        < draws.loc["design.ip_usd", "design.physical_usd"] + 0.1
    )
    assert {f.name for f in found.factors} >= {"design.*", "use.lifetime_hours + use.respins"}


def test_correlations_may_be_ignored():
    found = analyse(samples=128, independent=True, only=["use.*", "design.*"])
    assert [f.members for f in found.factors] == [(name,) for name in found.distributions]
    assert found.stated_correlations().empty
    assert abs(found.inputs.corr(method="spearman").loc["use.lifetime_hours", "use.respins"]) < 0.15


def test_set_pins_and_only_restricts():
    pinned = analyse(
        samples=16, set={"b200.tokens_per_s": 2000, "clock_hz": "0.9 GHz", "logic_density_mtr_per_mm2": 300}
    )
    assert "b200.tokens_per_s" not in pinned.distributions and "clock_hz" not in pinned.distributions
    alone = explorer.evaluate(
        "gpt-oss-120b",
        {"b200.tokens_per_s": 2000, "clock_hz": 0.9e9, "logic_density_mtr_per_mm2": 300},
        beside="gpu",
        die_formula="exact",
    )
    assert pinned.nominal["tco_ratio"] == pytest.approx(alone["tco_ratio"][0], rel=1e-9)
    few = analyse(samples=16, only=["n5.*", "use.respins"])
    assert all(name.startswith("n5.") or name == "use.respins" for name in few.distributions)
    assert few.nominal == pytest.approx(analyse(samples=16, only=["use.respins"]).nominal)


def test_the_published_conventions_have_their_own_book():
    found = analyse(samples=16, convention="as-published", reading="as-published")
    assert "use.lifetime_hours" not in found.distributions and "n5.mask_set_usd" in found.distributions


def test_probabilities(found):
    tco, carbon, both = (found.probability("tco_ratio"), found.probability("carbon_ratio"), found.all_above(RATIOS))
    assert both.probability <= min(tco.probability, carbon.probability)
    assert tco.low <= tco.probability <= tco.high and 0.1 < tco.probability < 0.3
    assert sum(found.shares("bound_by").values()) == pytest.approx(1.0)


def test_fewer_systems_pay_less():
    chances = [analyse(samples=64, volume=volume).probability("tco_ratio").probability for volume in (1, 50, 1000)]
    assert chances[0] < 0.05 and chances[0] < chances[1] < chances[2]


def test_a_second_machine_shares_the_draws():
    same = analyse(samples=32, versus={})
    assert not any(name.startswith("versus") for name in same.outputs)
    found = analyse(samples=32, versus={"volume": 51}, only=FEW)
    frame = found.outputs
    assert frame["versus.masks_usd"].equals(frame["masks_usd"])
    ratio = frame["versus.usd_per_million_tokens"] / frame["usd_per_million_tokens"]
    assert frame[VERSUS_RATIOS[0]].to_numpy() == pytest.approx(ratio.to_numpy())
    assert (frame[VERSUS_RATIOS[0]] < 1).all()  # one system more shares the masks


def test_constants_that_differ_move_together():
    found = analyse(samples=64, versus={"technology": "n5-synthesised"}, only=["full_adder_transistors", "logic*"])
    assert [f.name for f in found.factors] == ["full_adder_transistors", "versus.logic_density_mtr_per_mm2"]
    one, other = found.inputs["full_adder_transistors"], found.inputs["versus.full_adder_transistors"]
    assert one.corr(other, method="spearman") == pytest.approx(1.0) and not one.equals(other)
    # The synthesised density needs more chips, whatever is drawn.
    assert (found.outputs["versus.chips"] > found.outputs["chips"]).all()


def test_a_second_machine_with_a_pinned_constant():
    found = analyse(samples=16, versus={"use.respins": 0}, only=["use.*"])
    assert (found.outputs["versus.tco_usd"] <= found.outputs["tco_usd"]).all()
    other = analyse(samples=16, versus={"model": "llama-3-8b", "context": 4096}, only=["b200.*"])
    assert (other.outputs["versus.chips"] < other.outputs["chips"]).all()
    wide = analyse(samples=16, versus={"weights": "int8"}, only=["b200.*"])
    assert (wide.outputs["versus.chips"] > wide.outputs["chips"]).all()


def test_constants_that_take_one_number_a_call_are_drawn_too():
    found = analyse(samples=64, only=["fp4_sigma"])
    assert set(found.inputs["fp4_sigma"]) == {1.9, 2.7, 3.8} and found.outputs["die_area_mm2"].nunique() == 3
    for value, area in found.to_frame().groupby("fp4_sigma")["die_area_mm2"].first().items():
        alone = explorer.evaluate("gpt-oss-120b", {"fp4_sigma": value})
        assert area == pytest.approx(alone["die_area_mm2"][0], rel=1e-9)


def test_machines_that_cannot_be_built_are_counted():
    """On a grid of 48 chips dense draws fit the reticle and others do not."""
    found = analyse(
        samples=64,
        technology="n5",
        set={"rows": 6, "columns": 8, "popcnt_slack": 0.1},
        only=["logic*"],
        shape="uniform",
    )
    assert 0 < found.infeasible < 64 and "reticle" in found.reasons["reason"].iloc[0]
    too_sparse = found.inputs["logic_density_mtr_per_mm2"][found.outputs["tco_ratio"].isna()]
    fits = found.inputs["logic_density_mtr_per_mm2"][found.outputs["tco_ratio"].notna()]
    assert too_sparse.max() < fits.min()
    assert found.probability("tco_ratio").draws == 64 - found.infeasible
    # A draw that only the second machine cannot build is none for both.
    other = analyse(
        samples=64, versus={"technology": "n5", "rows": 6, "columns": 8, "popcnt_slack": 0.1}, only=["logic*"]
    )
    assert 0 < other.infeasible < 64


def test_a_machine_that_cannot_be_built_at_all():
    with pytest.raises(InputError, match="reticle"):
        analyse(samples=16, set={"rows": 1, "columns": 1})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": "gpt-oss-120"}, "did you mean 'gpt-oss-120b'"),
        ({"technology": "n4"}, "n4"),
        ({"convention": "correct"}, "did you mean 'corrected'"),
        ({"reading": "pipeline"}, "did you mean 'pipelined'"),
        ({"book": "defaults"}, "did you mean 'default'"),
        ({"set": {"use.respin": 1}}, "did you mean 'use.respins'"),
        ({"set": {"use.utilisation": 2}}, "use.utilisation = 2"),
        ({"only": ["n5,*"]}, "unknown constant that is read here"),
        ({"only": ["n3.*"]}, "unknown constant that is read here"),
        ({"samples": 1000}, "power of two"),
        ({"volume": 1.5}, "volume = 1.5"),
        ({"volume": float("nan")}, "volume = nan"),
        ({"context": 0}, "context = 0"),
        ({"versus": {"technologie": "n3"}}, "unknown constant 'technologie'"),
        ({"versus": {"model": "gpt-9"}}, "unknown model"),
        ({"shapes": {"use.respins": "flat"}}, "unknown shape"),
    ],
)
def test_bad_questions_of_the_fleet(options, said):
    with pytest.raises(InputError, match=said):
        analyse(**({"samples": 16} | options))


def test_a_range_that_no_machine_takes(tmp_path):
    (tmp_path / "mine.toml").write_text(
        '[book]\nname = "mine"\nextends = "default"\n[use]\nutilisation = { low = 0.5, nominal = 0.9, high = 1.5, '
        'unit = "1", year = 2026, kind = "user", source = "me" }\n'
    )
    with pytest.raises(InputError, match=r"use.utilisation = 1.5: expected a finite number >= 0 and <= 1"):
        analyse(samples=16, book=str(tmp_path / "mine.toml"))


def test_findings_as_json(found):
    told = json.loads(found.to_json())
    assert told["model"] == "gpt-oss-120b" and told["set"] == {} and told["volume"] == 50
    assert {row["output"] for row in told["percentiles"]} == set(found.names)
    assert len(found.to_frame()) == 128 and "server.power_factor" in set(found.sources()["name"])


def both_ways(scenario, only, samples, seed):
    """Our indices of both ratios, and SALib's of the same model, sampled and estimated by SALib."""
    machine = Machine.of(scenario)
    spreads = machine.spreads(chosen(machine.quantities(), only))
    factors = factors_of(list(spreads), machine.correlations)
    members = [name for factor in factors for name in factor.members]
    problem = {
        "num_vars": len(members),
        "names": members,
        "groups": [factor.name for factor in factors for _ in factor.members],
        "bounds": [[0.0, 1.0]] * len(members),
    }
    unit = salib_sample.sample(problem, samples, calc_second_order=False, seed=seed)
    shares = correlated_shares(factors, unit)
    outputs = machine({name: spread.at(shares[name]) for name, spread in spreads.items()})
    ours = analyse(scenario.model, samples=samples, only=only, seed=seed)
    for ratio in RATIOS:
        theirs = salib_analyze.analyze(problem, np.log(outputs[ratio]), calc_second_order=False, seed=seed)
        yield ours.sobol(ratio).set_index("name").loc[[factor.name for factor in factors]], theirs


def agree(ours, theirs):
    for order, key in (("first", "S1"), ("total", "ST")):
        width = (ours[f"{order}_high"] - ours[f"{order}_low"]) / 2
        assert (abs(ours[order] - theirs[key]) <= width + theirs[f"{key}_conf"]).all(), order


def test_indices_agree_with_salib_on_the_same_model():
    for ours, theirs in both_ways(Scenario(), FEW, 512, seed=11):
        agree(ours, theirs)


def test_indices_of_every_constant_agree_with_salib():
    for ours, theirs in both_ways(Scenario(), (), 2048, seed=7):
        agree(ours, theirs)
