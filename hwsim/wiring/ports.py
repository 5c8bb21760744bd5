"""The POPCNT port of each input: inputs in their order, slices assigned to the nearest regions."""

import numpy as np

from hwsim.wiring.regions import REGIONS, UNWIRED
from hwsim.wiring.silicon import NeuronSilicon

#: Neurons whose ports are assigned at once, to stay in the processor's cache.
_NEURONS = 64


def assign_ports(regions: np.ndarray, histogram: np.ndarray, slices: np.ndarray, silicon: NeuronSilicon) -> np.ndarray:
    """Return the port of each input in its neuron, int32 (inputs, outputs), -1 for an input that is not wired.

    Ports are numbered region by region for the fixed ones, then slice by slice. In a region, inputs take the ports in
    their order, the fixed ones first. Groups of inputs that share a slice are assigned to slices in the order of their
    mean position, evenly spread: with pins in the order of the inputs, no other order has a shorter sum of wires
    between groups and slices. Arguments as in `WiringPlan`.
    """
    placed = np.empty(regions.shape, dtype=np.int32)
    for start in range(0, regions.shape[1], _NEURONS):
        chosen = slice(start, start + _NEURONS)
        placed[:, chosen] = _assign(regions[:, chosen], histogram[:, chosen], slices[:, chosen], silicon).T
    return placed


def _assign(regions: np.ndarray, histogram: np.ndarray, slices: np.ndarray, silicon: NeuronSilicon) -> np.ndarray:
    """Return the ports of some neurons, int32 (outputs, inputs)."""
    inputs, outputs = regions.shape
    columns = np.ascontiguousarray(regions.T)
    order = np.argsort(columns, axis=1, kind="stable").astype(np.int32)  # inputs by region, unwired ones last
    sorted_regions = np.take_along_axis(columns, order, axis=1)
    starts = np.cumsum(np.vstack([np.zeros((1, outputs), dtype=np.int32), histogram]), axis=0, dtype=np.int32)
    first = np.zeros((outputs, UNWIRED + 1), dtype=np.int32)
    first[:, :REGIONS] = starts[:-1].T
    rank = np.arange(inputs, dtype=np.int32)[None, :] - np.take_along_axis(first, sorted_regions, axis=1)

    fixed = np.zeros(UNWIRED + 1, dtype=np.int32)
    fixed[:REGIONS] = silicon.region_ports
    offset = np.cumsum(fixed, dtype=np.int32) - fixed
    port = offset.take(sorted_regions) + rank
    beyond = rank - fixed.take(sorted_regions)
    spare = (beyond >= 0) & (sorted_regions != UNWIRED)
    if spare.any():
        neuron = np.nonzero(spare)[0]
        group = _groups(slices, sorted_regions[spare], neuron, beyond[spare] // silicon.slice_ports)
        chosen = _slices_by_position(group, neuron, order[spare], slices.sum(axis=0), silicon.spare_slices)
        port[spare] = sum(silicon.region_ports) + chosen * silicon.slice_ports + beyond[spare] % silicon.slice_ports
    port[sorted_regions == UNWIRED] = -1

    placed = np.empty((outputs, inputs), dtype=np.int32)
    np.put_along_axis(placed, order, port, axis=1)
    return placed


def _groups(slices: np.ndarray, region: np.ndarray, neuron: np.ndarray, within: np.ndarray) -> np.ndarray:
    """Return the number of each wire's group in its neuron: groups of region 0 first, then of region 1, ..."""
    before = np.cumsum(slices, axis=0, dtype=np.int32) - slices
    return before[region, neuron] + within


def _slices_by_position(
    group: np.ndarray, neuron: np.ndarray, position: np.ndarray, used: np.ndarray, available: int
) -> np.ndarray:
    """Return the slice of each wire: a neuron's groups, in the order of their mean input, spread over the slices."""
    most = int(used.max())
    key = neuron * most + group
    size = used.size * most
    members = np.bincount(key, minlength=size)
    total = np.bincount(key, weights=position, minlength=size)
    mean = np.where(members > 0, total / np.maximum(members, 1), np.inf).reshape(used.size, most)
    place = np.empty((used.size, most), dtype=np.int32)
    ranks = np.broadcast_to(np.arange(most, dtype=np.int32), place.shape)
    np.put_along_axis(place, np.argsort(mean, axis=1, kind="stable"), ranks, axis=1)
    spread = place.astype(np.int64) * available // np.maximum(used, 1)[:, None]
    return spread.reshape(-1)[key].astype(np.int32)
