"""Serving points measured on GPUs and the same points in closed form, over networks, machines and engines.

The measurements come with the package aiconfigurator-core (`pip install 'hwsim[gpu]'`): mean time to the first token
and time per output token of real servers under a fixed number of users.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

import models
from hwbase import InputError
from hwsim.accelerator import Accelerator, accelerator_book, load_accelerator
from hwsim.gpu.formats import serve_in
from hwsim.gpu.loop import loop_times
from hwsim.gpu.split import refusal, split_over
from hwsim.gpu.step import StepModel

_PACKAGE, _TABLE, _CONFIGS = "aiconfigurator_core", "systems/silicon_sample.csv", "model_configs"
#: Networks by their names in the package: our name, and the configuration file.
NETWORKS = {
    "openai/gpt-oss-120b": ("gpt-oss-120b", "openai--gpt-oss-120b"),
    "deepseek-ai/DeepSeek-R1": ("deepseek-v3", "deepseek-ai--DeepSeek-V3"),
    "deepseek-ai/DeepSeek-V3": ("deepseek-v3", "deepseek-ai--DeepSeek-V3"),
    "nvidia/DeepSeek-R1-NVFP4": ("deepseek-v3", "deepseek-ai--DeepSeek-V3"),
    "meta-llama/Llama-3.1-70B": ("llama-3-70b", "meta-llama--Meta-Llama-3.1-70B"),
    "meta-llama/Llama-3.1-8B-Instruct": ("llama-3-8b", "meta-llama--Meta-Llama-3.1-8B"),
    "nvidia/Llama-3.1-8B-Instruct-FP8": ("llama-3-8b", "meta-llama--Meta-Llama-3.1-8B"),
    "Qwen/Qwen3-32B": ("qwen3-32b", "Qwen--Qwen3-32B"),
    "Qwen/Qwen3-235B-A22B-FP8": ("qwen3-235b-a22b", "Qwen--Qwen3-235B-A22B-FP8"),
    "moonshotai/Kimi-K2.5": ("kimi-k2.5", "moonshotai--Kimi-K2-Instruct"),
    "MiniMaxAI/MiniMax-M2.5": ("minimax-m2.5", "MiniMaxAI--MiniMax-M2.5"),
    "Qwen/Qwen3.5-397B-A17B": ("qwen3.5-397b-a17b", "Qwen--Qwen3.5-397B-A17B"),
    "zhipuai/GLM-5": ("glm-5", "zai-org--GLM-5"),
}
#: Networks to which constants of the books were fitted.
FITTED = ("gpt-oss-120b", "deepseek-v3", "llama-3-70b", "llama-3-8b", "qwen3-32b", "qwen3-235b-a22b", "kimi-k2.5")
#: Machines by their names in the package, in groups of eight as in our books.
_MACHINES = {"h100_sxm": "h100", "h200_sxm": "h200", "b200_sxm": "b200", "b300_sxm": "b300"}
#: Formats by their names in the package; unstated means 16 bits.
_FORMATS = {"fp4": "nvfp4", "fp8": "fp8", "int4": "int4", "bf16": "bf16"}
#: Larger numbers of users run into server limits that the table does not state.
MOST_USERS = 64
#: GPUs of a node.
_MOST_TENSOR = 8
#: Prompts and outputs are drawn between this share of the stated length and all of it, as in the load generator.
SHORTEST = 0.8
#: Requests of each user.
ROUNDS = 10
#: Columns that identify a point.
POINT = ("network", "machine", "engine", "format", "gpus", "expert_parallel", "prompt_tokens", "output_tokens", "users")
#: Measured columns.
TIMES = ("time_per_output_token_s", "time_to_first_token_s")
#: Columns with equal values in points that are evaluated together.
_SETTING = ("network", "machine", "engine", "format", "gpus")


def measured_points() -> pd.DataFrame:
    """Return the measured points of all networks, machines and engines; repeated points once, by their median.

    One aggregated server without data-parallel attention, with at most `MOST_USERS` users and 8 GPUs.

    Returns
    -------
    pandas.DataFrame
        The columns `POINT`, the two `TIMES` in seconds, `measurements`: the number of measurements of the point, and
        `spread_...` of both times: the largest relative distance of a measurement from the median.

    Raises
    ------
    InputError
        If the package is missing.
    """
    table = pd.read_csv(package_folder() / _TABLE)
    table["users"] = table.silicon_data_source.str.extract(r"concurrency=(\d+)")[0].astype(float)
    table = table[
        (table["mode"] == "agg")
        & (table.attention_dp_size.fillna(1) <= 1)
        & (table.users <= MOST_USERS)
        & (table.tp_size <= _MOST_TENSOR)
        & table.system.isin(_MACHINES)
        & table.model_path.isin(NETWORKS)
    ]
    points = pd.DataFrame(
        {
            "network": table.model_path.map({path: name for path, (name, _) in NETWORKS.items()}),
            "machine": table.system.map(_MACHINES),
            "engine": table.backend,
            "format": table.precision.fillna("bf16").map(_FORMATS),
            "gpus": table.tp_size.astype(int),
            "expert_parallel": table.moe_ep_size.fillna(1.0).clip(lower=1.0).astype(int),
            "prompt_tokens": table.isl,
            "output_tokens": table.osl,
            "users": table.users.astype(int),
            "time_per_output_token_s": table.silicon_tpot_ms / 1e3,
            "time_to_first_token_s": table.silicon_ttft_ms / 1e3,
        }
    )
    grouped = points.groupby(list(POINT))[list(TIMES)]
    median = grouped.median()
    above, below = grouped.max() / median - 1.0, 1.0 - grouped.min() / median
    spread = above.where(above > below, below).add_prefix("spread_")
    return median.join(spread).assign(measurements=grouped.size()).reset_index()


def against_measured(
    points: pd.DataFrame | None = None,
    set: Mapping[str, Any] | None = None,
    adjust: Callable[[str, str], Mapping[str, float]] | None = None,
) -> pd.DataFrame:
    """Return measured points with our figures.

    Parameters
    ----------
    points
        Rows with the columns `POINT` and `TIMES`; by default all of `measured_points`.
    set
        Constants of every machine's book to override.
    adjust
        Returns replacement constants of (machine, engine), for fits.

    Returns
    -------
    pandas.DataFrame
        `points` with `ours_...` and `ratio_...` (ours to measured) of each of `TIMES`, `running` (sequences at work),
        `evidence` ("fitted" where a constant was fitted on the network, otherwise "predicted"), and `why`: the reason
        for a missing answer, otherwise empty.

    Raises
    ------
    InputError
        As `measured_points` does, and for constants that no book has.
    """
    points = measured_points() if points is None else points.reset_index(drop=True)
    # Report a missing package here, not as a reason for every point.
    accelerator_book().override(set or {})
    ours = np.full((len(points), len(TIMES) + 1), np.nan)
    why = np.full(len(points), "", dtype=object)
    loads = np.array(points[["users", "prompt_tokens", "output_tokens"]], dtype=float)
    # The mean of the drawn lengths.
    loads[:, 1:] *= (1.0 + SHORTEST) / 2.0
    for setting, rows in points.groupby(list(_SETTING), sort=False).indices.items():
        network, machine, engine, fmt, gpus = cast("tuple[str, str, str, str, int]", setting)
        changes = adjust(machine, engine) if adjust else {}
        try:
            model = step_model(network, machine, engine, fmt, gpus, set=set, changes=changes)
        except InputError as error:
            why[rows] = str(error)
            continue
        times = loop_times(model, *loads[rows].T, rounds=ROUNDS)
        ours[rows] = np.transpose([times.time_per_output_token_s, times.time_to_first_token_s, times.running])
        why[rows[np.isnan(times.running)]] = "the GPUs do not hold a sequence of this length"
    result = points.copy()
    for index, name in enumerate(TIMES):
        result[f"ours_{name}"] = ours[:, index]
        result[f"ratio_{name}"] = ours[:, index] / points[name]
    result["running"] = ours[:, -1]
    result["evidence"] = np.where(points.network.isin(FITTED), "fitted", "predicted")
    return result.assign(why=why)


def step_model(
    network: str,
    machine: str,
    engine: str,
    fmt: str,
    gpus: int,
    set: Mapping[str, Any] | None = None,
    changes: Mapping[str, Any] | None = None,
) -> StepModel:
    """Return the step times of `network` served by `engine` on `gpus` GPUs. Raises `InputError`.

    `fmt` is a number format, or empty for the network's released formats. `changes` are constants in place of the
    device's.
    """
    spec = _served(network, fmt)
    device = _device(machine, engine, fmt, tuple(sorted((set or {}).items())))
    if changes:
        device = replace(device, **cast("dict[str, Any]", changes))
    split = split_over(spec, device, gpus, 1, 1)
    if np.isnan(split.tensor):
        raise InputError(refusal(spec, device, gpus, 1, 1))
    return StepModel(spec, device, split)


def errors(ratios: pd.Series) -> pd.Series:
    """Return points, median ratio, and the median and 90th percentile of |ratio - 1|, without missing ratios."""
    known = ratios.dropna()
    off = (known - 1.0).abs()
    return pd.Series(
        {"points": known.size, "ratio": known.median(), "error": off.median(), "error_p90": off.quantile(0.9)}
    )


@lru_cache(maxsize=512)
def _served(network: str, fmt: str) -> models.LLMSpec:
    spec = network_spec(network)
    return serve_in(spec, fmt) if fmt else spec


@lru_cache(maxsize=512)
def _device(machine: str, engine: str, fmt: str, overrides: tuple[tuple[str, Any], ...]) -> Accelerator:
    values = dict(overrides)
    if fmt == "bf16":
        # The cache has the network's width.
        values.setdefault("kv_element_bytes", 2.0)
    return load_accelerator(machine, engine=engine, set=values)


@lru_cache(maxsize=64)
def network_spec(network: str) -> models.LLMSpec:
    """Return the spec of a network by our name, from `models` or from the package. Raises `InputError`."""
    if network in models.names():
        return models.load(network)
    files = dict(NETWORKS.values())
    if network not in files:
        return models.load(network)
    return models.load(package_folder() / _CONFIGS / f"{files[network]}_config.json")


def package_folder() -> Path:
    """Return the folder of the package of measurements; raises `InputError` where it is missing."""
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise InputError("measured GPUs need aiconfigurator-core: pip install 'hwsim[gpu]'")
    return Path(spec.submodule_search_locations[0])
