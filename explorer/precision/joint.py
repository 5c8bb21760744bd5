"""Weights and activations together: a pair of widths for each layer within a machine's budget.

A machine prices every pair of every layer (`explorer.cost_table`); the loss of a pair is the sum of the losses of its
sides, each measured alone. There are four ways to allocate: one pair for all layers ("uniform"); one programme over all
pairs that minimises the sum of losses ("joint") or maximises that of decibels ("decibels"); and, as published (MixDQ,
arXiv 2405.17873), separate programmes for weights and activations with mean bits of their own ("apart"), of whose
combinations within the budget the one with the least predicted loss is taken.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from explorer.allocation.allocate import allocate
from explorer.allocation.costs import cost_table
from explorer.precision.networks import Bits, Network
from explorer.precision.runs import Runs, interval
from explorer.precision.sensitivity import Maker, sensitivity
from explorer.progress import Report
from hwbase import Record, check, unknown_name

SCHEMES = ("uniform", "joint", "decibels", "apart")
#: Number of mean bits that "apart" combines, evenly spaced between the widths.
_MEANS = 65


@dataclass(frozen=True)
class JointFronts(Record):
    """The result of `joint_fronts`; `table` has a row for each scheme and budget.

    `budget` and `cost` are in the column `unit` of the machine's costs; `mean_bits` and `mean_act_bits` are means over
    weights and over entering activations; `loss` is in `metric` over `units` held-out units with its 95 % interval,
    `predicted` the sum over layers. `choices` has [weight bits, activation bits] of each layer in each row.
    """

    network: str
    hardware: str
    unit: str
    metric: str
    units: int
    table: pd.DataFrame
    choices: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """Return the table."""
        return self.table


def joint_fronts(
    make: Maker,
    make_held_out: Maker,
    *,
    network: Network | None = None,
    held_out: Network | None = None,
    weight_bits: Sequence[int],
    activation_bits: Sequence[int],
    hardware: str,
    unit: str = "mJ",
    points: int = 6,
    schemes: Sequence[str] = SCHEMES,
    cache: str | Path | None = None,
    jobs: int = 1,
    report: Report | None = None,
) -> JointFronts:
    """Return the losses of pairs of widths within budgets of `unit` on `hardware` (see `explorer.cost_table`).

    `points` budgets are evenly spaced between the cheapest and the dearest choice, both excluded. `make` and
    `make_held_out` are as in `fronts`; `network` and `held_out` are their results if they exist already. Raises
    `InputError` for unknown schemes, machines, or units, and as `sensitivity` does.
    """
    for scheme in schemes:
        if scheme not in SCHEMES:
            raise unknown_name("scheme", scheme, SCHEMES)
    check.count("points", points, high=1000)
    network = make() if network is None else network
    runs = Runs(make_held_out() if held_out is None else held_out, cache)
    shared: dict[str, Any] = {"network": network, "cache": cache, "jobs": jobs, "report": report}
    weights = sensitivity(make, bits=weight_bits, what="weights", **shared)
    activations = sensitivity(make, bits=activation_bits, what="activations", **shared)
    priced = cost_table(_pairs(weights.table, activations.table), hardware)
    if unit not in priced:
        raise unknown_name("unit", unit, [name for name in ("ms", "mJ", "mm2") if name in priced])
    metric = next(iter(network.metrics))
    rows, choices = [], []
    plans = list(_plans(priced, unit, int(points), schemes))
    for number, (scheme, budget, chosen) in enumerate(plans):
        if report is not None:
            report(f"{scheme}, {budget:.4g} {unit}", number, len(plans))
        losses = runs.losses(chosen)[metric]
        low, high = interval(losses)
        keys = [(name, bits.weights, bits.activations) for name, bits in chosen.items()]
        picked = priced.set_index(["layer", "bits", "act_bits"]).loc[keys].reset_index()
        rows.append(
            {
                "scheme": scheme,
                "budget": budget,
                "cost": float(picked[unit].sum()),
                "mean_bits": _mean(picked["bits"], picked["size"]),
                "mean_act_bits": _mean(picked["act_bits"], picked["act_size"]),
                "loss": float(losses.mean()),
                "loss_low": low,
                "loss_high": high,
                "predicted": float(picked["loss"].sum()),
            }
        )
        names = {name: list(bits) for name, bits in chosen.items()}
        choices.append({"scheme": scheme, "budget": budget} | names)
    return JointFronts(
        network=network.name,
        hardware=hardware,
        unit=unit,
        metric=metric,
        units=len(losses),
        table=pd.DataFrame(rows),
        choices=pd.DataFrame(choices),
    )


def _pairs(weights: pd.DataFrame, activations: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each layer and pair of widths, with the loss of each side and their sum."""
    sides = activations[["layer", "bits", "size", "loss"]].rename(
        columns={"bits": "act_bits", "size": "act_size", "loss": "act_loss"}
    )
    pairs = weights.merge(sides, on="layer", sort=False).rename(columns={"loss": "weight_loss"})
    total = pairs["weight_loss"] + pairs["act_loss"]
    return pairs.assign(loss=total, decibels=-10.0 * np.log10(total))


