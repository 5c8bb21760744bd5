"""Fit the power of a GPU at work to the measured power of kernels: shares of its span from idle to full power.

python -m explorer.serving.fit_power        # needs: pip install 'hwsim[gpu]'

The tables of the package for B200 state the power of each kernel that reads a prompt, that decodes, and of routed
experts. A share of the span is drawn by a GPU that runs kernels, however little they do; memory and arithmetic add
theirs for the share of time that they are busy, at the efficiencies of the book (`hwsim.gpu.power`). Kinds of kernels
differ: a constant is the median of the three fits, and its range their range.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.optimize import least_squares

from explorer.serving.measured_gpus import package_folder
from hwsim.accelerator import Accelerator, load_accelerator

#: Tables of kernels with their power, under the folder of a machine.
MACHINE, _FOLDER = "b200", "systems/data/b200_sxm"
_DECODE = "attention/vllm/0.22.0/generation_attention_perf.parquet"
_PREFILL = "attention/vllm/0.22.0/context_attention_perf.parquet"
_EXPERTS = "moe/vllm/0.22.0/moe_perf.parquet"
#: Power of an idle GPU over its limit: 140 W of 1,000, assumed; 70 to 80 W of 700 are usual for an H100 or H200.
IDLE = 0.14
#: Shorter kernels say more of launching than of work.
SHORTEST_S = 50e-6
#: Bytes of a weight, and the peak that products of that format are computed at.
_FORMATS = {"bfloat16": (2.0, "peak_ops_per_s"), "fp8": (1.0, "fp8_ops_per_s"), "fp8_block": (1.0, "fp8_ops_per_s")}
_MATRICES, _OPS_PER_MAC, _TURN = 3, 2.0, 0.1


def measured_power() -> pd.DataFrame:
    """Return a row a kernel: its kind, busy shares of `memory` and `compute`, and measured `power` over the limit.

    Raises `InputError` if the package is missing.
    """
    device = load_accelerator(MACHINE)
    parts = [_read(_DECODE, "decode", device, _decoded), _read(_PREFILL, "prefill", device, _prefilled)]
    parts.append(_read(_EXPERTS, "experts", device, _routed))
    return pd.concat(parts, ignore_index=True)


def shares_of(kernels: pd.DataFrame) -> np.ndarray:
    """Return the shares (working, memory, compute) that fit the power of `kernels` best."""

    def distance(shares: np.ndarray) -> np.ndarray:
        return np.asarray(np.log(predicted_power(kernels, shares) / kernels.power.to_numpy()))

    return np.asarray(least_squares(distance, np.full(3, 0.4), bounds=(0.0, 1.0), loss="soft_l1", f_scale=_TURN).x)


def predicted_power(kernels: pd.DataFrame, shares: np.ndarray) -> np.ndarray:
    """Return the power of `kernels` over the limit by the shares (working, memory, compute)."""
    working, memory, compute = shares
    activity = working + memory * kernels.memory.to_numpy() + compute * kernels.compute.to_numpy()
    return np.asarray(IDLE + (1.0 - IDLE) * np.minimum(activity, 1.0))


def _read(
    path: str, kind: str, device: Accelerator, work: Callable[[pd.DataFrame, Accelerator], tuple[pd.Series, pd.Series]]
) -> pd.DataFrame:
    """Return the kernels of a table; `work` says for how many seconds memory and arithmetic are busy."""
    table = pd.read_parquet(package_folder() / _FOLDER / path)
    seconds = table.latency / 1e3
    memory_s, compute_s = work(table, device)
    busy = {"memory": np.minimum(memory_s / seconds, 1.0), "compute": np.minimum(compute_s / seconds, 1.0)}
    rows = pd.DataFrame({"kind": kind, **busy, "power": table.power / table.power_limit, "seconds": seconds})
    return rows[rows.seconds > SHORTEST_S].dropna()


def _decoded(table: pd.DataFrame, device: Accelerator) -> tuple[pd.Series, pd.Series]:
    positions = (table.step + 1).where(table.window_size == 0, np.minimum(table.step + 1, table.window_size))
    entries = table.batch_size * positions * table.head_dim
    width = table.kv_cache_dtype.map({"fp8": 1.0}).fillna(2.0)
    return _attention(2.0 * entries * table.num_key_value_heads * width, 2.0 * entries * table.num_heads, device)


def _prefilled(table: pd.DataFrame, device: Accelerator) -> tuple[pd.Series, pd.Series]:
    window = table.isl.where(table.window_size == 0, np.minimum(table.isl, table.window_size))
    positions = window * (window + 1) / 2 + (table.isl - window) * window
    moved = 2.0 * table.batch_size * table.isl * (table.num_heads + table.num_key_value_heads) * table.head_dim
    return _attention(2.0 * moved, 2.0 * table.batch_size * positions * table.num_heads * table.head_dim, device)


def _attention(moved_bytes: pd.Series, macs: pd.Series, device: Accelerator) -> tuple[pd.Series, pd.Series]:
    return (
        moved_bytes / (device.memory_bandwidth_bytes_per_s * device.kv_memory_efficiency),
        macs * _OPS_PER_MAC / (device.peak_ops_per_s * device.attention_compute_efficiency),
    )


def _routed(table: pd.DataFrame, device: Accelerator) -> tuple[pd.Series, pd.Series]:
    held = table.num_experts / table.moe_ep_size
    used = table.num_tokens * table.topk / table.moe_ep_size
    uneven = held * (1.0 - (1.0 - table.topk / table.num_experts) ** table.num_tokens)
    read = uneven.where(table.distribution != "balanced", np.minimum(held, np.maximum(used, 1.0)))
    weights = _MATRICES * table.hidden_size * table.inter_size / table.moe_tp_size
    width = table.moe_dtype.map({name: width for name, (width, _) in _FORMATS.items()})
    peak = table.moe_dtype.map({name: getattr(device, peak) for name, (_, peak) in _FORMATS.items()})
    return (
        read * weights * width / (device.memory_bandwidth_bytes_per_s * device.expert_memory_efficiency),
        used * weights * _OPS_PER_MAC / (peak * device.expert_compute_efficiency),
    )


def main() -> None:
    """Print the shares of each kind of kernel, their median, and measured power over that of the median."""
    kernels = measured_power()
    fits = {kind: shares_of(rows) for kind, rows in kernels.groupby("kind")}
    median = np.median(list(fits.values()), axis=0)
    print(pd.DataFrame({**fits, "median": median}, index=["working", "memory", "compute"]).round(2).to_string())
    ratio = kernels.power / predicted_power(kernels, median)
    print(ratio.groupby(kernels.kind).quantile([0.05, 0.5, 0.95]).unstack().round(2).to_string())


if __name__ == "__main__":
    main()
