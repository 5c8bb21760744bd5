import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import costmodel
from costmodel import AS_PUBLISHED, CORRECTED, carbon, module_carbon
from costmodel.footprint import die_carbon_kg
from explorer.pricing.prices import cost_book
from hwbase import InputError

PAPER = cost_book("hnlpu-asplos26")
DIE = {
    "die_area_mm2": 827.08,
    "wafer_area_mm2": np.pi / 4 * 300**2,
    "gross_dies": 62,
    "die_yield": 0.431158,
    "grid_kg_per_kwh": 0.583,
    "epa_kwh_per_cm2": 2.75,
    "gpa_kg_per_cm2": 0.3275,
    "mpa_kg_per_cm2": 0.5,
}
FLEET = {"modules": 800, "module_kg": 124.9, "it_power_w": 50 * 6900, "tokens_per_s": 1e8, "rebuilt_modules": 1600}


@pytest.mark.parametrize(
    ("changes", "kg"),
    [
        ({"die_yield": 0.875, "allocation": "die-area"}, 23.0),  # ACT as shipped
        ({"allocation": "die-area"}, 46.6),  # ACT with Murphy's yield
        ({}, 64.3),  # and the wafer's edge
        ({"gpa_kg_per_cm2": 0.225, "die_yield": 0.41863}, 63.4),  # 3D-Carbon in Taiwan
        ({"gpa_kg_per_cm2": 0.225, "die_yield": 0.41863, "grid_kg_per_kwh": 0.301}, 42.3),  # and its world average
    ],
)
def test_the_same_die_by_the_formulas_of_other_tools(changes, kg):
    assert die_carbon_kg(**(DIE | changes)) == pytest.approx(kg, abs=0.06)


def test_h100_module_rebuilt():
    got = module_carbon(PAPER, die_area_mm2=814, hbm_gb=80, node="n5")
    assert got.die_kg == pytest.approx(61.58, abs=0.005)
    assert got.package_kg == pytest.approx(0.77, abs=0.005)
    assert got.hbm_kg + got.board_kg == pytest.approx(56.57, abs=0.01)
    assert got.total_kg == pytest.approx(124.86, abs=0.005)
    assert got.total_kg == pytest.approx(got.die_kg + got.package_kg + got.hbm_kg + got.board_kg + got.margin_kg)
    assert round(got.total_kg, 1) == 124.9


def test_a_hardwired_module_is_not_an_h100():
    assert module_carbon(PAPER, die_area_mm2=827.08, hbm_gb=192, node="n5").total_kg == pytest.approx(155.0, abs=0.05)


def test_fleet_by_hand():
    got = carbon(PAPER, **FLEET)
    assert got.operational_t == pytest.approx(0.483 * 26280 * 0.38)
    assert got.static_t == pytest.approx(4923.35, abs=0.005) and got.total_t == pytest.approx(5123.19, abs=0.005)
    assert got.scope2_t + got.scope3_t == pytest.approx(got.total_t)
    assert got.t_per_million_tokens == pytest.approx(got.total_t / (1e8 * 26280 * 3600 / 1e6))
    printed = carbon(PAPER, **FLEET, ceil_printed=True)
    assert (printed.printed_static_t, printed.printed_total_t) == (4924, 5124) and printed.total_t == got.total_t


def test_regions_and_market():
    fleets = {region: carbon(PAPER, **FLEET, region=region) for region in costmodel.regions(PAPER)}
    assert {"us", "taiwan", "france", "sweden", "china", "world"} <= set(fleets)
    assert fleets["sweden"].scope2_t < fleets["france"].scope2_t < fleets["us"].scope2_t < fleets["china"].scope2_t
    assert len({f.scope3_t for f in fleets.values()}) == 1
    green = carbon(PAPER, **FLEET, intensity_kg_per_kwh=0.0)
    assert green.scope2_t == 0 and green.total_t == green.scope3_t


def test_spares_count_when_the_conventions_say_so():
    spares = {"spare_modules": 80}
    assert carbon(PAPER, **FLEET, **spares).embodied_t == carbon(PAPER, **FLEET).embodied_t
    counted = carbon(PAPER, **FLEET, **spares, conventions=AS_PUBLISHED.switched(spares_embodied=True))
    assert counted.embodied_t == pytest.approx(880 * 0.1249)


