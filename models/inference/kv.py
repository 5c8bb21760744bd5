"""Formats of cached keys and values: integers, or FP8, with a scale for each token and head."""

from collections.abc import Callable

import ml_dtypes
import numpy as np

from hwbase import FORMATS, InputError, number_format, unknown_name

#: The cache as it is computed.
KV_FLOAT = "float"
#: Formats by name, and that of their elements.
KV_FORMATS = {KV_FLOAT: "fp32", "int8": "int8", "fp8": "fp8_e4m3", "int4": "int4"}
_SCALE = FORMATS["fp16"]

#: Rounds keys or values, float32 (tokens, heads, head_dim), to a format.
KVRounding = Callable[[np.ndarray], np.ndarray]


def kv_bits(format: str, head_dim: int) -> float:
    """Return the bits of a cached element, those of its scale (FP16 for each token and head) included."""
    bits = number_format(KV_FORMATS[check_kv(format)]).bits
    return float(bits) if format == KV_FLOAT else bits + _SCALE.bits / head_dim


def check_kv(format: str) -> str:
    """Return the name of a format; raises `InputError` with the nearest one."""
    if format not in KV_FORMATS:
        raise unknown_name("format of keys and values", format, KV_FORMATS)
    return format


def kv_rounding(format: str) -> KVRounding | None:
    """Return the rounding to a format, None for "float". It raises `InputError` for values that are not finite.

    Integers are symmetric, nearest even. FP8 is E4M3, its largest value that of the token and head. Scales are FP16,
    rounded up so that no value exceeds the range.
    """
    if check_kv(format) == KV_FLOAT:
        return None
    element = number_format(KV_FORMATS[format])

    def rounding(x: np.ndarray) -> np.ndarray:
        rows = x.reshape(-1, x.shape[-1])
        scales = _half_scales(rows, float(element.highest))
        if element.kind == "integer":
            codes = np.rint(rows / scales)
        else:
            codes = (rows / scales).astype(ml_dtypes.float8_e4m3fn).astype(np.float32)
        return (codes * scales).reshape(x.shape)

    return rounding


def _half_scales(rows: np.ndarray, highest: float) -> np.ndarray:
    """Return an FP16 scale for each row, as float32 (rows, 1): the largest magnitude / `highest`, rounded up."""
    exact = np.abs(rows).max(axis=1, keepdims=True) / np.float32(highest)
    if not (exact <= _SCALE.highest).all():
        raise InputError(
            f"keys or values are not finite, or beyond {_SCALE.highest * highest:g}: expected smaller ones"
        )
    half = np.maximum(exact, np.finfo(np.float16).smallest_subnormal).astype(np.float16)
    up = np.where(half.astype(np.float32) < exact, np.nextafter(half, np.float16(np.inf)), half)
    return up.astype(np.float32)
