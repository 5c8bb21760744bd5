"""Estimates of sensitivities from weights and activations, without one run each, and their rank correlation.

"weight error" needs one run for all layers: the noise of rounding in a layer's own output over its power, sum_oi
dW_oi^2 E[x_i^2] / sum_o E[y_o^2], with inputs taken as independent. It ignores how much of the noise reaches the
network's output. "one width" measures each layer at one width, which includes that, and takes the ratio to other widths
from the weight error.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from explorer.precision.networks import Network
from hwbase import InputError
from models.quantise import UNROUNDED, check_bits, rounded

ESTIMATORS = ("weight error", "one width")


def weight_errors(network: Network, bits: Sequence[int]) -> pd.DataFrame:
    """Return `layer`, `bits` and `error`: noise over power of each layer's own output with rounded weights.

    Raises `InputError` for bits out of range.
    """
    widths = [width for width in bits if check_bits("bits", width) not in UNROUNDED]
    rows = []
    for name, moments in network.moments().items():
        weight = network.weight(name)
        for width in widths:
            off = np.square(rounded(weight, width, **network.rounding) - weight, dtype=np.float64)
            by_input = np.moveaxis(off, 1, -1).reshape(-1, off.shape[1]).sum(axis=0)
            power = moments.output * len(weight)
            error = float(by_input @ moments.inputs) / power if power > 0 else float("nan")
            rows.append({"layer": name, "bits": width, "error": error})
    return pd.DataFrame(rows)


def estimates(table: pd.DataFrame, errors: pd.DataFrame, measured_bits: int, loss: str = "loss") -> pd.DataFrame:
    """Return the layers and widths of `table` with each estimate and the measured `loss`.

    `table` is that of a sensitivity of weights; `measured_bits` is the width that "one width" takes from it. Raises
    `InputError` if that width was not measured.
    """
    joined = table[["layer", "bits", loss]].merge(errors, on=["layer", "bits"])
    known = joined[joined["bits"] == measured_bits].set_index("layer")
    if known.empty:
        raise InputError(f"bits = {measured_bits}: expected one of the widths measured, {sorted(set(table['bits']))}")
    gain = (known[loss] / known["error"]).reindex(joined["layer"]).to_numpy()
    return joined.rename(columns={loss: "measured", "error": ESTIMATORS[0]}).assign(
        **{ESTIMATORS[1]: gain * joined["error"].to_numpy()}
    )


def rank_correlations(estimated: pd.DataFrame) -> pd.DataFrame:
    """Return Spearman's correlation of each estimator with the measured losses, over all rows and within each width.

    Columns: `bits` ("all" or a width), `layers`, and one for each estimator. Rows without a finite loss are left out.
    """
    whole = estimated[["bits", "measured", *ESTIMATORS]]
    whole = pd.DataFrame(whole[np.isfinite(whole.to_numpy(float)).all(axis=1)])
    parts: dict[str, pd.DataFrame] = {"all": whole}
    parts |= {str(width): part for width, part in whole.groupby("bits")}
    return pd.DataFrame(
        [
            {"bits": name, "layers": len(part)}
            | {e: float(spearmanr(part[e], part["measured"]).statistic) for e in ESTIMATORS}
            for name, part in parts.items()
        ]
    )
