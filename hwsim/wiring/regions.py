"""Regions of a Hardwired-Neuron: the region of a weight's input, and the number of inputs of each region.

FP4 has 14 non-zero values with a region each; an input of weight zero is not wired. Regions are in the order of
`hwsim.kernels.planes.REGION_CODES`: 0.5, 1, ... 6, then -0.5, -1, ... -6. Source: "Hardwired-Neuron Language Processing
Units", ASPLOS '26, doi 10.1145/3779212.3790169.
"""

from typing import Any

import numpy as np

from hwbase import FORMATS, InputError
from hwbase.check import integer
from hwsim.kernels.planes import HALVES, REGION_CODES, REGION_HALVES, check_codes
from hwsim.weights import WeightFormat

#: Regions of an FP4 neuron.
REGIONS = len(REGION_CODES)
#: Region of an input that is not wired, since its weight is zero.
UNWIRED = 255
#: Region of each FP4 code, uint8 (16,).
REGION_OF_CODE = np.full(16, UNWIRED, dtype=np.uint8)
REGION_OF_CODE[REGION_CODES] = np.arange(REGIONS, dtype=np.uint8)
REGION_OF_CODE.flags.writeable = False


def region_map(codes: Any) -> np.ndarray:
    """Return the region of each input of each neuron, uint8 (inputs, outputs), 255 where it is not wired.

    `codes` are FP4 codes uint8 0..15 (inputs, outputs). Raises `InputError` for another shape, type or range.
    """
    return REGION_OF_CODE.take(check_codes(codes))


def region_histogram(codes: Any) -> np.ndarray:
    """Return the number of inputs of each region in each neuron, int32 (14, outputs).

    Raises `InputError` as `region_map` does.
    """
    return _histogram(check_codes(codes))


def cluster_histogram(codes: Any, cluster: int) -> np.ndarray:
    """Return the region histograms of clusters of `cluster` inputs in a row, int32 (14, clusters, outputs).

    A cluster is a part of a neuron with its own regions, so that its wires stay short; inputs after the last whole
    cluster form a smaller one. Raises `InputError` for codes as `region_map` does, or a cluster below 1.
    """
    checked = check_codes(codes)
    if not isinstance(cluster, (int, np.integer)) or isinstance(cluster, bool) or cluster < 1:
        raise InputError(f"cluster = {cluster!r}: expected a whole number of inputs >= 1")
    starts = range(0, checked.shape[0], int(cluster))
    parts = [_histogram(checked[start : start + int(cluster)]) for start in starts]
    return np.stack(parts, axis=1) if parts else np.zeros((REGIONS, 0, checked.shape[1]), dtype=np.int32)


def split_clusters(codes: Any, cluster: int) -> np.ndarray:
    """Return codes (inputs, outputs) as those of their clusters, uint8 (cluster, outputs x clusters).

    Inputs after the last whole cluster are left out. Raises `InputError` for codes as `region_map` does, or a cluster
    that is not between 1 and the number of inputs.
    """
    checked = check_codes(codes)
    if not 1 <= cluster <= checked.shape[0]:
        raise InputError(f"cluster = {cluster}: expected 1 to {checked.shape[0]} inputs")
    whole = checked.shape[0] // cluster
    parts = checked[: whole * cluster].reshape(whole, cluster, checked.shape[1])
    return np.ascontiguousarray(parts.transpose(1, 0, 2).reshape(cluster, -1))


def join_neurons(parts: Any, length: int) -> np.ndarray:
    """Return larger (or smaller) neurons, (..., length, n): those of `parts` (..., parts, neurons) end to end, cut.

    A part is an input's code, or the counts or the scale of a cluster. The result stands in for a model with neurons of
    another length: correlation between neighbours is kept, and the rest at the end is left out. Raises `InputError` for
    a length below 1 or fewer than two axes.
    """
    given, size = np.asarray(parts), integer("length", length)
    if given.ndim < 2:
        raise InputError(f"parts have shape {given.shape}: expected (..., parts, neurons)")
    line = np.swapaxes(given, -1, -2).reshape(*given.shape[:-2], -1)
    whole = line.shape[-1] // size
    return np.swapaxes(line[..., : whole * size].reshape(*given.shape[:-2], whole, size), -1, -2)


def merge_clusters(counts: np.ndarray, times: int) -> np.ndarray:
    """Return the counts (regions, clusters // times, neurons) of clusters `times` as large, from (regions, ...) ones.

    Clusters after the last whole larger one are left out. Raises `InputError` unless `times` is 1 to the clusters.
    """
    regions, clusters, neurons = counts.shape
    if not 1 <= times <= clusters:
        raise InputError(f"times = {times}: expected 1 to {clusters} clusters")
    whole = clusters // times
    parts = counts[:, : whole * times].reshape(regions, whole, times, neurons)
    return parts.sum(axis=2, dtype=np.int32)


def measured_format(shares: Any) -> WeightFormat:
    """Return FP4 as a `WeightFormat` with the measured `shares` of the 14 regions; the rest of the weights are zero.

    Raises `InputError` unless `shares` are 14 finite numbers >= 0 with a sum of at most 1.
    """
    given = np.asarray(shares, dtype=float)
    if given.shape != (REGIONS,) or not np.all(np.isfinite(given)) or np.any(given < 0):
        raise InputError(f"region shares: expected {REGIONS} finite numbers >= 0")
    if not 0.0 < given.sum() <= 1.0 + 1e-9:
        raise InputError(f"region shares sum to {given.sum():g}: expected a sum above 0 and at most 1")
    values = np.array([*REGION_HALVES, 0])
    frequencies = np.array([*given, max(1.0 - given.sum(), 0.0)])
    order = np.argsort(values)
    return WeightFormat("fp4", FORMATS["fp4"].bits, values[order], frequencies[order])


def _histogram(codes: np.ndarray) -> np.ndarray:
    return np.stack([np.count_nonzero(codes == code, axis=0) for code in REGION_CODES]).astype(np.int32)


__all__ = [
    "HALVES",
    "REGIONS",
    "REGION_CODES",
    "REGION_HALVES",
    "UNWIRED",
    "cluster_histogram",
    "join_neurons",
    "measured_format",
    "merge_clusters",
    "region_histogram",
    "region_map",
    "split_clusters",
]
