"""The chip of a hardwired machine: its blocks, each sized from the design, and how many chips a model needs.

Blocks of Table 1 of the HNLPU paper (ASPLOS '26, doi 10.1145/3779212.3790169).
"""

import math
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from hwbase import InputError, Record, unknown_name
from hwbase.check import Number, count
from hwsim.arrays import dynamic_w, hn_array, static_w_per_mm2
from hwsim.design import HardwiredDesign
from hwsim.technology import Technology
from hwsim.topology import SWITCH
from models import LLMSpec

if TYPE_CHECKING:
    import pandas as pd

#: Most chips of a machine; a design that needs more is taken for a mistake in the input.
MOST_CHIPS = 65536
#: Share of the chips that a grid's array and room ask for, of which no grid that fits has fewer.
_SURELY = 0.9


@dataclass(frozen=True)
class Block(Record):
    """One block of a chip. It always draws `static_w`, and `dynamic_w` more while it is busy."""

    name: str
    area_mm2: Number
    static_w: Number
    dynamic_w: Number
    resource: str

    @property
    def power_w(self) -> Number:
        """Power when busy all the time, in W."""
        return self.static_w + self.dynamic_w


@dataclass(frozen=True)
class Chip(Record):
    """A chip as a list of blocks. `hn_weights` is the number of weights in its HN array."""

    blocks: tuple[Block, ...]
    reticle_area_mm2: Number
    hn_weights: Number

    @property
    def area_mm2(self) -> Number:
        """Area of all blocks, in mm2."""
        return sum(block.area_mm2 for block in self.blocks)

    @property
    def power_w(self) -> Number:
        """Power with every block always busy, in W."""
        return sum(block.power_w for block in self.blocks)

    @property
    def fits_reticle(self) -> Number:
        """Whether one exposure prints the die."""
        return self.area_mm2 <= self.reticle_area_mm2

    def block(self, name: str) -> Block:
        """Return the block called `name`; raises `InputError` if there is none."""
        for block in self.blocks:
            if block.name == name:
                return block
        raise unknown_name("block", name, [block.name for block in self.blocks])

    def to_frame(self) -> "pd.DataFrame":
        """Return a row a block: name, area_mm2, power_w."""
        import pandas as pd

        return pd.DataFrame([{"block": b.name, "area_mm2": b.area_mm2, "power_w": b.power_w} for b in self.blocks])


def build_chip(model: LLMSpec, design: HardwiredDesign, technology: Technology) -> Chip:
    """Return the chip of `design` that holds its share of `model`, every block sized from its load.

    HN array: every matrix on the chip in the fabric of the machine (`hwsim.arrays`). VEX: its
    multiply-accumulate units. Attention buffer: two-port SRAM, read energy x bandwidth. Interconnect engine: links to
    the other chips, both directions busy. HBM PHY: per stack.
    """
    array_mm2, weights = hn_array(model, design, technology)
    switching_w = dynamic_w(model, design, technology)
    bits = design.buffer_bytes * 8.0
    reads_w = design.buffer_bandwidth_bytes_per_s * 8.0 * technology.sram_read_energy_j_per_bit
    vex_w = design.vex_macs * technology.vex_mac_energy_j * design.clock_hz
    blocks = (
        Block("HN array", array_mm2, array_mm2 * static_w_per_mm2(design, technology), switching_w, "hn"),
        Block("VEX", design.vex_macs * technology.vex_mac_area_um2 * 1e-6, 0.0, vex_w, "vex"),
        Block("control", technology.control_area_mm2, technology.control_power_w, 0.0, "control"),
        Block("attention buffer", technology.sram_area_mm2(bits, two_port=True), 0.0, reads_w, "buffer"),
        *link_blocks(design, technology),
        Block(
            "HBM PHY",
            design.hbm_stacks * technology.hbm_phy_area_mm2,
            0.0,
            design.hbm_stacks * technology.hbm_phy_power_w,
            "hbm",
        ),
    )
    return Chip(blocks, technology.reticle_area_mm2, weights)


def link_blocks(design: HardwiredDesign, technology: Technology) -> list[Block]:
    """Return the blocks of the links: one for all, or one for those within and one for those between stages."""
    if design.one_class:
        uses = [("interconnect engine", "links", design.grid_link, design.links_per_chip)]
    else:
        uses = [
            ("interconnect engine", "links", design.grid_link, design.grid_links_per_chip),
            ("links between stages", "stage links", design.stage_link, design.stage_links_per_chip),
        ]
    blocks = []
    for name, resource, link, ends in uses:
        links = ends * design.links_per_pair
        area_mm2 = technology.link_area_mm2 if link.area_mm2 is None else link.area_mm2
        energy_j = technology.link_energy_j_per_bit if link.energy_j_per_bit is None else link.energy_j_per_bit
        if design.grid_topology == SWITCH and resource == "links":
            # What a bit takes in the switch, half of it at each of its two ports.
            energy_j = energy_j + link.switch_energy_j_per_bit / 2.0
        traffic_bits = links * 2.0 * link.bandwidth_bytes_per_s * 8.0
        blocks.append(Block(name, links * area_mm2, 0.0, traffic_bits * energy_j, resource))
    return blocks


