"""One budget: improve an allocation by the best change of one unit or of two, until none is left."""

import numpy as np

#: Rounds of exchanges; each must gain something.
_ROUNDS = 30


def exchange(units: np.ndarray, costs: np.ndarray, losses: np.ndarray, limit: int, pick: np.ndarray) -> np.ndarray:
    """Return a choice no worse than `pick` int array (units,), and within `limit` if that is.

    Each round looks at all pairs of changes in the time it takes to sort them: in order of cost, the best partner of a
    change is the best among those that what is left of the budget still pays for.

    Parameters
    ----------
    units : ndarray of int, (N,)
        Unit of each option, in order.
    costs : ndarray of int, (N,)
        Whole costs of the options.
    losses : ndarray, (N,)
        Losses of the options.
    limit : int
        Budget: the greatest sum of costs.
    pick : ndarray of int, (units,)
        The option of each unit to start from; it is not changed.
    """
    pick = pick.copy()
    order = np.argsort(costs - costs[pick][units], kind="stable")
    for _ in range(_ROUNDS):
        extra, gain = costs - costs[pick][units], losses - losses[pick][units]
        order = order[np.argsort(extra[order], kind="stable")]
        extra, gain, unit = extra[order], gain[order], units[order]
        left = limit - int(costs[pick].sum())
        # Place, at each point of the order, of the best change so far: staying as it is costs and gains nothing.
        best = np.maximum.accumulate(np.where(gain <= np.minimum.accumulate(gain), np.arange(gain.size), 0))
        reach = np.searchsorted(extra, left - extra, side="right") - 1
        partner = best[np.maximum(reach, 0)]
        total = np.where((reach >= 0) & (unit != unit[partner]), gain + gain[partner], np.inf)
        first = int(total.argmin())
        if not total[first] < 0.0:
            break
        for change in (first, int(partner[first])):
            pick[unit[change]] = order[change]
    return pick
