"""The books and the published system, loaded once."""

from typing import Any

import pytest

from costmodel import Device, System
from explorer.pricing.prices import cost_book
from hwbase import Book


@pytest.fixture(scope="session")
def paper() -> Book:
    return cost_book("hnlpu-asplos26")


@pytest.fixture(scope="session")
def default() -> Book:
    return cost_book("default")


@pytest.fixture(scope="session")
def design() -> dict[str, Any]:
    """The published system beside the GPUs it is compared with."""
    return {
        "system": System(
            chips=16,
            die_area_mm2=827.08,
            hbm_gb_per_chip=192,
            chip_power_w=308.39,
            node="n5",
            system_power_w=6900,
        ),
        "device": Device("h100", "n5"),
        "tokens_per_s": 2e6,
    }
