"""Columns of a study: floats, flags or texts, independent of the pieces in which they were computed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hwbase import InputError

#: The last columns of every table.
_LAST = ("feasible", "failure")


def settled(name: str, values: np.ndarray) -> np.ndarray:
    """Return a column as floats (NaN where missing), as flags, or as objects: texts or flags, and None.

    A column of None only may become any of these in another piece and is returned unchanged. Raises `InputError` for a
    mixture.
    """
    values = np.asarray(values)
    if values.dtype.kind in "iuf":
        return values.astype(np.float64, copy=False)
    if values.dtype.kind == "b":
        return values
    values = values.astype(object)
    kind = pd.api.types.infer_dtype(values, skipna=True)
    if kind in ("floating", "integer", "mixed-integer-float"):
        return values.astype(np.float64)
    if kind == "boolean":
        gaps = pd.isna(values)
        if not gaps.any():
            return values.astype(bool)
    elif kind not in ("string", "empty"):
        raise InputError(f"output {name} has values of several kinds: expected numbers, flags or texts at all points")
    return _without_nan(values)


def one_line(text: str) -> str:
    """Return a reason on one line, in characters that tables, files and terminals can show."""
    return " ".join(text.encode("utf-8", "replace").decode().split())


def joined(parts: Sequence[Mapping[str, np.ndarray]], sizes: Iterable[int]) -> dict[str, np.ndarray]:
    """Return the columns of `parts`, of `sizes` rows, concatenated; columns that a part lacks are missing there.

    Raises `InputError` for a column with numbers in one part and texts or flags in another.
    """
    sizes = list(sizes)
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: _joined(name, [part.get(name) for part in parts], sizes) for name in names}


def whole_frame(frames: Sequence[Mapping[str, Any] | pd.DataFrame]) -> pd.DataFrame:
    """Return the tables of all pieces as one, each column of one kind, "feasible" and "failure" last.

    Raises `InputError` as `joined` does.
    """
    sizes = [len(frame["point"]) for frame in frames]
    parts = [{str(name): np.asarray(values) for name, values in frame.items()} for frame in frames]
    columns = parts[0] if len(parts) == 1 else joined(parts, sizes)
    names = [name for name in columns if name not in _LAST] + [*_LAST]
    settled_columns = {
        name: columns[name] if columns[name].dtype.kind in "ib" else settled(name, columns[name]) for name in names
    }
    settled_columns["failure"] = _without_nan(settled_columns["failure"].astype(object))
    whole = {name: pd.Series(values, dtype=values.dtype, copy=False) for name, values in settled_columns.items()}
    # Keep columns separate: one block would copy them all.
    return pd.DataFrame(whole, copy=False)


def _joined(name: str, columns: list[np.ndarray | None], sizes: list[int]) -> np.ndarray:
    there = [values for values in columns if values is not None and len(values)]
    kinds = {values.dtype.kind for values in there}
    if kinds <= set("iuf") and there:
        gaps: Any = np.nan
    else:
        gaps = None
    filled = [
        np.full(size, gaps, dtype=object if gaps is None else float) if values is None else np.asarray(values)
        for values, size in zip(columns, sizes, strict=True)
    ]
    filled = [values for values in filled if len(values)] or filled[:1]
    if len({values.dtype for values in filled}) == 1:
        return np.concatenate(filled)
    if gaps is None:
        return settled(name, np.concatenate([values.astype(object) for values in filled]))
    return np.concatenate(filled)


def _without_nan(values: np.ndarray) -> np.ndarray:
    gaps = pd.isna(values)
    if gaps.any():
        values = values.copy()
        values[gaps] = None
    return values
