"""The published machine, and every zoo model on the machine that was sized for it, built once."""

from typing import Any

import pytest
from hypothesis import settings

import hwsim
import models
from hwsim.simulation import hardwired

# The first example of a test may read books.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

Machine = tuple[models.LLMSpec, hwsim.HardwiredDesign, hwsim.Technology]


@pytest.fixture(scope="session")
def gpt() -> models.LLMSpec:
    return models.load("gpt-oss-120b")


@pytest.fixture(scope="session")
def design() -> hwsim.HardwiredDesign:
    return hwsim.load_design()


@pytest.fixture(scope="session")
def technology() -> hwsim.Technology:
    return hwsim.load_technology()


@pytest.fixture(scope="session")
def gates() -> hwsim.Technology:
    return hwsim.load_technology("n5")


@pytest.fixture(scope="session")
def machines() -> dict[str, Machine]:
    sized = {}
    for name in models.reference_names():
        spec = models.load(name)
        fitted, process, _ = hardwired(spec)
        sized[name] = (spec, fitted, process)
    return sized


@pytest.fixture(scope="session")
def run(gpt, design, technology) -> Any:
    """gpt-oss-120b on the published machine; keywords of `HardwiredDesign` and of `simulate_hardwired` mix."""
    import dataclasses

    fields = {field.name for field in dataclasses.fields(design)}

    def simulate(**given: Any) -> hwsim.SimResult:
        own = {key: given.pop(key) for key in list(given) if key in fields}
        return hwsim.simulate_hardwired(gpt, dataclasses.replace(design, **own), technology, **given)

    return simulate
