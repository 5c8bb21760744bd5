"""Dollars and carbon of a serving simulation, by `costmodel`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import costmodel
import hwsim
import models
from explorer.pricing.economics import costs_and_machine, priced_system
from explorer.pricing.prices import Convention, Machine, bought, card, cost_book, device
from hwbase import Book, InputError, Quantity, Record
from hwbase.arguments import checked
from hwbase.books import Level, refuse_old
from hwbase.values import read_integer
from hwsim.events.results import ServingResult

_KG_PER_T = 1e3


@dataclass(frozen=True)
class ServingCost(Record):
    """Cost and emissions of a fleet that serves the same traffic all its life, also per million output tokens served.

    Output tokens are those of requests that finished, `served_share` of all requests.
    `units` are hardwired systems or GPUs; `load` is mean power over full power; `usd` are as in `costmodel.Tco`: this
    fleet's share of all systems that were `built`.
    """

    fleet: str
    units: int
    built: int
    convention: str
    level: str
    served_share: float
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


@checked
def serving_cost(
    result: ServingResult,
    *,
    model: str | models.LLMSpec | None = None,
    machines: int = 1,
    built: int | None = None,
    convention: Convention = "corrected",
    level: Level = "nominal",
    book: str | None = None,
    set: Mapping[str, Any] | None = None,
    technology: str | Path | Book = hwsim.DEFAULT_TECHNOLOGY,
    weights: str = "fp4",
    on: Machine | None = None,
    beside: Machine | None = None,
    machine_set: None = None,
) -> ServingCost:
    """Return dollars and carbon of the `machines` that served `result`, if it continues all their life.

    Tokens per second are those of requests that finished; electricity follows the mean power, buildings full power.

    Parameters
    ----------
    result : ServingResult
        A simulation of `hwsim.serve`.
    model : str or LLMSpec, optional
        The model in hardwired systems; by default the result's model, by name.
    machines : int
        Systems that served the result together.
    built : int, optional
        Systems built, which share masks and design and of which this fleet pays its share; by default `machines`.
    convention : str
        The conventions, as in `explorer.cost`.
    level : str
        "low", "nominal" or "high": the end of its range at which each constant is read.
    book : str, optional
        The cost book; by default the convention's.
    set : mapping of str to number, array or str
        Constants of the cost book, the hardwired machine or its technology to override.
    technology : str, Path or Book
        Process of a hardwired machine.
    weights : str
        Weight format of a hardwired machine, as in `hwsim.simulate`.
    on : str, Path or Book, optional
        The book of the machine that served; by default the result's machine, by name.
    beside : str, Path or Book, optional
        The machine bought beside a hardwired one, whose constants `book` and `set` may name too; by default the
        convention's.
    machine_set : None
        An older name, which is refused: use `set`.

    Returns
    -------
    ServingCost

    Raises
    ------
    InputError
        For invalid input, for a result without finished requests, and for an interrupted one.
    """
    refuse_old(machine_set=machine_set)
    if result.interrupted:
        raise InputError(f"the simulation of {result.machine} was interrupted: expected one that ran to its end")
    rate = result.served_tokens_per_s
    if not rate > 0.0:
        raise InputError(
            f"{result.machine} finished none of {result.state.size:,} requests: expected tokens to pay for"
        )
    conventions = costmodel.conventions.named(convention)
    hardwired = result.kind == "hardwired"
    served_on = on or result.machine
    # The simulation gives the utilisation.
    priced = cost_book(book or conventions.book, [bought(beside, conventions) if hardwired else served_on])
    for_costs, for_machine = dict(set or {}), dict[str, Any]()
    if hardwired:
        for_costs, for_machine = costs_and_machine(for_costs, priced, served_on, technology)
    priced = priced.override({"use.utilisation": 1.0} | for_costs)
    machines = read_integer("machines", machines, high=1e6)
    mean_w = sum(result.energy_j.values()) / result.duration_s
    shared: dict[str, Any] = {"conventions": conventions}
    if hardwired:
        model_name = model or result.model
        spec = models.load(model_name) if isinstance(model_name, str) else model_name
        priced_machine = priced_system(
            spec,
            costmodel.CORRECTED,
            priced,
            on=served_on,
            technology=technology,
            weights=weights,
            set=for_machine,
        )
        overhead = float(result.assumptions["power_overhead"].nominal)
        full_w = machines * priced_machine.system.chips * priced_machine.system.chip_power_w * overhead
        made = machines if built is None else read_integer("built", built, high=1e6)
        if made < machines:
            raise InputError(f"built = {made}: expected at least the {machines} systems that serve")
        fleet = costmodel.built_fleet(
            priced.at(level),
            priced_machine.system,
            volume=made,
            tokens_per_s=rate / machines,
            card=card(),
            **shared,
        )
        units, share = machines, machines / made
    else:
        full_w = result.chips * float(result.assumptions["power_w"].nominal)
        each = rate / result.chips
        fleet = costmodel.bought_fleet(
            priced.at(level), device(served_on), units=result.chips, tokens_per_s=each, **shared
        )
        units, made, share = result.chips, result.chips, 1.0
    tco, carbon = fleet.tco, fleet.carbon
    load = mean_w / full_w
    # Money and tokens are discounted where the book says so; carbon is not.
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
        convention=conventions.name,
        level=level,
        served_share=result.served_share,
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
