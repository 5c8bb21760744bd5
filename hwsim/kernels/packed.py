"""Products of one vector of int8 activations with packed 4-bit weights, compiled by numba (extra [numba]), exact.

A block of 32 weights takes 16 bytes, and an exponent where the format has one. AVX2 looks 32 codes up in a register,
multiplies them by 32 activations, and adds pairs; each block's sums are shifted by its exponent, so the result is the
integer that `block_matvec` gives. Other processors keep to NumPy (`can_pack`).
"""

from typing import Any

import numba
import numpy as np
from llvmlite import binding, ir
from numba.core import cgutils, types
from numba.extending import intrinsic

BLOCK = 32
#: Largest magnitude that every partial sum, in 32 bits, has room for.
_MOST = 2**31
_LEAST_SCALE = np.finfo(np.float32).smallest_normal


def can_pack() -> bool:
    """Whether this processor has the instructions (AVX2)."""
    return bool(binding.get_host_cpu_features().get("avx2", False))


class PackedMatrix:
    """4-bit weights (outputs, inputs) in 4 bits each, ready for one vector at a time.

    Parameters
    ----------
    codes : ndarray of uint8, (outputs, inputs)
        Codes 0 to 15.
    values : ndarray of int, (16,)
        Integer of each code, -16 to 15; that of code 0 is 0.
    shifts : ndarray of int, (outputs, blocks)
        Bits by which the sum over each block of 32 inputs is shifted left.
    units : ndarray of float64, (outputs,)
        Value of one unit of a product.
    """

    def __init__(self, codes: np.ndarray, values: np.ndarray, shifts: np.ndarray, units: np.ndarray) -> None:
        outputs, inputs = codes.shape
        self._pairs = -(-inputs // (2 * BLOCK))
        padded = np.zeros((outputs, self._pairs, 2, BLOCK), np.uint8)
        padded.reshape(outputs, -1)[:, :inputs] = codes
        self._codes = (padded[:, :, 0] | padded[:, :, 1] << 4).ravel()
        self._offset = int(-values.min())
        self._table = np.tile((values + self._offset).astype(np.uint8), 2)
        own = np.zeros((outputs, 2 * self._pairs), np.uint8)
        own[:, : shifts.shape[1]] = shifts
        self._shifts, self._units = own.ravel(), units.astype(np.float64)

    @staticmethod
    def fits(largest: float) -> bool:
        """Whether sums of magnitudes up to `largest`, times int8 activations, stay exact."""
        # Codes are moved up to be positive, which at most doubles a sum, before the difference is taken off.
        return largest * 2.0**8 < _MOST

    def product(self, x: np.ndarray, highest: int) -> np.ndarray | None:
        """Return the product with activations float32 (inputs,), rounded to integers up to `highest` first.

        Returns float32 (outputs,), or None for activations that are not finite.
        """
        y = np.empty(len(self._units), np.float32)
        codes = self._codes, self._shifts, self._table, self._units
        return y if _product(np.ascontiguousarray(x), highest, *codes, self._offset, self._pairs, y) else None


@intrinsic
def _row(context, codes, shifts, table, x, moved, row, pairs):  # type: ignore[no-untyped-def]
    """The sum over one row: int64 of (codes, shifts, table, x, moved, row, pairs)."""
    signature = types.int64(codes, shifts, table, x, moved, row, pairs)

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        arrays = [
            context.make_array(kind)(context, builder, value).data
            for kind, value in zip(signature.args[:5], arguments[:5], strict=True)
        ]
        byte, half, word = ir.IntType(8), ir.IntType(16), ir.IntType(32)
        bytes_, halves, words = ir.VectorType(byte, 32), ir.VectorType(half, 16), ir.VectorType(word, 8)
        code_at, shift_at, table_at, x_at, moved_at = arrays
        number, count = arguments[5:]
        size = count.type

        def load(pointer, vector, index):  # type: ignore[no-untyped-def]
            place = builder.bitcast(builder.gep(pointer, [index]), vector.as_pointer())
            return builder.load(place, align=1)

        def call(name, result, *values):  # type: ignore[no-untyped-def]
            kind = ir.FunctionType(result, [value.type for value in values])
            return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), values)

        def splat(value, vector):  # type: ignore[no-untyped-def]
            lanes = ir.VectorType(word, vector.count)
            one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(word, 0))
            return builder.shuffle_vector(one, one, ir.Constant(lanes, [0] * vector.count))

        known = load(table_at, bytes_, ir.Constant(size, 0))
        low = ir.Constant(bytes_, [15] * 32)
        four = ir.Constant(bytes_, [4] * 32)
        ones = ir.Constant(halves, [1] * 16)
        zero = ir.Constant(words, [0] * 8)
        sums = [cgutils.alloca_once_value(builder, zero) for _ in range(2)]
        first = builder.mul(number, count)
        with cgutils.for_range(builder, count) as loop:
            pair = loop.index
            place = builder.add(first, pair)
            both = load(code_at, bytes_, builder.mul(place, ir.Constant(size, 32)))
            nibbles = builder.and_(both, low), builder.lshr(both, four)
            for part, nibble in enumerate(nibbles):
                block = builder.add(builder.mul(pair, ir.Constant(size, 2)), ir.Constant(size, part))
                weights = call("llvm.x86.avx2.pshuf.b", bytes_, known, nibble)
                given = load(x_at, bytes_, builder.mul(block, ir.Constant(size, 32)))
                products = call("llvm.x86.avx2.pmadd.ub.sw", halves, weights, given)
                products = builder.sub(products, load(moved_at, halves, builder.mul(block, ir.Constant(size, 16))))
                pairs_ = call("llvm.x86.avx2.pmadd.wd", words, products, ones)
                at = builder.add(builder.mul(place, ir.Constant(size, 2)), ir.Constant(size, part))
                shift = builder.zext(builder.load(builder.gep(shift_at, [at])), word)
                shifted = builder.shl(pairs_, splat(shift, words))
                builder.store(builder.add(builder.load(sums[part]), shifted), sums[part])
        total = builder.add(builder.load(sums[0]), builder.load(sums[1]))
        result = call("llvm.vector.reduce.add.v8i32", word, total)
        return builder.sext(result, ir.IntType(64))

    return signature, generate


#: Called inside compiled functions without the context.
_sum_of_row: Any = _row


@numba.njit(cache=True)
def _product(x, highest, codes, shifts, table, units, offset, pairs, y):  # type: ignore[no-untyped-def]
    """Write the product into `y`; returns whether the activations are finite."""
    largest = np.float32(0.0)
    for value in x:
        if not np.isfinite(value):
            return False
        largest = max(largest, abs(value))
    scale = max(largest / np.float32(highest), np.float32(_LEAST_SCALE)) if largest > 0 else np.float32(1.0)
    integers = np.zeros(2 * BLOCK * pairs, np.int8)
    moved = np.zeros(BLOCK * pairs, np.int16)
    for i in range(x.size):
        integers[i] = min(max(np.rint(x[i] / scale), -highest), highest)
    for i in range(moved.size):
        moved[i] = offset * (np.int16(integers[2 * i]) + np.int16(integers[2 * i + 1]))
    unit = np.float64(scale)
    for row in range(y.size):
        total = _sum_of_row(codes, shifts, table, integers, moved, np.int64(row), np.int64(pairs))
        y[row] = np.float32(np.float64(total) * (units[row] * unit))
    return True
