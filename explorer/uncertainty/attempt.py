"""Evaluation that outlives points which cannot be: each is found, left out, counted, and its reason kept."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwbase import InputError

#: A function of named arrays of one length (and numbers), to named arrays.
Function = Callable[[dict[str, Any]], Mapping[str, Any]]
#: The column in which a function may itself say why a point cannot be (empty where it can).
REASON = "failure"


@dataclass(frozen=True)
class Attempt:
    """Columns of all points, NaN (or an empty text) where `reasons` is not empty."""

    columns: dict[str, np.ndarray]
    reasons: np.ndarray


def attempt(function: Function, inputs: Mapping[str, Any], points: int) -> Attempt:
    """Return what `function` makes of `points` points; arrays of `inputs` have that length, the rest are numbers.

    A function that raises `InputError` for a point is called again with halves of the points, down to the one that it
    cannot take. Outputs that are not finite count as not feasible too.
    """
    try:
        answer = function({**inputs})
    except InputError as error:
        if points == 1:
            return Attempt({}, np.array([str(error)], dtype=object))
        return _joined([attempt(function, part, size) for part, size in _halves(inputs, points)])
    found = {name: _column(name, values, points) for name, values in answer.items()}
    reasons = np.full(points, "", dtype=object)
    for name, values in found.items():
        if name != REASON and values.dtype.kind == "f":
            reasons[~np.isfinite(values)] = f"{name} is not finite"
    if REASON in found:
        said = found.pop(REASON)
        stated = np.array(["" if _missing(reason) else str(reason) for reason in said], dtype=object)
        reasons = np.where(stated != "", stated, reasons)
    return Attempt({name: _blanked(values, reasons != "") for name, values in found.items()}, reasons)


def _column(name: str, values: Any, points: int) -> np.ndarray:
    array = np.asarray(values)
    try:
        return np.broadcast_to(array, (points,))
    except ValueError:
        raise TypeError(f"output {name} has shape {array.shape}: expected ({points},) or a number") from None


def _halves(inputs: Mapping[str, Any], points: int) -> list[tuple[dict[str, Any], int]]:
    half = points // 2
    return [
        ({name: values[part] if np.ndim(values) else values for name, values in inputs.items()}, size)
        for part, size in ((slice(None, half), half), (slice(half, None), points - half))
    ]


def _joined(parts: list[Attempt]) -> Attempt:
    names = dict.fromkeys(name for part in parts for name in part.columns)
    kinds = {name: next(p.columns[name] for p in parts if name in p.columns).dtype.kind for name in names}
    columns = {}
    for name in names:
        blank: Any = np.nan if kinds[name] in "fiub" else ""
        columns[name] = np.concatenate([part.columns.get(name, np.full(part.reasons.size, blank)) for part in parts])
    return Attempt(columns, np.concatenate([part.reasons for part in parts]))


def _blanked(values: np.ndarray, bad: np.ndarray) -> np.ndarray:
    if values.dtype.kind in "fiub":
        return np.where(bad, np.nan, values.astype(float))
    return np.where(bad, "", values.astype(object))


def _missing(reason: Any) -> bool:
    return reason is None or reason == "" or reason != reason