def _plans(
    priced: pd.DataFrame, unit: str, points: int, schemes: Sequence[str]
) -> Iterator[tuple[str, float, dict[str, Bits]]]:
    """Yield (scheme, budget, widths of each layer)."""
    least, most = (float(priced.groupby("layer")[unit].agg(side).sum()) for side in ("min", "max"))
    budgets = np.linspace(least, most, points + 2)[1:-1].tolist()
    sides = _Sides(priced, unit) if "apart" in schemes else None
    for scheme in schemes:
        if scheme == "uniform":
            for _, rows in priced.groupby(["bits", "act_bits"]):
                pair = _bits(rows["bits"].iloc[0], rows["act_bits"].iloc[0])
                yield scheme, float(rows[unit].sum()), dict.fromkeys(rows["layer"], pair)
        elif sides is not None and scheme == "apart":
            for budget in budgets:
                yield scheme, budget, sides.best(budget)
        else:
            objective = "score:decibels" if scheme == "decibels" else "loss"
            for budget in budgets:
                result = allocate(priced, objective=objective, constraints=[f"{unit}<={budget!r}"])
                widths = result.act_bits or {}
                yield scheme, budget, {name: _bits(b, widths[name]) for name, b in result.bits.items()}


class _Sides:
    """Separate allocations of weights and of activations, and their sums."""

    def __init__(self, priced: pd.DataFrame, unit: str) -> None:
        self._weights = _side(priced, "bits", "size", "weight_loss")
        self._activations = _side(priced, "act_bits", "act_size", "act_loss")
        pairs = priced.set_index(["layer", "bits", "act_bits"])
        names = list(dict.fromkeys(priced["layer"]))
        widths = [sorted(set(priced[column])) for column in ("bits", "act_bits")]
        grid = pairs.reindex(pd.MultiIndex.from_product([names, *widths]))
        shape = len(names), len(widths[0]), len(widths[1])
        sides = [
            np.array([[known.index(chosen[name]) for name in names] for chosen in several])
            for known, several in zip(widths, (self._weights, self._activations), strict=True)
        ]
        rows = np.arange(len(names))
        #: Cost and loss of each allocation of weights (rows) with each of activations.
        self._cost, self._loss = (
            grid[column].to_numpy().reshape(shape)[rows, sides[0][:, None], sides[1][None]].sum(axis=-1)
            for column in (unit, "loss")
        )

    def best(self, budget: float) -> dict[str, Bits]:
        """Return the combination with the least predicted loss within the budget, or the cheapest if there is none."""
        within = self._cost <= budget
        ranked = np.where(within, self._loss, np.inf) if within.any() else self._cost
        one, other = np.unravel_index(int(np.argmin(ranked)), ranked.shape)
        activations = self._activations[other]
        return {name: _bits(width, activations[name]) for name, width in self._weights[one].items()}


def _side(priced: pd.DataFrame, bits: str, size: str, loss: str) -> list[dict[str, float]]:
    """Return the allocations of one side over its mean bits."""
    table = priced.drop_duplicates(["layer", bits])[["layer", bits, size, loss]]
    table = table.set_axis(["layer", "bits", "size", "loss"], axis=1)
    return [allocate(table, float(mean)).bits for mean in np.linspace(table["bits"].min(), table["bits"].max(), _MEANS)]


def _bits(weights: float, activations: float) -> Bits:
    return Bits(int(weights), int(activations))


def _mean(bits: pd.Series, sizes: pd.Series) -> float:
    return float((bits * sizes).sum() / sizes.sum())
