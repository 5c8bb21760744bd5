"""Where hardwiring pays: a map over how many users are served and how fast each of them is promised tokens."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import hwsim
import models
from explorer.pricing.rates import PAPER_MODEL, PROMISE
from explorer.uncertainty.distributions import correlated_shares, factors_of
from explorer.uncertainty.propagate import attempt, samples_of, unit_sequence
from explorer.uncertainty.results import PERCENTILES
from explorer.uncertainty.scenario import Machine, Scenario
from hwbase import InputError, Quantity, Record, quantities_frame
from hwbase.arguments import checked, record_of
from hwbase.check import number
from hwbase.errors import shown
from hwbase.units import DIMENSIONLESS
from hwbase.values import read_value
from hwsim.hardwired import embedding_bytes
from hwsim.simulation import hardwired

#: Users served at once, and tokens per second that each is promised, where a caller names none.
USERS = (1e3, 3e3, 1e4, 3e4, 1e5, 3e5, 1e6, 3e6, 1e7)
SPEEDS = (10.0, 25.0, 50.0, 100.0, 150.0, 200.0, 300.0, 500.0)


@dataclass(frozen=True)
class PromiseMap(Record):
    """Ratios of cost and carbon, bought machines over hardwired ones, for users and promises; arrays (users, speeds).

    A promise that no bought server keeps has NaN ratios; one that the hardwired machine does not keep, no systems.
    """

    users: np.ndarray
    """Users served at once, shape (users,)."""
    speeds: np.ndarray
    """Tokens per second that each is promised, shape (speeds,)."""
    systems: np.ndarray
    """Hardwired systems that serve them."""
    gpus: np.ndarray
    """Bought machines that serve them."""
    tco_ratio: np.ndarray
    """Nominal ratio of cost."""
    carbon_ratio: np.ndarray
    """Nominal ratio of carbon."""
    p5: np.ndarray
    """5 % of the draws have a lower ratio of cost."""
    p95: np.ndarray
    """95 % of them have a lower one."""
    probability: np.ndarray
    """Share of draws in which the bought machines cost more."""
    subject: Mapping[str, Any] = field(default_factory=dict)
    quantities: dict[str, Quantity] = field(default_factory=dict, repr=False)

    def to_frame(self) -> pd.DataFrame:
        """Return a row a cell of the map."""
        users, speeds = np.meshgrid(self.users, self.speeds, indexing="ij")
        names = ("systems", "gpus", "tco_ratio", "carbon_ratio", "p5", "p95", "probability")
        cells = {name: getattr(self, name).ravel() for name in names}
        return pd.DataFrame({"users": users.ravel(), "tokens_per_s_per_user": speeds.ravel(), **cells})

    def sources(self) -> pd.DataFrame:
        """Return one row a constant that was read, with its source."""
        return quantities_frame(self.quantities)


@checked
def promise_map(
    model: str | Path | models.LLMSpec = PAPER_MODEL,
    *,
    users: Sequence[float] = USERS,
    speeds: Sequence[float] = SPEEDS,
    samples: int = 256,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
    **choices: Any,
) -> PromiseMap:
    """Return for how many users and for which promise a hardwired fleet costs less than the machines bought instead.

    Each cell serves `users` sequences at once, each at `speeds` tokens per second. Hardwired systems are as many as
    generate those tokens and hold those sequences' keys and values; a system's token slots are shared in time by users
    who are promised less than a slot generates. Bought machines are the best servers within the promise.

    Parameters
    ----------
    model : str, Path or LLMSpec
        What is served.
    users : sequence of float
        Users served at once.
    speeds : sequence of float
        Tokens per second of each.
    samples : int
        Draws of every constant that has a range, a power of two; the same in every cell.
    seed : int
        Of the draws.
    progress : callable, optional
        Called with the share done.
    **choices
        Fields of `Scenario`, but for the volume.

    Returns
    -------
    PromiseMap

    Raises
    ------
    InputError
        For numbers out of range, and as `Scenario` does.
    """
    if "volume" in choices:
        raise InputError("volume is what the map finds for each number of users: expected none")
    people, promised = (_ascending(name, values) for name, values in (("users", users), ("speeds", speeds)))
    scenario = record_of(Scenario, model, **choices)
    machine = Machine.of(scenario)
    cells = [axis.ravel() for axis in np.meshgrid(people, promised, indexing="ij")]
    systems, kept = _systems(machine, *cells)
    spreads = machine.spreads(machine.quantities())
    factors = factors_of(list(spreads), machine.correlations)
    size = samples_of(samples)
    shares = correlated_shares(factors, unit_sequence(max(len(spreads), 1), size, seed))
    draws = {name: spread.at(shares[name]) for name, spread in spreads.items()}

    def evaluate(values: Mapping[str, Any], repeats: int) -> dict[str, np.ndarray]:
        points = len(systems) * repeats
        inputs = {name: np.tile(value, len(systems)) for name, value in values.items()}
        inputs |= {PROMISE: np.repeat(1.0 / cells[1], repeats), "": np.repeat(systems, repeats)}

        def function(part: dict[str, Any]) -> Mapping[str, Any]:
            volume = part.pop("")
            return machine(part, volume=volume)

        outcome = attempt(function, inputs, points).columns
        blank = np.full(points, np.nan)
        rates, *figures = (
            outcome.get(name, blank).reshape(-1, repeats)
            for name in ("tokens_per_s", "gpus", "tco_ratio", "carbon_ratio")
        )
        # Bought machines are paid for what is asked for, not for all that the systems could generate.
        share = np.minimum((cells[0] * cells[1] / systems)[:, None] / rates, 1.0)
        return {n: value * share for n, value in zip(("gpus", "tco_ratio", "carbon_ratio"), figures, strict=True)}

    nominal = {name: value[:, 0] for name, value in evaluate({}, 1).items()}
    drawn = evaluate(draws, size)["tco_ratio"]
    if progress is not None:
        progress(1.0)
    shape = (len(people), len(promised))
    held = np.isfinite(drawn).any(axis=1) & kept
    bands = np.full((len(PERCENTILES), len(systems)), np.nan)
    bands[:, held] = np.nanpercentile(drawn[held], PERCENTILES, axis=1)
    share = np.full(len(systems), np.nan)
    share[held] = (drawn[held] > 1.0).sum(axis=1) / np.isfinite(drawn[held]).sum(axis=1)

    def cell(values: np.ndarray) -> np.ndarray:
        return np.where(kept, values, np.nan).reshape(shape)

    return PromiseMap(
        people,
        promised,
        cell(systems),
        cell(np.ceil(nominal["gpus"])),
        cell(nominal["tco_ratio"]),
        cell(nominal["carbon_ratio"]),
        cell(bands[0]),
        cell(bands[-1]),
        cell(share),
        scenario.described(),
        machine.read,
    )


def _ascending(name: str, values: Sequence[float]) -> np.ndarray:
    """Return numbers in order, each once; raises `InputError`."""
    listed = sorted(values) if isinstance(values, (set, frozenset)) else values
    read = np.asarray(read_value(name, listed, DIMENSIONLESS), dtype=float)
    if read.ndim != 1 or not read.size:
        raise InputError(f"{name} = {shown(values)}: expected a list of numbers")
    return np.unique(number(name, read, above=0.0, high=1e12))


def _systems(machine: Machine, users: np.ndarray, speeds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (systems that serve each cell, whether they keep its promise)."""
    scenario, spec = machine.scenario, machine.spec
    book = hwsim.design_book(scenario.on).override(machine.pinned)
    design, technology, _ = hardwired(spec, weights=scenario.weights, technology=machine.technology, book=book)
    at = scenario.workload.mean_context
    run = hwsim.simulate_hardwired(spec, design, technology, context=at, reading=scenario.reading)
    rate = float(machine({})["tokens_per_s"][0])
    room = float(design.hbm_bytes * run.chips - embedding_bytes(spec))
    by_memory = np.ceil(users * float(run.kv_bytes_per_sequence) / room)
    systems = np.maximum(np.ceil(users * speeds / rate), np.maximum(by_memory, 1.0))
    return systems, speeds <= 1.0 / float(run.latency_s)
