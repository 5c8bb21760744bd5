"""Inputs of a design space as numbers: texts are read; masked arrays and Series of different order are refused."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from hwbase import InputError
from hwbase.columns import column


def read_inputs(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return `inputs` by name as numbers or arrays; texts such as "64 GB/s", alone or in lists, are read.

    Raises `InputError` for a text that cannot be read, a masked array, and Series whose indices differ: rows are taken
    by position, so they would mix designs.
    """
    indices: dict[str, pd.Index] = {}
    for name, values in inputs.items():
        if isinstance(values, np.ma.MaskedArray):
            raise InputError(f"{name} is a masked array: expected numbers alone (leave masked points out)")
        if _dimensions(name, values) == 1:
            indices[name] = values.index if isinstance(values, pd.Series) else pd.RangeIndex(len(values))
    if any(isinstance(values, pd.Series) for values in inputs.values()):
        first = next(iter(indices))
        for name, index in indices.items():
            if len(index) == len(indices[first]) and not index.equals(indices[first]):
                raise InputError(f"{name} has another index than {first}: expected Series of one index, or arrays")
    return {name: column(name).read(values) for name, values in inputs.items()}


def _dimensions(name: str, values: Any) -> int:
    try:
        return np.ndim(values)
    except ValueError:
        raise InputError(f"{name} is a list of lists of different lengths: expected a number or an array") from None
