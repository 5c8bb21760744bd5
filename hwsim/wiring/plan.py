"""From weights to wires: the wiring plan that embeds FP4 weights in the metal of Hardwired-Neurons.

Every input with a non-zero weight is wired to one POPCNT port of the region of its weight; unused ports are tied to
ground. Other weights change only the wires, as long as they fit. Source: "Hardwired-Neuron Language Processing Units",
ASPLOS '26, doi 10.1145/3779212.3790169.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from hwbase import InputError
from hwsim.kernels.planes import check_codes
from hwsim.wiring.ports import assign_ports
from hwsim.wiring.regions import REGION_CODES, REGION_OF_CODE, REGIONS, UNWIRED, region_histogram
from hwsim.wiring.silicon import NeuronSilicon, region_name, smallest_slices


@dataclass(frozen=True, eq=False)
class WiringPlan:
    """Wires of one matrix: every neuron's inputs, region by region, on silicon that is independent of the weights.

    `regions` uint8 (inputs, outputs): region 0..13 of each input, 255 where it is not wired. `histogram` int32
    (14, outputs): inputs per region. `slices` int32 (14, outputs): spare slices that metal gives to each region.
    """

    matrix: str
    silicon: NeuronSilicon
    regions: np.ndarray
    histogram: np.ndarray
    slices: np.ndarray

    @property
    def inputs(self) -> int:
        """Inputs of each neuron."""
        return int(self.regions.shape[0])

    @property
    def outputs(self) -> int:
        """Number of neurons."""
        return int(self.regions.shape[1])

    @property
    def wires(self) -> np.ndarray:
        """Number of wired inputs of each neuron, int64 (outputs,)."""
        return self.histogram.sum(axis=0, dtype=np.int64)

    @property
    def region_ports(self) -> np.ndarray:
        """Ports of each region in this metal, int64 (14, outputs): its own and those of its slices."""
        fixed = np.array(self.silicon.region_ports, dtype=np.int64)[:, None]
        return fixed + self.slices.astype(np.int64) * self.silicon.slice_ports

    @property
    def ground_ties(self) -> np.ndarray:
        """Ports tied to ground inside each region, int64 (14, outputs)."""
        return self.region_ports - self.histogram

    @property
    def unused_slices(self) -> np.ndarray:
        """Spare slices without a region, int64 (outputs,); their ports are tied to ground too."""
        return self.silicon.spare_slices - self.slices.sum(axis=0, dtype=np.int64)

    @property
    def unused_ports(self) -> np.ndarray:
        """All ports tied to ground, per neuron, int64 (outputs,)."""
        return self.silicon.ports - self.wires

    @cached_property
    def ports(self) -> np.ndarray:
        """Port of each input, int32 (inputs, outputs), -1 where it is not wired; see `hwsim.wiring.ports`."""
        return assign_ports(self.regions, self.histogram, self.slices, self.silicon)

    @property
    def codes(self) -> np.ndarray:
        """FP4 codes of these wires, uint8 (inputs, outputs); both zeros become code 0."""
        table = np.zeros(UNWIRED + 1, dtype=np.uint8)
        table[:REGIONS] = REGION_CODES
        return table.take(self.regions)

    def to_frame(self) -> pd.DataFrame:
        """Return a row per neuron: neuron, wires, unused_ports, unused_slices and the histogram by weight."""
        columns = {"neuron": np.arange(self.outputs), "wires": self.wires, "unused_ports": self.unused_ports}
        columns["unused_slices"] = self.unused_slices
        columns |= {region_name(r): self.histogram[r] for r in range(REGIONS)}
        return pd.DataFrame(columns)


def embed(codes: Any, silicon: NeuronSilicon | None = None, *, slice_ports: int = 8, matrix: str = "") -> WiringPlan:
    """Return the wiring plan of FP4 `codes` uint8 0..15 (inputs, outputs): one neuron per column.

    `silicon` is that of every neuron; by default, the fewest slices of `slice_ports` ports that hold these weights.
    `matrix` names the matrix in messages. Raises `InputError` for codes of another shape, type or range, and for
    weights that overflow the silicon, naming the first such neuron and the region with the largest excess.
    """
    checked = check_codes(codes)
    histogram = region_histogram(checked)
    given = smallest_slices(histogram, slice_ports) if silicon is None else silicon
    slices = given.slices_for(histogram).astype(np.int32)
    _check_fit(histogram, slices, given, matrix)
    return WiringPlan(matrix, given, REGION_OF_CODE.take(checked), histogram, slices)


@dataclass(frozen=True, eq=False)
class Rewiring:
    """Other weights on the same silicon: the new plan, and the number of changed inputs of each neuron (outputs,)."""

    plan: WiringPlan
    changed: np.ndarray

    @property
    def changed_wires(self) -> int:
        """Inputs that change their region, or become wired or unwired: the least change of new masks."""
        return int(self.changed.sum())


def rewire(plan: WiringPlan, new_codes: Any) -> Rewiring:
    """Return `new_codes` (same shape) embedded in the silicon of `plan`: wires change, silicon does not.

    Raises `InputError` for codes of another shape and for weights that overflow the silicon.
    """
    checked = check_codes(new_codes)
    if checked.shape != plan.regions.shape:
        raise InputError(f"new weight codes have shape {checked.shape}: expected {plan.regions.shape}, as embedded")
    new = embed(checked, plan.silicon, matrix=plan.matrix)
    return Rewiring(new, np.count_nonzero(new.regions != plan.regions, axis=0))


def _check_fit(histogram: np.ndarray, slices: np.ndarray, silicon: NeuronSilicon, matrix: str) -> None:
    over = np.flatnonzero(slices.sum(axis=0) > silicon.spare_slices)
    if not over.size:
        return
    neuron = int(over[0])
    where = f"{matrix}: " if matrix else ""
    more = f" ({over.size:,} neurons overflow in all)" if over.size > 1 else ""
    if silicon.spare_slices == 0 or any(silicon.region_ports):
        fixed = np.array(silicon.region_ports)
        region = int(np.argmax(histogram[:, neuron] - fixed))
        ports = f"{histogram[region, neuron]:,} weights for {fixed[region]:,} ports"
    else:
        region = int(np.argmax(slices[:, neuron]))
        ports = f"{histogram[region, neuron]:,} weights take {slices[region, neuron]:,} slices"
    needed = int(slices[:, neuron].sum())
    pool = f", {needed:,} slices of {silicon.slice_ports} needed" if silicon.spare_slices else ""
    raise InputError(
        f"{where}neuron {neuron} overflows in region {region_name(region)}: {ports}{pool}; "
        f"expected at most {silicon.spare_slices:,} spare slices{more}"
    )
