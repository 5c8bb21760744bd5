"""The effect of each questionable convention on the results, changed one at a time."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from costmodel.comparison import Comparison, compare
from costmodel.conventions import AS_PUBLISHED, CORRECTED, Conventions, differences
from costmodel.fleets import Device, System
from hwbase import Book

if TYPE_CHECKING:
    import pandas as pd

_PERCENT = 100.0


def effect_rows(
    book: Book,
    system: System,
    device: Device,
    *,
    base: Conventions = AS_PUBLISHED,
    other: Conventions = CORRECTED,
    groups: Mapping[str, Mapping[str, Any]] | None = None,
    **fleet: Any,
) -> list[dict[str, Any]]:
    """Return one row for each reading: `base`, each choice of `other` alone, each of `groups`, and all of `other`.

    Parameters
    ----------
    book : Book
        The cost book.
    system : System
        The hardwired system.
    device : Device
        The bought device.
    base, other : Conventions
        The conventions to start from, and those whose choices are made one at a time.
    groups : mapping of str to mapping, optional
        Named sets of choices to change together.
    **fleet
        Further arguments of `compare`.

    Returns
    -------
    list of dict
        Keys reading, choice, hardwired_low_usd, hardwired_high_usd, gpu_usd, ratio_low, ratio_high (TCO of the GPUs
        over that of the hardwired fleet with re-spins), carbon_ratio, ratio_low_change_percent and
        carbon_ratio_change_percent (against `base`).

    Raises
    ------
    InputError
        As `compare` does.
    """
    readings: dict[str, tuple[str, Conventions]] = {base.name: ("as it is", base)}
    for name, choice in differences(base, other).items():
        readings[name] = (str(choice), base.switched(**{name: choice}))
    for name, choices in (groups or {}).items():
        shown = ", ".join(f"{key} = {value}" for key, value in choices.items())
        readings[name] = (shown, base.switched(**choices))
    readings[f"all: {other.name}"] = ("all of these", other)

    rows = [
        _row(name, shown, compare(book, system, device, conventions=c, **fleet))
        for name, (shown, c) in readings.items()
    ]
    first = rows[0]
    for row in rows:
        changes = {key: _PERCENT * (row[key] / first[key] - 1.0) for key in ("ratio_low", "carbon_ratio")}
        row |= {f"{key}_change_percent": change for key, change in changes.items()}
    return rows


def convention_effects(*system: Any, **fleet: Any) -> "pd.DataFrame":
    """Return the rows of `effect_rows`, with the same arguments, as a frame."""
    import pandas as pd

    return pd.DataFrame(effect_rows(*system, **fleet))


def _row(name: str, choice: str, result: Comparison) -> dict[str, Any]:
    return {
        "reading": name,
        "choice": choice,
        "hardwired_low_usd": result.low.hardwired.total_usd,
        "hardwired_high_usd": result.high.hardwired.total_usd,
        "gpu_usd": result.low.gpu.total_usd,
        "ratio_low": result.low.tco_ratio,
        "ratio_high": result.high.tco_ratio,
        "carbon_ratio": result.low.carbon_ratio,
    }
