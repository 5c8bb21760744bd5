"""What fronts say, in sentences made from their numbers."""

import numpy as np
import pandas as pd

from explorer.precision.fronts import Fronts
from explorer.precision.joint import JointFronts
from hwbase.numbers import plain

#: Two measured losses closer than this are called alike.
_ALIKE = 0.02
#: Bits on average that are too few to speak of.
_SAME_BITS = 0.05


def findings(found: Fronts) -> tuple[str, ...]:
    """Return sentences that compare the schemes of a set of fronts, on held-out inputs, and predictions with them."""
    column = f"loss_{found.metric}"
    said = [_mixed_against_uniform(found, column), _at_equal_bits(found, column)]
    said += [
        sentence
        for first, second, about in (
            ("power", "decibels", "Adding losses instead of decibels"),
            ("fused power", "power", "Fused layers sharing their bits"),
            ("decoupled decibels", "decibels", "Decoupling, with decibels as published,"),
            ("decoupled power", "power", "Decoupling, with losses added,"),
        )
        if (sentence := _compared(found.table, first, second, about, column))
    ]
    said.append(_predictions(found, column))
    return tuple(sentence for sentence in said if sentence)


def joint_findings(found: JointFronts) -> tuple[str, ...]:
    """Return sentences that compare the ways to choose pairs of widths, on held-out inputs."""
    table = found.table.rename(columns={"loss": "loss_", "loss_low": "loss__low", "loss_high": "loss__high"})
    said = [
        _compared(table, "joint", other, about, "loss_")
        for other, about in (
            ("apart", "Choosing pairs together instead of each side by itself"),
            ("decibels", "Adding losses instead of decibels"),
        )
    ]
    pairs = table[table["scheme"] == "joint"].sort_values("cost")
    for _, row in table[table["scheme"] == "uniform"].iterrows():
        as_good = pairs[pairs["loss_"] <= row["loss_"]]
        if len(as_good) and float(as_good["cost"].iloc[0]) < row["cost"]:
            best = as_good.iloc[0]
            said.append(
                f"W{row['mean_bits']:g}A{row['mean_act_bits']:g} for all layers loses {plain(row['loss_'])} for "
                f"{plain(row['cost'])} {found.unit}; pairs lose {plain(best['loss_'])} for {plain(best['cost'])}."
            )
    ratios = pairs["loss_"] / pairs["predicted"]
    if len(ratios):
        said.append(
            f"Measured losses of joint pairs are {plain(float(ratios.min()))} to {plain(float(ratios.max()))} times "
            f"the sum of their layers' own (median {plain(float(ratios.median()))})."
        )
    return tuple(sentence for sentence in said if sentence)


def _mixed_against_uniform(found: Fronts, column: str) -> str:
    """How many bits the best mixed allocation saves: the uniform loss reached with fewer."""
    uniform = found.table[found.table["scheme"] == "uniform"].sort_values("mean_bits")
    mixed = found.table[found.table["scheme"] != "uniform"]
    saved = []
    for _, row in uniform.iterrows():
        as_good = mixed[mixed[column] <= row[column]]
        if len(as_good) and (least := float(as_good["mean_bits"].min())) < row["mean_bits"] - _SAME_BITS:
            best = as_good.loc[as_good["mean_bits"].idxmin()]
            saved.append(f"{plain(row['mean_bits'])} with {plain(least)} ({best['scheme']})")
    if not saved:
        return "No mixed allocation is as good as a uniform one with fewer bits."
    return f"Mixed bits reach the loss of as many uniform ones with fewer: {', '.join(saved)}."


def _at_equal_bits(found: Fronts, column: str) -> str:
    """What adding losses gains over one width for all, at that width."""
    sides = [found.table[found.table["scheme"] == name].set_index("budget")[column] for name in ("uniform", "power")]
    both = pd.concat(sides, axis=1, keys=["uniform", "power"]).dropna()
    pairs = [f"{plain(row['power'])} for {plain(row['uniform'])} at {bits:g} bits" for bits, row in both.iterrows()]
    return f"Adding losses, against one width for all: {', '.join(pairs)}." if pairs else ""


def _compared(table: pd.DataFrame, first: str, second: str, about: str, column: str) -> str:
    """In how many budgets `first` has less measured loss than `second`, and by what factor (geometric mean)."""
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
        f"{about} is better in {better} and worse in {worse} of {len(budgets)} budgets, their 95 % intervals apart in "
        f"{int(apart.sum())}; the measured loss is {plain(float(np.exp(ratios.mean())))} times that of {second} "
        "(geometric mean)."
    )


def _predictions(found: Fronts, column: str) -> str:
    """How far sums of the layers' losses are from what was measured, on the same inputs and on held-out ones."""
    mixed = found.table[found.table["scheme"] != "uniform"]
    said = []
    for where, measured in (("held-out", column), ("the same", f"{column}_calibration")):
        ratios = mixed[measured] / mixed[f"{column}_predicted"]
        ratios = ratios[np.isfinite(ratios) & (ratios > 0)]
        if ratios.empty:
            return ""
        ends = f"{plain(float(ratios.min()))} to {plain(float(ratios.max()))}"
        said.append(f"{ends} times (median {plain(float(ratios.median()))}) on {where} inputs")
    return f"Measured losses of mixed allocations over the sum of their layers' own: {' and '.join(said)}."
