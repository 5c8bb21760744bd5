"""The figures of many designs at once, in closed form, and their prices where they are wanted."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import costmodel
import hwsim
import models
from explorer.pricing.evaluate import Setting, evaluate_block
from explorer.pricing.rates import Workload
from hwbase import Book, load_book, unknown_name
from hwbase.check import Number
from hwsim.chip import build_chip
from hwsim.design import CHOICES
from hwsim.simulation import hardwired
from hwsim.technology import BOOKS

READING = "pipelined"
#: Columns of every design.
FIGURES = (
    *("tokens_per_s", "latency_s", "energy_j_per_token", "power_w", "area_mm2", "die_area_mm2", "chips"),
    *("links_per_chip", "tokens_per_s_mm2", "power_density_w_per_mm2", "bound_by", "bears_load"),
    *("reticle_mm2", "cooled_w_per_mm2", "hbm_sites"),
)
#: The columns that take a second simulation, of one user alone.
ALONE = ("latency_alone_s",)
#: The columns of dollars and carbon.
PRICES = (
    *("masks_usd", "nre_usd", "tco_usd", "usd_per_million_tokens"),
    *("scope2_t", "scope3_t", "carbon_t", "kg_per_million_tokens"),
)
#: The busy share of each resource.
BUSY = tuple(f"busy_share.{name}" for name in ("links", "hn", "vex", "buffer", "hbm"))
#: What holds for every design that can be built, as constraints of a study are written.
ALWAYS = {
    "one exposure prints the die": "die_area_mm2 <= reticle_mm2",
    "memory stands around the die": "hbm_stacks <= hbm_sites",
    "cooling": "power_density_w_per_mm2 <= cooled_w_per_mm2",
    "resources bear their load": "bears_load",
}
COOLING = ("air", "liquid")


def package_book() -> Book:
    """Return the book of what a package and its cooling allow."""
    return load_book("package", BOOKS)


@dataclass(frozen=True)
class Case:
    """What all designs of a search share: the model, the machine's book, the process, the workload and the prices."""

    spec: models.LLMSpec
    design: hwsim.HardwiredDesign
    technology: hwsim.Technology
    setting: Setting
    workload: Workload
    volume: int
    cooling: str
    package: Book
    set: Mapping[str, Any]
    """Constants of any book that the user has set."""

    @property
    def for_machine(self) -> dict[str, Any]:
        """What the user has set of the machine and the technology."""
        known = {*self.setting.machine.settable(), *self.setting.technology}
        return {name: value for name, value in self.set.items() if name in known}

    def __post_init__(self) -> None:
        if self.cooling not in COOLING:
            raise unknown_name("cooling", self.cooling, COOLING)

    def designs(self, constants: Mapping[str, Number], choices: Mapping[str, str]) -> hwsim.HardwiredDesign:
        """Return the machine with other `constants` (numbers, or arrays that broadcast) and `choices`."""
        settings: dict[str, Any] = {**constants, **choices}
        return replace(self.design, **settings)

    def chip(self, constants: Mapping[str, Number], choices: Mapping[str, str]) -> hwsim.Chip:
        """Return the chip of designs, which takes no simulation."""
        return build_chip(self.spec, self.designs(constants, choices), self.technology)

    def run(self, design: hwsim.HardwiredDesign, context: Number, batch: Number | None = None) -> hwsim.SimResult:
        """Return a design in closed form, with all the sequences that it holds unless `batch` is given."""
        return hwsim.simulate_hardwired(
            self.spec, design, self.technology, context=context, batch=batch, reading=READING
        )

    def own(self) -> hwsim.HardwiredDesign:
        """Return the machine as its book has it, sized for the model. Raises `InputError` where nothing holds it."""
        setting = self.setting
        return hardwired(
            self.spec,
            weights=setting.weights,
            technology=setting.technology,
            book=setting.machine,
            set=self.for_machine,
        )[0]

    def figures(
        self, constants: Mapping[str, Number], choices: Mapping[str, str], wanted: Collection[str] = ()
    ) -> dict[str, Any]:
        """Return `FIGURES` of designs by name, and the columns of `ALONE` and `BUSY` that are `wanted`.

        Numbers or arrays; they broadcast.
        """
        design = self.designs(constants, choices)
        at = partial(self.run, design)
        run = at(self.workload.mean_context)
        die_mm2 = run.area_mm2 / run.chips
        density = run.power_w / design.power_overhead / run.area_mm2
        edge_sites = np.floor(np.sqrt(die_mm2) / self.package.value("hbm_site_mm", "mm"))
        tokens_per_s = self.workload.output_rate(run, at)
        columns: dict[str, Any] = {
            "tokens_per_s": tokens_per_s,
            "latency_s": run.latency_s,
            "energy_j_per_token": run.power_w / tokens_per_s,
            "power_w": run.power_w,
            "area_mm2": run.area_mm2,
            "die_area_mm2": die_mm2,
            "chips": run.chips,
            "links_per_chip": design.links_per_chip,
            "tokens_per_s_mm2": tokens_per_s / run.area_mm2,
            "power_density_w_per_mm2": density,
            "bound_by": run.bound_by,
            "bears_load": run.feasible,
            "reticle_mm2": self.technology.reticle_area_mm2,
            "cooled_w_per_mm2": self.package.value(f"cooling.{self.cooling}_w_per_mm2", "W/mm**2"),
            "hbm_sites": 4.0 * edge_sites,
        }
        if set(ALONE) & set(wanted):
            columns["latency_alone_s"] = at(self.workload.mean_context, 1).latency_s
        if set(BUSY) & set(wanted):
            for name, seconds in run.occupancy_s.items():
                columns[f"busy_share.{name}"] = np.minimum(seconds / run.interval_s, 1.0)
        return columns

    def prices(self, constants: Mapping[str, Number], choices: Mapping[str, str], points: int) -> dict[str, np.ndarray]:
        """Return the columns of `PRICES` of `points` designs, whose `constants` are numbers or arrays (points,)."""
        workload = {name: getattr(self.workload, name) for name in ("context", "prompt_tokens", "output_tokens")}
        pinned = {name: value for name, value in self.set.items() if name not in constants and name not in choices}
        block = evaluate_block(
            self.setting, {**pinned, **constants, **choices, **workload, "volume": self.volume}, points
        )
        return {name: block[name] for name in PRICES}


