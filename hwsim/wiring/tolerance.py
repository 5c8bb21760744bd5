"""The tolerance of a network to faults: any measure of its quality against the fault rate of its wiring.

The measure is a function of the FP4 codes of all matrices, so this module is independent of the network: perplexity of
a language model, error of an operator. HNLPU, ASPLOS '26 (doi 10.1145/3779212.3790169) argues that yield hardly matters
to cost.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from hwbase import InputError, unknown_name
from hwsim.wiring.faults import draw_faults, faulty_codes

#: Kinds of fault that can be expressed as other codes.
FAULT_KINDS = ("wire", "input", "region_zero", "neuron")
#: Default rates.
FAULT_RATES = (1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
#: Called with (measures done, measures in all).
Progress = Callable[[int, int], None]


def measure_over_faults(
    measure: Callable[[Mapping[str, np.ndarray]], float],
    codes: Mapping[str, np.ndarray],
    kinds: Sequence[str] = FAULT_KINDS,
    rates: Sequence[float] = FAULT_RATES,
    seeds: Sequence[int] = (0,),
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Return the measure of a model whose wires, input nets, regions (stuck at zero) or neurons fail at each rate.

    `measure` takes the codes uint8 (inputs, outputs) of every matrix by name and returns a number > 0, such as a
    perplexity. Columns: kind, rate, seed, value, ratio (over no faults; rate 0 is the first row of each kind). Raises
    `InputError` for an unknown kind, a rate outside [0, 1] or a measure that is not > 0 without faults.
    """
    for kind in kinds:
        if kind not in FAULT_KINDS:
            raise unknown_name("kind of fault", kind, FAULT_KINDS)
    total = 1 + len(kinds) * len(rates) * len(seeds)
    tell = progress or (lambda done, of: None)
    perfect = float(measure(codes))
    tell(1, total)
    if not perfect > 0.0:
        raise InputError(f"measure without faults = {perfect:g}: expected a number > 0")
    rows: list[dict[str, str | float]] = []
    taken = 1
    for kind in kinds:
        rows.append({"kind": kind, "rate": 0.0, "seed": -1, "value": perfect, "ratio": 1.0})
        for rate in rates:
            for seed in seeds:
                random = np.random.default_rng(seed)
                broken = {name: _broken(values, random, kind, rate) for name, values in codes.items()}
                value = float(measure(broken))
                rows.append({"kind": kind, "rate": rate, "seed": seed, "value": value, "ratio": value / perfect})
                taken += 1
                tell(taken, total)
    return pd.DataFrame(rows)


def tolerable_rates(frame: pd.DataFrame, allowed_ratio: float = 1.01) -> dict[str, float]:
    """Return the rate of each kind of fault at which the measure has grown by `allowed_ratio`, from the curve's means.

    The excess over 1 is interpolated linearly between rates, from 0 at rate 0 on; where the whole curve stays below,
    the greatest rate is returned. Raises `InputError` for a ratio <= 1.
    """
    if not allowed_ratio > 1.0:
        raise InputError(f"allowed_ratio = {allowed_ratio}: expected more than 1")
    rates = {}
    for kind, rows in frame[frame["rate"] > 0].groupby("kind", sort=False):
        mean = rows.groupby("rate")["ratio"].mean()
        # Where faults are few a ratio may fall below 1 by chance; more faults never count as an improvement.
        excess = np.maximum.accumulate([0.0, *(mean.to_numpy() - 1.0)])
        rates[str(kind)] = float(np.interp(allowed_ratio - 1.0, excess, [0.0, *mean.index.to_numpy(float)]))
    return rates


def _broken(codes: np.ndarray, random: np.random.Generator, kind: str, rate: float) -> np.ndarray:
    inputs, outputs = codes.shape
    rates: dict[str, float] = {kind: rate}
    return faulty_codes(codes, draw_faults(inputs, outputs, random, **rates))
