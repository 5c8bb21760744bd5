"""Products one after another on an accelerator: clocks, stalls, bytes, joules of each and of the network."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hwbase import InputError, Quantity, Record
from hwsim.npu.design import Area, Npu, area
from hwsim.npu.energy import Energy, Traffic, energy, traffic
from hwsim.npu.product import Product, total_macs
from hwsim.npu.tiling import Tiling, element_rates, search
from hwsim.npu.timing import Timing, tiles, timing
from hwsim.technology import Technology

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class LayerRun(Record):
    """One product on the accelerator; numbers are those of one repeat."""

    product: Product
    tiling: Tiling
    timing: Timing
    traffic: Traffic
    energy: Energy
    macs_per_cycle: float
    """Multiply-accumulates of the whole array in a clock at the product's widths."""

    @property
    def bound_by(self) -> str:
        """What takes most of the clocks beyond the useful ones, or compute where those are more than half."""
        times = self.timing
        if times.stall_cycles > times.cycles / 2.0:
            return "memory"
        return "compute" if times.useful_cycles > times.cycles / 2.0 else "idle elements"


@dataclass(frozen=True)
class NetworkRun(Record):
    """One run of a network on an accelerator: sums over its products, each as often as it repeats."""

    machine: str
    network: str
    clock_hz: float
    layers: tuple[LayerRun, ...]
    area: Area
    memory_bytes: float
    """Bytes of the weights, which DRAM has to hold."""
    memory_capacity_bytes: float
    assumptions: dict[str, Quantity] = field(default_factory=dict, repr=False)

    @cached_property
    def alike(self) -> list[tuple[LayerRun, int]]:
        """Layers whose products are equal but for their names, as one, with their repeats."""
        counts: dict[tuple[object, ...], list[Any]] = {}
        for each in self.layers:
            counts.setdefault(each.product.key, [each, 0])[1] += each.product.repeats
        return [(each, repeats) for each, repeats in counts.values()]

    def total(self, part: str, name: str) -> float:
        """Return the sum of a number of `timing`, `traffic` or `energy` over all layers and repeats."""
        return float(sum(getattr(getattr(each, part), name) * repeats for each, repeats in self.alike))

    @property
    def cycles(self) -> float:
        """Clocks of one run."""
        return self.total("timing", "cycles")

    @property
    def seconds(self) -> float:
        """Seconds of one run."""
        return self.cycles / self.clock_hz

    @property
    def energy_j(self) -> float:
        """Joules of one run."""
        return self.total("energy", "total_j")

    @property
    def macs(self) -> float:
        """Multiply-accumulates of one run."""
        return total_macs(each.product for each in self.layers)

    @property
    def fits(self) -> bool:
        """Whether DRAM holds the weights."""
        return self.memory_bytes <= self.memory_capacity_bytes

    def shares(self) -> dict[str, float]:
        """Return the share of clocks that each cause takes; they sum to 1."""
        names = (
            "useful_cycles",
            "idle_cycles",
            "fill_cycles",
            "weight_stall_cycles",
            "input_stall_cycles",
            "output_stall_cycles",
            "latency_stall_cycles",
        )
        cycles = self.cycles
        return {name.removesuffix("_cycles"): self.total("timing", name) / cycles for name in names}

    def mean_bits(self, of: str = "weight_bits") -> float:
        """Return the mean width of weights, or "activation_bits", over the multiply-accumulates of stored weights."""
        stored = [each.product for each in self.layers if each.product.stored]
        macs = [product.macs * product.repeats for product in stored]
        return float(np.average([getattr(product, of) for product in stored], weights=macs)) if stored else float("nan")

    def to_frame(self) -> "pd.DataFrame":
        """Return a row a layer: its product, tiling, clocks by cause, bytes and joules of one repeat."""
        import pandas as pd

        rows: list[dict[str, Any]] = []
        for each in self.layers:
            loops = {"tile": f"{each.tiling.tokens} x {each.tiling.inputs} x {each.tiling.outputs}"}
            loops["order"] = ", ".join(each.tiling.order)
            product = dict(vars(each.product))
            name = {"layer": product.pop("name")}
            parts = vars(each.timing) | vars(each.traffic) | vars(each.energy)
            rows.append(name | product | loops | parts | {"bound_by": each.bound_by})
        return pd.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """Return sums, shares of clocks by cause, and a record a layer."""
        energies = {name: self.total("energy", name) for name in ("elements_j", "buffers_j", "memory_j", "leakage_j")}
        return {
            "machine": self.machine,
            "network": self.network,
            "cycles": self.cycles,
            "seconds": self.seconds,
            "energy_j": self.energy_j,
            **energies,
            "macs": self.macs,
            "mean_weight_bits": self.mean_bits(),
            "mean_activation_bits": self.mean_bits("activation_bits"),
            "memory_traffic_bytes": self.total("traffic", "memory_bytes"),
            "memory_bytes": self.memory_bytes,
            "fits": self.fits,
            "area": self.area.to_dict() | {"total_mm2": self.area.total_mm2},
            "shares": self.shares(),
            "layers": self.to_frame().to_dict(orient="records"),
            "assumptions": {name: asdict(quantity) for name, quantity in self.assumptions.items()},
        }


