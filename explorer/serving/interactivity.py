"""What a machine generates, costs and emits over the tokens per second that each of its users is promised."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import costmodel
import hwsim
import models
from explorer.documents.document import Document, Documented
from explorer.pricing.economics import costs_and_machine, priced_system
from explorer.pricing.prices import Convention, Machine, card, cost_book, device, replaced_book, sides_of
from explorer.pricing.rates import (
    PAPER_MODEL,
    POWER,
    PROMISE,
    RATED,
    SEQUENCES,
    SHARE,
    SPEED,
    Workload,
    bought_with,
    power_share,
    predicted,
    speed_factor,
    with_share,
)
from hwbase import Book, InputError, Quantity, Record, quantities_frame
from hwbase.books import refuse_unread
from hwbase.check import number
from hwbase.values import read_integer

#: Tokens per second of a user, from slow reading to what only few machines reach.
SPEEDS = (10.0, 500.0)
POINTS = 25
_G_PER_T, _KINDS = 1e6, ("hardwired", *RATED)


@dataclass(frozen=True)
class Front(Record):
    """One machine over `speeds` of the comparison; arrays (speeds,), NaN where it does not keep the promise."""

    machine: str
    kind: str
    chips: np.ndarray
    """Chips that serve together."""
    tokens_per_s_per_chip: np.ndarray
    usd_per_million_tokens: np.ndarray
    tokens_per_s_per_mw: np.ndarray
    """Over the power of the whole facility."""
    g_per_million_tokens: np.ndarray
    """Grams of CO2e, of making and of running."""


@dataclass(frozen=True)
class Interactivity(Documented):
    """Machines side by side over the tokens per second that a user sees, on one workload."""

    model: str
    workload: Workload
    volume: int
    convention: str
    speeds: np.ndarray
    fronts: tuple[Front, ...]
    quantities: dict[str, Quantity] = field(default_factory=dict, repr=False)
    notes: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """Return a row a machine and speed."""
        names = ("chips", "tokens_per_s_per_chip", "usd_per_million_tokens", "tokens_per_s_per_mw")
        parts = [
            pd.DataFrame(
                {"machine": front.machine, "tokens_per_s_per_user": self.speeds}
                | {name: getattr(front, name) for name in (*names, "g_per_million_tokens")}
            )
            for front in self.fronts
        ]
        return pd.concat(parts, ignore_index=True)

    def sources(self) -> pd.DataFrame:
        """Return one row a constant that was read, with its source."""
        return quantities_frame(self.quantities)

    def document(self, command: str = "") -> Document:
        """Return the comparison as a document."""
        from explorer.serving.interactivity_document import interactivity_document

        return interactivity_document(self, command)


def interactivity(
    model: str | models.LLMSpec = PAPER_MODEL,
    *,
    on: Machine | Sequence[Machine] | None = None,
    speeds: Iterable[float] | None = None,
    context: int | str = 2048,
    prompt_tokens: int | str = 0,
    output_tokens: int | str = 0,
    volume: int | str = 50,
    convention: Convention = "corrected",
    technology: str | Path | Book = hwsim.DEFAULT_TECHNOLOGY,
    weights: str = "fp4",
    book: str | Path | None = None,
    set: Mapping[str, Any] | None = None,
) -> Interactivity:
    """Return what each machine generates a chip, costs and emits while users are served at so many tokens per second.

    Output tokens are counted for every machine alike. A GPU is that of the best server within the promise
    (`hwsim.gpu.rate`), times the measured speed factor; a hardwired machine, whose slots users share in time, generates
    the same at every promise that one of its slots keeps.

    Parameters
    ----------
    model : str or LLMSpec
        What is served.
    on : str, Path or Book, or a sequence of them, optional
        Hardwired machines and those beside them, by name or book; by default the paper's machine, the convention's and
        the paper's GPU, and published machines that hold this network. As many are bought as generate what systems of
        the first hardwired one do.
    speeds : iterable of float, optional
        Tokens per second that each user is promised; 25 from 10 to 500 unless given.
    context, prompt_tokens, output_tokens : int or str
        The workload, as in `explorer.cost`.
    volume : int or str
        Hardwired systems built.
    convention, technology, weights, book, set
        As in `explorer.cost`.

    Returns
    -------
    Interactivity

    Raises
    ------
    InputError
        For what cannot be used.
    """
    spec = models.spec_of(model)
    promised = np.geomspace(*SPEEDS, POINTS) if speeds is None else np.asarray(list(speeds), dtype=float)
    promised = np.unique(number("speeds", promised, above=0.0, high=1e6))
    if promised.size < 1:
        raise InputError("speeds: expected at least one number of tokens/s")
    workload = Workload.read(context, prompt_tokens, output_tokens)
    systems = read_integer("volume", volume, high=1e6)
    conventions = costmodel.conventions.named(convention)
    if PROMISE in (set or {}):
        raise InputError(f"{PROMISE} is what the speeds vary: expected it not to be set")
    machines, others = sides_of(_default_machines(spec, conventions) if on is None else on, _KINDS, conventions)
    costs = cost_book(book or conventions.book, others, spec)
    process = hwsim.technology_book(technology)
    rest, for_bought, others = bought_with(set or {}, others, costs, *machines, process)
    shares = [costs_and_machine(rest, costs, machine, technology) for machine in machines]
    for_costs = shares[0][0]
    costs = costs.override(for_costs)
    fronts: list[Front] = []
    read: dict[str, Quantity] = {}
    to_match = 0.0
    for machine, (_, for_machine) in zip(machines, shares, strict=True):
        built = priced_system(
            spec,
            conventions,
            costs,
            on=machine,
            technology=technology,
            weights=weights,
            # Not the published system's stated rate: what it is said to serve is not known.
            reading=conventions.reading,
            workload=workload,
            set=for_machine,
        )
        fleet = costmodel.built_fleet(
            costs,
            built.system,
            volume=systems,
            tokens_per_s=built.tokens_per_s,
            card=card(),
            conventions=conventions,
        )
        keeps = promised <= 1.0 / built.latency_s
        fronts.append(_front(machine.name, "hardwired", fleet, built.system.chips, built.tokens_per_s, systems, keeps))
        read |= {**built.assumptions, **fleet.tco.assumptions, **fleet.carbon.assumptions}
        to_match = to_match or built.tokens_per_s
    for other in others:
        within = costs.override({PROMISE: 1.0 / promised})
        best = predicted(within, other, spec, workload)
        rate = np.asarray(best.tokens_per_s) * speed_factor(costs, other)
        held = np.isfinite(rate)
        # Where no server keeps the promise, one token a second stands in until the figures are struck out.
        each = np.where(held, rate, 1.0)
        gpus = costmodel.devices_to_match(systems, to_match, each, conventions)
        powered = with_share(costs, other, power_share(costs, other, best))
        bought = costmodel.bought_fleet(powered, device(other), units=gpus, tokens_per_s=each, conventions=conventions)
        fronts.append(
            _front(other.name, other.kind, bought, 1, each, gpus, held, best.gpus + np.asarray(best.prompt_gpus))
        )
        constants = bought.tco.assumptions | bought.carbon.assumptions
        read |= {name: quantity for name, quantity in constants.items() if name != f"{other.name}.{SHARE}"}
        read |= {name: costs[name] for name in (SPEED, SEQUENCES, POWER) if other.kind == "gpu"}
        read |= {name: other[name] for name in for_bought if other.kind == "gpu"}
    refuse_unread(for_costs, read)
    return Interactivity(
        spec.name,
        workload,
        systems,
        conventions.name,
        promised,
        tuple(fronts),
        read,
        replaced_book(conventions, book, others),
    )


def _front(
    name: str,
    kind: str,
    fleet: costmodel.Fleet,
    unit_chips: Any,
    unit_rate: Any,
    units: Any,
    keeps: np.ndarray,
    chips: Any = None,
) -> Front:
    """Return the figures of a fleet of `units` units of `unit_chips` chips and `unit_rate` tokens/s each."""

    def kept(values: Any) -> np.ndarray:
        return np.where(keeps, np.broadcast_to(np.asarray(values, dtype=float), keeps.shape), np.nan)

    tokens_per_s = np.asarray(units) * unit_rate
    return Front(
        name,
        kind,
        kept(unit_chips if chips is None else chips),
        kept(np.asarray(unit_rate) / unit_chips),
        kept(fleet.tco.usd_per_million_tokens),
        kept(tokens_per_s / fleet.tco.facility_power_mw),
        kept(fleet.carbon.total_t * _G_PER_T / fleet.carbon.million_tokens),
    )


def _default_machines(spec: models.LLMSpec, conventions: costmodel.Conventions) -> list[str]:
    """Return the paper's machine, the conventions' and the paper's GPU, and the machines that hold `spec` alone."""
    own = [name for name in hwsim.machine_names(("fixed-model",)) if hwsim.machine_book(name).header.model == spec.name]
    return list(dict.fromkeys((hwsim.DEFAULT_MACHINE, conventions.beside, hwsim.DEFAULT_GPU, *own)))
