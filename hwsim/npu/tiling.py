"""Tiles of a product that fit the buffers, and the order in which they pass: all of them are tried.

A tile has so many tokens, inputs and outputs; three loops walk over the tiles, in one of six orders. A tile of an
operand stays in its buffer until a loop over one of its dimensions moves on. Sums stay while the loop over inputs runs
innermost; elsewhere they go to DRAM in full width and come back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from hwbase import InputError, Record
from hwbase.check import Number
from hwsim.npu.dataflow import Shape, folding, units
from hwsim.npu.design import Npu
from hwsim.npu.elements import lanes, passes
from hwsim.npu.product import Product

DIMENSIONS = ("tokens", "inputs", "outputs")
#: Dimensions of each operand.
OPERANDS = {"inputs": ("tokens", "inputs"), "weights": ("inputs", "outputs"), "sums": ("tokens", "outputs")}
ORDERS = tuple(permutations(DIMENSIONS))
#: Tilings within this share of the fewest cycles count as equal; the one that moves the fewest bytes is taken.
TIE = 0.005
#: Tilings with more tiles are not tried.
MOST_TILES = 500_000


@dataclass(frozen=True)
class Tiling(Record):
    """Sizes of a tile, and the loops over tiles from the outermost to the innermost."""

    tokens: int
    inputs: int
    outputs: int
    order: tuple[str, ...]

    def trips(self, product: Product) -> dict[str, int]:
        """Return the tiles along each dimension of a product."""
        return {name: -(-getattr(product, name) // getattr(self, name)) for name in DIMENSIONS}


def element_rates(design: Npu, product: Product) -> tuple[float, float]:
    """Return the lanes of an element and the clocks of its step at the widths of a product."""
    widths = product.weight_bits, product.activation_bits
    return float(lanes(design, *widths)), float(passes(design, *widths))


def sizes(design: Npu, product: Product) -> dict[str, np.ndarray]:
    """Return the sizes of tiles that are tried along each dimension.

    Whole sides of the array, as many as give different numbers of tiles, and halves of one side down to one row of an
    image or one kernel.
    """
    rate, _ = element_rates(design, product)
    unit = units(design, lanes=rate, kernel=product.kernel, width=product.width)
    least = {"tokens": product.width, "inputs": product.kernel**2, "outputs": 1}
    tried = {}
    for name in DIMENSIONS:
        size, step, part = getattr(product, name), unit[name], []
        count = -(-size // step)
        whole = np.unique(-(-count // np.arange(1, count + 1))) * step
        half = step // 2
        while half >= least[name]:
            part.append(-(-half // least[name]) * least[name])
            half //= 2
        tried[name] = np.unique(np.minimum(np.concatenate([whole, np.array(part, int), [least[name]]]), size))
    return tried


def fits(design: Npu, product: Product, tile: Shape) -> np.ndarray:
    """Return whether tiles fit half of each buffer."""
    size = product.tile_bytes(*tile, design.accumulator_bits)
    return np.asarray(
        (2.0 * size["inputs"] <= design.input_buffer_bytes)
        & (2.0 * size["weights"] <= design.weight_buffer_bytes)
        & (2.0 * size["sums"] <= design.output_buffer_bytes)
    )


def check_fit(design: Npu, product: Product, tile: Shape) -> None:
    """Raise `InputError` for a tile that is larger than half of a buffer; the sentence names the buffer."""
    size = product.tile_bytes(*tile, design.accumulator_bits)
    for operand, buffer in (("inputs", "input"), ("weights", "weight"), ("sums", "output")):
        there = getattr(design, f"{buffer}_buffer_bytes") / 2.0
        if float(size[operand]) > there:
            shape = " x ".join(f"{int(each):,}" for each in tile)
            raise InputError(
                f"{product.name}: a tile of {shape} (tokens x inputs x outputs) takes {float(size[operand]):,.0f} B of "
                f"{operand}, half of {buffer}_buffer_bytes of {design.name} is {there:,.0f} B: expected a smaller tile "
                "or a larger buffer"
            )


def search(design: Npu, product: Product) -> Tiling:
    """Return the tiling with the fewest cycles, and among equals the fewest bytes of DRAM, of all that fit.

    Raises `InputError` if not even the smallest tile fits the buffers.
    """
    tried = sizes(design, product)
    grid = Shape(*(each.ravel() for each in np.meshgrid(*(tried[name] for name in DIMENSIONS), indexing="ij")))
    kept = fits(design, product, grid)
    if not kept.any():
        check_fit(design, product, Shape(*(tried[name][0] for name in DIMENSIONS)))
    tile = Shape(*(each[kept] for each in grid))
    trips = {name: np.ceil(getattr(product, name) / getattr(tile, name)) for name in DIMENSIONS}
    if (few := np.prod(list(trips.values()), axis=0) <= MOST_TILES).any():
        tile, trips = Shape(*(each[few] for each in tile)), {name: each[few] for name, each in trips.items()}
    mean = Shape(*(getattr(product, name) / trips[name] for name in DIMENSIONS))
    rate, clocks = element_rates(design, product)
    compute = folding(design, mean, lanes=rate, passes=clocks, kernel=product.kernel, width=product.width).cycles
    size = product.tile_bytes(*mean, design.accumulator_bits)
    estimates = [estimate(design, trips, order, np.asarray(compute), size) for order in ORDERS]
    cycles, moved = np.stack(estimates, axis=1)
    near = cycles <= cycles.min() * (1.0 + TIE)
    order, best = np.unravel_index(np.argmin(np.where(near, moved, np.inf)), moved.shape)
    tokens, inputs, outputs = (int(each[best]) for each in tile)
    return Tiling(tokens, inputs, outputs, ORDERS[order])


def estimate(
    design: Npu,
    trips: Mapping[str, np.ndarray],
    order: tuple[str, ...],
    compute: np.ndarray,
    size: Mapping[str, Number],
) -> tuple[np.ndarray, np.ndarray]:
    """Return the cycles and bytes of DRAM of tilings in one order, with the mean tile in place of each.

    Parameters
    ----------
    design : Npu
    trips : mapping of str to array
        Tiles along each dimension (tilings,).
    order : tuple of str
        Loops, the outermost first.
    compute : array
        Clocks of the mean tile (tilings,).
    size : mapping of str to array
        Bytes of its operands, as `Product.tile_bytes` returns them.

    Returns
    -------
    cycles, bytes : array
        Both (tilings,).
    """
    # Loops that move on at once: the innermost alone, the middle one too, all three, and the first tile.
    outer, middle, inner = (trips[name] for name in order)
    one = np.ones_like(outer)
    counts = (outer * middle * (inner - 1.0), outer * (middle - 1.0), outer - 1.0, one)
    wraps = {name: trips[name] > 1.0 for name in order}
    yes, no = np.ones(one.shape, bool), np.zeros(one.shape, bool)
    moves = []
    visits = np.zeros_like(one)
    for level, count in zip((2, 1, 0, -1), counts, strict=True):
        changed = {
            name: yes if place == level else wraps[name] if place > level else no for place, name in enumerate(order)
        }
        new = {
            operand: yes if level < 0 else changed[first] | changed[second]
            for operand, (first, second) in OPERANDS.items()
        }
        moves.append((count, new))
        visits = visits + count * new["sums"]
    # Sums that come back: all visits but the first of each output.
    outputs = trips["tokens"] * trips["outputs"]
    back = np.zeros_like(one) if order[-1] == "inputs" else np.maximum(visits - outputs, 0.0) / visits
    left = back * 2.0 * size["sums"] + (1.0 - back) * size["outputs"]
    cycles, moved = np.zeros_like(one), np.zeros_like(one)
    for count, new in moves:
        loads = new["inputs"] * size["inputs"] + new["weights"] * size["weights"] + new["sums"] * left
        latency = design.latency_cycles * (new["inputs"] | new["weights"])
        cycles = cycles + count * np.maximum(compute, loads / design.bytes_per_cycle + latency)
        moved = moved + count * loads
    first_load = (size["inputs"] + size["weights"]) / design.bytes_per_cycle + design.latency_cycles
    last_store = size["outputs"] / design.bytes_per_cycle
    return cycles + np.minimum(first_load + last_store, cycles), moved
