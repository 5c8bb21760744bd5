import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costmodel.dies import Formula, fits_reticle, gross_dies
from hwbase import InputError

AREA = 827.08
WAFER = {"wafer_diameter_mm": 300.0}
FORMULAS = Formula.__args__  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("formula", "bare", "thin", "thick"),
    [
        ("area-ratio", 85.5, 81.5, 78.8),
        ("plain", 62.29, 58.9, 56.5),
        ("de-vries", 66.5, 63.0, 60.5),
        ("ferris-prabhu", 70.6, 67.0, 64.5),
    ],
)
def test_formulas(formula, bare, thin, thick):
    got = [
        gross_dies(AREA, formula=formula, edge_mm=e, scribe_mm=s, whole=False, **WAFER)
        for e, s in ((0, 0), (3, 0.1), (5, 0.2))
    ]
    assert got == pytest.approx([bare, thin, thick], abs=0.06)
    assert gross_dies(AREA, formula=formula, **WAFER) == np.floor(got[0])


@pytest.mark.parametrize(
    ("width_mm", "bare", "thin", "thick"), [(AREA**0.5, 69, 65, 62), (26.0, 69, 66, 63), (33.0, 68, 65, 64)]
)
def test_exact_placement(width_mm, bare, thin, thick):
    got = [
        gross_dies(AREA, formula="exact", aspect=width_mm**2 / AREA, edge_mm=e, scribe_mm=s, **WAFER)
        for e, s in ((0, 0), (3, 0.1), (5, 0.2))
    ]
    assert got == [bare, thin, thick]


def test_exact_by_hand():
    # Dies of 10 mm on a wafer of 30 mm: a centred row of three does not fit beside others; two by two does, and so does
    # the cross of five.
    assert gross_dies(100, formula="exact", wafer_diameter_mm=2 * np.hypot(10, 10) + 1e-9, phases=2) == 4
    assert gross_dies(100, formula="exact", wafer_diameter_mm=2 * np.hypot(15, 5) + 1e-9, phases=2) == 5
    assert gross_dies(100, formula="exact", wafer_diameter_mm=14.2) == 1
    assert gross_dies(100, formula="exact", wafer_diameter_mm=14.1) == 0


@pytest.mark.parametrize(
    ("smaller", "dies", "across_mm", "up_mm"),
    [
        # Two side by side on the axis: from the centre, half a lane and a die.
        (1, 2, 1.0 + 10.0, 5.0),
        # Two by two about the centre.
        (2, 4, 1.0 + 10.0, 1.0 + 10.0),
        # A cross of five: half a die, a lane and a die.
        (4, 5, 5.0 + 2.0 + 10.0, 5.0),
        # Three rows of two.
        (5, 6, 1.0 + 10.0, 5.0 + 2.0 + 10.0),
    ],
)
def test_exact_counts_scribe_lanes_by_hand(smaller, dies, across_mm, up_mm):
    # Dies of 10 mm with lanes of 2 mm: the farthest corner of a block decides how large a wafer it needs, and the
    # outermost dies need no lane beyond their edge.
    diameter_mm = 2.0 * np.hypot(across_mm, up_mm)
    placed = [
        gross_dies(100.0, formula="exact", scribe_mm=2.0, phases=2, wafer_diameter_mm=diameter_mm + change)
        for change in (-1e-6, 1e-6)
    ]
    assert placed == [smaller, dies]


@pytest.mark.slow
def test_brute_force_agrees():
    rng = np.random.default_rng(0)
    for width, height in rng.uniform(5, 60, (20, 2)):
        got = gross_dies(width * height, formula="exact", aspect=width / height, edge_mm=3, scribe_mm=0.1, **WAFER)
        assert got == _brute_force(width, height, scribe=0.1, radius=147.0)


def _brute_force(width, height, scribe, radius):
    """Count, die by die, the ones whose four corners lie on the wafer."""
    best = 0
    n = np.arange(-70, 71)
    for ox in np.linspace(0, 0.5, 6):
        for oy in np.linspace(0, 0.5, 6):
            x = (n + ox) * (width + scribe) + scribe / 2
            y = (n + oy) * (height + scribe) + scribe / 2
            far_x, far_y = np.maximum(abs(x), abs(x + width)), np.maximum(abs(y), abs(y + height))
            best = max(best, int((far_x[:, None] ** 2 + far_y[None, :] ** 2 <= radius**2).sum()))
    return best


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(st.sampled_from(FORMULAS), st.floats(5, 90000), st.floats(1.0, 2.0), st.floats(0.5, 2.0))
def test_never_more_dies_from_a_larger_die(formula, area, growth, aspect):
    small, large = (
        gross_dies(a, formula=formula, aspect=aspect, edge_mm=3, scribe_mm=0.1, **WAFER) for a in (area, area * growth)
    )
    assert 0 <= large <= small
    assert small <= gross_dies(area, formula="area-ratio", **WAFER)


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.slow
def test_vectorised_is_scalar(formula):
    areas, aspects = np.array([12.0, 100.0, 827.08, 1600.0]), np.array([[1.0], [1.4]])
    got = gross_dies(areas, formula=formula, aspect=aspects, edge_mm=3, scribe_mm=0.1, **WAFER)
    assert got.shape == (2, 4)
    for (i, j), dies in np.ndenumerate(got):
        one = gross_dies(
            float(areas[j]), formula=formula, aspect=float(aspects[i, 0]), edge_mm=3, scribe_mm=0.1, **WAFER
        )
        assert isinstance(one, float) and one == dies


@pytest.mark.slow
def test_many_designs_are_cheap():
    areas = np.random.default_rng(1).uniform(100, 850, 100_000)
    start = time.process_time()
    gross_dies(areas, formula="exact", edge_mm=3, scribe_mm=0.1, **WAFER)
    assert time.process_time() - start < 3.0


def test_reticle():
    field = {"reticle_width_mm": 26, "reticle_height_mm": 33}
    assert fits_reticle(858, **field) and not fits_reticle(858.1, **field)
    assert fits_reticle(676, aspect=1, **field) and not fits_reticle(680, aspect=1, **field)
    assert fits_reticle(858, aspect=26 / 33, **field) and fits_reticle(858, aspect=33 / 26, **field)
    assert list(fits_reticle(np.array([800.0, 900.0]), **field)) == [True, False]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"area_mm2": -1}, "area_mm2 = -1"),
        ({"area_mm2": float("nan")}, "nan"),
        ({"aspect": 0}, "aspect"),
        ({"scribe_mm": -0.1}, "scribe_mm"),
        ({"edge_mm": 150}, "less both edges"),
        ({"wafer_diameter_mm": 0}, "wafer_diameter_mm"),
        ({"formula": "exakt"}, "did you mean 'exact'"),
        ({"formula": "exact", "phases": 1}, "phases"),
        ({"formula": "exact", "area_mm2": 1e-9}, "rows"),
    ],
)
def test_bad_input(options, word):
    with pytest.raises(InputError, match=word):
        gross_dies(**({"area_mm2": 100, "formula": "plain", **WAFER} | options))
