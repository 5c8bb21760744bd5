"""The effect of block scales on a Hardwired-Neuron: weights with other scales need other regions.

MXFP4 gives every 32 weights along the input axis a power-of-two scale (OCP Microscaling Formats v1.0). A neuron adds up
counts over all its inputs, so 1.5 in a block of scale 2 and 1.5 in a block of scale 1 are different constants: a neuron
whose scales span k octaves has the magnitudes 2^j (j = 0 .. k + 3) and 3 x 2^j (j = 0 .. k + 2), 4 k + 14 regions with
their signs. The HNLPU paper (ASPLOS '26, doi 10.1145/3779212.3790169) counts 16 values and does not treat scales.
"""

from typing import Any

import numpy as np

from hwbase import InputError
from hwbase.check import integer
from hwsim.kernels.quantised import MX_BLOCK
from hwsim.weights import WeightFormat
from hwsim.wiring.regions import REGION_HALVES, cluster_histogram

#: Weights that share a scale.
BLOCK = MX_BLOCK


def scale_octaves(exponents: Any) -> np.ndarray:
    """Return the octaves that the scales of each neuron span, int64 (outputs,): 0 where all are equal.

    `exponents` are whole numbers (blocks, outputs), log2 of the block scales; replace those of zero blocks by any other
    exponent of the same neuron. Raises `InputError` for another shape or type.
    """
    checked = _exponents(exponents)
    return checked.max(axis=0) - checked.min(axis=0)


def scaled_magnitudes(octaves: int) -> np.ndarray:
    """Return the distinct magnitudes, in units of half the smallest scale, of weights whose scales span `octaves`."""
    k = integer("octaves", octaves, low=0, high=32)
    magnitudes = REGION_HALVES[REGION_HALVES > 0]
    return np.unique(magnitudes[:, None] << np.arange(k + 1))


def scaled_histogram(codes: Any, exponents: Any, octaves: int, block: int = BLOCK) -> np.ndarray:
    """Return the inputs of each neuron per region of scaled value, int32 (regions, outputs).

    `scaled_counts` of the blocks' histograms. Raises `InputError` for codes and exponents whose shapes do not match, or
    a neuron whose scales span more than `octaves`.
    """
    return scaled_counts(cluster_histogram(codes, block), exponents, octaves)


def scaled_counts(counts: np.ndarray, exponents: Any, octaves: int) -> np.ndarray:
    """Return the inputs of each neuron per region of scaled value, int32 (regions, outputs), from its blocks.

    `counts` (14, blocks, outputs) are the inputs per region in each block, `exponents` (blocks, outputs) log2 of the
    blocks' scales. Regions are the ascending `scaled_magnitudes(octaves)`, positive ones first, then negative ones;
    scales are relative to the least of their neuron. Raises `InputError` as `scaled_histogram` does.
    """
    scales = _exponents(exponents)
    if scales.shape != counts.shape[1:]:
        raise InputError(f"exponents have shape {scales.shape}: expected {counts.shape[1:]}")
    relative = scales - scales.min(axis=0)
    if relative.max(initial=0) > octaves:
        raise InputError(f"scales of a neuron span {relative.max()} octaves: expected at most {octaves}")
    magnitudes = scaled_magnitudes(octaves)
    regions = np.zeros((2 * len(magnitudes), counts.shape[2]), dtype=np.int32)
    for shift in range(octaves + 1):
        at_shift = np.where(relative == shift, counts, 0).sum(axis=1, dtype=np.int32)
        places = np.searchsorted(magnitudes, np.abs(REGION_HALVES) << shift)
        places += np.where(REGION_HALVES < 0, len(magnitudes), 0)
        regions[places] += at_shift  # a shift sends no two regions to one place
    return regions


def scaled_format(shares: Any, octaves: int) -> WeightFormat:
    """Return the weight format with one value per scaled region and the measured `shares` of them; the rest is zero.

    The format gives `hwsim.metal_embedding` the cost of a neuron with scaled values. Raises `InputError` for another
    number of shares than of regions.
    """
    magnitudes = scaled_magnitudes(octaves)
    given = np.asarray(shares, dtype=float)
    if given.shape != (2 * len(magnitudes),):
        raise InputError(f"shares have shape {given.shape}: expected ({2 * len(magnitudes)},)")
    values = np.concatenate([magnitudes, -magnitudes, [0]])
    frequencies = np.concatenate([given, [max(1.0 - given.sum(), 0.0)]])
    order = np.argsort(values)
    return WeightFormat(f"fp4 x {octaves + 1} scales", 4, values[order], frequencies[order])


def _exponents(exponents: Any) -> np.ndarray:
    checked = np.asarray(exponents)
    if checked.ndim != 2 or checked.dtype.kind not in "iu":
        raise InputError(f"exponents have shape {checked.shape}: expected whole numbers (blocks, outputs)")
    return checked.astype(np.int64)
