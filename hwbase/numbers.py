"""Numbers as people read them: thousands separators, four significant digits, SI prefixes, money, contexts."""

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from hwbase import InputError

#: Text of an unknown number.
MISSING = "–"
#: Significant digits of a number that is not shown in full.
DIGITS = 4
#: From this value on numbers are shown in scientific notation, below it in full.
_LONGEST_IN_FULL = 1e12
_LONGEST_COMPACT = 1e7
_SMALLEST_PLAIN = 1e-4
_SI = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
_SI_SMALL = ((1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p"), (1e-15, "f"))
_MONEY = ((1e9, "\u00a0B"), (1e6, "\u00a0M"), (1e3, "\u00a0k"), (1.0, ""))
_TAKES_PREFIX = ("B", "B/s", "s", "W", "J", "Hz", "token/s")
#: Areas and volumes as they stand in units and texts, and micrometres; "column" has none.
_AREA, _MICRO = re.compile(r"\b[muc]m[23]\b"), re.compile(r"\bum\b")
_POWERS = (*(("**2", "²"), ("**3", "³"), ("MUSD", "M$"), ("USD", "$"), ("CO2e", "\u00a0CO₂e")),)
_WORDS = {
    "token/s": "tokens/s",
    "token/kJ": "tokens/kJ",
    "token/s/mm2": "tokens/s/mm²",
    "tCO2e": "t CO₂e",
}
_ABBREVIATIONS = frozenset(
    {"pue", "gpu", "hbm", "hn", "it", "vex", "ip", "mw", "sram", "phy", "kv", "euv", "duv", "pcb"}
)
_RESPELT = {"True": "yes", "False": "no", "nonlinear": "non-linear"}
_SPACE = "\u00a0"
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_KG_PER_T = 1e3
_KIBI = 1024


class Number(str):
    """A number as text, with the `value` behind it and its `unit`.

    It is a string, so equality and order are those of the text.
    """

    value: float
    unit: str

    def __new__(cls, text: str, value: float = math.nan, unit: str = "") -> "Number":
        """Return `text` with the number behind it."""
        number = super().__new__(cls, text)
        number.value, number.unit = float(value), unit
        return number


def scalar(name: str, value: Any) -> float:
    """Return `value` as a float. Raises `InputError` for an array of several values."""
    array = np.asarray(value, dtype=float)
    if array.size != 1:
        raise InputError(f"{name} has {array.size} values: expected one")
    return float(array.reshape(-1)[0])


def significant(value: float, digits: int = DIGITS) -> str:
    """Return `value` with `digits` significant digits, thousands separators and no trailing zeros."""
    if value == 0:
        return "0"
    decimals = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def plain(value: Any, digits: int = DIGITS, unit: str = "") -> str:
    """Return a number for a table: 249,960, 18.89, 0.0552, 3.2 × 10⁻⁷, or a dash for None and NaN.

    `unit` is stored with the number and not written.
    """
    if value is None:
        return MISSING
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    array = np.asarray(value)
    if array.ndim and array.size != 1:
        return ", ".join(plain(v, digits) for v in array.reshape(-1)[:3]) + (", …" if array.size > 3 else "")
    number = float(array.reshape(-1)[0])
    if math.isnan(number):
        return MISSING
    if math.isinf(number):
        return "∞" if number > 0 else "−∞"
    size = abs(number)
    if size and not _SMALLEST_PLAIN <= size < _LONGEST_IN_FULL:
        return Number(scientific(number, digits), number, unit)
    return Number(_minus(significant(number, digits)), number, unit)


def compact(value: Any, digits: int = DIGITS) -> str:
    """Return a number as `plain` does, but from ten million on in scientific notation."""
    if isinstance(value, (int, float)) and _LONGEST_COMPACT <= abs(value) < math.inf:
        return scientific(float(value), digits)
    return plain(value, digits)


def scientific(value: float, digits: int = DIGITS) -> str:
    """Return a number as 4.04 × 10⁻¹²."""
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return Number(f"{_minus(mantissa)}{_SPACE}×{_SPACE}10{str(int(exponent)).translate(_RAISED)}", value)


def si(value: Any, unit: str, digits: int = DIGITS) -> str:
    """Return a number with an SI prefix before `unit`: 3.321 µs, 128.0 GB/s."""
    if value is None or not math.isfinite(number := scalar(unit, value)):
        return plain(value)
    size = abs(number)
    if size == 0:
        return Number(f"0{_SPACE}{unit}", 0.0, unit)
    for scale, prefix in (*_SI, *_SI_SMALL):
        if size >= scale * (1 - 10.0**-digits / 2):
            return Number(f"{_minus(significant(number / scale, digits))}{_SPACE}{prefix}{unit}", number, unit)
    return Number(f"{plain(number, digits)} {unit}", number, unit)


def with_unit(value: Any, unit: str) -> str:
    """Return a number and its unit, with an SI prefix if the unit takes one ("B/s per link" does)."""
    head, _, tail = unit.partition(" ")
    if head in _TAKES_PREFIX:
        text, number = f"{si(value, head)} {tail}", scalar(unit, value)
    else:
        text, number = f"{plain(value)} {pretty_unit(unit)}", scalar(unit, value)
    return Number(text.rstrip(), number, unit)


def money(usd: Any, digits: int = DIGITS) -> str:
    """Return US dollars as $59.25 M, $9.563 B, $629."""
    if usd is None or not math.isfinite(number := scalar("USD", usd)):
        return plain(usd)
    for scale, suffix in _MONEY:
        if abs(number) >= scale * (1 - 10.0**-digits / 2):
            text = _minus(f"{'-' if number < 0 else ''}${significant(abs(number) / scale, digits)}{suffix}")
            return Number(text, number, "USD")
    return Number(f"${plain(number, digits)}", number, "USD")


def mass(tonnes: Any, digits: int = DIGITS) -> str:
    """Return tonnes as 264.3 kg, 5.123 kt, 1.83 Mt."""
    if tonnes is not None and 0 < abs(value := scalar("t", tonnes)) < 1:
        return Number(f"{plain(value * _KG_PER_T, digits)}{_SPACE}kg", value, "t")
    return si(tonnes, "t", digits)


def counted(number: Any, noun: str) -> str:
    """Return "1 chip", "16 chips"."""
    value = scalar(noun, number)
    return Number(f"{plain(number)}{_SPACE}{noun}{'' if value == 1 else 's'}", value, noun)


def times(value: Any) -> str:
    """Return a ratio as 80.42×."""
    text = plain(value)
    return text if text == MISSING else Number(f"{text}×", scalar("ratio", value), "1")


def percent(share: Any, decimals: int = 1) -> str:
    """Return a share of 1 as a percentage: 82.9 %."""
    if share is None or not math.isfinite(number := scalar("share", share)):
        return MISSING
    text = f"{100 * number:,.{decimals}f}"
    text = _minus(text.removeprefix("-") if float(text.replace(",", "")) == 0 else text)
    return Number(f"{text}{_SPACE}%", number, "1")


def context_label(positions: Any) -> str:
    """Return a context length as 2K, 64K, 1M, or in full if it is not a whole number of Ki."""
    number = scalar("context", positions)
    text = f"{number:,.0f}"
    if number >= _KIBI**2 and number % _KIBI**2 == 0:
        text = f"{number / _KIBI**2:,.0f}M"
    elif number >= _KIBI and number % _KIBI == 0:
        text = f"{number / _KIBI:,.0f}K"
    return Number(text, number)


def pretty_unit(unit: str) -> str:
    """Return a unit as shown (mm², tokens/s, M$), "" for a pure number."""
    if unit == "1":
        return ""
    if unit in _WORDS:
        return _WORDS[unit]
    unit = _MICRO.sub("µm", unit)
    for written, shown in _POWERS:
        unit = unit.replace(written, shown)
    return superscripts(unit)


def superscripts(text: str) -> str:
    """Return a text with squares and cubes of units as superscripts: "per mm2" is "per mm²"."""
    return _AREA.sub(lambda match: match[0].replace("u", "µ").replace("2", "²").replace("3", "³"), text)


def listed(names: Sequence[str]) -> str:
    """Return names as a list in a sentence: "A, B and C"."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def sentence(text: str) -> str:
    """Return a text with a capital letter and a full stop.

    >>> sentence("all of them fit")
    'All of them fit.'
    """
    return f"{text[:1].upper()}{text[1:]}."


def words(name: Any) -> str:
    """Return an identifier as words: maintenance_basis is "maintenance basis", hbm is "HBM", True is "yes"."""
    text = _RESPELT.get(str(name), str(name).replace("_", " "))
    return " ".join(part.upper() if part.rstrip(",") in _ABBREVIATIONS else part for part in text.split(" "))


def _minus(text: str) -> str:
    return text.replace("-", "−") if text.startswith("-") else text
