"""Quantities of budgets and objectives: columns of the table, and those derived from bits and sizes.

A column takes precedence over a derived quantity of its name. Sizes count elements, so weights take bits x size bits.

| name | sum over layers of |
|---|---|
| mean-bits, mean-act-bits | bits x size (act_bits x act_size), over the sum of sizes: one size a layer |
| bits, act-bits | bits x size; sizes may differ between the options of a layer |
| bit-ops | bits x act_bits x macs (multiply-accumulates of the layer, a column): one a layer |
| bytes, kB, MB, GB, KiB, MiB, GiB | bits x size / 8 |
| score:NAME | the layer's best value of column NAME, less the option's |
| noise:NAME | 10^(-x / 10) for column NAME in decibels: noise power, which adds where decibels do not |
"""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from explorer.allocation.table import numbers, place
from hwbase import InputError, unknown_name
from hwbase.check import real

#: Bits of each unit of memory.
MEMORY = {
    "bits": 1.0,
    "bytes": 8.0,
    "kB": 8e3,
    "MB": 8e6,
    "GB": 8e9,
    "KiB": 8.0 * 2**10,
    "MiB": 8.0 * 2**20,
    "GiB": 8.0 * 2**30,
}
#: Products of single bits, as HAWQ-V3 counts them (arXiv 2011.10680).
BIT_OPERATIONS = "bit-ops"
_MEANS = {"mean-bits": ("bits", "size"), "mean-act-bits": ("act_bits", "act_size")}
_MAKES = ("score", "noise")
#: Largest decibels whose power is a normal double.
_MOST_DECIBELS = 3000.0
_CONSTRAINT = re.compile(r"\s*(?P<name>.+?)\s*(?P<sign><=|>=)\s*(?P<value>\S+)\s*")


@dataclass(frozen=True)
class Quantity:
    """The terms of each option, `values` indexed like the table, and the divisor of their sum."""

    name: str
    values: pd.Series
    scale: float = 1.0


@dataclass(frozen=True)
class Constraint:
    """low <= quantity <= high, over the layers of `group` or all."""

    name: str
    low: float = -np.inf
    high: float = np.inf
    group: str | None = None


def quantity(frame: pd.DataFrame, name: str) -> Quantity:
    """Return the quantity called `name`; gaps are NaN. Raises `InputError` for a name that the table cannot give."""
    make, _, column = name.partition(":")
    if make in _MAKES and column:
        return Quantity(name, _made(frame, make, column))
    if name in frame and name not in ("bits", "act_bits", "layer", "group", "tie"):
        return Quantity(name, numbers(frame, name, gaps=True))
    if name in _MEANS:
        bits, size = _MEANS[name]
        return _mean(frame, name, bits, size)
    if name in MEMORY:
        return Quantity(name, frame["bits"] * sizes(frame, "size"), MEMORY[name])
    if name == "act-bits":
        return Quantity(name, act_bits(frame) * sizes(frame, "act_size"))
    if name == BIT_OPERATIONS:
        return Quantity(name, frame["bits"] * act_bits(frame) * _one_size(frame, "macs", name))
    raise unknown_name("column or unit", name, [*map(str, frame.columns), *MEMORY, *_MEANS, BIT_OPERATIONS])


def sizes(frame: pd.DataFrame, name: str) -> pd.Series:
    """Return the column of sizes (or of multiply-accumulates), which are whole and >= 0. Raises `InputError`."""
    if name not in frame:
        what = "multiply-accumulates" if name == "macs" else "elements"
        raise InputError(f"there is no column {name!r} ({what} of a layer), which this budget needs")
    values = numbers(frame, name, low=0.0, high=1e18)
    parts = values != np.floor(values)
    if parts.any():
        raise InputError(
            f"{place(frame, parts)}: {name} = {frame[name][parts].iloc[0]}: expected a whole number, "
            "without separators of thousands"
        )
    return values


def act_bits(frame: pd.DataFrame) -> pd.Series:
    """Return the bits of activations. Raises `InputError`."""
    if "act_bits" not in frame:
        raise InputError("there is no column 'act_bits' (bits of a layer's activations), which this budget needs")
    return frame["act_bits"]


def parse_constraint(text: str) -> Constraint:
    """Return the constraint of a text such as "MB<=1500" or "score:ssim <= 0.8". Raises `InputError`."""
    match = _CONSTRAINT.fullmatch(text)
    try:
        value = real(f"constraint {text!r}", float(match["value"]), low=-1e30) if match else np.nan
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        value = np.nan
    if match is None or np.isnan(value):
        raise InputError(f"constraint {text!r}: expected a column or unit, <= or >=, and a number, such as 'MB<=1500'")
    if match["sign"] == "<=":
        return Constraint(match["name"], high=value)
    return Constraint(match["name"], low=value)


def _mean(frame: pd.DataFrame, name: str, bits: str, size: str) -> Quantity:
    elements = _one_size(frame, size, name)
    widths = act_bits(frame) if bits == "act_bits" else frame["bits"]
    total = float(elements[~frame.duplicated("layer")].sum())
    if total == 0.0:
        raise InputError(f"all sizes are 0: {name} has no meaning")
    return Quantity(name, widths * elements, total)


def _one_size(frame: pd.DataFrame, size: str, name: str) -> pd.Series:
    """Return a column of sizes with one size a layer, which quantity `name` needs. Raises `InputError`."""
    elements = sizes(frame, size)
    first = elements.groupby(frame["layer"]).transform("first")
    differ = elements != first
    if differ.any():
        layer, now, before = (column[differ].iloc[0] for column in (frame["layer"], elements, first))
        raise InputError(
            f"{place(frame, differ)}: layer {layer!r} has {size} {now:g}, before {before:g}: "
            f"{name} needs one {size} a layer; with bits or MB as unit, sizes may differ"
        )
    return elements


def _made(frame: pd.DataFrame, make: str, column: str) -> pd.Series:
    if make == "score":
        values = numbers(frame, column, gaps=True)
        return values.groupby(frame["layer"]).transform("max") - values
    decibels = numbers(frame, column, low=-_MOST_DECIBELS, high=_MOST_DECIBELS, gaps=True)
    return 10.0 ** (-decibels / 10.0)
