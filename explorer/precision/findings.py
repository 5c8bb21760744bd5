"""Findings of fronts, as sentences made from their numbers."""

import numpy as np
import pandas as pd

from explorer.precision.fronts import Fronts
from explorer.precision.joint import JointFronts
from hwbase.numbers import plain

#: Two measured losses closer than this count as equal.
_ALIKE = 0.02
#: Savings of fewer mean bits than this are not mentioned.
_SAME_BITS = 0.05


def findings(result: Fronts) -> tuple[str, ...]:
    """Return sentences that compare the schemes and the predictions of a set of fronts, on held-out inputs."""
    column = f"loss_{result.metric}"
    lines = [_mixed_against_uniform(result, column), _at_equal_bits(result, column)]
    lines += [
        sentence
        for first, second, about in (
            ("power", "decibels", "Adding losses instead of decibels"),
            ("fused power", "power", "Fused layers sharing their bits"),
            ("decoupled decibels", "decibels", "Decoupling, with decibels as published,"),
            ("decoupled power", "power", "Decoupling, with losses added,"),
        )
        if (sentence := _compared(result.table, first, second, about, column))
    ]
    lines.append(_predictions(result, column))
    return tuple(sentence for sentence in lines if sentence)


def joint_findings(result: JointFronts) -> tuple[str, ...]:
    """Return sentences that compare the ways to choose pairs of widths, on held-out inputs."""
    table = result.table.rename(columns={"loss": "loss_", "loss_low": "loss__low", "loss_high": "loss__high"})
    lines = [
        _compared(table, "joint", other, about, "loss_")
        for other, about in (
            ("apart", "Choosing pairs jointly instead of each side alone"),
            ("decibels", "Adding losses instead of decibels"),
        )
    ]
    pairs = table[table["scheme"] == "joint"].sort_values("cost")
    for _, row in table[table["scheme"] == "uniform"].iterrows():
        as_good = pairs[pairs["loss_"] <= row["loss_"]]
        if len(as_good) and float(as_good["cost"].iloc[0]) < row["cost"]:
            best = as_good.iloc[0]
            lines.append(
                f"W{row['mean_bits']:g}A{row['mean_act_bits']:g} for all layers has a loss of {plain(row['loss_'])} "
                f"for {plain(row['cost'])} {result.unit}; pairs have {plain(best['loss_'])} for {plain(best['cost'])}."
            )
    ratios = pairs["loss_"] / pairs["predicted"]
    if len(ratios):
        lines.append(
            f"Measured losses of joint pairs are {plain(float(ratios.min()))} to {plain(float(ratios.max()))} times "
            f"the sum of the layer losses (median {plain(float(ratios.median()))})."
        )
    return tuple(sentence for sentence in lines if sentence)


def _mixed_against_uniform(result: Fronts, column: str) -> str:
    """Return how many bits the best mixed allocation saves at the loss of a uniform one."""
    uniform = result.table[result.table["scheme"] == "uniform"].sort_values("mean_bits")
    mixed = result.table[result.table["scheme"] != "uniform"]
    saved = []
    for _, row in uniform.iterrows():
        as_good = mixed[mixed[column] <= row[column]]
        if len(as_good) and (least := float(as_good["mean_bits"].min())) < row["mean_bits"] - _SAME_BITS:
            best = as_good.loc[as_good["mean_bits"].idxmin()]
            saved.append(f"{plain(row['mean_bits'])} with {plain(least)} ({best['scheme']})")
    if not saved:
        return "No mixed allocation is as good as a uniform one with fewer bits."
    return f"Mixed allocations reach the loss of uniform ones with fewer bits: {', '.join(saved)}."


def _at_equal_bits(result: Fronts, column: str) -> str:
    """Return the loss of added losses against one width for all, at equal bits."""
    sides = [result.table[result.table["scheme"] == name].set_index("budget")[column] for name in ("uniform", "power")]
    both = pd.concat(sides, axis=1, keys=["uniform", "power"]).dropna()
    pairs = [f"{plain(row['power'])} for {plain(row['uniform'])} at {bits:g} bits" for bits, row in both.iterrows()]
    return f"Loss of “power” and of one width for all: {', '.join(pairs)}." if pairs else ""


def _compared(table: pd.DataFrame, first: str, second: str, about: str, column: str) -> str:
    """Return in how many budgets `first` has less measured loss than `second`, and the mean factor (geometric)."""
    sides = [table[table["scheme"] == name].set_index("budget") for name in (first, second)]
    one, other = (side[side[column] > 0] for side in sides)
    budgets = one.index.intersection(other.index)
    if budgets.empty:
        return ""
    one, other = one.loc[budgets], other.loc[budgets]
    ratios = np.log(one[column] / other[column])
    better, worse = int((ratios < -_ALIKE).sum()), int((ratios > _ALIKE).sum())
    apart = (one[f"{column}_high"] < other[f"{column}_low"]) | (other[f"{column}_high"] < one[f"{column}_low"])
    return (
        f"{about} is better in {better} and worse in {worse} of {len(budgets)} budgets, with separate 95 % intervals "
        f"in {int(apart.sum())}; the measured loss is {plain(float(np.exp(ratios.mean())))} times that of {second} "
        "(geometric mean)."
    )


def _predictions(result: Fronts, column: str) -> str:
    """Return the ratio of measured losses to the sums of layer losses, on calibration and held-out inputs."""
    mixed = result.table[result.table["scheme"] != "uniform"]
    lines = []
    for where, measured in (("held-out", column), ("the same", f"{column}_calibration")):
        ratios = mixed[measured] / mixed[f"{column}_predicted"]
        ratios = ratios[np.isfinite(ratios) & (ratios > 0)]
        if ratios.empty:
            return ""
        ends = f"{plain(float(ratios.min()))} to {plain(float(ratios.max()))}"
        lines.append(f"{ends} times (median {plain(float(ratios.median()))}) on {where} inputs")
    return f"Measured losses of mixed allocations divided by the sum of the layer losses: {' and '.join(lines)}."
