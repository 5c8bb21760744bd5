"""Clocks of a product in tiles, double buffers between array and DRAM: closed form over all tiles at once.

While a tile computes, DRAM stores the outputs of the tile before it and then loads what the next one lacks, so that

    clocks = load(first) + sum over tiles max(compute(i), store(i - 1) + load(i + 1)) + store(last)

A load takes its bytes over the bandwidth of all channels, and a latency. `hwsim.npu.events` runs the same tiles one by
one, with channels and bursts.
"""

from dataclasses import dataclass

import numpy as np

from hwbase import Record
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
    per_cycle, latency = design.bytes_per_cycle, design.latency_cycles
    load = walk.loads / per_cycle
    load_latency = np.where(walk.loads > 0.0, latency, 0.0)
    store = walk.store_bytes / per_cycle
    # What DRAM does while tile i computes: the store of tile i - 1 and the load of tile i + 1.
    stored = np.concatenate([[0.0], store[:-1]])
    loaded, late = np.append(load[1:], 0.0), np.append(load_latency[1:], 0.0)
    waits = np.maximum(stored + loaded + late - compute, 0.0)
    busy = float(np.sum(walk.fold.busy_cycles))
    useful = product.macs * clocks / (design.rows * design.columns * rate)
    # Shares of each wait: the time that DRAM spends on each operand meanwhile.
    whole = np.maximum(stored + loaded + late, np.finfo(float).tiny)
    share = {name: np.append(each[1:], 0.0) / per_cycle / whole for name, each in walk.load_bytes.items()}
    first = {name: float(each[0]) / per_cycle for name, each in walk.load_bytes.items()}
    return Timing(
        cycles=float(load[0] + load_latency[0] + np.sum(compute + waits) + store[-1]),
        useful_cycles=useful,
        idle_cycles=busy - useful,
        fill_cycles=float(np.sum(compute)) - busy,
        weight_stall_cycles=first["weights"] + float(np.sum(waits * share["weights"])),
        input_stall_cycles=first["inputs"] + float(np.sum(waits * share["inputs"])),
        output_stall_cycles=first["sums"]
        + float(store[-1])
        + float(np.sum(waits * (share["sums"] + stored / whole))),
        latency_stall_cycles=float(load_latency[0]) + float(np.sum(waits * late / whole)),
    )
