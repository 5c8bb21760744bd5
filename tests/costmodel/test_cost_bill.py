import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import costmodel
from costmodel import masks, nre, silicon
from hwbase import InputError

CHIP = {"die_area_mm2": 827.08, "hbm_gb_per_chip": 192, "node": "n5"}


def test_masks_by_hand():
    assert masks.mask_units(12, 58, 6) == 130
    shared, own = masks.mask_split_usd(30e6, 12, 58, 6, 10)
    assert (shared, own) == pytest.approx((27.6923e6, 2.30769e6), rel=1e-5)
    assert shared + own == pytest.approx(30e6)
    assert masks.masks_usd(shared, own, 16) == pytest.approx(64.615e6, rel=1e-4)


@given(st.floats(0, 1e9), st.integers(0, 40), st.integers(11, 100), st.floats(0.1, 20), st.integers(0, 10))
@pytest.mark.slow
def test_a_set_splits_without_loss(price, euv, duv, weight, own):
    shared, mine = masks.mask_split_usd(price, euv, duv, weight, own)
    assert shared >= 0 and mine >= 0 and shared + mine == pytest.approx(price)


def test_paper_bill(paper):
    low = costmodel.hardwired_bill(paper.at("low"), chips=16, **CHIP)
    assert (low.gross_dies, low.good_dies) == (62, 27)
    assert low.wafer_usd == pytest.approx(629.185, abs=1e-3)
    assert low.recurring_usd == pytest.approx(629.185 + 111.111 + 1920 + 1900, abs=1e-2)
    assert low.nre_usd == pytest.approx(59.178e6, rel=1e-5)
    assert low.build_usd(50) == pytest.approx(62.8259e6, rel=1e-6)
    assert low.respin_usd(1) == pytest.approx(18.5345e6, rel=1e-5)


def test_unrounded_good_dies(paper):
    unrounded = costmodel.AS_PUBLISHED.switched(round_good_dies=False)
    bill = costmodel.hardwired_bill(paper, chips=16, conventions=unrounded, **CHIP)
    assert bill.good_dies == pytest.approx(26.73, abs=0.005) and bill.wafer_usd == pytest.approx(635.5, abs=0.05)


def test_chiplet_actuary_die_cost(paper):
    # The same die with Chiplet Actuary's edge of 5 mm, scribe of 0.2 mm and clustered yield: 718 USD.
    theirs = costmodel.AS_PUBLISHED.switched(
        edge_and_scribe=True, round_good_dies=False, yield_model="negative-binomial"
    )
    book = paper.override({"wafer.edge_mm": 5, "wafer.scribe_mm": 0.2})
    bill = costmodel.hardwired_bill(book, chips=1, conventions=theirs, **CHIP)
    assert bill.wafer_usd == pytest.approx(718 * 56.5 / 56, rel=2e-3)  # they do not round 56.5 dies down


@given(st.integers(1, 10_000), st.floats(50, 850))
@pytest.mark.slow
def test_nre_is_once_and_recurring_is_per_unit(systems, area):
    bill = costmodel.hardwired_bill(BOOK, chips=16, die_area_mm2=area, hbm_gb_per_chip=80, node="n5")
    assert bill.build_usd(systems) - bill.nre_usd == pytest.approx(systems * bill.system_usd, rel=1e-6)
    assert bill.build_usd(2 * systems) - bill.nre_usd == pytest.approx(2 * systems * bill.system_usd, rel=1e-6)
    assert bill.build_usd(2 * systems) >= bill.build_usd(systems) >= bill.nre_usd
    assert bill.respin_usd(systems) < bill.build_usd(systems)


BOOK = costmodel.load_book("hnlpu-asplos26")


