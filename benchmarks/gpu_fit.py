"""Fit the latencies of GPU books to measured serving points, and judge the fit on networks left out of it.

python benchmarks/gpu_fit.py [constants.json]       # needs: pip install 'hwsim[gpu]'

Efficiencies of kernels and latencies of all-reduces are measured apart and stand as the books have them. What is fitted
is what no table of kernels says: latencies of layers, of steps, and of the server in front. Both measured times are
compared by the logarithm of their ratio under a loss that grows slowly (soft L1), the time to the first token with a
quarter of the weight, and every constant is drawn towards its present value by a wide prior.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import least_squares

from explorer.serving.measured_gpus import FITTED, TIMES, against_measured, errors, measured_points
from hwsim.accelerator import accelerator_book

#: Constants of each generation of GPUs, by the machine whose book states them.
GENERATIONS = {"h100": ("h100", "h200"), "b200": ("b200", "b300")}
OF_GENERATION = ("layer_latency_s", "expert_layer_latency_s", "latent_layer_latency_s")
OF_ALL = ("prefill_layer_latency_s", "prefill_expert_layer_latency_s", "prefill_latent_layer_latency_s")
OF_ENGINE = ("step_latency_s", "layer_latency_factor", "first_token_latency_s")
ENGINES = ("vllm", "sglang", "trtllm")
#: The engine whose layers the others are compared with.
REFERENCE = "trtllm"
#: Weight of the time to the first token, spread of the priors in powers of e, and where the loss turns linear.
FIRST_TOKEN_WEIGHT, PRIOR, TURN = 0.25, 2.0, 0.1
#: Bursts of equal requests: all first tokens wait for all prompts, which says nothing about the server.
BURSTS = (("qwen3-32b", "sglang"),)


def names() -> list[tuple[str, str]]:
    """Return (where, constant) of all that is fitted."""
    places = [(generation, name) for generation in GENERATIONS for name in OF_GENERATION]
    places += [("all", name) for name in OF_ALL]
    places += [(engine, name) for engine in ENGINES for name in OF_ENGINE]
    places.remove((REFERENCE, "layer_latency_factor"))
    return places


def present() -> np.ndarray:
    """Return the logarithms of the constants as the books have them."""
    values = []
    for where, name in names():
        machine, engine = (where, "vllm") if where in GENERATIONS else ("h100", where if where != "all" else "vllm")
        values.append(accelerator_book(machine, engine)[name].nominal)
    return np.log(values)


def constants_of(logs: np.ndarray):
    """Return a function of (machine, engine) that gives the constants behind `logs`."""
    values = dict(zip(names(), np.exp(logs).tolist(), strict=True))

    def constants(machine: str, engine: str) -> dict[str, float]:
        generation = next(name for name, members in GENERATIONS.items() if machine in members)
        return {name: value for (where, name), value in values.items() if where in (generation, engine, "all")}

    return constants


def residuals(points: pd.DataFrame, logs: np.ndarray) -> np.ndarray:
    """Return weighted logarithms of ours over measured."""
    compared = against_measured(points, adjust=constants_of(logs))
    per_token, first = (np.log(compared[f"ratio_{name}"].to_numpy()) for name in TIMES)
    bursts = np.zeros(len(points), dtype=bool)
    for network, engine in BURSTS:
        bursts |= ((points.network == network) & (points.engine == engine)).to_numpy()
    first = np.where(bursts, 0.0, first)
    return np.nan_to_num(np.concatenate([per_token, FIRST_TOKEN_WEIGHT * first]))


def fit(points: pd.DataFrame) -> np.ndarray:
    """Return the logarithms of the constants that fit `points` best."""
    start = present()

    def distance(logs: np.ndarray) -> np.ndarray:
        return np.concatenate([residuals(points, logs), (logs - start) / PRIOR])

    return least_squares(distance, start, loss="soft_l1", f_scale=TURN, diff_step=1e-3, xtol=1e-3, ftol=1e-4).x


def main() -> None:
    """Print the fit, and how far networks are off that were left out of it."""
    points = measured_points()
    points = points[points.network.isin(FITTED)].reset_index(drop=True)
    whole = fit(points)
    table = pd.DataFrame({"all": np.exp(whole)}, index=pd.MultiIndex.from_tuples(names()))
    judged = []
    for network in FITTED:
        mine = points.network == network
        logs = fit(points[~mine].reset_index(drop=True))
        table[network] = np.exp(logs)
        judged.append(against_measured(points[mine], adjust=constants_of(logs)))
    left_out, within = pd.concat(judged), against_measured(points, adjust=constants_of(whole))
    print(table.to_string(float_format="{:.3g}".format))
    for name in TIMES:
        column = f"ratio_{name}"
        print(f"\n{name}: fitted {errors(within[column]).round(3).to_dict()}")
        print(f"{name}: left out {errors(left_out[column]).round(3).to_dict()}")
        print(left_out.groupby("network")[column].apply(errors).unstack().round(3).to_string())
    if len(sys.argv) > 1:
        rows = {"/".join(key): row.tolist() for key, row in zip(table.index, table.to_numpy(), strict=True)}
        Path(sys.argv[1]).write_text(json.dumps(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