def case_of(
    model: str | models.LLMSpec,
    *,
    on: str | Path | Book,
    technology: str | Path | Book,
    weights: str,
    workload: Workload,
    volume: int,
    convention: Any,
    cooling: str,
    book: str | Book | None,
    set: Mapping[str, Any],
) -> tuple[Case, dict[str, Any]]:
    """Return (the case of a search, the constants that were read); parameters as `explorer.design` takes them."""
    spec = models.spec_of(model)
    machine, process = hwsim.design_book(on), hwsim.technology_book(technology)
    # Dies are counted as `explorer.cost` counts them.
    dies = costmodel.conventions.named(convention).die_formula
    setting = Setting.of(spec, READING, convention, process, weights, dies, book, None, machine)
    package = package_book()
    for_machine = {name: value for name, value in set.items() if name in machine.settable() or name in process}
    for_package = {name: value for name, value in set.items() if name in package}
    rest = {name: value for name, value in set.items() if name not in for_package}
    for name in rest:
        if name not in for_machine and name not in setting.costs.settable():
            known = [*machine.settable(), *process, *package, *setting.costs.settable()]
            raise unknown_name("constant", name, known)
    design, made, used = hardwired(
        spec, weights=weights, technology=process, book=machine, set={"rows": 1, "columns": 1} | for_machine
    )
    return Case(spec, design, made, setting, workload, volume, cooling, package.override(for_package), rest), used


def constants_of(frame: Any) -> dict[str, np.ndarray]:
    """Return the columns of a frame of designs that are constants of a machine, without its choices."""
    names = hwsim.HardwiredDesign.__dataclass_fields__
    return {name: frame[name].to_numpy(dtype=float) for name in frame if name in names and name not in CHOICES}
