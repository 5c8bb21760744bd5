"""The slack that real weights need: spare POPCNT ports, so that a given share of neurons fits.

The HNLPU paper (ASPLOS '26, doi 10.1145/3779212.3790169) states that regions need slack for unbalanced histograms and
that slices can be re-assigned, without a number. It is measured here from the region histograms of many neurons: the
smallest silicon in which the share fits, for fixed regions and for re-assignable slices.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hwbase import InputError, Record
from hwbase.check import count, integer, real
from hwsim.circuits import metal_embedding
from hwsim.technology import Technology
from hwsim.weights import WeightFormat
from hwsim.wiring.silicon import NeuronSilicon, fixed_silicon

#: Shares of neurons in a table.
FIT_SHARES = (1.0, 0.999, 0.99)
#: Neurons that share their inputs' registers in comparisons of area: a chip's part of HNLPU's query projection.
OUTPUTS = 1024


@dataclass(frozen=True)
class SlackNeed(Record):
    """The smallest silicon in which `fit_share` of the neurons fit; `slice_ports` 0 means fixed regions.

    `slack` is its share of ports over those that an average neuron uses. With clusters, `silicon` is that of one
    cluster of `inputs` inputs and a neuron fits when all its clusters do.
    """

    inputs: int
    slice_ports: int
    fit_share: float
    slack: float
    silicon: NeuronSilicon


def region_shares(histograms: Any, inputs: int) -> np.ndarray:
    """Return the mean share of the weights in each region, float (regions,), over `histograms` (regions, ...).

    Each entry counts the regions of a neuron, or cluster, of `inputs` inputs. Raises `InputError` for an empty
    histogram.
    """
    counts = _checked(histograms)
    return counts.reshape(len(counts), -1).mean(axis=1) / count("inputs", inputs)


def overdispersion(histograms: Any, inputs: int) -> np.ndarray:
    """Return the variance of each region's count over that of independent draws, float (regions,).

    1 means that neurons differ only by chance; above 1, their distributions differ. A region that is always empty, or
    takes every input, gives 1.
    """
    counts = _checked(histograms).reshape(len(histograms), -1)
    shares = counts.mean(axis=1) / count("inputs", inputs)
    chance = inputs * shares * (1.0 - shares)
    return np.where(chance > 0.0, counts.var(axis=1) / np.where(chance > 0.0, chance, 1.0), 1.0)


def slack_needed(
    histograms: Any, inputs: int, fit_share: float = 1.0, *, slice_ports: int = 0, shares: Any = None
) -> SlackNeed:
    """Return the smallest silicon in which `fit_share` of the neurons fit.

    `histograms` are counts (regions, neurons), or (regions, clusters, neurons), for `inputs` inputs each.
    `slice_ports` 0: fixed regions of inputs x share x (1 + slack) ports, with shares (regions,) that default to the
    mean ones. Otherwise: slices of that many ports for any region. Raises `InputError` for an empty histogram, a share
    outside (0, 1], or weights in a region whose given share is 0.
    """
    counts = _checked(histograms)
    n, s = count("inputs", inputs), integer("slice_ports", slice_ports, low=0)
    share = real("fit_share", fit_share, above=0.0, high=1.0)
    region_share = region_shares(counts, n)
    expected = region_share if shares is None else np.asarray(shares, dtype=float)
    if expected.shape != (len(counts),):
        raise InputError(f"shares have shape {expected.shape}: expected ({len(counts)},), one for each region")
    # Region by region, to stay in the processor's cache.
    if s:
        slices = np.zeros(counts.shape[1:], dtype=np.int64)
        for region in counts:
            slices += -(-region.astype(np.int64) // s)
        silicon = NeuronSilicon((0,) * len(counts), int(_quantile(slices, share)), s)
    else:
        ratio = np.zeros(counts.shape[1:])
        for region, ports in zip(counts, n * expected, strict=True):
            if ports > 0.0:
                np.maximum(ratio, region / ports, out=ratio)
            elif np.any(region):
                raise InputError("shares: expected more than 0 for every region that has weights")
        silicon = fixed_silicon(n, expected, max(_quantile(ratio, share) - 1.0, 0.0))
    # Measured on the neurons themselves, with rounding to whole ports and slices.
    used = n * region_share.sum()
    return SlackNeed(int(n), s, share, silicon.slack(used), silicon)


def slack_table(
    histograms: Any,
    inputs: int,
    weights: WeightFormat,
    technology: Technology,
    *,
    slice_ports: Sequence[int] = (0, 4, 8, 16),
    fit_shares: Sequence[float] = FIT_SHARES,
    neuron_inputs: int | None = None,
    outputs: int = OUTPUTS,
) -> pd.DataFrame:
    """Return a row for each kind of silicon and fit share, with the cost of the slack.

    Columns: inputs, slice_ports (0: fixed regions), fit_share, slack, ports, transistors_per_weight,
    area_um2_per_weight and area_ratio (to no slack). Costs come from `hwsim.metal_embedding` for `outputs` neurons of
    `neuron_inputs` inputs (`inputs` without clusters) in the measured format `weights`. The adders that join slices are
    counted as those of one large POPCNT, and their wires without area (see `hwsim.wiring.tile`).
    """
    rows = []
    size = inputs if neuron_inputs is None else neuron_inputs
    bare = metal_embedding(size, outputs, weights, technology)
    for s in slice_ports:
        for share in fit_shares:
            need = slack_needed(histograms, inputs, share, slice_ports=s)
            cost = metal_embedding(size, outputs, weights, technology, slack=max(need.slack, 0.0))
            rows.append(
                {
                    "inputs": need.inputs,
                    "slice_ports": s,
                    "fit_share": share,
                    "slack": need.slack,
                    "ports": need.silicon.ports,
                    "transistors_per_weight": float(cost.transistors_per_weight),
                    "area_um2_per_weight": float(cost.area_mm2 / cost.weights * 1e6),
                    "area_ratio": float(cost.area_mm2 / bare.area_mm2),
                }
            )
    return pd.DataFrame(rows)


def _checked(histograms: Any) -> np.ndarray:
    counts = np.asarray(histograms)
    if counts.ndim not in (2, 3) or counts.size == 0 or counts.dtype.kind not in "iu":
        raise InputError(
            f"histograms have shape {counts.shape} and type {counts.dtype}: expected whole numbers "
            "(regions, neurons) or (regions, clusters, neurons)"
        )
    return counts


def _quantile(need: np.ndarray, share: float) -> float:
    """Return the smallest value that holds for `share` of the neurons (last axis), with all their clusters."""
    per_neuron = need if need.ndim == 1 else need.max(axis=0)
    return float(np.quantile(per_neuron, share, method="inverted_cdf"))
