"""Search in place of sampling: Optuna's NSGA-II proposes a generation of points and learns from their results.

NSGA-II: Deb, Pratap, Agarwal and Meyarivan, IEEE Trans. Evolutionary Computation 6(2), 2002.
"""

from typing import Any

import numpy as np
import pandas as pd

from explorer.pareto import costs_of
from explorer.study.sampling import otherwise
from explorer.study.space import Choice, Integer, active
from explorer.study.spec import Study
from hwbase import InputError

#: The objective values of a failed point: worse than any built design.
_WORST = 1e300


class Search:
    """A search that repeats itself: equal seeds and results give equal points, so it can be replayed."""

    def __init__(self, study: Study) -> None:
        optuna = _optuna()
        self._study = study
        self._dimensions = {name: _distribution(optuna, each) for name, each in study.space.items()}
        sampler = optuna.samplers.NSGAIISampler(population_size=study.population, seed=study.seed)
        self._search = optuna.create_study(directions=["minimize"] * len(study.objectives), sampler=sampler)
        self._asked: list[Any] = []

    def ask(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """Return the columns "point" and parameters of the next points, `start` to `stop`."""
        self._asked = [self._search.ask(self._dimensions) for _ in range(start, stop)]
        columns: dict[str, np.ndarray] = {"point": np.arange(start, stop, dtype=np.int64)}
        for name, each in self._study.space.items():
            values = [trial.params[name] for trial in self._asked]
            if isinstance(each, Choice):
                columns[name] = each.grid(name)[np.array(values)]
            else:
                columns[name] = np.array(values, dtype=np.int64 if isinstance(each, Integer) else float)
        holds_of = {name: active(self._study.space, columns, name) for name in self._study.space}
        for name, holds in holds_of.items():
            if holds is not None:
                columns[name] = otherwise(self._study.space[name], columns[name], holds)
        return columns

    def tell(self, table: pd.DataFrame) -> None:
        """Take the results of the points that `ask` returned last."""
        costs = np.nan_to_num(_costs(self._study, table), nan=_WORST)
        # Optuna takes a constraint as met where its value is not above 0.
        broken = {name: ~table[f"meets {name}"].to_numpy(dtype=bool) for name in self._study.constraints}
        broken["not to fail"] = table["failure"].notna().to_numpy()
        for i, (trial, values) in enumerate(zip(self._asked, costs, strict=True)):
            for name, holds_not in broken.items():
                trial.set_constraint(name, float(holds_not[i]))
            self._search.tell(trial, values.tolist())


def _costs(study: Study, table: pd.DataFrame) -> np.ndarray:
    # If all points of a generation failed, the objectives' columns are missing.
    whole = table.reindex(columns=[*study.objectives]) if not {*study.objectives} <= {*table.columns} else table
    return costs_of(whole, study.objectives)


def _distribution(optuna: Any, each: Any) -> Any:
    if isinstance(each, Choice):
        # Indices of the choices, so that a choice may have any type.
        return optuna.distributions.CategoricalDistribution(list(range(len(each.choices))))
    kind = optuna.distributions.IntDistribution if isinstance(each, Integer) else optuna.distributions.FloatDistribution
    return kind(each.low, each.high, log=each.log)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise InputError("sampler 'nsga2' needs Optuna: pip install 'hwsim[study]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
