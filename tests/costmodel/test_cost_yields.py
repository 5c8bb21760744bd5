import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from costmodel import yields
from hwbase import InputError

AREA, D0 = 827.08, 0.11  # x = 0.909788

areas = st.floats(1.0, 2000.0)
densities = st.floats(0.0, 2.0)
models = st.sampled_from(yields.Model.__args__)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("model", "options", "expected"),
    [
        ("poisson", {}, 0.4026),
        ("murphy", {}, 0.4312),
        ("murphy-uniform", {}, 0.4605),
        ("seeds", {}, 0.3853),
        ("price-bose-einstein", {}, 0.5236),
        ("negative-binomial", {"alpha": 2}, 0.4724),
        ("negative-binomial", {"alpha": 3}, 0.4518),
        ("negative-binomial", {"alpha": 10}, 0.4186),
        ("price-bose-einstein", {"layers": 2}, 0.4724),
    ],
)
def test_hand_computed(model, options, expected):
    assert yields.die_yield(model, AREA, D0, **options) == pytest.approx(expected, abs=5e-5)


def test_density_per_layer_given_as_the_sum_is_a_trap():
    assert yields.price_bose_einstein(AREA, 12 * D0, layers=12) == pytest.approx(0.0004, abs=5e-5)


def test_critical_area_ratio():
    # CATCH's own numbers for 5 nm: 0.5 defects/cm2, kappa 0.67, clustering 2.
    assert yields.negative_binomial(AREA, 0.5, 2, critical_area_ratio=0.67) == pytest.approx(0.1757, abs=1e-4)
    assert yields.murphy(AREA, D0, 0.5) == pytest.approx(yields.murphy(AREA / 2, D0))


def test_limits_of_clustering():
    assert yields.negative_binomial(AREA, D0, 1) == pytest.approx(1 / (1 + 0.909788))
    assert yields.negative_binomial(AREA, D0, 1e7) == pytest.approx(yields.poisson(AREA, D0), rel=1e-6)
    assert yields.price_bose_einstein(AREA, D0, 1e7) == pytest.approx(yields.poisson(AREA, D0), rel=1e-6)


@given(models, areas, densities)
@pytest.mark.slow
def test_in_unit_interval_and_falling_with_area(model, area, density):
    options = {"alpha": 3.0}
    y = yields.die_yield(model, area, density, **options)
    assert 0 < y <= 1
    assert yields.die_yield(model, 1.1 * area, density, **options) <= y
    assert yields.die_yield(model, area, 0.0, **options) == 1


@given(models)
def test_vectorised_is_scalar(model):
    area, d0 = np.array([[10.0], [800.0]]), np.array([0.0, 0.05, 0.4])
    got = yields.die_yield(model, area, d0, alpha=2.5)
    assert got.shape == (2, 3)
    for i, a in enumerate(area[:, 0]):
        for j, d in enumerate(d0):
            assert got[i, j] == pytest.approx(yields.die_yield(model, float(a), float(d), alpha=2.5), rel=1e-14)


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: yields.murphy(0, 0.1), "area_mm2 = 0"),
        (lambda: yields.murphy(float("nan"), 0.1), "area_mm2 = nan"),
        (lambda: yields.murphy(100, -0.1), "d0_per_cm2"),
        (lambda: yields.murphy(100, float("inf")), "d0_per_cm2 = inf"),
        (lambda: yields.murphy(100, 0.1, 1.5), "critical_area_ratio"),
        (lambda: yields.negative_binomial(100, 0.1, 0), "alpha"),
        (lambda: yields.price_bose_einstein(100, 0.1, -1), "layers"),
        (lambda: yields.die_yield("negative-binomial", 100, 0.1), "alpha = None"),
        (lambda: yields.die_yield("murfy", 100, 0.1), "did you mean 'murphy'"),
        (lambda: yields.murphy([], 0.1), "empty"),
        (lambda: yields.murphy("big", 0.1), "area_mm2 = 'big'"),
    ],
)
def test_bad_input(call, word):
    with pytest.raises(InputError, match=word):
        call()
