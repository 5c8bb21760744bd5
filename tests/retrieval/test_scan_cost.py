"""Dollars and carbon of fleets that scan, and what codes save of an index's cost."""

import numpy as np
import pytest

import costmodel
from explorer.scan.cost import scan_fleet
from explorer.scan.saving import PUBLISHED, SCENARIOS, index_saving, saving_scenarios, saving_tornado
from hwbase import InputError
from hwsim.retrieval import SCANNERS, ScanIndex, scan_index

INDEX = ScanIndex(1e10, 256)


@pytest.mark.parametrize("on", SCANNERS)
def test_a_fleet_keeps_up_and_no_copy_too_many(on: str) -> None:
    one = scan_index(INDEX, on, batch=256)
    for factor, copies in ((0.5, 1), (2.5, 3)):
        fleet = scan_fleet(INDEX, on, queries_per_s=factor * float(one.queries_per_s))
        assert fleet.copies == copies
        assert fleet.devices == copies * one.shards
        assert fleet.busy_share == pytest.approx(factor / copies)
        parts = fleet.hardware_usd + fleet.nre_usd + fleet.electricity_usd + fleet.maintenance_usd
        assert fleet.total_usd == pytest.approx(parts + fleet.construction_usd)
        assert fleet.usd_per_year * 3 == pytest.approx(fleet.total_usd)
        assert 0 < fleet.memory_usd < fleet.hardware_usd


def test_a_server_by_hand() -> None:
    fleet = scan_fleet(INDEX, "cpu", queries_per_s=1.0)
    # 10^10 codes with ids are 400 GB: one server of 691 GB that draws 700 W for three years at 1.4 and 9.5 ct.
    assert fleet.devices == 1
    assert fleet.hardware_usd == pytest.approx(14000 + 700 + 768 * 4)
    assert fleet.electricity_usd == pytest.approx(0.7 * 1.4 * 26280 * 0.095)
    assert fleet.maintenance_usd == pytest.approx(0.15 * fleet.hardware_usd)
    assert fleet.operational_t == pytest.approx(0.7 * 1.4 * 26280 * 0.369473 / 1e3)
    assert fleet.embodied_t == pytest.approx((277 + 768 * 0.29) / 1e3)
    assert fleet.usd_per_million_queries == pytest.approx(fleet.total_usd / (26280 * 3600 / 1e6))


def test_masks_and_design_are_paid_once() -> None:
    one, many = (scan_fleet(INDEX, queries_per_s=q) for q in (1e3, 1e6))
    assert one.nre_usd == many.nre_usd > 1e7
    assert many.devices > 5 * one.devices
    assert many.usd_per_million_queries < one.usd_per_million_queries / 100
    assert one.usd_per_year_without_nre < one.usd_per_year / 10


def test_memory_kinds_are_priced_by_their_own_books() -> None:
    dearer = costmodel.load_book().override({"hbm.price_usd_per_gb": 30.0})
    for memory, changes in (("hbm3", True), ("ddr5", False), ("flash", False)):
        plain, dear = (scan_fleet(INDEX, memory=memory, book=b) for b in (None, dearer))
        assert (dear.hardware_usd > plain.hardware_usd) is changes


def test_overrides_reach_machine_and_costs() -> None:
    base = scan_fleet(INDEX, queries_per_s=1e5)
    half = scan_fleet(INDEX, queries_per_s=1e5, set={"hbm3.channels": 3})
    assert half.devices != base.devices
    assert half.memory_usd / half.devices == pytest.approx(base.memory_usd / base.devices / 2)
    free = scan_fleet(INDEX, queries_per_s=1e5, book=costmodel.load_book().override({"electricity.usd_per_kwh": 0.0}))
    assert free.electricity_usd == 0.0
    assert {"electricity.usd_per_kwh", "hbm3.channels", "n5.wafer_price_usd"} <= set(base.assumptions)


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), 1e30, "many"])
def test_bad_rates(value: object) -> None:
    with pytest.raises(InputError, match="queries_per_s"):
        scan_fleet(INDEX, queries_per_s=value)  # type: ignore[arg-type]


def test_unknown_region() -> None:
    with pytest.raises(InputError, match="region"):
        scan_fleet(INDEX, region="atlantis")


def test_the_saving_by_hand() -> None:
    found = index_saving(float_bytes=1000, code_bytes=100, id_bytes=0, link_bytes=0, capacity_bound_share=0.25)
    assert found.capacity_bound == pytest.approx(0.9)
    assert found.traffic_bound == pytest.approx(0.9 * found.memory_share)
    assert found.saving == pytest.approx(0.9 * (0.25 + 0.75 * found.memory_share))
    for target in PUBLISHED:
        share = found.share_for[f"{target:.0%}"]
        again = index_saving(
            float_bytes=1000, code_bytes=100, id_bytes=0, link_bytes=0, capacity_bound_share=float(share)
        )
        assert again.saving == pytest.approx(target)


def test_the_saving_lies_between_its_bounds_and_falls_with_what_is_kept() -> None:
    links = np.array([0.0, 64.0, 256.0])
    found = index_saving(link_bytes=links)
    assert np.all(found.traffic_bound < found.saving) and np.all(found.saving < found.capacity_bound)
    assert np.all(np.diff(found.saving) < 0)


def test_the_memory_share_follows_its_price() -> None:
    shares = [
        index_saving(costmodel.load_book().override({"dram.price_usd_per_gb": p})).memory_share
        for p in (0.0, 4.0, 12.0)
    ]
    assert shares[0] == pytest.approx(0.0)
    assert shares[0] < shares[1] < shares[2] < 1


def test_the_tornado_covers_what_matters_and_is_sorted() -> None:
    table = saving_tornado()
    assert table["name"][0] == "index.capacity_bound_share"
    assert table["span"].is_monotonic_decreasing and table["span"].min() > 0
    nominal = float(index_saving().saving)
    assert np.all(np.minimum(table["saving_low"], table["saving_high"]) <= nominal + 1e-12)
    assert np.all(np.maximum(table["saving_low"], table["saving_high"]) >= nominal - 1e-12)


def test_scenarios_say_which_readings_enclose_the_published_range() -> None:
    table = saving_scenarios().set_index("reading")
    assert len(table) == len(SCENARIOS)
    assert bool(table.loc["float32 of 256 dimensions, graph", "encloses_published"])
    assert not bool(table.loc["hash codes of twice the bits before", "encloses_published"])


def test_bad_assumptions() -> None:
    with pytest.raises(InputError, match=r"index\.link_bytes"):
        index_saving(links_bytes=3)
    for value in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="link_bytes"):
            index_saving(link_bytes=value)
    for value in (-0.1, 1.1):
        with pytest.raises(InputError, match="capacity_bound_share"):
            index_saving(capacity_bound_share=value)
    with pytest.raises(InputError, match="float_bytes"):
        index_saving(float_bytes=0, id_bytes=0, link_bytes=0)
