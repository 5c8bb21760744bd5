"""Bit planes of activations and POPCNT region counts of a Hardwired-Neuron, on packed 64-bit words.

Activations enter a neuron bit-serially: plane k has bit k of every activation. Each weight value has a region, the set
of inputs with this weight; a POPCNT counts the ones of the plane inside the region. Weights of zero have no region.
Source: "Hardwired-Neuron Language Processing Units", ASPLOS '26, doi 10.1145/3779212.3790169.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from hwbase import FORMATS, InputError
from hwsim.weights import integers

#: Widest activations that the circuit takes, in bits.
MAX_ACTIVATION_BITS = 16
#: Value of each FP4 E2M1 code in units of one half, int8 (16,): bit 3 is the sign, bits 2..0 the magnitude index.
HALVES = integers(FORMATS["fp4"]).astype(np.int8)
#: Codes that have a region: all but the two zeros, uint8 (14,).
REGION_CODES = np.flatnonzero(HALVES).astype(np.uint8)
#: Constant of each region's multiplier in units of one half, int64 (14,).
REGION_HALVES = HALVES[REGION_CODES].astype(np.int64)
#: Bytes of one chunk of neurons while their regions are counted, about the size of a level-2 cache.
CACHE_BYTES = 1 << 19

_WORD_BITS = 64

for _table in (HALVES, REGION_CODES, REGION_HALVES):
    _table.flags.writeable = False


def check_codes(weight_codes: Any) -> np.ndarray:
    """Return FP4 codes as a uint8 array (inputs, outputs); raises `InputError` for another shape, type or range."""
    codes = np.asarray(weight_codes)
    if codes.ndim != 2:
        raise InputError(f"weight codes have shape {codes.shape}: expected two axes (inputs, outputs)")
    return check_code_values(codes)


def check_code_values(codes: np.ndarray) -> np.ndarray:
    """Return FP4 codes of any shape as uint8; raises `InputError` unless they are whole numbers from 0 to 15."""
    if codes.dtype.kind not in "iu":
        raise InputError(f"weight codes are of type {codes.dtype}: expected unsigned integers 0 to 15")
    if codes.size and (codes.max() > 15 or (codes.dtype.kind == "i" and codes.min() < 0)):
        bad = codes[(codes > 15) | (codes < 0)].flat[0]
        raise InputError(f"weight code {bad}: expected 0 to 15 (FP4 E2M1)")
    return codes.astype(np.uint8, copy=False)


def check_bits(activation_bits: int) -> int:
    """Return the width of an activation; raises `InputError` unless it is a whole number from 1 to 16."""
    whole = isinstance(activation_bits, (int, np.integer)) and not isinstance(activation_bits, bool)
    if not whole or not 1 <= activation_bits <= MAX_ACTIVATION_BITS:
        raise InputError(f"activation_bits = {activation_bits!r}: expected a whole number >= 1 and <= 16")
    return int(activation_bits)


def check_activations(activations: Any, inputs: int, activation_bits: int) -> np.ndarray:
    """Return activations (..., inputs) as int8, or int16 where `activation_bits` is above 8.

    Raises `InputError` for values that are not integers, do not fit in `activation_bits` of two's complement, or
    whose last axis is not `inputs` long.
    """
    bits = check_bits(activation_bits)
    given = np.asarray(activations)
    if given.ndim == 0 or given.shape[-1] != inputs:
        raise InputError(f"activations have shape {given.shape}: expected (..., {inputs}), one for each input")
    if given.dtype.kind not in "iu":
        raise InputError(f"activations are of type {given.dtype}: expected integers of {bits} bits")
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    kind = np.iinfo(given.dtype)
    if given.size and (kind.min < low or kind.max > high):
        least, most = int(given.min()), int(given.max())
        if least < low or most > high:
            bad = least if least < low else most
            raise InputError(f"activation {bad}: expected {low} to {high} ({bits} bits, two's complement)")
    return given.astype(np.int8 if bits <= 8 else np.int16, copy=False)


def bit_planes(activations: np.ndarray, activation_bits: int) -> np.ndarray:
    """Return the bits of checked activations (..., inputs), LSB first, as bool (..., activation_bits, inputs)."""
    unsigned = activations.view(np.uint8 if activations.dtype.itemsize == 1 else np.uint16)
    shifts = np.arange(activation_bits, dtype=unsigned.dtype)[:, None]
    return ((unsigned[..., None, :] >> shifts) & 1).astype(bool)


def pack_words(bits: np.ndarray) -> np.ndarray:
    """Return bool (..., n) packed along the last axis into uint64 words (..., ceil(n / 64)), zeros after the end."""
    words = -(-bits.shape[-1] // _WORD_BITS)
    packed = np.zeros((*bits.shape[:-1], words * 8), dtype=np.uint8)
    bytes_used = np.packbits(bits, axis=-1, bitorder="little")
    packed[..., : bytes_used.shape[-1]] = bytes_used
    return packed.view(np.uint64)


def region_masks(codes: np.ndarray) -> np.ndarray:
    """Return masks of the inputs wired to each region, uint64 (words, 14, outputs), from codes (inputs, outputs)."""
    inputs, outputs = codes.shape
    words = -(-inputs // _WORD_BITS)
    masks = np.empty((words, len(REGION_CODES), outputs), dtype=np.uint64)
    columns = np.ascontiguousarray(codes.T)
    for region, code in enumerate(REGION_CODES):
        masks[:, region] = pack_words(columns == code).T
    return masks


def region_counts(masks: np.ndarray, planes: np.ndarray) -> np.ndarray:
    """Return the ones of each packed plane (clocks, words) in each region, int32 (clocks, 14, outputs).

    `masks` is from `region_masks`, `planes` from `pack_words`. There is a POPCNT for each output, region and clock.
    """
    outputs = masks.shape[2]
    counts = np.empty((planes.shape[0], *masks.shape[1:]), dtype=np.int32)
    for chosen in output_chunks(outputs, len(REGION_CODES) * 8):
        wired = np.ascontiguousarray(masks[:, :, chosen])
        for clock, plane in enumerate(planes):
            total = np.zeros(wired.shape[1:], dtype=np.uint16 if masks.shape[0] < 1024 else np.int32)
            for word in range(wired.shape[0]):
                total += np.bitwise_count(wired[word] & plane[word])
            counts[clock, :, chosen] = total
    return counts


def output_chunks(outputs: int, bytes_each: int, budget: int = CACHE_BYTES) -> Iterator[slice]:
    """Yield slices over `outputs` whose working set of `bytes_each` an output stays within `budget` bytes."""
    step = max(1, budget // max(1, bytes_each))
    for start in range(0, outputs, step):
        yield slice(start, min(start + step, outputs))