def run_product(
    design: Npu, technology: Technology, product: Product, *, area_mm2: float, tiling: Tiling | None = None
) -> LayerRun:
    """Return one product on the accelerator, in the tiling given or in the best one.

    Parameters
    ----------
    design : Npu
    technology : Technology
    product : Product
    area_mm2 : float
        The die, for leakage.
    tiling : Tiling, optional
        Tile and order of the loops; by default that with the fewest clocks.

    Returns
    -------
    LayerRun

    Raises
    ------
    InputError
        For a tile that is larger than half of a buffer.
    """
    tiling = search(design, product) if tiling is None else tiling
    walk = tiles(design, product, tiling)
    clocks = timing(design, product, walk)
    rate, passes = element_rates(design, product)
    return LayerRun(
        product=product,
        tiling=tiling,
        timing=clocks,
        traffic=traffic(design, product, walk),
        energy=energy(design, technology, product, walk, cycles=clocks.cycles, area_mm2=area_mm2),
        macs_per_cycle=design.array_rows * design.array_columns * rate / passes,
    )


def run_network(
    network: str,
    products: Sequence[Product],
    design: Npu,
    technology: Technology,
    *,
    assumptions: dict[str, Quantity] | None = None,
    known: dict[tuple[object, ...], LayerRun] | None = None,
) -> NetworkRun:
    """Return a network on the accelerator, product after product; equal products are searched once.

    Parameters
    ----------
    network : str
        Its name.
    products : sequence of Product
    design : Npu
    technology : Technology
    assumptions : dict of str to Quantity, optional
        Constants that were read, kept in the result.
    known : dict, optional
        Runs of equal products on the same accelerator, which are used and added to.

    Returns
    -------
    NetworkRun

    Raises
    ------
    InputError
        For a network without products, or a tile larger than half of a buffer.
    """
    if not products:
        raise InputError(f"{network} has no matrix products: expected at least one")
    die = area(design, technology)
    known = {} if known is None else known
    layers = []
    for product in products:
        if product.key not in known:
            known[product.key] = run_product(design, technology, product, area_mm2=die.total_mm2)
        run = known[product.key]
        layers.append(LayerRun(product, run.tiling, run.timing, run.traffic, run.energy, run.macs_per_cycle))
    held = sum(p.weights * p.weight_bits / 8.0 * p.repeats + p.fixed_bytes for p in products if p.stored)
    return NetworkRun(
        machine=design.name,
        network=network,
        clock_hz=design.clock_hz,
        layers=tuple(layers),
        area=die,
        memory_bytes=held,
        memory_capacity_bytes=design.memory_bytes,
        assumptions=assumptions or {},
    )
