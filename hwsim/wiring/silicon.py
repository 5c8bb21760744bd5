"""The silicon of a Hardwired-Neuron before metal: POPCNT ports of fixed regions, and slices for any region.

"POPCNT slices can be re-assigned in metal" ("Hardwired-Neuron Language Processing Units", ASPLOS '26,
doi 10.1145/3779212.3790169). A slice is a small POPCNT of a few ports whose count metal wires to the region that needs
it. Ports that no input uses are tied to ground.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from hwbase import InputError, Record
from hwbase.check import count, fraction, integer, non_negative, real
from hwsim.wiring.regions import REGION_HALVES, REGIONS


@dataclass(frozen=True)
class NeuronSilicon(Record):
    """Ports of one neuron: `region_ports` fixed to a region each, and `spare_slices` that any region may take.

    Every spare slice has `slice_ports` ports. Silicon of fixed regions has no spare slices, silicon of slices no fixed
    ports; with both it is a base with a pool. FP4 has 14 regions; block scales need more (`hwsim.wiring.scales`).
    """

    region_ports: tuple[int, ...]
    spare_slices: int = 0
    slice_ports: int = 1

    def __post_init__(self) -> None:
        if not self.region_ports:
            raise InputError("region_ports is empty: expected a number per region")
        for ports in self.region_ports:
            count("region_ports", ports, low=0)
        count("spare_slices", self.spare_slices, low=0)
        count("slice_ports", self.slice_ports)

    @property
    def ports(self) -> int:
        """Ports of one neuron."""
        return int(sum(self.region_ports) + self.spare_slices * self.slice_ports)

    def slack(self, used_ports: float) -> float:
        """Return the spare share of ports over `used_ports`, the inputs that a neuron wires on average."""
        return self.ports / real("used_ports", used_ports, low=0.0) - 1.0 if used_ports else np.inf

    def slices_for(self, histogram: np.ndarray) -> np.ndarray:
        """Return the spare slices that each region takes for `histogram` (regions, ...), beyond its fixed ports."""
        counts = np.asarray(histogram, dtype=np.int64)
        if counts.shape[:1] != (len(self.region_ports),):
            raise InputError(f"histogram has shape {counts.shape}: expected {len(self.region_ports)} regions first")
        fixed = np.reshape(self.region_ports, (-1, *([1] * (counts.ndim - 1))))
        return -(-np.maximum(counts - fixed, 0) // self.slice_ports)

    def fits(self, histogram: np.ndarray) -> np.ndarray:
        """Return whether neurons of the region `histogram` (regions, ...) fit, bool (...)."""
        return self.slices_for(histogram).sum(axis=0) <= self.spare_slices


def fixed_silicon(inputs: int, shares: Any, slack: float = 0.0) -> NeuronSilicon:
    """Return silicon with fixed regions of ceil(inputs x share x (1 + slack)) ports each.

    `shares` (14,) are the expected shares of all weights. Raises `InputError` for sizes that are not positive, shares
    outside [0, 1] or negative slack.
    """
    n, spare = count("inputs", inputs), non_negative("slack", slack, high=1e6)
    given = np.atleast_1d(fraction("region shares", shares))
    # Minus a rounding error, so that a whole product is not rounded up.
    ports = np.ceil(n * given * (1.0 + spare) - 1e-9).astype(int)
    return NeuronSilicon(tuple(ports.tolist()))


def slice_silicon(inputs: int, used_share: float, slack: float = 0.0, slice_ports: int = 8) -> NeuronSilicon:
    """Return silicon of slices only, with at least inputs x used_share x (1 + slack) ports.

    `used_share` is the share of weights that are not zero. Raises `InputError` for sizes that are not positive, a share
    outside [0, 1] or negative slack.
    """
    n, s = count("inputs", inputs), count("slice_ports", slice_ports)
    ports = n * fraction("used_share", used_share) * (1.0 + non_negative("slack", slack, high=1e6))
    return NeuronSilicon((0,) * REGIONS, int(np.ceil(ports / s - 1e-9)), int(s))


def smallest_slices(histogram: np.ndarray, slice_ports: int = 8) -> NeuronSilicon:
    """Return silicon of slices only in which every neuron of the region `histogram` (regions, ...) fits."""
    s = integer("slice_ports", slice_ports)
    needed = (-(-np.asarray(histogram, dtype=np.int64) // s)).sum(axis=0)
    return NeuronSilicon((0,) * len(histogram), int(needed.max(initial=0)), s)


def region_name(region: int) -> str:
    """Return the name of a region: its weight, such as "+1.5" or "-6"."""
    return f"{REGION_HALVES[region] / 2:+g}"
