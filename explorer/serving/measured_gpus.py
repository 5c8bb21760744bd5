"""Serving points measured on GPUs beside the same points simulated, nothing fitted.

The measurements come with the package aiconfigurator-core (`pip install 'hwsim[gpu]'`): time to first token and time
per output token of real servers under a fixed number of users.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import models
from hwbase import InputError
from hwsim.events.gpu import serve_accelerator
from hwsim.events.traffic import closed_loop

_PACKAGE, _TABLE = "aiconfigurator_core", "systems/silicon_sample.csv"
#: Networks under their names there.
_NAMES = {"gpt-oss-120b": "openai/gpt-oss-120b"}
#: More users than this run into limits of the servers that the table does not state.
MOST_USERS = 64
#: Prompts and outputs are drawn from this share of the stated length up to all of it, as the load generator does.
_SHORTEST = 0.8
#: Requests of each user; lengths to draw from.
_ROUNDS, _LENGTHS = 10, 512


def measured_points(model: str = "gpt-oss-120b") -> pd.DataFrame:
    """Return the points of `model` that vLLM served on H100s, repeated ones once.

    Columns: prompt_tokens, output_tokens, users, gpus, time_to_first_token_s, time_per_output_token_s.
    Raises `InputError` where the package is missing or has no such model.
    """
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise InputError("measured GPUs need aiconfigurator-core: pip install 'hwsim[gpu]'")
    if model not in _NAMES:
        raise InputError(f"no measurements of {model!r}: expected one of {', '.join(_NAMES)}")
    table = pd.read_csv(Path(spec.submodule_search_locations[0]) / _TABLE)
    table = table[(table.model_path == _NAMES[model]) & (table.system == "h100_sxm") & (table.backend == "vllm")]
    users = table.silicon_data_source.str.extract(r"concurrency=(\d+)")[0].astype(int)
    points = pd.DataFrame(
        {
            "prompt_tokens": table.isl,
            "output_tokens": table.osl,
            "users": users,
            "gpus": table.tp_size.astype(int),
            "time_to_first_token_s": table.silicon_ttft_ms / 1e3,
            "time_per_output_token_s": table.silicon_tpot_ms / 1e3,
        }
    )
    points = points[points.users <= MOST_USERS].round(9).drop_duplicates()
    return points.sort_values(["prompt_tokens", "output_tokens", "gpus", "users"], ignore_index=True)


def against_measured(model: str = "gpt-oss-120b", points: pd.DataFrame | None = None, **options: Any) -> pd.DataFrame:
    """Return `points` (all of `measured_points` by default) with `ours_...` and `ratio_...` columns.

    Ours are means over requests; `options` are those of `serve_accelerator`. Raises `InputError` as those two do.
    """
    points = measured_points(model) if points is None else points
    spec = models.load(model)
    random = np.random.default_rng(0)
    rows = []
    columns = ("prompt_tokens", "output_tokens", "users", "gpus")
    for most_prompt, most_output, users, gpus in zip(*(points[name].tolist() for name in columns), strict=True):
        prompt, output = (
            random.integers(int(_SHORTEST * most), most + 1, _LENGTHS) for most in (most_prompt, most_output)
        )
        traffic = closed_loop(users, _ROUNDS * users, prompt=prompt, output=output)
        served = serve_accelerator(spec, traffic, gpus=gpus, **options)
        rows.append((np.nanmean(served.time_to_first_token_s), np.nanmean(served.time_per_output_token_s)))
    names = ("time_to_first_token_s", "time_per_output_token_s")
    ours = pd.DataFrame(rows, columns=[f"ours_{name}" for name in names], index=points.index)
    for name in names:
        ours[f"ratio_{name}"] = ours[f"ours_{name}"] / points[name]
    return pd.concat([points, ours], axis=1)
