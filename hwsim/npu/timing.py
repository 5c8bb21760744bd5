"""Clocks of a product in tiles, double buffers between array and DRAM: closed form over all tiles at once.

While a tile computes, DRAM stores the outputs of the tile before it and then loads what the next one lacks, so that

    clocks = load(first) + sum over tiles max(compute(i), store(i - 1) + load(i + 1)) + store(last)

Both together take the bursts of the busiest of the channels that share them, and a load a latency on top. Where the
array waits for tile i, the store of tile i - 1 begins during the latency of that load, which shortens the next wait.
`hwsim.npu.events` runs the same tiles one by one.
"""

from dataclasses import dataclass

import numpy as np

from hwbase import Record
from hwbase.check import Number
from hwsim.npu.dataflow import Folding, Shape, folding
from hwsim.npu.design import Npu
from hwsim.npu.product import Product
from hwsim.npu.tiling import DIMENSIONS, OPERANDS, Tiling, check_fit, element_rates


@dataclass(frozen=True)
class Tiles(Record):
    """Every tile of a product in the order in which they compute; arrays (tiles,).

    `load_bytes` are the bytes of each operand that a tile lacks, `store_bytes` the sums or outputs that it leaves for
    DRAM (nothing while sums stay), `partial` says which of them are sums in full width.
    """

    tokens: np.ndarray
    inputs: np.ndarray
    outputs: np.ndarray
    fold: Folding
    load_bytes: dict[str, np.ndarray]
    store_bytes: np.ndarray
    partial: np.ndarray

    @property
    def loads(self) -> np.ndarray:
        """Bytes that each tile waits for."""
        return np.sum(list(self.load_bytes.values()), axis=0)


@dataclass(frozen=True)
class Timing(Record):
    """Clocks of one product. `cycles` is the sum of the parts that follow it.

    `useful_cycles` would suffice if every element multiplied in every clock; `idle_cycles` are those of folds that do
    not fill the array or the lanes; `fill_cycles` those of waves that fill and drain it; the others those in which the
    array waits for DRAM, by what it waits for.
    """

    cycles: float
    useful_cycles: float
    idle_cycles: float
    fill_cycles: float
    weight_stall_cycles: float
    input_stall_cycles: float
    output_stall_cycles: float
    latency_stall_cycles: float

    @property
    def stall_cycles(self) -> float:
        """Clocks in which the array waits for DRAM."""
        waits = self.weight_stall_cycles, self.input_stall_cycles, self.output_stall_cycles, self.latency_stall_cycles
        return float(sum(waits))


def tiles(design: Npu, product: Product, tiling: Tiling) -> Tiles:
    """Return the tiles of a product in order; raises `InputError` for a tile larger than a buffer."""
    check_fit(design, product, Shape(tiling.tokens, tiling.inputs, tiling.outputs))
    trips = tiling.trips(product)
    places = np.indices([trips[name] for name in tiling.order]).reshape(3, -1)
    index = dict(zip(tiling.order, places, strict=True))
    size = {
        name: np.minimum(getattr(tiling, name), getattr(product, name) - index[name] * getattr(tiling, name))
        for name in DIMENSIONS
    }
    shape = Shape(*(size[name] for name in DIMENSIONS))
    rate, clocks = element_rates(design, product)
    fold = folding(design, shape, lanes=rate, passes=clocks, kernel=product.kernel, width=product.width)
    held = product.tile_bytes(*shape, design.accumulator_bits)
    new = {
        operand: np.concatenate([[True], (np.diff(index[one]) != 0) | (np.diff(index[two]) != 0)])
        for operand, (one, two) in OPERANDS.items()
    }
    leaves = np.concatenate([new["sums"][1:], [True]])
    # Sums are whole after the last inputs; those that leave before come back at a later visit.
    finished = np.zeros(len(leaves), bool)
    begun = np.ones(len(leaves), bool)
    if tiling.order[-1] == "inputs" or trips["inputs"] == 1:
        finished[:] = leaves
    else:
        finished = leaves & (index["inputs"] == trips["inputs"] - 1)
        begun = index["inputs"] == 0
    loads = {
        "inputs": np.where(new["inputs"], held["inputs"], 0.0),
        "weights": np.where(new["weights"], held["weights"], 0.0),
        "sums": np.where(new["sums"] & ~begun, held["sums"], 0.0),
    }
    if product.fixed_bytes:
        loads["weights"] = loads["weights"] + product.fixed_bytes / len(leaves)
    stores = np.where(finished, held["outputs"], np.where(leaves, held["sums"], 0.0))
    return Tiles(*shape, fold=fold, load_bytes=loads, store_bytes=stores, partial=leaves & ~finished)


