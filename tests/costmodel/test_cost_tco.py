import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import costmodel
from costmodel import AS_PUBLISHED, CORRECTED
from costmodel.ownership import repeats_worth, spread_worth
from costmodel.power import facility_power_mw, system_it_power_w
from explorer.pricing.prices import cost_book
from hwbase import InputError

PAPER = cost_book("hnlpu-asplos26")
CHIP = {"die_area_mm2": 827.08, "hbm_gb_per_chip": 192, "node": "n5"}
BILL = costmodel.hardwired_bill(PAPER, chips=16, **CHIP)
FLEET = {"bill": BILL, "volume": 50, "system_power_w": 6900, "tokens_per_s": 2e6}


def test_hardwired_by_hand():
    low = PAPER.at("low")
    bill = costmodel.hardwired_bill(low, chips=16, **CHIP)
    got = costmodel.tco(low, bill=bill, volume=50, system_power_w=6900, tokens_per_s=2e6)
    assert got.facility_power_mw == pytest.approx(50 * 6.9e-3 * 1.4)
    assert got.infrastructure_usd == pytest.approx(100 * 45e3 + 12e6 * 0.483)
    assert got.electricity_usd == pytest.approx(483 * 26280 * 0.095)
    assert got.maintenance_usd == pytest.approx(5 * 16 * 4560.296, rel=1e-6)
    assert got.respins_usd == pytest.approx(2 * 22.1098e6, rel=1e-5)
    assert got.total_usd == pytest.approx(118.912e6, rel=1e-5)
    tokens = 2e6 * 50 * 26280 * 3600
    assert got.usd_per_million_tokens == pytest.approx(got.total_usd / tokens * 1e6)
    assert got.static_usd_per_million_tokens < got.usd_per_million_tokens


def test_gpus_by_hand():
    got = costmodel.device_tco(PAPER, "h100", units=2000)
    assert got.hardware_usd == pytest.approx(80e6)
    assert got.capex_usd == pytest.approx(80e6 + 250 * 45e3 + 12e6 * 3.64)
    assert got.maintenance_usd == pytest.approx(2000 * 4500 * 3 + 0.15 * got.capex_usd)
    assert got.static_usd == got.total_usd == pytest.approx(191.257e6, rel=1e-5)


def test_matching_gpus():
    assert costmodel.devices_to_match(1, 2e6, 1080) == 2000
    assert costmodel.devices_to_match(50, 2e6, 1080) == 100_000
    assert costmodel.devices_to_match(1, 2e6, 1080, CORRECTED) == 1852
    assert costmodel.devices_to_match(50, 2e6, 1080, CORRECTED) == 92_593
    assert costmodel.devices_to_match(3, 10.0, 1080) == 3  # never less than one a system
    assert list(costmodel.devices_to_match(1, np.array([2e6, 249_960]), 1080)) == [2000, 200]


def test_power():
    assert system_it_power_w(PAPER, chips=16, chip_power_w=308.39) == pytest.approx(6907.9, abs=0.1)
    assert system_it_power_w(PAPER, chips=16, chip_power_w=308.39, stated_w=6900) == 6900
    once = system_it_power_w(PAPER, chips=16, chip_power_w=308.39, stated_w=6900, conventions=CORRECTED)
    assert once == pytest.approx(4934.24)
    assert facility_power_mw(6900, 1.4, 0.001) == pytest.approx(0.010)
    assert facility_power_mw(6900, 1.4) == pytest.approx(0.00966)


def test_discounting():
    assert spread_worth(0.0, 3.0) == 1 and repeats_worth(0.0, 3.0, 2) == 2 and repeats_worth(0.1, 3.0, 0) == 0
    assert repeats_worth(0.1, 3.0, 2) == pytest.approx(1 / 1.1 + 1 / 1.21)
    assert spread_worth(0.1, 1.0) == pytest.approx((1 - 1 / 1.1) / np.log(1.1))
    assert spread_worth(1e-9, 3.0) == pytest.approx(1.0)
    now = costmodel.tco(PAPER, **FLEET)
    later = costmodel.tco(PAPER.override({"use.discount_rate_per_year": 0.08}), **FLEET)
    assert later.capex_usd == now.capex_usd and later.total_usd < now.total_usd
    assert later.usd_per_million_tokens > now.usd_per_million_tokens


def test_utilisation_and_lifetime():
    full = costmodel.tco(PAPER, **FLEET)
    half = costmodel.tco(PAPER.override({"use.utilisation": 0.5}), **FLEET)
    assert half.electricity_usd == pytest.approx(full.electricity_usd / 2)
    assert half.million_tokens == pytest.approx(full.million_tokens / 2)
    longer = costmodel.tco(PAPER.override({"use.lifetime_hours": "5 year"}), **FLEET)
    assert longer.usd_per_million_tokens < full.usd_per_million_tokens


