"""The evidence of a computed figure, by one rule: what rests on a fitted number is fitted, anything else is predicted.

So the rest of a whole whose shares were fitted is fitted, and so is a ratio with a fitted number in it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import numpy as np

from hwbase.books import Quantity

Evidence = Literal["input", "fitted", "predicted", "not derivable"]
#: Relative change of a constant that shows what rests on it, and the change of a figure that is no rounding.
_STEP, _ROUNDING = 1e-4, 1e-12


def evidence_of(parts: Iterable[Quantity | Evidence]) -> Evidence:
    """Return the evidence of a figure that is computed from constants and other figures.

    >>> evidence_of(["input", "predicted"]), evidence_of(["predicted", "fitted"])
    ('predicted', 'fitted')
    """
    kinds = (part.kind if isinstance(part, Quantity) else part for part in parts)
    return "fitted" if "fitted" in kinds else "predicted"


def evidence_by_figure(
    constants: Mapping[str, Quantity], figures: Callable[[dict[str, np.ndarray]], Mapping[str, Any]]
) -> dict[str, Evidence]:
    """Return the evidence of each figure of a model: it rests on a fitted constant if it moves with it.

    Parameters
    ----------
    constants : mapping of str to Quantity
        The constants that the model reads.
    figures : callable
        Returns the numeric figures by name for arrays of some of the constants, shape (points,).
    """
    fitted = {n: float(q.nominal) for n, q in constants.items() if q.kind == "fitted" and np.ndim(q.nominal) == 0}
    # The first point is nominal; each of the others has one constant changed.
    points = len(fitted) + 1
    values = {name: np.full(points, nominal) for name, nominal in fitted.items()}
    for at, name in enumerate(fitted, 1):
        values[name][at] *= 1.0 + _STEP
    result = {}
    for name, figure in figures(values).items():
        column = np.broadcast_to(np.asarray(figure, dtype=float), (points,))
        moves = ~np.isclose(column[1:], column[0], rtol=_ROUNDING, atol=0.0, equal_nan=True)
        result[name] = evidence_of(["fitted"] if moves.any() else [])
    return result