def timing(design: Npu, product: Product, walk: Tiles) -> Timing:
    """Return the clocks of the tiles of a product, in closed form."""
    rate, clocks = element_rates(design, product)
    compute = np.asarray(walk.fold.cycles)
    load_latency = np.where(walk.loads > 0.0, design.latency_cycles, 0.0)
    # What DRAM does while tile i computes: the store of tile i - 1 and the load of tile i + 1.
    stored_bytes, loaded_bytes = np.append(0.0, walk.store_bytes[:-1]), np.append(walk.loads[1:], 0.0)
    moved = transfer_cycles(design, stored_bytes, loaded_bytes)
    late = np.append(load_latency[1:], 0.0)
    stored = moved * stored_bytes / np.maximum(stored_bytes + loaded_bytes, np.finfo(float).tiny)
    early, waits = _waits(moved + late - compute, np.minimum(np.append(0.0, late[:-1]), stored))
    first_load = float(transfer_cycles(design, walk.loads[0]))
    last_store = float(transfer_cycles(design, walk.store_bytes[-1]))
    busy = float(np.sum(walk.fold.busy_cycles))
    useful = product.macs * clocks / (design.array_rows * design.array_columns * rate)
    # Shares of each wait: the time that DRAM spends on each operand meanwhile.
    whole = np.maximum(moved - early + late, np.finfo(float).tiny)
    loading = (moved - stored) / np.maximum(loaded_bytes, np.finfo(float).tiny)
    stalls = {
        name: float(first_load * each[0] / walk.loads[0] + np.sum(waits * loading * np.append(each[1:], 0.0) / whole))
        for name, each in walk.load_bytes.items()
    }
    return Timing(
        cycles=float(first_load + load_latency[0] + np.sum(compute + waits) + last_store),
        useful_cycles=useful,
        idle_cycles=busy - useful,
        fill_cycles=float(np.sum(compute)) - busy,
        weight_stall_cycles=stalls["weights"],
        input_stall_cycles=stalls["inputs"],
        output_stall_cycles=stalls["sums"] + last_store + float(np.sum(waits * (stored - early) / whole)),
        latency_stall_cycles=float(load_latency[0] + np.sum(waits * late / whole)),
    )


def _waits(lacking: np.ndarray, most_early: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the clocks by which each store begins early, and those in which the array waits after each tile.

    A store begins as early as the array waited before its tile, at most `most_early`; a wait is what DRAM lacks, minus
    that.
    """
    if not (lacking > 0.0).any():
        return np.zeros_like(lacking), np.zeros_like(lacking)
    early, waits, wait = [], [], 0.0
    for lack, most in zip(lacking.tolist(), most_early.tolist(), strict=True):
        head_start = min(wait, most)
        wait = max(lack - head_start, 0.0)
        early.append(head_start)
        waits.append(wait)
    return np.array(early), np.array(waits)


def transfer_cycles(design: Npu, *sizes: Number) -> np.ndarray:
    """Return the clocks in which all channels together move so many bytes one after the other, in whole bursts."""
    bursts = np.sum([np.ceil(np.asarray(size) / design.memory_burst_bytes) for size in sizes], axis=0)
    return np.ceil(bursts / design.memory_channels) * design.burst_cycles
