"""Unit strings: compared as text first, converted by pint only where they differ."""

import re
from functools import cache
from typing import Any

from hwbase.errors import InputError, shown

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
#: Characters of the longest unit.
_LONGEST = 60
#: Units of which a fraction is never meant: "mB/s" is written for millions, and milli is thousandths.
_WHOLE_THINGS = frozenset(
    ("byte", "bit", "baud", "hertz", "USD", "token", "chip", "gpu", "transistor", "mask", "DUV_unit", "lane", "cycle")
)
#: Conversions between units of our books, in place of loading pint; a test holds them against pint's.
USUAL_FACTORS = {("B", "GB"): 1e-9, ("kUSD", "USD"): 1e3, ("USD/MWh", "USD/kWh"): 1e-3}
#: Units of our books, which need no check; a test reads each of them with pint.
USUAL_UNITS = frozenset(
    [
        "1",
        "1/J",
        "1/cm**2",
        "1/mm**2",
        "1/s",
        "1/year",
        "B",
        "B/s",
        "F",
        "F/um",
        "GB",
        "Hz",
        "J",
        "USD",
        "USD/GB",
        "USD/MW",
        "USD/MWh",
        "USD/kWh",
        "USD/mm**2",
        "USD/year",
        "V",
        "W",
        "W/mm**2",
        "bit",
        "chip",
        "cycle",
        "gCO2e/kWh",
        "hour",
        "kUSD",
        "kWh/cm**2",
        "kWh/mm**2",
        "kgCO2e",
        "kgCO2e/GB",
        "kgCO2e/cm**2",
        "lane",
        "mask",
        "mm",
        "mm**2",
        "nm",
        "s",
        "tCO2e",
        "tCO2e/year",
        "token",
        "token/s",
        "transistor",
        "um**2",
    ]
)
_CHARACTERS = re.compile(r"[A-Za-z0-9_ */^.()+\-\u00b5\u03bc\u03a9\u00b0%]*")
#: An exponent: a number of one or two digits, in parentheses or not.
_POWER = re.compile(r"(?:\*\*|\^)\s*(?:-?\d{1,2}(?:\.\d)?|\(\s*-?\d{1,2}(?:\.\d)?\s*\))(?![\w.])")
_POWER_OF_POWER = re.compile(rf"{_POWER.pattern}\s*(?:\*\*|\^)")
_NUMBER = re.compile(r"(?<![\w.])\.?\d\w*(?:\.\w*)?")


@cache
def registry() -> Any:
    """Return the pint registry with money, carbon and the counted units defined (loaded on first use)."""
    import pint

    units: Any = pint.UnitRegistry(autoconvert_offset_to_baseunit=True)
    for definition in _DEFINITIONS:
        units.define(definition)
    return units


def check(unit: str) -> None:
    """Check that a unit is known; raises `InputError` as `parse` does."""
    if unit not in USUAL_UNITS:
        parse(unit)


def parse(unit: str) -> Any:
    """Return the pint unit of the string `unit`.

    Raises `InputError` for one that is not known or is too long, and for fractions of counted things such as "mB".
    """
    text = unit.replace("\u00b2", "**2").replace("\u00b3", "**3")
    if len(unit) > _LONGEST:
        raise InputError(f"unit {shown(unit)} has {len(unit)} characters: expected at most {_LONGEST}")
    try:
        if not _is_bounded(text):
            raise ValueError
        known = registry().Unit("dimensionless" if text == DIMENSIONLESS else text)
        fraction = _fraction(known)
    except Exception:
        raise InputError(f"unit {shown(unit)} is not known; expected one like 'mm**2', 'W', 'USD', 'kgCO2e'") from None
    if fraction:
        prefix, base = fraction
        raise InputError(
            f"unit {shown(unit)} counts in {prefix}{base}, fractions of one {base}: expected k, M or G for thousands, "
            "millions or billions, such as 'MB/s'"
        )
    return known


def factor(given: str, expected: str, where: str) -> float:
    """Return what a number in unit `given` is multiplied by to be in unit `expected`.

    `where` names the field for the message. Raises `InputError` when the two measure different things.
    """
    if given == expected:
        return 1.0
    if (given, expected) in USUAL_FACTORS:
        return USUAL_FACTORS[given, expected]
    source, target = parse(given), parse(expected)
    if source.dimensionality != target.dimensionality:
        raise InputError(f"{where} has unit {shown(given)}: expected {expected!r} or a unit that converts to it")
    quantity = registry().Quantity
    try:
        zero = quantity(0.0, source).to(target).magnitude
        one = float(quantity(1.0, source).to(target).magnitude)
    except OverflowError:
        raise InputError(f"{where} has unit {shown(given)}, which is too large: expected {expected!r}") from None
    if zero != 0.0:
        raise InputError(
            f"{where} has unit {shown(given)}, whose zero is not that of {expected!r}: expected {expected!r}"
        )
    return one


def _is_bounded(text: str) -> bool:
    """Whether pint can read a text in little time: it evaluates powers of whole numbers to the last digit.

    So the only number outside an exponent is 1, exponents are short, and there are no powers of powers.
    """
    if not _CHARACTERS.fullmatch(text) or _POWER_OF_POWER.search(text) or re.search(r"\([^)]*\(", text):
        return False
    rest = _POWER.sub("", text)
    return "**" not in rest and "^" not in rest and all(each in ("1", "1.0") for each in _NUMBER.findall(rest))


def _fraction(unit: Any) -> tuple[str, str] | None:
    """Return (prefix, base) of the first part of a unit that is a fraction of a counted thing, or None."""
    for name in unit._units:
        for prefix, base, _ in registry().parse_unit_name(name):
            if prefix and base in _WHOLE_THINGS and registry().Quantity(1.0, name).to(base).magnitude < 1.0:
                return prefix, base
    return None
