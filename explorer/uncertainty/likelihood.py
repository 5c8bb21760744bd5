"""The answer in one sentence: how likely a hardwired fleet costs less, over draws of every constant in its range."""

from typing import Any

import numpy as np

import models
from explorer.documents.theme import machine_name
from explorer.uncertainty.analyse import RATIOS
from explorer.uncertainty.distributions import correlated_shares, factors_of
from explorer.uncertainty.propagate import attempt, unit_sequence
from explorer.uncertainty.results import chance
from explorer.uncertainty.scenario import Machine, Scenario
from hwbase.arguments import checked, record_of
from hwbase.check import integer
from hwbase.numbers import counted, percent, significant

#: Draws of a sentence: the standard error of a share is at most 2.2 points.
DRAWS = 512
_PERCENTILES, _DIGITS = (5.0, 95.0), 2


@checked
def likelihood(model: str | models.LLMSpec, *, draws: int = DRAWS, seed: int = 0, **choices: Any) -> str:
    """Return in one sentence how likely a hardwired fleet costs less than the machines bought instead.

    Parameters
    ----------
    model : str or LLMSpec
        What is served.
    draws : int
        Draws of all constants together, one call of the price chain.
    seed : int
        Of the draws.
    **choices
        Fields of `Scenario`.

    Returns
    -------
    str

    Raises
    ------
    InputError
        As `Scenario` does, and where no draw is feasible.

    Examples
    --------
    >>> likelihood("gpt-oss-120b", draws=64).partition(" in ")[0]
    'Hardwiring costs less than the B200 fleet that generates as many tokens'
    """
    scenario = record_of(Scenario, model, **choices)
    machine = Machine.of(scenario)
    size = integer("draws", draws, low=2, high=65536)
    spreads = machine.spreads(machine.quantities())
    factors = factors_of(list(spreads), machine.correlations)
    shares = correlated_shares(factors, unit_sequence(max(len(spreads), 1), size, seed))
    columns = attempt(machine, {name: spread.at(shares[name]) for name, spread in spreads.items()}, size).columns
    ratios = np.asarray(columns.get(RATIOS[0], []), dtype=float)
    held = ratios[np.isfinite(ratios)]
    pays = chance(f"{RATIOS[0]} > 1", held > 1.0)
    low, high = (significant(value, _DIGITS) for value in np.percentile(held, _PERCENTILES))
    left_out = f", {counted(size - held.size, 'draw')} infeasible" if held.size < size else ""
    drawn = f"{size:,} draws of {counted(len(spreads), 'constant')} in their ranges{left_out}"
    return (
        f"Hardwiring costs less than the {machine_name(str(scenario.beside))} fleet that generates as many tokens in "
        f"{percent(pays.probability, 0)} of draws (sampling: 95 % interval {percent(pays.low, 0)} to "
        f"{percent(pays.high, 0)}); "
        f"bought machines cost {low} to {high} times as much (5 to 95 % of {drawn}; "
        f"{counted(scenario.volume, 'system')}, {scenario.workload.describe()}, conventions {scenario.convention})."
    )