def test_vectorised_is_scalar(paper):
    chips, area = np.array([[1], [16], [200]]), np.array([50.0, 400.0, 827.08])
    many = costmodel.hardwired_bill(paper, chips=chips, die_area_mm2=area, hbm_gb_per_chip=192, node="n5")
    for i, n in enumerate(chips[:, 0]):
        for j, a in enumerate(area):
            one = costmodel.hardwired_bill(paper, chips=int(n), die_area_mm2=float(a), hbm_gb_per_chip=192, node="n5")
            assert many.recurring_usd[j] == pytest.approx(one.recurring_usd, rel=1e-14)
            assert many.build_usd(7)[i, j] == pytest.approx(one.build_usd(7), rel=1e-14)


def test_assumptions_may_be_arrays(paper):
    d0 = np.array([0.05, 0.11, 0.3])
    bill = costmodel.hardwired_bill(paper.override({"n5.d0_per_cm2": d0}), chips=16, **CHIP)
    assert (np.diff(bill.recurring_usd) > 0).all() and bill.recurring_usd.shape == (3,)


def test_dies_without_a_good_one(paper):
    bill = costmodel.hardwired_bill(
        paper, chips=1, die_area_mm2=np.array([400.0, 20_000.0]), hbm_gb_per_chip=0, node="n5"
    )
    assert list(bill.fits_reticle) == [True, False]
    assert np.isfinite(bill.recurring_usd[0]) and np.isinf(bill.recurring_usd[1])
    with pytest.raises(InputError, match="too large"):
        costmodel.hardwired_bill(paper, chips=1, die_area_mm2=20_000, hbm_gb_per_chip=0, node="n5")


def test_fractional_chips(paper):
    assert costmodel.hardwired_bill(paper, chips=4.5, fractional=True, **CHIP).chips == 4.5
    with pytest.raises(InputError, match=r"chips = 4\.5: expected a whole number"):
        costmodel.hardwired_bill(paper, chips=4.5, **CHIP)


def test_results_say_where_their_numbers_come_from(paper):
    bill = costmodel.hardwired_bill(paper, chips=16, **CHIP)
    sources = bill.sources()
    assert {"n5.wafer_price_usd", "hbm.price_usd_per_gb", "masks.euv_weight"} <= set(sources["name"])
    assert sources["source"].str.len().gt(0).all()
    frame = bill.to_frame()
    assert len(frame) == 1 and not [c for c in frame.columns if "assumptions" in c]
    assert "nominal" not in bill._repr_html_() and "recurring cost" in bill._repr_html_()
    assert json.loads(bill.to_json())["assumptions"]["n5.d0_per_cm2"]["nominal"] == 0.11


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"chips": 0}, "chips = 0"),
        ({"chips": -3}, "chips = -3"),
        ({"chips": 1e12}, "chips"),
        ({"chips": True}, "chips = True"),
        ({"die_area_mm2": 0}, "die_area_mm2"),
        ({"die_area_mm2": float("nan")}, "nan"),
        ({"die_area_mm2": float("inf")}, "inf"),
        ({"die_area_mm2": 1e6}, "die_area_mm2"),
        ({"hbm_gb_per_chip": -1}, "hbm_gb_per_chip"),
        ({"node": "5nm"}, "unknown process node '5nm'"),
        ({"node": "n4"}, "did you mean"),
    ],
)
def test_bad_input(paper, options, word):
    with pytest.raises(InputError, match=word):
        costmodel.hardwired_bill(paper, **({"chips": 16, **CHIP} | options))


def test_bad_input_of_the_parts():
    for call in (
        lambda: masks.mask_units(-1, 58, 6),
        lambda: masks.mask_units(0, 0, 6),
        lambda: masks.mask_units(12, 58, 0),
        lambda: masks.mask_split_usd(1e6, 12, 5, 6, 10),
        lambda: masks.masks_usd(-1, 0, 1),
        lambda: silicon.good_dies(-1, 0.5, rounded=True),
        lambda: silicon.good_dies(60, 1.5, rounded=True),
        lambda: silicon.per_good_die_usd(1e4, 0),
        lambda: nre.nre_usd(-1, 0, 1, 0),
        lambda: nre.build_usd(1, 1, -1),
        lambda: nre.respin_usd(float("nan"), 1, 1, 1),
    ):
        with pytest.raises(InputError):
            call()
