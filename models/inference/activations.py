"""Activations as integers: one scale a token, one for all, or one for all but the first token, which stands apart.

In many language models the first token carries activations a thousand times the median ("massive activations", Sun et
al., arXiv 2402.17762). A scale that it shares with other tokens leaves them a few of the 255 levels; a scale of its
own, or float arithmetic for it alone, cures that.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from hwbase import InputError, check, number_format, unknown_name
from hwbase.formats import INTEGER_BITS

Scaling = Literal["token", "tensor", "first-scaled", "first-float"]
#: "token": a scale for each token. "tensor": one for all tokens that are multiplied together. "first-scaled": as
#: "tensor", but the first token of a sequence has its own. "first-float": as "tensor", but the first token stays float.
SCALINGS: tuple[str, ...] = get_args(Scaling)

_LEAST_SCALE = np.finfo(np.float32).smallest_normal


@dataclass(frozen=True, eq=False)
class QuantisedActivations:
    """Activations ~ `codes` x `scales`: int8 (tokens, inputs) and float32 (tokens, 1); `floating` rows stay float.

    The codes of the first `floating` rows (0 or 1) are zero.
    """

    codes: np.ndarray
    scales: np.ndarray
    floating: int = 0


def quantise_activations(x: np.ndarray, position: int, scaling: str = "token", bits: int = 8) -> QuantisedActivations:
    """Return float32 activations (tokens, inputs) as symmetric integers of `bits` bits (2 to 8), nearest even.

    `position` is that of the first row in its sequence. A scale is the largest magnitude of its tokens / (2^(bits-1) -
    1), or 1 when they are all zero. Raises `InputError` for an unknown scaling, bits out of range, or activations that
    are not finite.

    Parameters
    ----------
    x : ndarray of float32, (tokens, inputs)
        Activations.
    position : int
        Position of the first row in its sequence.
    scaling : str
        One of `SCALINGS`. Default "token".
    bits : int
        Bits of a code, 2 to 8. Default 8.
    """
    check_scaling(scaling, bits)
    highest = np.float32(number_format(f"int{int(bits)}").highest)
    largest = np.abs(x).max(axis=1, keepdims=True)
    if not np.isfinite(largest).all():
        raise InputError("activations hold NaN or infinity: expected finite numbers; the arithmetic has overflowed")
    apart = int(position == 0 and scaling in ("first-scaled", "first-float"))
    if scaling != "token" and len(x) > apart:
        largest[apart:] = largest[apart:].max()
    # Subnormal magnitudes would divide to a scale of zero.
    scales = np.where(largest > 0, np.maximum(largest / highest, _LEAST_SCALE), np.float32(1.0))
    codes = np.clip(np.rint(x / scales), -highest, highest).astype(np.int8)
    floating = apart if scaling == "first-float" else 0
    codes[:floating] = 0
    return QuantisedActivations(codes, scales, floating)


def check_scaling(scaling: str, bits: int) -> None:
    """Raise `InputError` for an unknown scaling, or `bits` that are not 2 to 8."""
    if scaling not in SCALINGS:
        raise unknown_name("activation scaling", scaling, SCALINGS)
    check.count("activation_bits", bits, low=INTEGER_BITS[0], high=INTEGER_BITS[1])
