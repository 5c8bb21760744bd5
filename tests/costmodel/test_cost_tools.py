"""Other tools' formulas: what they say of known dies, how they move, and what they refuse."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costmodel import tools
from costmodel.tools.catch import field_use
from hwbase import InputError

DIE = 827.08
PRICED = [(tool, node) for tool in tools.TOOLS for node in tools.nodes_of(tool)]


def parts(tool, area, node, grid=None, book=None):
    found = tools.estimate(tool, area, node, grid, book)
    return [part for part in (found.cost, found.carbon) if part is not None]


def total(part):
    return part.total_usd if isinstance(part, tools.DieCost) else part.total_kg


def test_tools_say_cost_carbon_or_both():
    said = {tool: tools.estimate(tool, DIE, tools.nodes_of(tool)[-1]) for tool in tools.TOOLS}
    costs = {tool for tool, found in said.items() if found.cost is not None}
    carbon = {tool for tool, found in said.items() if found.carbon is not None}
    assert costs == {"chiplet-actuary", "catch", "hnlpu", "ours"}
    assert carbon == {"act", "3d-carbon", "eco-chip", "hnlpu", "ours"}


def test_act_by_hand():
    carbon = tools.estimate("act", DIE, "n5").carbon
    assert carbon.die_kg == pytest.approx(8.2708 * (2.75 * 0.583 + 0.3275 + 0.5) / 0.875)
    assert carbon.total_kg == pytest.approx(carbon.die_kg + 0.15)
    assert carbon.die_yield == tools.estimate("act", 1.0, "n5").carbon.die_yield == 0.875


def test_threed_carbon_by_hand():
    book = tools.load_tool_book("3d-carbon")
    bare = tools.threed_carbon(book, 814.0, "n5", 0.583, metal_layers=17).carbon
    per_cm2 = 2.75 * 0.583 + 0.225 + 0.5
    assert bare.die_kg == pytest.approx(per_cm2 * np.pi / 4 * 900 / 63 * (1 + 0.11 * 8.14 / 10) ** 10)
    assert bare.die_kg == pytest.approx(61.58, abs=0.005)
    more = tools.threed_carbon(book, 814.0, "n5", 0.583).carbon
    assert more.epa_kwh_per_cm2 == pytest.approx(2.75 + 3 * 0.09)
    assert more.gpa_kg_per_cm2 / bare.gpa_kg_per_cm2 == pytest.approx(more.epa_kwh_per_cm2 / 2.75)


def test_metal_layers_grow_with_gates_up_to_three_more():
    reader = tools.load_tool_book("3d-carbon").reader()
    few, some, many = (tools.metal_layers_needed(reader, 125.0, "n14", gates) for gates in (1e9, 2.09e9, 1e10))
    assert few < some <= many == 13


def test_eco_chip_by_hand():
    carbon = tools.estimate("eco-chip", DIE, "n7").carbon
    assert carbon.per_cm2_kg == pytest.approx(2.613)
    dies = np.pi * 450 * (450 / (4 * DIE) - 1 / np.sqrt(2 * DIE))
    waste_g = (np.pi * 450**2 / 4 - np.floor(dies) * DIE) * 26.13 / dies
    assert carbon.total_kg * 1e3 == pytest.approx(DIE * 26.13 * (1 + 0.2 * 8.2708 / 10) ** 10 + waste_g)


def test_chiplet_actuary_by_hand():
    cost = tools.estimate("chiplet-actuary", DIE, "n5").cost
    room = (np.sqrt(DIE) + 0.2) ** 2
    dies = np.pi * 145**2 / room - np.pi * 290 / np.sqrt(2 * room)
    die_usd = 16988 / dies * (1 + 0.11 * 8.2708 / 10) ** 10
    assert cost.die_usd == pytest.approx(die_usd) and die_usd == pytest.approx(718.0, abs=0.05)
    assert cost.total_usd == pytest.approx((die_usd + DIE * 0.005 + DIE * 4 * 0.005) / 0.99)


def test_catch_by_hand():
    cost = tools.estimate("catch", DIE, "n5").cost
    wafer = 0.25024 * np.pi * 150**2 * (0.7 + 0.3 * 858 / DIE)
    assert cost.total_usd == pytest.approx(wafer / cost.gross_dies * (1 + 0.5 * 8.2708 * 0.67 / 2) ** 2)


def test_use_of_exposure_fields():
    assert field_use(858.0, 858.0) == 1.0
    assert field_use(430.0, 858.0) == pytest.approx(430 / 858)
    assert field_use(429.0, 858.0) == 1.0
    assert field_use(1000.0, 858.0) == pytest.approx(1000 / 1716)


def test_the_papers_die():
    found = tools.estimate("hnlpu", DIE, "n5")
    assert (found.cost.gross_dies, found.cost.good_dies) == (62, 27)
    assert found.cost.die_usd == pytest.approx(629.19, abs=0.005)


def test_carbon_per_area_of_eco_chip_is_act_on_coal():
    act, eco = tools.load_tool_book("act").at("high"), tools.load_tool_book("eco-chip")
    for node, of_act in (("n28", "n28"), ("n22", "n20"), ("n14", "n14"), ("n10", "n10"), ("n7", "n7")):
        on_coal = tools.estimate("act", 100.0, of_act, 0.820, act).carbon.per_cm2_kg
        assert eco.value(f"{node}.cpa_kg_per_cm2", "kgCO2e/cm**2") == pytest.approx(on_coal, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("tool", "node"), PRICED)
def test_every_node_gives_a_price(tool, node):
    for part in parts(tool, np.array([25.0, 100.0, 858.0]), node):
        values = np.asarray(total(part))
        assert values.shape == (3,) and np.all(np.isfinite(values)) and np.all(np.diff(values) > 0)


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(st.sampled_from(PRICED), st.floats(20, 800), st.floats(1.05, 1.5))
def test_a_larger_die_costs_more(priced, area, growth):
    tool, node = priced
    # Whole good dies and exposure fields make steps.
    growth = max(growth, 1.3) if tool in ("hnlpu", "catch") else growth
    small, large = (parts(tool, a, node) for a in (area, area * growth))
    for one, other in zip(small, large, strict=True):
        assert total(other) > total(one)
        assert other.die_yield <= one.die_yield


@settings(deadline=None, max_examples=40)
@given(st.sampled_from([p for p in PRICED if tools.TOOLS[p[0]].has_grid]), st.floats(0.0, 0.5), st.floats(0.01, 0.5))
def test_a_dirtier_grid_emits_more(priced, grid, more):
    tool, node = priced
    clean, dirty = (tools.estimate(tool, DIE, node, g).carbon for g in (grid, grid + more))
    assert dirty.total_kg > clean.total_kg
    energy = (clean.silicon_cm2 / clean.die_yield + clean.rim_cm2) * clean.epa_kwh_per_cm2
    assert dirty.die_kg - clean.die_kg == pytest.approx(more * energy)


@pytest.mark.slow
@pytest.mark.parametrize(("tool", "node"), PRICED)
def test_arrays_are_scalars(tool, node):
    areas = np.array([50.0, 300.0, 827.08])
    for at, area in enumerate(areas):
        for many, one in zip(parts(tool, areas, node), parts(tool, float(area), node), strict=True):
            assert np.asarray(total(many))[at] == pytest.approx(total(one))


@pytest.mark.parametrize("tool", [t for t in tools.TOOLS if t != "ours"])
def test_all_terms_exchanged_give_ours(tool):
    node = [n for n in tools.nodes_of(tool) if n in tools.nodes_of("ours")][-1]
    theirs, ours = tools.estimate(tool, DIE, node), tools.estimate("ours", DIE, node)
    for part, terms in (("cost", tools.COST_TERMS), ("carbon", tools.CARBON_TERMS)):
        if getattr(theirs, part) is not None:
            names = tuple(name for fields in terms.values() for name in fields)
            changed = tools.exchanged(getattr(theirs, part), getattr(ours, part), names)
            assert total(changed) == pytest.approx(total(getattr(ours, part)), rel=1e-12)


@pytest.mark.parametrize("tool", tools.TOOLS)
def test_constants_are_told(tool):
    node = tools.nodes_of(tool)[-1]
    used = tools.estimate(tool, DIE, node).assumptions
    assert used and all(quantity.source.strip() for quantity in used.values())
    assert any(name.startswith(f"{node}.") for name in used)


@pytest.mark.parametrize("area", [0.0, -1.0, float("nan"), float("inf"), 1e31, "big", None, []])
@pytest.mark.parametrize("tool", tools.TOOLS)
def test_bad_areas(tool, area):
    with pytest.raises(InputError, match="area_mm2"):
        tools.estimate(tool, area, tools.nodes_of(tool)[-1])


def test_bad_names():
    with pytest.raises(InputError, match="did you mean 'act'"):
        tools.estimate("acct", DIE, "n5")
    with pytest.raises(InputError, match="process node of ECO-CHIP: 'n5'"):
        tools.estimate("eco-chip", DIE, "n5")
    with pytest.raises(InputError, match="process node of act: 'n6'"):
        tools.TOOLS["act"].estimate(tools.load_tool_book("act"), DIE, "n6")
