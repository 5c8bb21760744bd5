"""Functions evaluated once for each distinct input: a sweep of a million designs has few grids and few neurons."""

from collections.abc import Callable

import numpy as np

from hwbase.check import Number

#: Shorter arrays are not searched for repetitions.
_FEWEST = 256


def on_distinct(function: Callable[..., tuple[Number, ...]], *inputs: Number) -> tuple[Number, ...]:
    """Return `function(*inputs)`, a tuple of numbers or arrays, element by element.

    Where `inputs` are long arrays of few distinct combinations, the function is called with one element of each.
    It must treat elements independently of their position.
    """
    arrays = [values for values in inputs if np.ndim(values)]
    if not arrays or any(np.shape(values) != np.shape(arrays[0]) for values in arrays) or arrays[0].ndim != 1:
        return function(*inputs)
    if arrays[0].size < _FEWEST:
        return function(*inputs)
    import pandas as pd

    code, kinds = pd.factorize(arrays[0])
    for values in arrays[1:]:
        codes, levels = pd.factorize(values)
        code, kinds = pd.factorize(code * len(levels) + codes)
    if len(kinds) > arrays[0].size // 4:
        return function(*inputs)
    # One row of each kind, whichever is written last.
    rows = np.empty(len(kinds), dtype=np.int64)
    rows[code] = np.arange(code.size)
    results = function(*(values[rows] if np.ndim(values) else values for values in inputs))
    return tuple(values[code] if np.ndim(values) else values for values in results)
