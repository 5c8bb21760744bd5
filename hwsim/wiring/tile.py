"""Wires of one neuron's tile, measured on an actual plan: lengths, used tracks, and crowding.

A tile is a rectangle of silicon. Every input net crosses it from left to right on its own track, in the order of the
inputs (the next neuron needs it too), with a branch straight up or down to its port. Ports lie row by row in the order
of their numbers, so a fixed region is a band across the tile, and slices follow one another down the tile. Counts of
slices are joined along a chain down the tile, region by region; counts of fixed regions need no metal. Tracks: the
embedding layers M8 to M11, half of them in each direction ("Hardwired-Neuron Language Processing Units", ASPLOS '26,
doi 10.1145/3779212.3790169).
"""

from dataclasses import dataclass

import numpy as np

from hwbase import InputError, Record
from hwbase.check import positive
from hwsim.technology import Technology
from hwsim.wiring.plan import WiringPlan
from hwsim.wiring.regions import REGIONS
from hwsim.wiring.silicon import NeuronSilicon

#: Neurons measured at once, to stay in the processor's cache.
_NEURONS = 64


@dataclass(frozen=True)
class Tile(Record):
    """A rectangle for one neuron or cluster, in um; inputs enter along its height."""

    width_um: float
    height_um: float

    def __post_init__(self) -> None:
        positive("width_um", self.width_um, high=1e6)
        positive("height_um", self.height_um, high=1e6)

    @property
    def area_um2(self) -> float:
        """Area in um2."""
        return self.width_um * self.height_um


@dataclass(frozen=True, eq=False)
class TileRouting(Record):
    """Wire per weight in um, by kind, and the used share of the tracks of the embedding layers.

    `across_um_per_weight`: input nets crossing; `branch_um_per_weight`: branches to the ports; `count_um_per_weight`:
    counts of slices. `horizontal` and `vertical` are mean utilisations per direction; `utilisation_per_neuron`
    (outputs,) and `utilisation` are over both. `wires_per_mm2` and `wires_per_mm2_per_layer` count wired inputs.
    `pin_to_port_um` is the mean length from a tile's edge to the port.
    """

    tile: Tile
    across_um_per_weight: float
    branch_um_per_weight: float
    count_um_per_weight: float
    pin_to_port_um: float
    wires_per_mm2: float
    wires_per_mm2_per_layer: float
    horizontal: float
    vertical: float
    utilisation_per_neuron: np.ndarray

    @property
    def wire_um_per_weight(self) -> float:
        """All wire per weight, in um: the length that `hwsim.routing_demand` estimates by a tree, plus counts."""
        return self.across_um_per_weight + self.branch_um_per_weight + self.count_um_per_weight

    @property
    def utilisation(self) -> float:
        """Used share of all tracks of the embedding layers."""
        return float(np.mean(self.utilisation_per_neuron))


