"""Dollars and carbon of what a fleet really served: a serving simulation put into `costmodel`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import costmodel
import models
from explorer.pricing.economics import BOOKS, DEFAULT_TECHNOLOGY, machine_inputs
from hwbase import Book, InputError, Quantity, Record
from hwbase.books import Level
from hwbase.check import count
from hwsim.events.results import ServingResult

#: The context at which a hardwired machine's full power is read; power hardly depends on it.
_CONTEXT = 2048
_KG_PER_T = 1e3


@dataclass(frozen=True)
class ServingCost(Record):
    """A fleet that serves the same traffic all its life: what it costs and emits, also per million output tokens.

    `units` are hardwired systems or GPUs; `load` is the mean power drawn over full power; `usd` are as in
    `costmodel.Tco`, the share of this fleet in all systems that were `built`.
    """

    fleet: str
    units: int
    built: int
    convention: str
    level: str
    output_tokens_per_s: float
    load: float
    capex_usd: float
    electricity_usd: float
    maintenance_usd: float
    respins_usd: float
    total_usd: float
    scope2_t: float
    scope3_t: float
    million_output_tokens: float
    usd_per_million_output_tokens: float
    kg_per_million_output_tokens: float
    assumptions: dict[str, Quantity] = field(default_factory=dict, repr=False)


def serving_cost(
    result: ServingResult,
    *,
    model: str | models.LLMSpec | None = None,
    machines: int = 1,
    built: int | None = None,
    convention: str = "corrected",
    level: Level = "nominal",
    book: str | None = None,
    set: Mapping[str, Any] | None = None,
    machine_set: Mapping[str, Any] | None = None,
    technology: str = DEFAULT_TECHNOLOGY,
) -> ServingCost:
    """Return dollars and carbon of the `machines` that served `result`, which goes on like that for their life.

    Tokens are those generated in the simulation, per second of it; electricity follows its mean power, buildings full
    power. `built` systems (as many as serve, by default) share masks and design, of which this fleet pays its part.
    `model` is what the systems hold where the result's name for it is not one of the zoo.
    Other parameters are those of `explorer.cost`. Raises `InputError` for what cannot be used, and for a result in
    which nothing was generated.
    """
    rate = result.output_tokens_per_s
    if not rate > 0.0:
        raise InputError("nothing was generated: expected a result with output tokens")
    conventions = costmodel.conventions.named(convention)
    # Utilisation is what the simulation found.
    priced = costmodel.load_book(book or BOOKS[convention]).override({"use.utilisation": 1.0} | dict(set or {}))
    machines = int(count("machines", machines, high=1e6))
    mean_w = sum(result.energy_j.values()) / result.duration_s
    if is_gpu(result):
        full_w = result.chips * float(result.assumptions["power_w"].nominal)
        tco, carbon = _gpus(priced.at(level), result.chips, rate, conventions)
        units, made, share = result.chips, result.chips, 1.0
    else:
        given = model or result.model
        spec = models.load(given) if isinstance(given, str) else given
        inputs, _, _ = machine_inputs(
            spec, costmodel.CORRECTED, priced, _CONTEXT, technology, {} if machine_set is None else machine_set
        )
        overhead = float(result.assumptions["power_overhead"].nominal)
        full_w = machines * inputs["chips"] * inputs["chip_power_w"] * overhead
        made = machines if built is None else int(count("built", built, high=1e6))
        if made < machines:
            raise InputError(f"built = {made}: expected at least the {machines} systems that serve")
        tco, carbon = _systems(priced.at(level), inputs, made, rate / machines, conventions)
        units, share = machines, machines / made
    load = mean_w / full_w
    # Money is discounted where the book says so, and so are the tokens it is divided by; carbon is not.
    worth, tokens = float(tco.million_tokens) * share, float(carbon.million_tokens) * share
    electricity, scope2 = float(tco.electricity_usd) * share * load, float(carbon.scope2_t) * share * load
    capex, maintenance, respins = (
        float(value) * share for value in (tco.capex_usd, tco.maintenance_usd, tco.respins_usd)
    )
    total, scope3 = capex + electricity + maintenance + respins, float(carbon.scope3_t) * share
    return ServingCost(
        fleet=result.machine,
        units=units,
        built=made,
        convention=convention,
        level=level,
        output_tokens_per_s=rate,
        load=load,
        capex_usd=capex,
        electricity_usd=electricity,
        maintenance_usd=maintenance,
        respins_usd=respins,
        total_usd=total,
        scope2_t=scope2,
        scope3_t=scope3,
        million_output_tokens=tokens,
        usd_per_million_output_tokens=total / worth,
        kg_per_million_output_tokens=(scope2 + scope3) * _KG_PER_T / tokens,
        assumptions={**tco.assumptions, **carbon.assumptions},
    )


def is_gpu(result: ServingResult) -> bool:
    """Return whether a result is of GPUs (whatever their book is called)."""
    return "nvlink_bandwidth_bytes_per_s" in result.assumptions


def _gpus(
    book: Book, gpus: int, rate: float, conventions: costmodel.Conventions
) -> tuple[costmodel.Tco, costmodel.Carbon]:
    each = rate / gpus
    return (
        costmodel.gpu_tco(book, gpus=gpus, tokens_per_s=each, conventions=conventions),
        costmodel.gpu_carbon(book, gpus=gpus, tokens_per_s=each, conventions=conventions),
    )


def _systems(
    book: Book, inputs: Mapping[str, Any], volume: int, each: float, conventions: costmodel.Conventions
) -> tuple[costmodel.Tco, costmodel.Carbon]:
    sizes = {name: inputs[name] for name in ("chips", "die_area_mm2", "hbm_gb_per_chip")}
    power = costmodel.system_it_power_w(
        book, chips=inputs["chips"], chip_power_w=inputs["chip_power_w"], conventions=conventions
    )
    shared: dict[str, Any] = {
        "volume": volume,
        "system_power_w": power,
        "tokens_per_s": each,
        "conventions": conventions,
    }
    bill = costmodel.hardwired_bill(book, **sizes, conventions=conventions)
    return costmodel.tco(book, bill=bill, **shared), costmodel.hardwired_carbon(book, **sizes, **shared)
