"""Power of bought devices by convention: what is stated of them, or what they draw at work."""

import pytest

import costmodel
from explorer.pricing.prices import cost_book
from hwbase import Quantity

BOOK = cost_book("default", ["b200"])
STATED_W = BOOK["b200.power_w"].nominal


def power_w(book, **choices):
    conventions = costmodel.CORRECTED.switched(**choices)
    fleet = costmodel.bought_fleet(
        book, costmodel.Device("b200", "n5"), units=10, tokens_per_s=1e4, conventions=conventions
    )
    return 1e5 * fleet.tco.it_power_mw, fleet.carbon.scope2_t


def test_a_share_counts_in_dollars_and_carbon():
    whole_w, whole_t = power_w(BOOK)
    assert whole_w == pytest.approx(STATED_W)
    constants = {name: quantity for name, quantity in BOOK.items() if name.startswith("b200.")}
    constants["b200.power_share"] = Quantity(0.6, "1", "here", "assumed", 2026)
    at_work = costmodel.load_book("default", beside={"default": constants})
    less_w, less_t = power_w(at_work)
    assert (less_w, less_t) == pytest.approx((0.6 * whole_w, 0.6 * whole_t))
    assert power_w(at_work, bought_power="stated") == pytest.approx((whole_w, whole_t))


def test_each_set_names_what_is_bought_and_how_its_power_counts():
    published, corrected = costmodel.AS_PUBLISHED, costmodel.CORRECTED
    assert (published.beside, published.bought_power) == ("h100", "stated")
    assert (corrected.beside, corrected.bought_power) == ("b200", "activity")
