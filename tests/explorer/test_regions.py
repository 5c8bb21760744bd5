"""The grids that fleets run on and chips are made on: of a book, an override, an option, a book of one's own."""

import json

import pytest

import costmodel
import explorer
from explorer.report.scopes import boundary_text, carbon_scopes
from hwbase import InputError

FLEET = {"volume": 50, "convention": "corrected"}
OWN = """
[book]
extends = "default"
region = "iceland"

[grid]
iceland_g_per_kwh = { nominal = 28, unit = "gCO2e/kWh", year = 2023, kind = "measured", source = "a test" }
"""


def nominal(answer):
    return answer.comparison.nominal


@pytest.mark.slow
def test_a_region_changes_the_electricity_of_both_fleets_alone():
    ours, india = (explorer.cost(set=settings, **FLEET) for settings in ({}, {"region": "india"}))
    grid = costmodel.load_book("default")
    factor = grid["grid.india_g_per_kwh"].nominal / grid["grid.us_g_per_kwh"].nominal
    for fleet in ("hardwired_carbon", "gpu_carbon"):
        before, after = getattr(nominal(ours), fleet), getattr(nominal(india), fleet)
        assert after.scope2_t == pytest.approx(before.scope2_t * factor) and after.scope3_t == before.scope3_t
    assert nominal(india).hardwired.total_usd == nominal(ours).hardwired.total_usd
    assert (ours.region, india.region) == ("us", "india")


@pytest.mark.slow
def test_the_fab_has_a_region_of_its_own():
    ours, sweden = (explorer.cost(set=settings, **FLEET) for settings in ({}, {"fab_region": "sweden"}))
    assert nominal(sweden).hardwired_carbon.scope2_t == nominal(ours).hardwired_carbon.scope2_t
    assert nominal(sweden).hardwired_carbon.scope3_t < nominal(ours).hardwired_carbon.scope3_t
    assert "(Sweden, 2023" in boundary_text(carbon_scopes(sweden))[0]


def test_one_region_for_both_is_named_twice():
    text = boundary_text(carbon_scopes(explorer.cost(set={"region": "taiwan"}, **FLEET)))[0]
    assert "(grid: Taiwan, 2023" in text and "Fabs run on 642.4 g/kWh (Taiwan" in text


def test_a_book_brings_its_own_region(tmp_path):
    (tmp_path / "own.toml").write_text(OWN)
    answer = explorer.cost(book=str(tmp_path / "own.toml"), **FLEET)
    assert answer.region == "iceland" and "28 g/kWh (grid: Iceland" in boundary_text(carbon_scopes(answer))[0]


def test_a_book_may_not_add_anything_else(tmp_path):
    (tmp_path / "own.toml").write_text(OWN.replace("[grid]", "[gird]"))
    with pytest.raises(InputError, match=r"gird\.iceland_g_per_kwh"):
        explorer.cost(book=str(tmp_path / "own.toml"), **FLEET)


@pytest.mark.slow
def test_every_door_takes_a_region(command):
    options = ("--volume", "50", "--convention", "corrected", "--region", "france")
    answer = json.loads(command("cost", *options, "--json")[1])
    assert answer["region"] == "france"
    frame = explorer.evaluate("gpt-oss-120b", {"region": "france"}, volume=50)
    expected = answer["levels"]["nominal"]["hardwired_carbon"]["scope2_t"]
    assert frame["scope2_t"].item() == pytest.approx(expected, rel=1e-9)
    study = explorer.Study({"region": ["us", "france"], "volume": [50]}, sampler="grid")
    rows = study.run().frame.set_index("region")["scope2_t"]
    assert rows["france"] == pytest.approx(expected, rel=1e-9) and rows["us"] > 5 * rows["france"]
    axis = json.loads(command("break-even", "--axis", "grid", "--region", "france", "--samples", "16", "--json")[1])
    assert "grid.france_g_per_kwh" in json.dumps(axis)


@pytest.mark.slow
def test_regions_side_by_side(command):
    status, out, _ = command("cost", "--convention", "corrected", "--region", "us,india", "--json")
    assert status == 0 and [row["region"] for row in json.loads(out)["rows"]] == ["us", "india"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--region", "indai"), "did you mean 'india'"),
        (("--region", "us", "--set", "region=us"), "region is given twice"),
        (("--fab-region", "mars"), "grid region 'mars'"),
    ],
)
def test_bad_regions(command, arguments, message):
    status, out, err = command("cost", "--convention", "corrected", *arguments)
    assert (status, out) == (2, "") and message in err


def test_one_region_at_a_time_in_an_array():
    with pytest.raises(InputError, match="expected one name"):
        explorer.evaluate("gpt-oss-120b", {"region": ["us", "france"]})
