"""Ranges of a given tensor: from its least to its greatest value, or clipped to the least squared error.

Values that share a range are laid out as a row: all of a tensor, those of one channel or token, or a group of
neighbours. Short last groups are filled up with zeros, which every grid holds, so that they change nothing.
"""

import math
from typing import Literal, get_args

import numpy as np

from hwbase import InputError, check, unknown_name
from models.quantise.grid import FEWEST_BITS, MOST_BITS, UNROUNDED, check_bits, grid, round_to

Sharing = Literal["tensor", "channel", "token", "group"]
#: Who shares a range: all values, those of one output channel or one token (both lie along the first axis), or `block`
#: neighbours within a channel.
SHARINGS: tuple[str, ...] = get_args(Sharing)
Method = Literal["min-max", "mse"]
METHODS: tuple[str, ...] = get_args(Method)
#: Ranges tried by the search for the least squared error, evenly from the whole range down to `_LEAST_SHARE` of it.
STEPS = 24
_LEAST_SHARE = 0.25


def rounded(
    values: np.ndarray,
    bits: int,
    *,
    per: str = "channel",
    block: int | None = None,
    symmetric: bool = True,
    method: str = "min-max",
) -> np.ndarray:
    """Return `values` (channels or tokens first) as float32 of the same shape, rounded to grids of `bits` bits.

    `per` is one of `SHARINGS`, with `block` the length of a group. `method` "min-max" spans all values of a row, "mse"
    takes the range with the least squared error. 16 or 32 bits leave the values as they are. Raises `InputError` for
    unknown names, other bits, or values that are none or not finite.

    Parameters
    ----------
    values : array_like
        Values, channels or tokens along the first axis.
    bits : int
        2 to 8, or 16 or 32 to leave values as they are.
    per : str
        What shares a range, one of `SHARINGS`. Default "channel".
    block : int, optional
        Length of a group, with `per` "group".
    symmetric : bool
        Whether the grid is symmetric about 0. Default True.
    method : str
        "min-max" or "mse". Default "min-max".

    Examples
    --------
    >>> rounded(np.array([[-1.0, -0.3, 0.2, 0.7]]), bits=4).round(3)
    array([[-1.   , -0.286,  0.143,  0.714]], dtype=float32)
    """
    array = _checked(values)
    values_on_grid, _ = _on_grid(array, bits, per=per, block=block, symmetric=symmetric, method=method)
    return array if values_on_grid is None else _laid_back(values_on_grid, array, per)


def codes(
    values: np.ndarray,
    bits: int,
    *,
    per: str = "channel",
    block: int | None = None,
    symmetric: bool = True,
    method: str = "min-max",
) -> np.ndarray:
    """Return the integers that `rounded` puts values on, the zero point taken off: int32 of the same shape.

    `rounded` gives each of them times the scale of its row. Raises `InputError` as `rounded` does, and for 16 or 32
    bits, which have no integers.

    Parameters
    ----------
    values : array_like
        Values, channels or tokens along the first axis.
    bits : int
        2 to 8, or 16 or 32 to leave values as they are.
    per : str
        What shares a range, one of `SHARINGS`. Default "channel".
    block : int, optional
        Length of a group, with `per` "group".
    symmetric : bool
        Whether the grid is symmetric about 0. Default True.
    method : str
        "min-max" or "mse". Default "min-max".
    """
    array = _checked(values)
    values_on_grid, scale = _on_grid(array, bits, per=per, block=block, symmetric=symmetric, method=method)
    if values_on_grid is None:
        raise InputError(f"bits = {bits}: expected {FEWEST_BITS} to {MOST_BITS}, {bits} bits leave values as they are")
    return _laid_back(np.rint(values_on_grid / scale).astype(np.int32), array, per)


def _on_grid(
    array: np.ndarray, bits: int, *, per: str, block: int | None, symmetric: bool, method: str
) -> tuple[np.ndarray | None, np.ndarray]:
    """Return (rounded values laid out in rows, scale of each); None for widths that leave values as they are."""
    if method not in METHODS:
        raise unknown_name("range method", method, METHODS)
    laid = rows(array, per, block)
    if check_bits("bits", bits) in UNROUNDED:
        return None, np.ones(1, np.float32)
    low, high = least_error(laid, bits, symmetric=symmetric) if method == "mse" else min_max(laid)
    to = grid(low, high, bits, symmetric=symmetric)
    return round_to(laid, to), to.scale


def _laid_back(laid: np.ndarray, array: np.ndarray, per: str) -> np.ndarray:
    """Undo `rows`, which fills short groups up."""
    if per != "group":
        return laid.reshape(array.shape)
    inputs = math.prod(array.shape[1:])
    return np.ascontiguousarray(laid.reshape(len(array), -1)[:, :inputs]).reshape(array.shape)


def rows(values: np.ndarray, per: str, block: int | None = None) -> np.ndarray:
    """Return values that share a range as the rows of a matrix; raises `InputError` for an unknown `per` or `block`."""
    if per not in SHARINGS:
        raise unknown_name("sharing of ranges", per, SHARINGS)
    if (block is None) == (per == "group"):
        raise InputError(f"block = {block}: expected the length of a group with per='group', otherwise none")
    if per == "tensor":
        return values.reshape(1, -1)
    laid = values.reshape(len(values), -1)
    if block is None:
        return laid
    length = check.integer("block", block)
    short = -laid.shape[1] % length
    return np.pad(laid, ((0, 0), (0, short))).reshape(-1, length)


def min_max(laid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the greatest value of each row, (rows, 1)."""
    return laid.min(axis=1, keepdims=True), laid.max(axis=1, keepdims=True)


def least_error(laid: np.ndarray, bits: int, *, symmetric: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the range of each row, (rows, 1), whose grid of `bits` bits has the least squared error.

    Tried are `STEPS` shares of the whole range, both ends alike; the whole range is one of them, so the error is never
    above that of `min_max`.
    """
    low, high = min_max(laid)
    best, chosen = np.full(low.shape, np.inf), np.ones(low.shape)
    for share in np.linspace(1.0, _LEAST_SHARE, STEPS):
        difference = round_to(laid, grid(low * share, high * share, bits, symmetric=symmetric)) - laid
        error = np.vecdot(difference, difference)[:, None]
        better = error < best
        best, chosen = np.where(better, error, best), np.where(better, share, chosen)
    return low * chosen, high * chosen


def _checked(values: np.ndarray) -> np.ndarray:
    array = np.asarray(values, np.float32)
    if array.ndim == 0 or array.size == 0:
        raise InputError(f"values have shape {array.shape}: expected at least one channel and one value")
    if not np.isfinite(array).all():
        raise InputError("values hold NaN or infinity: expected finite numbers")
    return array