@pytest.mark.slow
@settings(deadline=None, max_examples=25)
@given(st.floats(30, 850), st.floats(0, 500), st.sampled_from(["n16", "n7", "n5", "n3", "n2"]))
def test_embodied_is_at_least_the_die_over_its_yield(area, hbm, node):
    book = costmodel.load_book("hnlpu-asplos26")
    for conventions in (AS_PUBLISHED, CORRECTED):
        got = module_carbon(book, die_area_mm2=area, hbm_gb=hbm, node=node, conventions=conventions)
        own = module_carbon(
            book, die_area_mm2=area, hbm_gb=hbm, node=node, conventions=conventions, allocation="die-area"
        )
        assert got.total_kg >= got.die_kg >= own.die_kg > area / 100 * book.value(f"{node}.mpa_kg_per_cm2", MPA)


MPA = "kgCO2e/cm**2"


@given(st.integers(1, 10**6), st.floats(0, 1e4))
@pytest.mark.slow
def test_doubling_the_fleet_doubles_its_embodied_carbon(modules, kg):
    def embodied(n):
        return carbon(PAPER, modules=n, module_kg=kg, it_power_w=0, tokens_per_s=1).embodied_t

    assert embodied(2 * modules) == pytest.approx(2 * embodied(modules))


def test_vectorised_is_scalar():
    area = np.array([50.0, 400.0, 827.08])
    many = module_carbon(PAPER, die_area_mm2=area, hbm_gb=80, conventions=CORRECTED, node="n5")
    for a, kg in zip(area, many.total_kg, strict=True):
        one = module_carbon(PAPER, die_area_mm2=float(a), hbm_gb=80, conventions=CORRECTED, node="n5")
        assert kg == pytest.approx(one.total_kg, rel=1e-14)


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: carbon(PAPER, **(FLEET | {"modules": -1})), "modules = -1"),
        (lambda: carbon(PAPER, **(FLEET | {"module_kg": float("nan")})), "module_kg = nan"),
        (lambda: carbon(PAPER, **(FLEET | {"it_power_w": float("inf")})), "it_power_w = inf"),
        (lambda: carbon(PAPER, **(FLEET | {"tokens_per_s": 0})), "tokens_per_s = 0"),
        (lambda: carbon(PAPER, **FLEET, region="swedn"), "did you mean 'sweden'"),
        (lambda: carbon(PAPER, **FLEET, intensity_kg_per_kwh=-1), "intensity_kg_per_kwh"),
        (lambda: module_carbon(PAPER, die_area_mm2=0, hbm_gb=80, node="n5"), "die_area_mm2 = 0"),
        (lambda: module_carbon(PAPER, die_area_mm2=814, hbm_gb=-80, node="n5"), "hbm_gb = -80"),
        (lambda: module_carbon(PAPER, die_area_mm2=814, hbm_gb=80, node="n55"), "process node"),
        (lambda: module_carbon(PAPER, die_area_mm2=814, hbm_gb=80, fab_region="mars", node="n5"), "grid region"),
        (lambda: module_carbon(PAPER, die_area_mm2=814, hbm_gb=80, allocation="mass", node="n5"), "allocation"),
        (lambda: die_carbon_kg(**(DIE | {"die_yield": 0})), "die_yield"),
        (lambda: costmodel.bought_fleet(PAPER, costmodel.Device("h100", "n5"), units=0), "units = 0"),
    ],
)
def test_bad_input(call, word):
    with pytest.raises(InputError, match=word):
        call()


def test_a_module_of_several_dies_has_the_yield_of_each():
    book = cost_book("default")
    sizes = {"die_area_mm2": 1600, "hbm_gb": 180, "node": "n5", "conventions": CORRECTED}
    one, two = (module_carbon(book, dies=dies, **sizes) for dies in (1, 2))
    half = module_carbon(book, **sizes | {"die_area_mm2": 800})
    assert two.die_kg == pytest.approx(2 * half.die_kg) and two.die_kg < 0.6 * one.die_kg
    assert (two.package_kg, two.hbm_kg, two.board_kg) == (one.package_kg, one.hbm_kg, one.board_kg)