def links_usd_per_chip(design: HardwiredDesign) -> Number:
    """Return the price of the ends of a chip's links, and of the ports of switches; 0 for the machine's own class."""
    grid, stage = design.grid_link, design.stage_link
    port_usd = grid.switch_port_usd if design.grid_topology == SWITCH else 0.0
    in_stage = design.grid_links_per_chip * (grid.price_usd + port_usd)
    return (in_stage + design.stage_links_per_chip * stage.price_usd) * design.links_per_pair


def grid_for(chips: Number) -> tuple[Number, Number]:
    """Return (rows, columns) of the nearly square grid with at least `chips` chips; rows are a power of two.

    Raises `InputError` if `chips` is not a whole number >= 1.

    >>> grid_for(16), grid_for(24)
    ((4, 4), (4, 6))
    """
    n = np.asarray(count("chips", chips), dtype=float)
    # The power of two nearest to the side of the square. Halfway rounds down: a grid is wide rather than tall.
    rows = 2.0 ** np.ceil(np.log2(np.maximum(n, 1.0)) / 2.0 - 0.5)
    columns = np.ceil(n / rows)
    return (rows, columns) if n.ndim else (int(rows), int(columns))


@cache
def grids() -> tuple[np.ndarray, np.ndarray]:
    """Return (chips, rows) of every grid that a machine may have, by rising chips.

    Its columns are chips / rows, at least as many as rows and at most twice as many. Of two grids with as many chips
    the squarer one stands: it has fewer links on a chip.
    """
    rows_of: dict[int, int] = {}
    for rows in range(1, math.isqrt(MOST_CHIPS) + 1):
        for columns in range(rows, min(2 * rows, MOST_CHIPS // rows) + 1):
            rows_of[rows * columns] = rows
    chips = np.array(sorted(rows_of))
    return chips, np.array([rows_of[n] for n in chips.tolist()])


def fit_design(model: LLMSpec, design: HardwiredDesign, technology: Technology) -> HardwiredDesign:
    """Return `design` with the grid of the fewest chips whose dies fit the reticle (see `grids`); broadcasts.

    Raises `InputError` if the other blocks leave no room for the HN array, or the machine needs more than
    `MOST_CHIPS`.
    """
    fitted, fits = fit_grid(model, design, technology)
    if np.all(fits):
        return fitted
    chip = build_chip(model, fitted, technology)
    other_mm2, reticle_mm2, chips, fits = np.broadcast_arrays(
        chip.area_mm2 - chip.block("HN array").area_mm2, chip.reticle_area_mm2, fitted.chips, fits
    )
    # Report the first that does not fit.
    other_mm2, reticle_mm2, chips = other_mm2[~fits].flat[0], reticle_mm2[~fits].flat[0], chips[~fits].flat[0]
    if other_mm2 < reticle_mm2:
        raise InputError(f"{model.name} needs more than {chips:,.0f} chips: expected at most {MOST_CHIPS:,}")
    raise InputError(
        f"{model.name} on {chips:,.0f} chips: the blocks beside the HN array take {other_mm2:,.0f} mm2, "
        f"expected less than the reticle's {reticle_mm2:,.0f} mm2"
    )


def fit_grid(model: LLMSpec, design: HardwiredDesign, technology: Technology) -> tuple[HardwiredDesign, Number]:
    """Return (`design` with the grid of the fewest chips whose dies fit the reticle, whether there is one); broadcasts.

    Every pipeline stage has such a grid. Its chips share the HN array, every chip has the other blocks, and a larger
    grid needs more links on each chip. The grid grows until the die fits. Where no grid fits, the last one tried is
    returned.
    """
    sizes, rows_of = grids()
    needed: Number = 1.0
    hopeless: Number = False
    while True:
        at = np.searchsorted(sizes, needed)
        rows = rows_of[at]
        grown = replace(design, rows=_whole(rows), columns=_whole(sizes[at] // rows))
        chip = build_chip(model, grown, technology)
        fits = chip.fits_reticle
        array = chip.block("HN array").area_mm2
        room = chip.reticle_area_mm2 - (chip.area_mm2 - array)
        hopeless = hopeless | np.less_equal(room, 0.0)
        if np.all(fits | hopeless):
            return grown, fits
        # This many chips at least: a larger grid may have fewer links on a chip, but hardly so.
        with np.errstate(divide="ignore", over="ignore"):
            required = np.maximum(np.floor(_SURELY * array * grown.stage_chips / room), grown.stage_chips + 1.0)
        hopeless = hopeless | (~np.asarray(fits) & (required > MOST_CHIPS))
        needed = np.where(fits | hopeless, grown.stage_chips, required)[()]


def _whole(numbers: np.ndarray) -> Number:
    return numbers.astype(float) if numbers.ndim else int(numbers)
