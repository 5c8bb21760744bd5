"""Ticks of logarithmic axes that span few decades."""

from typing import Any

import numpy as np

from explorer.figures.numbers import plain


def one_two_five(values: Any) -> dict[str, Any]:
    """Return the settings of an axis with ticks at 1, 2 and 5 times powers of ten around the positive `values`."""
    array = np.asarray(values, dtype=float)
    known = array[np.isfinite(array) & (array > 0)]
    if not known.size:
        return {"type": "log"}
    powers = np.arange(np.floor(np.log10(known.min())), np.ceil(np.log10(known.max())) + 1)
    ticks = [float(f"{digit * 10.0**power:.1g}") for power in powers for digit in (1, 2, 5)]
    return {"type": "log", "tickvals": ticks, "ticktext": [plain(tick) for tick in ticks]}
