"""Formats of cached keys and values: integers or FP8, with a scale for each token and head.

Some channels of keys are much larger than the others. A zero point, or a Hadamard rotation of each head, leaves more
levels to the rest (Ashkboos et al., "QuaRot", arXiv 2404.00456). A rotation of keys, undone in the queries, costs
head_dim log2(head_dim) additions for each head and token; that of values folds into the weights.
"""

from collections.abc import Callable
from dataclasses import dataclass

import ml_dtypes
import numpy as np
from scipy.linalg import hadamard

from hwbase import FORMATS, InputError, NumberFormat, number_format, unknown_name


@dataclass(frozen=True)
class KVFormat:
    """Elements of a format; unsigned integers have a zero point beside the scale, and heads may be rotated."""

    element: NumberFormat
    rotated: bool = False

    @property
    def has_zero(self) -> bool:
        """Whether there is a zero point."""
        return self.element.kind == "integer" and not self.element.signed


#: The cache as it is computed.
KV_FLOAT = "float"
#: Formats by name.
KV_FORMATS: dict[str, KVFormat] = {
    KV_FLOAT: KVFormat(number_format("fp32")),
    "int8": KVFormat(number_format("int8")),
    "fp8": KVFormat(number_format("fp8_e4m3")),
    "int4": KVFormat(number_format("int4")),
    "uint4": KVFormat(number_format("uint4")),
    "int4-rotated": KVFormat(number_format("int4"), rotated=True),
    "uint4-rotated": KVFormat(number_format("uint4"), rotated=True),
}
_SCALE = FORMATS["fp16"]

#: Rounds keys or values, float32 (tokens, heads, head_dim), to a format.
KVRounding = Callable[[np.ndarray], np.ndarray]


def kv_bits(format: str, head_dim: int) -> float:
    """Return the bits of a cached element, its share of scale and zero point (FP16 each) included."""
    kind = KV_FORMATS[check_kv(format)]
    if format == KV_FLOAT:
        return float(kind.element.bits)
    return kind.element.bits + (1 + kind.has_zero) * _SCALE.bits / head_dim


def check_kv(format: str) -> str:
    """Return the name of a format; raises `InputError` with the nearest one."""
    if format not in KV_FORMATS:
        raise unknown_name("format of keys and values", format, KV_FORMATS)
    return format


def kv_rounding(format: str) -> KVRounding | None:
    """Return the rounding to a format, None for "float". It raises `InputError` for values that are not finite.

    Values are rounded to nearest even. Scales are FP16, rounded up so that no value exceeds the range.
    """
    kind = KV_FORMATS[check_kv(format)]
    if format == KV_FLOAT:
        return None

    def rounding(x: np.ndarray) -> np.ndarray:
        turn = _rotation(x.shape[-1]) if kind.rotated else None
        rows = x.reshape(-1, x.shape[-1])
        rounded = _rounded(rows if turn is None else rows @ turn, kind)
        return (rounded if turn is None else rounded @ turn.T).reshape(x.shape)

    return rounding


def _rounded(rows: np.ndarray, kind: KVFormat) -> np.ndarray:
    highest = float(kind.element.highest)
    if kind.has_zero:
        zero = _half(rows.min(axis=1, keepdims=True))
        scale = _half_up((rows.max(axis=1, keepdims=True) - zero) / np.float32(highest))
        return np.clip(np.rint((rows - zero) / scale), 0.0, highest) * scale + zero
    scale = _half_up(np.abs(rows).max(axis=1, keepdims=True) / np.float32(highest))
    if kind.element.kind == "integer":
        return np.rint(rows / scale) * scale
    return (rows / scale).astype(ml_dtypes.float8_e4m3fn).astype(np.float32) * scale


def _half(values: np.ndarray) -> np.ndarray:
    if not (np.abs(values) <= _SCALE.highest).all():
        raise InputError(f"keys or values are not finite, or beyond {_SCALE.highest:g}: expected smaller ones")
    return values.astype(np.float16).astype(np.float32)


def _half_up(values: np.ndarray) -> np.ndarray:
    """Return FP16 numbers above 0, not below `values`, as float32."""
    half = np.maximum(_half(values), np.float32(np.finfo(np.float16).smallest_subnormal)).astype(np.float16)
    return np.where(half < values, np.nextafter(half, np.float16(np.inf)), half).astype(np.float32)


def _rotation(size: int) -> np.ndarray:
    """Return an orthogonal matrix, float32 (size, size): Hadamard matrices of the largest power of two that divides."""
    part = size & -size
    return np.kron(np.eye(size // part), hadamard(part) / np.sqrt(part)).astype(np.float32)
