"""Bins over time keep integrals, whatever comes and however long it lasts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.events.bins import Bins

SPANS = st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1e3), st.floats(0, 10)), min_size=1, max_size=20)


@given(SPANS)
@pytest.mark.slow
def test_integrals_are_kept(spans):
    bins = Bins(2, bins=16)
    for start, length, rate in spans:
        bins.add(start, start + length, (rate, 1.0))
    ends, means = bins.means()
    widths = np.diff(ends, prepend=0.0)
    assert len(ends) <= 16
    assert np.all(widths >= 0)
    whole = sum(((start + length) - start) * rate for start, length, rate in spans)
    assert widths @ means[:, 0] == pytest.approx(whole, rel=1e-9, abs=1e-9)


@pytest.mark.slow
@given(SPANS, SPANS)
def test_bins_of_two_machines_add_up(first, second):
    one, two, both = (Bins(1, bins=16) for _ in range(3))
    for bins, spans in ((one, first), (two, second), (both, first + second)):
        for start, length, rate in spans:
            bins.add(start, start + length, (rate,))
    one.include(two)
    for ours, expected in zip(one.means(), both.means(), strict=True):
        assert np.allclose(ours, expected)


def test_a_level_is_its_own_mean():
    bins = Bins(1, bins=8)
    bins.add(0.0, 3.7, (5.0,))
    ends, means = bins.means()
    assert ends[-1] == 3.7
    assert np.allclose(means, 5.0)
