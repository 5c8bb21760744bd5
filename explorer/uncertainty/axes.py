"""Axes of a break-even: volume, context, lifetime, re-spins, utilisation, electricity, grid carbon, or any constant."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwbase import InputError, Quantity, Record, unknown_name
from hwbase.arguments import checked
from hwbase.check import count, real

HOURS_PER_YEAR = 8760.0
LIFETIME, RESPINS = "use.lifetime_hours", "use.respins"
#: A re-spin due this close to the end of the life is left out.
_ROUNDING = 1e-9
_DECADE = 10.0


@dataclass(frozen=True)
class Axis(Record):
    """A range of one variable. `constant` is the constant that it sets, of the "{region}"; None for choices."""

    name: str
    label: str
    unit: str
    low: float
    high: float
    constant: str | None
    log: bool = False

    def values(self, points: int) -> np.ndarray:
        """Return at most `points` values from low to high: even steps, even ratios (`log`), or whole numbers."""
        spaced = np.geomspace if self.log else np.linspace
        places = spaced(self.low, self.high, points)
        return np.unique(np.rint(places)) if self.constant is None else places

    def put(self, values: Mapping[str, Any], x: np.ndarray, nominal: Mapping[str, Quantity]) -> dict[str, Any]:
        """Return `values` with this axis at `x`, of the same length; `nominal` has the constants that are not drawn."""
        if self.constant is None:
            return {**values}
        if self.name == "lifetime":
            return {**values, LIFETIME: x * HOURS_PER_YEAR}
        if self.name == "respins":
            years = values.get(LIFETIME, nominal[LIFETIME].nominal) / HOURS_PER_YEAR
            return {**values, RESPINS: respins_within(years, x)}
        return {**values, self.constant: x}


#: The axes of the published question; their ends are for drawing, not likely bounds.
AXES = {
    axis.name: axis
    for axis in (
        Axis("volume", "systems built", "", 1, 1e5, None, log=True),
        Axis("context", "context", "", 256, 2**18, None, log=True),
        Axis("lifetime", "lifetime", "years", 1, 10, LIFETIME),
        Axis("respins", "re-spins a year", "", 0, 6, RESPINS),
        Axis("utilisation", "utilisation", "", 0.05, 1, "use.utilisation"),
        Axis("electricity", "price of electricity", "USD/kWh", 0.02, 0.5, "electricity.usd_per_kwh", log=True),
        Axis("grid", "carbon of the grid", "gCO2e/kWh", 5, 1000, "grid.{region}_g_per_kwh", log=True),
    )
}


def respins_within(years: Any, per_year: Any) -> np.ndarray:
    """Return the number of weight changes in a life of `years` at `per_year`: at 1/r, 2/r, ... but not at the end.

    One a year over three years gives two, as published.
    """
    return np.maximum(np.ceil(np.asarray(years) * per_year - _ROUNDING) - 1.0, 0.0)


@checked
def axis_named(
    name: str,
    quantities: Mapping[str, Quantity],
    low: float | None = None,
    high: float | None = None,
    region: str = "",
) -> Axis:
    """Return the named axis, or that of the named constant over its range; `low` and `high` replace the ends.

    `region` is the grid of the fleets.

    Raises `InputError` for an unknown name, a constant without a range if no ends are given, and ends out of order.
    """
    if name in AXES:
        axis = AXES[name]
    elif name in quantities:
        q = quantities[name]
        axis = Axis(name, name, q.unit, float(q.at("low")), float(q.at("high")), name)
    else:
        raise unknown_name("axis", name, [*AXES, *quantities])
    ends = [
        real(f"{what} of axis {name}", axis_end if stated is None else stated)
        for what, stated, axis_end in (("low end", low, axis.low), ("high end", high, axis.high))
    ]
    if not ends[0] < ends[1]:
        raise InputError(f"axis {name} from {ends[0]:g} to {ends[1]:g}: expected a low end below the high end")
    if axis.constant is None:
        for end in ends:
            count(f"axis {name}", end)
    constant = axis.constant and axis.constant.format(region=region)
    axis = replace(axis, low=ends[0], high=ends[1], constant=constant)
    return axis if name in AXES and axis.low > 0 else replace(axis, log=ends[0] > 0 and ends[1] / ends[0] >= _DECADE)
