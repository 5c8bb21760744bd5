"""Bits spent by what was measured: allocations of several schemes over budgets, run for real on held-out inputs.

A scheme says what an allocation makes least. The published recipe (MixDQ, arXiv 2405.17873) adds decibels and splits
the layers into groups, each with a metric and a budget of its own; the split of the budget is found by running the
network on the calibration inputs. The alternative adds noise powers, as rounding errors of different layers do while
they are small and independent. Each allocation's predicted loss is the sum of its layers' measured ones.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from explorer.allocate import allocate
from explorer.precision.networks import Bits, Network
from explorer.precision.sensitivity import Maker, Report, Sensitivity, sensitivity
from explorer.precision.store import Store
from hwbase import InputError, Record, check, unknown_name

#: What each scheme makes least.
SCHEMES = {
    "uniform": "nothing: every layer has the same bits",
    "power": "the sum of losses, one budget for all layers",
    "decibels": "the negative sum of decibels, one budget for all layers",
    "decoupled decibels": "as published: decibels of each group's own metric, a budget for each group",
    "decoupled power": "losses of each group's own metric, a budget for each group",
}
#: Ratios of the first group's mean bits to the second's that decoupled schemes try.
RATIOS = (0.8, 1.0, 1.25, 1.6)
_RESAMPLES, _LEVEL = 2000, 0.95


@dataclass(frozen=True)
class Fronts(Record):
    """What `fronts` finds. `table` has a row for each scheme and budget, and `loss_NAME` for every metric.

    Of each loss there is the mean over held-out units with a bootstrap interval (`_low`, `_high`, 95 %), on the
    calibration inputs (`_calibration`), and the sum of the layers' own (`_predicted`); `ratio` is that of mean bits of
    the first group to the second, `mean_bits` what is really spent. `choices` has the bits of each layer in each row.
    """

    network: str
    what: str
    variant: str
    metric: str
    group_metrics: dict[str, str]
    units: int
    measured: Sensitivity
    table: pd.DataFrame
    choices: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """Return the table."""
        return self.table

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Names of the losses."""
        return self.measured.metrics


def fronts(
    make: Maker,
    make_held_out: Maker,
    *,
    network: Network | None = None,
    bits: Sequence[int],
    budgets: Sequence[float],
    what: str = "weights",
    metric: str | None = None,
    schemes: Sequence[str] = tuple(SCHEMES),
    variant: str = "",
    cache: str | Path | None = None,
    jobs: int = 1,
    report: Report | None = None,
) -> Fronts:
    """Return the losses of allocations of mean bits `budgets` by each of `schemes`, on calibration and held-out inputs.

    `make` returns the network on the inputs that sensitivities are measured on, `make_held_out` on others; `bits` are
    the widths to choose from, `what` "weights" or "activations", `metric` the loss that schemes without groups make
    little of (the network's first unless given). `variant` names what the makers were told. Everything
    measured is kept in the folder `cache`; `network` is what `make` returned, where it was called already. Raises
    `InputError` for unknown schemes, budgets outside the widths, and as `sensitivity` does.
    """
    for scheme in schemes:
        if scheme not in SCHEMES:
            raise unknown_name("scheme", scheme, SCHEMES)
    if what not in ("weights", "activations"):
        raise unknown_name("part to round", what, ("weights", "activations"))
    asked = np.atleast_1d(check.number("budgets", budgets, low=min(bits), high=max(bits)))
    network = make() if network is None else network
    metric = next(iter(network.metrics)) if metric is None else metric
    if metric not in network.metrics:
        raise unknown_name("metric", metric, network.metrics)
    found = sensitivity(make, network=network, bits=bits, what=what, cache=cache, jobs=jobs, report=report)
    at_hand, held_out = _Runs(network, what, cache), _Runs(make_held_out(), what, cache)
    planner = _Planner(found, at_hand, metric)
    plans = [(scheme, budget) for scheme in schemes for budget in _budgets_of(scheme, bits, asked)]
    rows, choices = [], []
    for number, (scheme, budget) in enumerate(plans):
        if report is not None:
            report(f"{scheme}, {budget:g} bits", number, len(plans))
        ratio, chosen = planner.plan(scheme, float(budget))
        rows.append(
            {"scheme": scheme, "budget": float(budget), "mean_bits": planner.mean_bits(chosen), "ratio": ratio}
            | planner.losses(chosen, held_out.losses(chosen))
        )
        choices.append({"scheme": scheme, "budget": float(budget)} | chosen)
    return Fronts(
        network=network.name,
        what=what,
        variant=variant,
        metric=metric,
        group_metrics=dict(network.group_metrics),
        units=len(next(iter(held_out.losses({}).values()))),
        measured=found,
        table=pd.DataFrame(rows),
        choices=pd.DataFrame(choices),
    )


