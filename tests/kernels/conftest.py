"""A generator of random numbers, the same for every test."""

import numpy as np
import pytest


@pytest.fixture
def rng():
    return np.random.default_rng(11)
