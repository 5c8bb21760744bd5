"""What fronts say, in sentences made from their numbers."""

import numpy as np
import pandas as pd

from explorer.figures.numbers import plain
from explorer.precision.fronts import Fronts

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
            ("decoupled decibels", "decibels", "Decoupling, with decibels as published,"),
            ("decoupled power", "power", "Decoupling, with losses added,"),
        )
        if (sentence := _compared(found.table, first, second, about, column))
    ]
    said.append(_predictions(found, column))
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
    sides = [table[table["scheme"] == name].set_index("budget")[column] for name in (first, second)]
    both = pd.concat(sides, axis=1, keys=["first", "second"]).dropna()
    both = both[(both > 0).all(axis=1)]
    if both.empty:
        return ""
    ratios = np.log(both["first"] / both["second"])
    better, worse = int((ratios < -_ALIKE).sum()), int((ratios > _ALIKE).sum())
    factor = float(np.exp(ratios.mean()))
    return (
        f"{about} is better in {better} and worse in {worse} of {len(both)} budgets; the measured loss is "
        f"{plain(factor)} times that of {second} (geometric mean)."
    )


def _predictions(found: Fronts, column: str) -> str:
    """How far sums of the layers' losses are from what was measured."""
    mixed = found.table[(found.table["scheme"] != "uniform") & (found.table[column] > 0)]
    ratios = mixed[column] / mixed[f"{column}_predicted"]
    ratios = ratios[np.isfinite(ratios)]
    if ratios.empty:
        return ""
    return (
        f"Measured losses of mixed allocations are {plain(float(ratios.min()))} to {plain(float(ratios.max()))} times "
        f"the sum of their layers' own, {plain(float(ratios.median()))} in the median."
    )
