"""The books and the published system, loaded once."""

from typing import Any

import pytest

import costmodel
from hwbase import Book


@pytest.fixture(scope="session")
def paper() -> Book:
    return costmodel.load_book("hnlpu-asplos26")


@pytest.fixture(scope="session")
def default() -> Book:
    return costmodel.load_book()


@pytest.fixture(scope="session")
def design() -> dict[str, Any]:
    return {
        "chips": 16,
        "die_area_mm2": 827.08,
        "hbm_gb_per_chip": 192,
        "chip_power_w": 308.39,
        "system_power_w": 6900,
        "tokens_per_s": 2e6,
    }
