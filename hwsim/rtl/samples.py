"""Weights and activation vectors for testing a neuron: reproducible, with the corner cases of arithmetic."""

import numpy as np

from hwbase import InputError
from hwbase.check import integer
from hwsim.rtl.metal import CODE_HALVES
from hwsim.weights import WeightFormat


def quota_codes(inputs: int, weights: WeightFormat, seed: int = 2026) -> np.ndarray:
    """Return FP4 codes uint8 (inputs,) in random order with the histogram of the format, rounded to whole numbers.

    Shares are rounded by largest remainder, so no region exceeds its share rounded up. Raises `InputError` for a format
    other than FP4.
    """
    n = integer("inputs", inputs, high=1e6)
    if not set(weights.values.tolist()) <= set(CODE_HALVES.tolist()):
        raise InputError(f"weight format {weights.name!r}: expected fp4")
    shares = n * weights.histogram
    times = np.floor(shares + 1e-9).astype(int)
    remainders = np.argsort(times - shares, kind="stable")
    times[remainders[: n - times.sum()]] += 1
    code_of = {int(value): code for code, value in reversed(list(enumerate(CODE_HALVES)))}
    codes = np.repeat(np.array([code_of[int(v)] for v in weights.values], dtype=np.uint8), times)
    return np.random.default_rng(seed).permutation(codes)


def corner_vectors(inputs: int, activation_bits: int = 8) -> np.ndarray:
    """Return activations int64 (5, inputs): all zero, all minimum, all maximum, and two that alternate."""
    n = integer("inputs", inputs, high=1e6)
    limit = 1 << integer("activation_bits", activation_bits, low=2, high=32) - 1
    odd = np.arange(n) % 2 == 1
    levels = [np.zeros(n), np.full(n, -limit), np.full(n, limit - 1)]
    return np.vstack([*levels, np.where(odd, limit - 1, -limit), np.where(odd, -1, 1)]).astype(np.int64)


def random_vectors(vectors: int, inputs: int, activation_bits: int = 8, seed: int = 2026) -> np.ndarray:
    """Return uniform activations int64 (vectors, inputs) over the whole range of `activation_bits`."""
    limit = 1 << integer("activation_bits", activation_bits, low=2, high=32) - 1
    shape = integer("vectors", vectors, high=1e6), integer("inputs", inputs, high=1e6)
    return np.random.default_rng(seed).integers(-limit, limit, shape)
