"""Bits allocated from measured losses, by several schemes over budgets, and run on held-out inputs.

A scheme defines the objective of an allocation. The published recipe (MixDQ, arXiv 2405.17873) adds decibels and splits
the layers into groups, each with its own metric and budget; the split of the budget is found by running the network on
the calibration inputs. The alternative adds noise powers, as rounding errors of different layers add while they are
small and independent. The predicted loss of an allocation is the sum of its layers' measured losses.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from explorer.allocation.allocate import allocate
from explorer.precision.networks import Network
from explorer.precision.runs import Runs, interval, of_kind
from explorer.precision.sensitivity import Maker, Sensitivity, sensitivity
from explorer.progress import Report
from hwbase import InputError, Record, check, unknown_name

#: The objective of each scheme.
SCHEMES = {
    "uniform": "none: every layer has the same bits",
    "power": "the sum of losses, one budget for all layers",
    "fused power": "the sum of losses, with equal bits for layers that read the same input",
    "decibels": "the negative sum of decibels, one budget for all layers",
    "decoupled decibels": "as published: decibels of each group's own metric, a budget for each group",
    "decoupled power": "losses of each group's own metric, a budget for each group",
}
#: Ratios of mean bits of the first group to the second that decoupled schemes try.
RATIOS = (0.8, 1.0, 1.25, 1.6)


@dataclass(frozen=True)
class Fronts(Record):
    """The result of `fronts`. `table` has a row for each scheme and budget, with `loss_NAME` for every metric.

    Each loss has its mean over held-out units with a 95 % bootstrap interval (`_low`, `_high`), the mean on the
    calibration inputs (`_calibration`), and the sum of layer losses (`_predicted`); `ratio` is that of mean bits of the
    first group to the second, `mean_bits` the bits spent. `choices` has the bits of each layer in each row.
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

    `make` returns the network on the inputs of the sensitivities, `make_held_out` on others; `bits` are the allowed
    widths, `what` is "weights" or "activations", `metric` the loss that schemes without groups minimise (by default the
    network's first). `variant` is a label of the makers' settings. Measurements are stored in the folder `cache`;
    `network` is the result of `make` if it exists already. Raises `InputError` for unknown schemes, budgets outside the
    widths, and as `sensitivity` does.
    """
    for scheme in schemes:
        if scheme not in SCHEMES:
            raise unknown_name("scheme", scheme, SCHEMES)
    if what not in ("weights", "activations"):
        raise unknown_name("part to round", what, ("weights", "activations"))
    budgets_bits = np.atleast_1d(check.number("budgets", budgets, low=min(bits), high=max(bits)))
    network = make() if network is None else network
    metric = next(iter(network.metrics)) if metric is None else metric
    if metric not in network.metrics:
        raise unknown_name("metric", metric, network.metrics)
    # Check before the long part, so that errors are reported at once.
    held_out = Runs(make_held_out(), cache)
    measured = sensitivity(make, network=network, bits=bits, what=what, cache=cache, jobs=jobs, report=report)
    at_hand = Runs(network, cache)
    planner = _Planner(measured, at_hand, metric, what)
    plans = [(scheme, budget) for scheme in schemes for budget in _budgets_of(scheme, bits, budgets_bits)]
    rows, choices = [], []
    for number, (scheme, budget) in enumerate(plans):
        if report is not None:
            report(f"{scheme}, {budget:g} bits", number, len(plans))
        ratio, chosen = planner.plan(scheme, float(budget))
        rows.append(
            {"scheme": scheme, "budget": float(budget), "mean_bits": planner.mean_bits(chosen), "ratio": ratio}
            | planner.losses(chosen, held_out.losses(of_kind(chosen, what)))
        )
        choices.append({"scheme": scheme, "budget": float(budget)} | chosen)
    return Fronts(
        network=network.name,
        what=what,
        variant=variant,
        metric=metric,
        group_metrics=dict(network.group_metrics),
        units=len(next(iter(held_out.losses({}).values()))),
        measured=measured,
        table=pd.DataFrame(rows),
        choices=pd.DataFrame(choices),
    )


def _budgets_of(scheme: str, bits: Sequence[int], budgets: np.ndarray) -> Sequence[float]:
    return sorted(set(bits)) if scheme == "uniform" else [float(budget) for budget in budgets]


class _Planner:
    """Allocations by scheme, with their predicted losses."""

    def __init__(self, measured: Sensitivity, at_hand: Runs, metric: str, what: str) -> None:
        self._table, self._at_hand, self.metric, self._what = measured.table, at_hand, metric, what
        self._group_metrics = dict(at_hand.network.group_metrics)
        self._bits = sorted(set(self._table["bits"]))
        self._sizes = self._table.drop_duplicates("layer").set_index("layer")["size"]
        self._by_choice = self._table.set_index(["layer", "bits"])

    def plan(self, scheme: str, budget: float) -> tuple[float, dict[str, int]]:
        """Return (ratio of the groups' mean bits, bits of each layer)."""
        if scheme == "uniform":
            return 1.0, dict.fromkeys(self._sizes.index, int(budget))
        if not scheme.startswith("decoupled"):
            ties = {"ties": self._ties()} if scheme.startswith("fused") else {}
            chosen = self._solved(self._decibels([self.metric]), scheme, {"budget": budget} | ties)
            return self._ratio(chosen), chosen
        frame = self._decibels([self._group_metrics[group] for group in self._table["group"]])
        tried = [self._solved(frame, scheme, {"groups": groups}) for groups in self._splits(budget)]
        # As published: of all splits the one with the least loss in a run, here on the calibration inputs.
        means = [self._at_hand.losses(of_kind(chosen, self._what))[self.metric].mean() for chosen in tried]
        best = tried[int(np.nanargmin(means))] if np.isfinite(means).any() else tried[0]
        return self._ratio(best), best

    def mean_bits(self, chosen: Mapping[str, int]) -> float:
        """Return the mean bits of a weight (or activation)."""
        return float(sum(self._sizes[name] * width for name, width in chosen.items()) / self._sizes.sum())

    def losses(self, chosen: Mapping[str, int], held_out: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Return the columns of `Fronts.table` for each metric."""
        calibration = self._at_hand.losses(of_kind(chosen, self._what))
        rows = self._by_choice.loc[list(chosen.items())]
        losses: dict[str, float] = {}
        for name, values in held_out.items():
            column = f"loss_{name}"
            low, high = interval(values)
            losses |= {column: float(values.mean()), f"{column}_low": low, f"{column}_high": high}
            losses[f"{column}_calibration"] = float(calibration[name].mean())
            losses[f"{column}_predicted"] = float(rows[column].sum())
        return losses

    def _solved(self, frame: pd.DataFrame, scheme: str, budgets: dict[str, Any]) -> dict[str, int]:
        objective = "score:decibels" if scheme.endswith("decibels") else "noise:decibels"
        result = allocate(frame, objective=objective, **budgets)
        return {name: int(width) for name, width in result.bits.items()}

    def _decibels(self, metrics: Sequence[str]) -> pd.DataFrame:
        """Return the table with `decibels` of the loss of each row's metric."""
        table = self._table
        names = list(metrics) * (len(table) if len(metrics) == 1 else 1)
        losses = np.array([table.at[i, f"loss_{name}"] for i, name in zip(table.index, names, strict=True)])
        return table[["layer", "group", "bits", "size"]].assign(decibels=-10.0 * np.log10(losses))

    def _ties(self) -> list[list[str]]:
        """Return the groups of layers that share their bits. Raises `InputError` if there are none."""
        layers = pd.DataFrame([(layer.name, layer.fused) for layer in self._at_hand.network.layers])
        ties = [list(names) for fused, names in layers.groupby(1)[0] if fused]
        if not ties:
            raise InputError(
                f"scheme 'fused power': {self._at_hand.network.name} has no layers that read the same input"
            )
        return ties

    def _splits(self, budget: float) -> list[dict[str, float]]:
        """Return mean bits of both groups for each ratio K within the widths, with an overall mean of `budget`.

        m_2 = A (1 + r) / (1 + K r) and m_1 = K m_2, with r the size of the first group over that of the second.
        """
        first, second = self._group_metrics
        sizes = self._table.drop_duplicates("layer").groupby("group")["size"].sum()
        r = float(sizes[first] / sizes[second])
        seconds = [budget * (1 + r) / (1 + ratio * r) for ratio in RATIOS]
        pairs = [(ratio * other, other) for ratio, other in zip(RATIOS, seconds, strict=True)]
        low, high = self._bits[0], self._bits[-1]
        splits = [{first: a, second: b} for a, b in pairs if low <= min(a, b) and max(a, b) <= high]
        if not splits:
            raise InputError(f"budget = {budget:g}: expected room for two groups between {low} and {high} bits")
        return splits

    def _ratio(self, chosen: Mapping[str, int]) -> float:
        first, second = (
            self.mean_bits({n: chosen[n] for n in names}) * self._sizes.sum() / self._sizes[names].sum()
            for names in (self._names(group) for group in self._group_metrics)
        )
        return first / second

    def _names(self, group: str) -> list[str]:
        layers = self._table.drop_duplicates("layer")
        return list(layers[layers["group"] == group]["layer"])
