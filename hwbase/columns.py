"""The registry of columns: label, unit, format and better direction of each name.

`columns.toml` lists them. Pages, terminals, notebooks and studies look a name up with `column`.
"""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from hwbase.numbers import (
    MISSING,
    compact,
    context_label,
    mass,
    money,
    percent,
    plain,
    pretty_unit,
    times,
    with_unit,
    words,
)
from hwbase.values import read_count, read_value

if TYPE_CHECKING:
    pass

#: The prefix of an output with the name of a parameter.
OUTPUT_PREFIX = "out."
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))
_MONEY_PREFIXES = ((1e9, "B$"), (1e6, "M$"), (1.0, "$"))
_SCALED = ("s", "B", "B/s", "J", "W", "Hz", "op/s")
_G_PER_KG, _KG_PER_T = 1e3, 1e3


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Parameters
    ----------
    label : str
        Noun phrase in lower case, without the unit.
    unit : str
        Unit as in books ("mm**2", "USD"), or as shown ("mm²"); "" or "1" for a pure number.
    numeric : bool
        Whether it holds numbers, which are right aligned.
    name : str
        Name in code, files and formulas.
    style : str
        "share", "ratio", "context", "count", "text", or "" if the unit decides.
    better : {"min", "max"} or None
        The better direction, if there is one.
    group : str
        Neighbours of one group share a heading.
    """

    label: str
    unit: str = ""
    numeric: bool = True
    name: str = ""
    style: str = ""
    better: Literal["min", "max"] | None = None
    group: str = ""

    @property
    def full(self) -> str:
        """The heading on one line: group, label and unit."""
        label = f"{self.group}: {self.label}" if self.group else self.label
        return f"{label} [{self.shown_unit}]" if self.shown_unit else label

    @property
    def shown_unit(self) -> str:
        """The unit as shown, or "" where the values or the label contain it."""
        return "" if self.style or self.unit in _registry().counted.values() else pretty_unit(self.unit)

    @property
    def heading(self) -> str:
        """The label with the unit: "latency, s"."""
        return f"{self.label}, {self.shown_unit}" if self.shown_unit else self.label

    @property
    def example(self) -> str:
        """An example of a value as a person may write it: "128 GB/s", "64K"."""
        if self.style in _STYLE_EXAMPLES:
            return _STYLE_EXAMPLES[self.style]
        return _EXAMPLES.get(self.unit, f"18 {self.unit}" if self.unit not in ("", "1") else "18")

    def read(self, value: Any) -> Any:
        """Return a value, or a list of them, as numbers in the column's unit; texts of a text column are unchanged.

        Raises `InputError` for a text that is not such a value.
        """
        if not self.numeric:
            return value
        if self.style in ("context", "count"):
            return read_count(self.name, value)
        return read_value(self.name, value, self.unit or "1")

    def cell(self, value: Any) -> str:
        """Return a value as a cell under `heading`: a number without its unit."""
        if _is_missing(value):
            return MISSING
        if self.style == "words":
            return words(value)
        if isinstance(value, (str, bool, np.bool_)):
            return plain(value)
        if self.style == "context":
            return context_label(value)
        return _STYLES.get(self.style, compact)(value)

    def cell_of(self, value: Any, scale: float) -> str:
        """Return a value as a cell under the heading of `scaled`, which divides it by `scale`."""
        plain_value = scale == 1.0 or isinstance(value, str) or _is_missing(value)
        return self.cell(value if plain_value else value / scale)

    def text(self, value: Any) -> str:
        """Return a value with its unit, to stand alone: "567.6 µs", "$59.25 M"."""
        if _is_missing(value):
            return MISSING
        if self.style == "words":
            return words(value)
        if isinstance(value, (str, bool, np.bool_)):
            return plain(value)
        if self.style in ("count", "context", "share", "ratio"):
            return self.cell(value)
        write = _UNIT_STYLES.get(self.unit)
        return write(value) if write else with_unit(value, self.unit or "1")

    def scaled(self, values: Any) -> "tuple[Column, float]":
        """Return the column in a unit that suits `values` ("latency, µs"), and the divisor of values."""
        import pandas as pd

        prefixes = _MONEY_PREFIXES if self.unit == "USD" else _PREFIXES if self.unit in _SCALED else ()
        known = np.abs(pd.to_numeric(pd.Series(values), errors="coerce").to_numpy(dtype=float))
        known = known[np.isfinite(known) & (known > 0)]
        if not prefixes or not known.size:
            return self, 1.0
        middle = float(np.median(known))
        scale, prefix = next((each for each in prefixes if middle >= each[0]), prefixes[-1])
        return replace(self, unit=prefix if self.unit == "USD" else prefix + self.unit), scale


_STYLE_EXAMPLES = {"context": "64K", "count": "16", "share": "20 %", "ratio": "3.5"}
_EXAMPLES = {
    "Hz": "1 GHz",
    "J": "4 pJ",
    "s": "5 ms",
    "B/s": "128 GB/s",
    "B": "24 GB",
    "W": "450 W",
    "USD": "18 kUSD",
    "mm**2": "827 mm**2",
    "USD/kWh": "0.08 USD/kWh",
    "gCO2e/kWh": "56 gCO2e/kWh",
}
_STYLES: dict[str, Callable[[Any], str]] = {"share": percent, "ratio": times, "count": plain}


def _per_year(write: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda value: f"{write(value)} per year"


def _carbon(value: Any) -> str:
    return f"{mass(value)} CO₂e"


_UNIT_STYLES: dict[str, Callable[[Any], str]] = {
    "USD": money,
    "USD/year": _per_year(money),
    "tCO2e": _carbon,
    "tCO2e/year": _per_year(_carbon),
    "kgCO2e": lambda value: f"{with_unit(value * _G_PER_KG, 'g') if abs(value) < 1 else mass(value / _KG_PER_T)} CO₂e",
}


def column(name: str, unit: str | None = None) -> Column:
    """Return the column called `name`, from `columns.toml` or with a label and unit derived from the name.

    Parameters
    ----------
    name : str
        A result, a parameter, a constant of a book ("n5.wafer_price_usd"), "out.NAME", or "meets NAME".
    unit : str, optional
        Unit in a book, which replaces that of the name.

    Examples
    --------
    >>> column("n5.d0_per_cm2").heading, column("latency_s").text(0.0005676)
    ('N5: defect density (D0), 1/cm²', '567.6\\xa0µs')
    """
    entry = _column(name)
    return entry if unit is None or unit == entry.unit else replace(entry, unit=unit)


def is_known(name: str) -> bool:
    """Return whether `columns.toml` has `name`, or the last part of a dotted name."""
    listed = _registry().columns
    return name in listed or name.rpartition(".")[2] in listed


def listed_columns() -> list[Column]:
    """Return every column of `columns.toml`, by name."""
    return [entry for _, entry in sorted(_registry().columns.items())]


class _Registry(NamedTuple):
    columns: dict[str, Column]
    endings: dict[str, str]
    counted: dict[str, str]
    heads: dict[str, str]


@cache
def _registry() -> _Registry:
    data = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    listed = {}
    for section in ("constants", "parameters", "results"):
        for name, entry in data[section].items():
            fields = {"unit": "1", **entry}
            listed[name] = Column(name=name, numeric=entry.get("style") not in ("text", "words"), **fields)
    endings = dict(sorted(data["endings"].items(), key=lambda pair: -len(pair[0])))
    return _Registry(listed, endings, data["counted"], data["heads"])


@cache
def _column(name: str) -> Column:
    listed, endings, counted, heads = _registry()
    if name in listed:
        return listed[name]
    if name.startswith(OUTPUT_PREFIX):
        came_out = _column(name.removeprefix(OUTPUT_PREFIX))
        return replace(came_out, name=name, label=f"{came_out.label}, as it came out")
    if name.startswith("meets "):
        return Column(name, "1", numeric=False, name=name, style="text")
    head, _, last = name.rpartition(".")
    if last in listed:
        entry = replace(listed[last], name=name)
    else:
        ending = next((end for end in endings if last.endswith(end) and last != end.strip("_")), "")
        label = "all" if last == "*" else words(last.removesuffix(ending))
        unit = endings.get(ending) or counted.get(last.rpartition("_")[2])
        # Parts of a whole have its unit: occupancy_s.links, breakdown.attention.
        whole = listed.get(head)
        style = whole.style if whole and whole.numeric and unit is None else ""
        entry = Column(label, unit or (whole.unit if whole and whole.numeric else "1"), name=name, style=style)
    if not head:
        return entry
    if head in listed and head not in heads:
        return replace(entry, label=f"{listed[head].label}: {entry.label}")
    # Names such as n5 and h100.
    own = head.upper() if head.isalnum() and not head.isalpha() else words(head)
    return replace(entry, label=f"{heads.get(head, own)}: {entry.label}")


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, (float, np.floating)) and value != value)


__all__ = ["Column", "column", "is_known", "listed_columns"]
