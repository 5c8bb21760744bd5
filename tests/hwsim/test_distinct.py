"""Work done once for each different input gives what it gives element by element."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.distinct import on_distinct


@given(st.integers(1, 2000), st.integers(1, 12), st.integers(0, 2**32 - 1))
@pytest.mark.slow
def test_equals_the_function_itself(size, kinds, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, kinds, size) * 0.5, rng.integers(0, kinds, size) * 1.5
    seen = []

    def function(x, y):
        seen.append(np.size(x))
        return x + 10.0 * y, 7.0, x * x

    total, constant, square = on_distinct(function, a, b)
    np.testing.assert_array_equal(total, a + 10.0 * b)
    np.testing.assert_array_equal(square, a * a)
    assert constant == 7.0
    if size >= 256 and kinds**2 <= size // 8:
        assert seen == [len(set(zip(a.tolist(), b.tolist(), strict=True)))]


def test_numbers_and_arrays_that_do_not_match_go_straight_through():
    assert on_distinct(lambda x: (x + 1,), 2) == (3,)
    column, row = np.zeros((300, 1)), np.arange(400.0)
    assert on_distinct(lambda x, y: (x + y,), column, row)[0].shape == (300, 400)
