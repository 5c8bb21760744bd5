"""Tiny random networks: the transformer of the inference tests on windows of random tokens."""

import sys
from functools import partial
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "inference"))
from precision_cases import tiny_language


@pytest.fixture
def make():
    return partial(tiny_language)


@pytest.fixture(scope="session")
def network():
    return tiny_language()
