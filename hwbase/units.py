"""Unit strings: compared as text first, converted by pint only where they differ."""

from functools import cache
from typing import Any

from hwbase.errors import InputError

#: Spellings of ours that are counted things rather than physical dimensions.
_DEFINITIONS = (
    "USD = [money]",
    "kUSD = 1e3 * USD",
    "MUSD = 1e6 * USD",
    "kgCO2e = [carbon]",
    "gCO2e = 1e-3 * kgCO2e",
    "tCO2e = 1e3 * kgCO2e",
    "token = [token]",
    "chip = [chip]",
    "gpu = [gpu]",
    "transistor = [transistor]",
    "mask = [mask]",
    "DUV_unit = [mask_cost]",
    "lane = [lane]",
    "cycle = [cycle]",
)

#: The unit of a pure number.
DIMENSIONLESS = "1"


@cache
def registry() -> Any:
    """Return the pint registry with money, carbon and the counted units defined (loaded on first use)."""
    import pint

    units: Any = pint.UnitRegistry(autoconvert_offset_to_baseunit=True)
    for definition in _DEFINITIONS:
        units.define(definition)
    return units


def parse(unit: str) -> Any:
    """Return the pint unit of the string `unit`; raises `InputError` for one that is not known."""
    try:
        return registry().Unit("dimensionless" if unit == DIMENSIONLESS else unit)
    except Exception:
        raise InputError(f"unit {unit!r} is not known; expected one like 'mm**2', 'W', 'USD', 'kgCO2e'") from None


def factor(given: str, expected: str, where: str) -> float:
    """Return what a number in unit `given` is multiplied by to be in unit `expected`.

    `where` names the field for the message. Raises `InputError` when the two measure different things.
    """
    if given == expected:
        return 1.0
    source, target = parse(given), parse(expected)
    if source.dimensionality != target.dimensionality:
        raise InputError(f"{where} has unit {given!r}: expected {expected!r} or a unit that converts to it")
    quantity = registry().Quantity
    if quantity(0.0, source).to(target).magnitude != 0.0:
        raise InputError(f"{where} has unit {given!r}, whose zero is not that of {expected!r}: expected {expected!r}")
    return float(quantity(1.0, source).to(target).magnitude)
