"""The published data behind the reproductions of MixDQ and HAWQ-V3; `data/README.md` has sources and licences."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from hwbase import unknown_name

_DATA = Path(__file__).parent / "data"
#: Allowed weight bits of each group, and the metric of its sensitivity.
CANDIDATES = {"quality": (4, 8), "content": (2, 4, 8)}
METRICS = {"quality": "sqnr", "content": "ssim"}
#: Published weight configurations of SDXL-Turbo by the name of their file, and HAWQ-V3's budgets and their shares.
CONFIGURATIONS = ("3.66", "4.00", "8.00")
HAWQ_BUDGETS = {"size": "bits", "bops": "bops", "latency": "ms"}
HAWQ_SHARES = ("0.25", "0.5", "0.75")


@cache
def sdxl_layers() -> pd.DataFrame:
    """Return a row for each of SDXL-Turbo's 794 layers at 512 x 512: shape, counts, sensitivities, published bits.

    `stride` and `width` (positions in a row of the output) follow from the counts; both are 1 for a linear layer.
    """
    rows = pd.read_csv(_DATA / "sdxl_turbo_layers.csv.gz")
    convolves = rows["type"] == "conv2d"
    strides = ((rows["in_elements"] / rows["in_ch"] / rows["tokens"]) ** 0.5).round().astype(int)
    widths = (rows["tokens"] ** 0.5).round().astype(int)
    return rows.assign(stride=strides.where(convolves, 1), width=widths.where(convolves, 1))


@cache
def sdxl_attention() -> pd.DataFrame:
    """Return a row for each of SDXL-Turbo's 140 attentions: q_tokens, kv_tokens, heads, head_dim."""
    return pd.read_csv(_DATA / "sdxl_turbo_attention.csv.gz")


@cache
def budgets() -> pd.DataFrame:
    """Return the budget of each published configuration: configuration, group, budget_bits, objective, bound."""
    return pd.read_csv(_DATA / "mixdq_budgets.csv", dtype={"configuration": str})


def sdxl_options(group: str | None = None) -> pd.DataFrame:
    """Return the weight options of a group ("quality" or "content"), or of all layers, for `explorer.allocate`.

    Columns: layer, group, bits, size, sqnr in dB, ssim, and the `inputs`, `outputs`, `tokens`, `in_elements`,
    `out_elements`, `macs`, `kernel`, `stride` and `width` of the layer.
    """
    if group is not None and group not in CANDIDATES:
        raise unknown_name("group", group, CANDIDATES)
    layers = sdxl_layers()
    parts = []
    for name in CANDIDATES if group is None else (group,):
        rows = layers[layers["group"] == name]
        for bits in CANDIDATES[name]:
            parts.append(
                pd.DataFrame(
                    {
                        "layer": rows["layer"],
                        "group": name,
                        "bits": bits,
                        "size": rows["size"],
                        "sqnr": rows[f"w_sqnr_b{bits}"],
                        "ssim": rows[f"w_ssim_b{bits}"],
                        "inputs": rows["in_ch"] * rows["kernel"] ** 2,
                        "outputs": rows["out_ch"],
                        **{c: rows[c] for c in ("kernel", "stride", "width")},
                        **{c: rows[c] for c in ("tokens", "in_elements", "out_elements", "macs")},
                    }
                )
            )
    # Layers in their own order, each with its options together.
    return pd.concat(parts).sort_index(kind="stable").reset_index(drop=True)


def published_bits(configuration: str) -> pd.Series:
    """Return the published weight bits by layer. Raises `InputError` for an unknown configuration."""
    if configuration not in CONFIGURATIONS:
        raise unknown_name("configuration", configuration, CONFIGURATIONS)
    return sdxl_layers().set_index("layer")[f"published_{configuration}"]


@cache
def resnet18() -> pd.DataFrame:
    """Return HAWQ-V3's ResNet18: traces, squared errors, sizes, macs, T4 latencies, ties and published bits."""
    return pd.read_csv(_DATA / "hawqv3_resnet18.csv", keep_default_na=False)


def resnet18_options() -> pd.DataFrame:
    """Return its options for `explorer.allocate`: loss = trace x squared error, bops = macs x bits squared, ms, tie."""
    rows = resnet18()
    parts = [
        pd.DataFrame(
            {
                "layer": rows["layer"],
                "bits": bits,
                "size": rows["size"],
                "tie": rows["tie"],
                "loss": rows["trace"] * rows[f"error_b{bits}"],
                "bops": rows["macs"] * bits**2,
                "ms": rows[f"ms_b{bits}"],
            }
        )
        for bits in (4, 8)
    ]
    return pd.concat(parts).sort_index(kind="stable").reset_index(drop=True)


def hawq_budget(options: pd.DataFrame, column: str, share: float) -> float:
    """Return HAWQ-V3's budget: all layers at 4 bits, plus `share` of the difference to all at 8; bits, bops or ms."""
    costs = options["bits"] * options["size"] if column == "bits" else options[column]
    low, high = (float(np.sum(costs[options["bits"] == bits])) for bits in (4, 8))
    return low + share * (high - low)