def interval(values: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of the mean of `values` (units,); (NaN, NaN) if any is NaN."""
    if not np.isfinite(values).all():
        return float("nan"), float("nan")
    drawn = np.random.default_rng(seed).integers(len(values), size=(_RESAMPLES, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(low), float(high)


def _budgets_of(scheme: str, bits: Sequence[int], budgets: np.ndarray) -> Sequence[float]:
    return sorted(set(bits)) if scheme == "uniform" else [float(budget) for budget in budgets]


class _Runs:
    """Losses of whole allocations, kept like those of single layers."""

    def __init__(self, network: Network, what: str, cache: str | Path | None) -> None:
        self.network, self._what = network, what
        self._store = Store(cache, network.fingerprint)

    def losses(self, chosen: Mapping[str, int]) -> dict[str, np.ndarray]:
        """Return each loss of each unit with every layer in its bits."""
        digest = hashlib.blake2b(json.dumps(sorted(chosen.items())).encode(), digest_size=16).hexdigest()
        key = json.dumps(["allocation", self._what, digest])
        known = self._store.get(key)
        if known is None or not set(self.network.metrics) <= set(known):
            choice = {n: Bits(b) if self._what == "weights" else Bits(activations=b) for n, b in chosen.items()}
            known = {name: values.tolist() for name, values in self.network.losses(choice).items()}
            self._store.add(key, known)
        return {name: np.asarray(known[name], dtype=float) for name in self.network.metrics}


class _Planner:
    """Allocations by scheme, and what they are predicted to cost."""

    def __init__(self, found: Sensitivity, at_hand: _Runs, metric: str) -> None:
        self._table, self._at_hand, self.metric = found.table, at_hand, metric
        self._group_metrics = dict(at_hand.network.group_metrics)
        self._bits = sorted(set(self._table["bits"]))
        self._sizes = self._table.drop_duplicates("layer").set_index("layer")["size"]
        self._by_choice = self._table.set_index(["layer", "bits"])

    def plan(self, scheme: str, budget: float) -> tuple[float, dict[str, int]]:
        """Return (ratio of the groups' mean bits, bits of each layer)."""
        if scheme == "uniform":
            return 1.0, dict.fromkeys(self._sizes.index, int(budget))
        if not scheme.startswith("decoupled"):
            chosen = self._solved(self._decibels([self.metric]), scheme, {"budget": budget})
            return self._ratio(chosen), chosen
        frame = self._decibels([self._group_metrics[group] for group in self._table["group"]])
        tried = [self._solved(frame, scheme, {"groups": groups}) for groups in self._splits(budget)]
        # As published: of all splits the one that does best when it is run, here on the calibration inputs.
        means = [self._at_hand.losses(chosen)[self.metric].mean() for chosen in tried]
        best = tried[int(np.nanargmin(means))] if np.isfinite(means).any() else tried[0]
        return self._ratio(best), best

    def mean_bits(self, chosen: Mapping[str, int]) -> float:
        """Return the bits of a weight (or activation) on average."""
        return float(sum(self._sizes[name] * width for name, width in chosen.items()) / self._sizes.sum())

    def losses(self, chosen: Mapping[str, int], held_out: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Return the columns of `Fronts.table` for each metric."""
        calibration = self._at_hand.losses(chosen)
        rows = self._by_choice.loc[list(chosen.items())]
        found: dict[str, float] = {}
        for name, values in held_out.items():
            column = f"loss_{name}"
            low, high = interval(values)
            found |= {column: float(values.mean()), f"{column}_low": low, f"{column}_high": high}
            found[f"{column}_calibration"] = float(calibration[name].mean())
            found[f"{column}_predicted"] = float(rows[column].sum())
        return found

    def _solved(self, frame: pd.DataFrame, scheme: str, budget: dict[str, Any]) -> dict[str, int]:
        objective = "score:decibels" if scheme.endswith("decibels") else "noise:decibels"
        found = allocate(frame, objective=objective, **budget)
        return {name: int(width) for name, width in found.bits.items()}

    def _decibels(self, metrics: Sequence[str]) -> pd.DataFrame:
        """Return the table with `decibels` of the loss that each row is judged by."""
        table = self._table
        names = list(metrics) * (len(table) if len(metrics) == 1 else 1)
        losses = np.array([table.at[i, f"loss_{name}"] for i, name in zip(table.index, names, strict=True)])
        return table[["layer", "group", "bits", "size"]].assign(decibels=-10.0 * np.log10(losses))

    def _splits(self, budget: float) -> list[dict[str, float]]:
        """Return mean bits of both groups for each ratio K that the widths allow, the mean over all being `budget`.

        m_2 = A (1 + r) / (1 + K r) and m_1 = K m_2, with r the size of the first group over that of the second.
        """
        first, second = self._group_metrics
        sizes = self._table.drop_duplicates("layer").groupby("group")["size"].sum()
        r = float(sizes[first] / sizes[second])
        seconds = [budget * (1 + r) / (1 + ratio * r) for ratio in RATIOS]
        pairs = [(ratio * other, other) for ratio, other in zip(RATIOS, seconds, strict=True)]
        low, high = self._bits[0], self._bits[-1]
        found = [{first: a, second: b} for a, b in pairs if low <= min(a, b) and max(a, b) <= high]
        if not found:
            raise InputError(f"budget = {budget:g}: expected room for two groups between {low} and {high} bits")
        return found

    def _ratio(self, chosen: Mapping[str, int]) -> float:
        first, second = (
            self.mean_bits({n: chosen[n] for n in names}) * self._sizes.sum() / self._sizes[names].sum()
            for names in (self._names(group) for group in self._group_metrics)
        )
        return first / second

    def _names(self, group: str) -> list[str]:
        layers = self._table.drop_duplicates("layer")
        return list(layers[layers["group"] == group]["layer"])