def port_positions(silicon: NeuronSilicon, tile: Tile) -> tuple[np.ndarray, np.ndarray]:
    """Return (x, y) of every port in um, each (ports,): nearly square sites, row by row down the tile."""
    ports = max(silicon.ports, 1)
    side = np.sqrt(tile.area_um2 / ports)
    rows = int(np.clip(round(tile.height_um / side), 1, ports))
    columns = -(-ports // rows)
    rows = -(-ports // columns)
    row, column = np.divmod(np.arange(silicon.ports), columns)
    return (column + 0.5) * (tile.width_um / columns), (row + 0.5) * (tile.height_um / rows)


def pin_positions(inputs: int, tile: Tile) -> np.ndarray:
    """Return y of every input net in um (inputs,): evenly spaced along the height, in order."""
    return (np.arange(inputs) + 0.5) * (tile.height_um / inputs)


def wire_lengths(plan: WiringPlan, tile: Tile) -> np.ndarray:
    """Return the Manhattan length from pin to port of every wire in um, float64 (inputs, outputs), 0 where unwired."""
    x, y = port_positions(plan.silicon, tile)
    wired = plan.ports >= 0
    if not x.size:
        return np.zeros(plan.ports.shape)
    lengths = x.take(plan.ports) + np.abs(y.take(plan.ports) - pin_positions(plan.inputs, tile)[:, None])
    return np.where(wired, lengths, 0.0)


def count_wires_um(plan: WiringPlan, tile: Tile) -> np.ndarray:
    """Return the wire that joins the counts of slices, um per neuron (outputs,); 0 where no region has a slice.

    The count of a region runs from its topmost port to its lowest; its mean width is taken as one wire less than at its
    end.
    """
    total = np.zeros(plan.outputs)
    if plan.silicon.spare_slices == 0:
        return total
    y = port_positions(plan.silicon, tile)[1]
    for start in range(0, plan.outputs, _NEURONS):
        chosen = slice(start, start + _NEURONS)
        regions, ports = plan.regions[:, chosen], plan.ports[:, chosen]
        for region in range(REGIONS):
            wired = regions == region
            # Ports are numbered down the tile.
            top = np.where(wired, ports, plan.silicon.ports - 1).min(axis=0)
            low = np.where(wired, ports, 0).max(axis=0)
            bits = np.ceil(np.log2(plan.histogram[region, chosen] + 1.0)) - 1.0
            chained = plan.slices[region, chosen] > 0
            total[chosen] += np.where(chained, np.maximum(y[low] - y[top], 0.0) * np.maximum(bits, 1.0), 0.0)
    return total


def drops_um(plan: WiringPlan, tile: Tile) -> np.ndarray:
    """Return the branches up or down to the ports, um per neuron (outputs,)."""
    y = np.append(port_positions(plan.silicon, tile)[1], 0.0)  # the last one stands for port -1
    pins = pin_positions(plan.inputs, tile)[:, None]
    total = np.empty(plan.outputs)
    for start in range(0, plan.outputs, _NEURONS):
        ports = plan.ports[:, start : start + _NEURONS]
        total[start : start + _NEURONS] = (np.abs(y.take(ports) - pins) * (ports >= 0)).sum(axis=0)
    return total


def tile_routing(plan: WiringPlan, tile: Tile, technology: Technology) -> TileRouting:
    """Return the wires of `plan` with every neuron in a `tile`, against the tracks of the embedding layers."""
    branch, counts = drops_um(plan, tile), count_wires_um(plan, tile)
    across = plan.inputs * tile.width_um
    tracks_um = technology.routing_layers * tile.area_um2 / (technology.routing_pitch_nm * 1e-3)
    wires = plan.wires.astype(float)
    per_mm2 = float(wires.mean()) / tile.area_um2 * 1e6
    return TileRouting(
        tile=tile,
        across_um_per_weight=tile.width_um,
        branch_um_per_weight=float(branch.mean()) / plan.inputs,
        count_um_per_weight=float(counts.mean()) / plan.inputs,
        pin_to_port_um=float(wire_lengths(plan, tile).sum() / max(wires.sum(), 1.0)),
        wires_per_mm2=per_mm2,
        wires_per_mm2_per_layer=float(per_mm2 / technology.routing_layers),
        horizontal=float(2.0 * across / tracks_um),
        vertical=float(2.0 * (branch + counts).mean() / tracks_um),
        utilisation_per_neuron=(across + branch + counts) / tracks_um,
    )


def balanced_tile(plan: WiringPlan, area_um2: float) -> Tile:
    """Return the tile of `area_um2` in which both directions are equally full, which is also the least crowded.

    A narrow tile shortens the crossings (inputs x area / height), a low one the branches and counts (height x their
    relative lengths). Raises `InputError` for an area that is not positive.
    """
    area = positive("area_um2", area_um2, high=1e9)
    column = Tile(1e-6, 1.0)  # all ports in one column of unit height
    relative = float((drops_um(plan, column) + count_wires_um(plan, column)).mean())
    height = np.sqrt(plan.inputs * area / max(relative, 1.0))
    return Tile(float(area / height), float(height))


def heat_map(
    plan: WiringPlan, neuron: int, tile: Tile, technology: Technology, bins: tuple[int, int] = (40, 8)
) -> np.ndarray:
    """Return the used share of the tracks in each bin of one neuron's tile, float (rows, columns) = `bins`.

    The sum is over both directions; 1 is full. A count's wires run down the columns of bins of its region's ports.
    Raises `InputError` for a neuron outside the plan.
    """
    if not 0 <= neuron < plan.outputs:
        raise InputError(f"neuron = {neuron}: expected 0 to {plan.outputs - 1}")
    rows, columns = bins
    x, y = port_positions(plan.silicon, tile)
    pins, ports = pin_positions(plan.inputs, tile), plan.ports[:, neuron]
    edges = np.linspace(0.0, tile.height_um, rows + 1)
    length = np.zeros((rows, columns))
    length += (np.histogram(pins, edges)[0] * (tile.width_um / columns))[:, None]
    wired = np.flatnonzero(ports >= 0)
    column = np.minimum((x[ports[wired]] / tile.width_um * columns).astype(int), columns - 1)
    _add_vertical(length, edges, pins[wired], y[ports[wired]], column, np.ones(wired.size))
    if plan.silicon.spare_slices:
        for region in range(REGIONS):
            mine = plan.regions[wired, neuron] == region
            if mine.any() and plan.slices[region, neuron]:
                span = y[ports[wired[mine]]]
                width = max(np.ceil(np.log2(plan.histogram[region, neuron] + 1.0)) - 1.0, 1.0)
                share = np.bincount(column[mine], minlength=columns) / np.count_nonzero(mine)
                ends = np.full(columns, span.min()), np.full(columns, span.max())
                _add_vertical(length, edges, *ends, np.arange(columns), width * share)
    tracks_um = technology.routing_layers * tile.area_um2 / (technology.routing_pitch_nm * 1e-3)
    return length / (tracks_um / (rows * columns))


def _add_vertical(
    length: np.ndarray, edges: np.ndarray, start: np.ndarray, end: np.ndarray, column: np.ndarray, wires: np.ndarray
) -> None:
    """Add to `length` (rows, columns) the vertical runs from `start` to `end` that lie in each bin."""
    low, high = np.minimum(start, end)[:, None], np.maximum(start, end)[:, None]
    inside = np.clip(np.minimum(high, edges[1:]) - np.maximum(low, edges[:-1]), 0.0, None) * wires[:, None]
    np.add.at(length.T, column.astype(int), inside)
