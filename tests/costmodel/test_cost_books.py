import numpy as np
import pytest

import costmodel
from hwbase import InputError, units

QUANTITY = '{ nominal = 1, low = 0.5, unit = "1/cm**2", year = 2026, kind = "assumed", source = "a test" }'


def _book(tmp_path, body, extends="default"):
    path = tmp_path / "mine.toml"
    path.write_text(f'[book]\nname = "mine"\nextends = "{extends}"\n{body}\n')
    return path


@pytest.mark.parametrize("name", costmodel.book_names())
def test_books_load_and_every_number_has_a_source(name):
    book = costmodel.load_book(name)
    assert book.name == name and book.title
    for key, q in book.items():
        assert q.source.strip() and 1960 < q.year < 2030, key
        assert q.at("low") <= q.nominal <= q.at("high"), key
        assert np.isfinite([q.at("low"), q.nominal, q.at("high")]).all(), key


def test_the_two_books_have_the_same_names(paper, default):
    # The paper's own rate of a GPU; what we believe is predicted for each model and workload.
    assert set(paper) - {"h100.tokens_per_s"} == set(default) and costmodel.book_names() == [
        "default",
        "hnlpu-asplos26",
    ]


@pytest.mark.parametrize("node", ["n16", "n7", "n5", "n3", "n2"])
def test_every_node_is_complete_and_usable(default, node):
    bill = costmodel.hardwired_bill(default, chips=4, die_area_mm2=400, hbm_gb_per_chip=96, node=node)
    module = costmodel.module_carbon(default, die_area_mm2=400, hbm_gb=96, node=node)
    assert 0 < bill.recurring_usd < bill.nre_usd and module.total_kg > 0
    assert f"{node}.d0_per_cm2" in bill.assumptions and f"{node}.epa_kwh_per_cm2" in module.assumptions


def test_newer_nodes_cost_more(default):
    prices = [default.value(f"{node}.wafer_price_usd", "USD") for node in ("n16", "n7", "n5", "n3", "n2")]
    sets = [default.value(f"{node}.mask_set_usd", "USD") for node in ("n16", "n7", "n5", "n3", "n2")]
    assert prices == sorted(prices) and sets == sorted(sets)


@pytest.mark.slow
def test_levels(paper):
    assert paper.at("low").value("n5.mask_set_usd", "MUSD") == pytest.approx(15)
    assert paper.at("high").value("n5.mask_set_usd", "MUSD") == pytest.approx(30)


@pytest.mark.slow
def test_units_convert_on_the_way_in_and_out(paper):
    assert paper["electricity.usd_per_kwh"].unit == "USD/kWh"  # written as 95 USD/MWh
    assert paper.value("electricity.usd_per_kwh", "USD/kWh") == pytest.approx(0.095)
    assert paper.value("network.usd_per_node", "USD") == pytest.approx(45000)  # written as 45 kUSD
    assert paper.value("use.lifetime_hours", "day") == pytest.approx(1095)


@pytest.mark.parametrize(
    ("a", "b", "scale"),
    [("kUSD", "USD", 1e3), ("MUSD", "kUSD", 1e3), ("tCO2e", "kgCO2e", 1e3), ("gCO2e/kWh", "kgCO2e/kWh", 1e-3)],
)
def test_unit_round_trips(a, b, scale):
    assert units.factor(a, b, "x") == pytest.approx(scale)
    assert units.factor(a, b, "x") * units.factor(b, a, "x") == pytest.approx(1)


def test_a_book_of_ones_own(tmp_path):
    book = costmodel.load_book(_book(tmp_path, f"[n5]\nd0_per_cm2 = {QUANTITY}", extends="hnlpu-asplos26"))
    assert book.value("n5.d0_per_cm2", "1/cm**2") == 1 and len(book) == len(costmodel.load_book())


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ("[n5\n", "not valid TOML"),
        (f"[n5]\nd0_per_cm2 = {QUANTITY.replace('0.5', '2')}", "low <= nominal <= high"),
        (f"[n5]\nd0_per_cm2 = {QUANTITY.replace('1/cm**2', 'USD')}", "unit 'USD'"),
        (f"[n5]\nd0_per_cm2 = {QUANTITY.replace('1/cm**2', 'furlongs/x')}", "not known"),
        (f"[n5]\nd0_per_cm = {QUANTITY}", "did you mean 'n5.d0_per_cm2'"),
        (f"[n5]\nd0_per_cm2 = {QUANTITY.replace('nominal = 1', 'nominal = inf')}", "inf"),
        (f"[n5]\nd0_per_cm2 = {QUANTITY.replace('nominal = 1', 'nominal = nan')}", "nan"),
        (f"[n5]\nd0_per_cm2 = {QUANTITY.replace('a test', ' ')}", "source is empty"),
        (f"[n5]\nd0_per_cm2 = {QUANTITY.replace('kind', 'sort')}", "unknown field"),
        ("[n5]\nd0_per_cm2 = 0.1", "d0_per_cm2"),
    ],
)
def test_bad_books(tmp_path, body, word):
    with pytest.raises(InputError, match=word):
        costmodel.load_book(_book(tmp_path, body))


def test_missing_book():
    with pytest.raises(InputError, match="did you mean 'hnlpu-asplos26'"):
        costmodel.load_book("hnlpu-asplos")


def test_unknown_key_and_bad_override(default):
    with pytest.raises(InputError, match=r"did you mean 'n5\.wafer_price_usd'"):
        default["n5.wafer_price"]
    with pytest.raises(InputError, match="nan"):
        default.override({"n5.d0_per_cm2": float("nan")})
    with pytest.raises(InputError, match="kg"):
        default.override({"n5.wafer_price_usd": "3 kg"})
    assert default.override({"n5.wafer_price_usd": "20 kUSD"}).value("n5.wafer_price_usd", "USD") == pytest.approx(2e4)