@pytest.mark.parametrize("conventions", [AS_PUBLISHED, CORRECTED])
@settings(deadline=None, max_examples=40)
@given(st.integers(1, 5000), st.integers(1, 5000), st.floats(0, 2e4), st.integers(0, 9))
@pytest.mark.slow
def test_more_never_costs_less(conventions, volume, more, power, respins):
    def total(v, p=power, n=respins):
        return costmodel.tco(
            PAPER, bill=BILL, volume=v, system_power_w=p, tokens_per_s=1e5, respins=n, conventions=conventions
        ).total_usd

    assert total(2 * volume) >= total(volume + more if more < volume else volume) >= total(volume)
    assert total(volume, power + 500) >= total(volume)
    assert total(volume, power, respins + 1) > total(volume)


def test_conventions_move_the_terms_they_name():
    def run(**choices):
        return costmodel.tco(PAPER, **FLEET, conventions=AS_PUBLISHED.switched(**choices))

    base = run()
    assert run(construction_basis="it").construction_usd == pytest.approx(base.construction_usd / 1.4)
    assert run(facility_power_step_mw=0.1).facility_power_mw == pytest.approx(0.5)
    rate = run(hardwired_maintenance="rate")
    assert rate.maintenance_usd == pytest.approx(0.15 * base.capex_usd)
    nodes = run(hardwired_maintenance="rate", maintenance_basis="nodes")
    assert nodes.maintenance_usd == pytest.approx(0.15 * base.hardware_usd)
    both = run(hardwired_maintenance="spares-and-rate")
    assert both.maintenance_usd == pytest.approx(base.maintenance_usd + 0.15 * 50 * BILL.system_usd)
    respun = run(spares_respun=True)
    assert respun.respins_usd == pytest.approx(base.respins_usd + 2 * 5 * BILL.system_usd)
    bundled = costmodel.device_tco(PAPER, "h100", units=8, conventions=AS_PUBLISHED.switched(licence_counted=False))
    assert costmodel.device_tco(PAPER, "h100", units=8).maintenance_usd - bundled.maintenance_usd == pytest.approx(
        8 * 13_500
    )


def test_vectorised_is_scalar():
    volume, power = np.array([[1], [7], [50]]), np.array([100.0, 6900.0])
    many = costmodel.tco(PAPER, bill=BILL, volume=volume, system_power_w=power, tokens_per_s=2e6)
    for i, v in enumerate(volume[:, 0]):
        for j, p in enumerate(power):
            one = costmodel.tco(PAPER, bill=BILL, volume=int(v), system_power_w=float(p), tokens_per_s=2e6)
            assert many.total_usd[i, j] == pytest.approx(one.total_usd, rel=1e-14)


def test_a_hundred_thousand_designs_at_once(design):
    areas = np.linspace(100, 850, 100_000)
    many = design | {"system": dataclasses.replace(design["system"], die_area_mm2=areas)}
    result = costmodel.compare(PAPER, volume=1, **many)
    assert result.low.tco_ratio.shape == areas.shape


def test_sources_cover_the_bill_too():
    used = costmodel.tco(PAPER, **FLEET).sources()
    assert {"n5.wafer_price_usd", "datacentre.pue", "use.respins", "electricity.usd_per_kwh"} <= set(used["name"])


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"volume": 0}, "volume = 0"),
        ({"volume": 1.5}, r"volume = 1\.5"),
        ({"system_power_w": -1}, "system_power_w = -1"),
        ({"system_power_w": float("nan")}, "nan"),
        ({"tokens_per_s": 0}, "tokens_per_s = 0"),
        ({"tokens_per_s": float("inf")}, "inf"),
        ({"respins": -1}, "respins = -1"),
        ({"respins": 0.5}, r"respins = 0\.5"),
    ],
)
def test_bad_input(options, word):
    with pytest.raises(InputError, match=word):
        costmodel.tco(PAPER, **(FLEET | options))


@pytest.mark.parametrize(
    "options", [{"units": 0}, {"units": -8}, {"units": float("nan")}, {"units": 8, "tokens_per_s": 0}]
)
def test_bad_gpus(options):
    with pytest.raises(InputError):
        costmodel.device_tco(PAPER, "h100", **options)


@pytest.mark.parametrize(
    ("key", "value"),
    [("use.utilisation", 1.2), ("use.utilisation", 0), ("use.lifetime_hours", 0), ("maintenance.spare_fraction", 2)],
)
def test_bad_books(key, value):
    with pytest.raises(InputError, match=key):
        costmodel.tco(PAPER.override({key: value}), **FLEET)
