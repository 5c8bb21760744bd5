"""Fit the latencies of GPU books to measured serving points, and test the fit on networks that were left out.

python -m explorer.serving.fit_gpus        # needs: pip install 'hwsim[gpu]'; writes gpus_left_out.csv

Efficiencies of kernels and latencies of all-reduces are measured separately and stay as in the books. The fit covers
what kernel tables do not contain: latencies of layers, of steps, and of the server in front. Both measured times are
compared by the logarithm of their ratio under a soft L1 loss, the time to the first token with a quarter of the weight,
and every constant has a wide prior around its present value.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import least_squares

from explorer.serving.measured_gpus import FITTED, TIMES, against_measured, errors, measured_points
from hwsim.accelerator import DEFAULT_ENGINE, accelerator_book

#: Constants of each generation of GPUs, by the machine whose book states them.
GENERATIONS = {"h100": ("h100", "h200"), "b200": ("b200", "b300")}
OF_GENERATION = ("layer_latency_s", "expert_layer_latency_s", "latent_layer_latency_s")
#: Constants of all GPUs, and of each engine.
ALL = "all"
OF_ALL = ("prefill_layer_latency_s", "prefill_expert_layer_latency_s", "prefill_latent_layer_latency_s")
OF_ENGINE = ("step_latency_s", "layer_latency_factor", "first_token_latency_s")
ENGINES = ("vllm", "sglang", "trtllm")
#: The engine that the layers of the others are compared with.
REFERENCE = "trtllm"
#: Weight of the time to the first token, spread of the priors in powers of e, and the turning point of the loss.
FIRST_TOKEN_WEIGHT, PRIOR, TURN = 0.25, 2.0, 0.1
#: In bursts of equal requests all first tokens wait for all prompts, which says nothing about the server.
BURSTS = (("qwen3-32b", "sglang"),)
#: The constants fitted without each network, and those fitted to all.
LEFT_OUT = Path(__file__).with_name("gpus_left_out.csv")
WHOLE = "none"


def places() -> list[tuple[str, str]]:
    """Return (machine or engine, constant) of each fitted constant."""
    constants = [(generation, name) for generation in GENERATIONS for name in OF_GENERATION]
    constants += [(ALL, name) for name in OF_ALL]
    constants += [(engine, name) for engine in ENGINES for name in OF_ENGINE]
    constants.remove((REFERENCE, "layer_latency_factor"))
    return constants


def present() -> np.ndarray:
    """Return the present values of the constants."""
    values = []
    for where, name in places():
        machine = where if where in GENERATIONS else next(iter(GENERATIONS))
        engine = where if where in ENGINES else DEFAULT_ENGINE
        values.append(accelerator_book(machine, engine)[name].nominal)
    return np.asarray(values, dtype=float)


def constants_of(values: np.ndarray) -> Callable[[str, str], dict[str, float]]:
    """Return a function from (machine, engine) to its constants among `values`, in the order of `places`."""
    fitted = dict(zip(places(), np.asarray(values).tolist(), strict=True))

    def constants(machine: str, engine: str) -> dict[str, float]:
        generations = [name for name, members in GENERATIONS.items() if machine in members]
        return {name: value for (where, name), value in fitted.items() if where in (*generations, engine, ALL)}

    return constants


def left_out() -> dict[str, np.ndarray]:
    """Return the constants fitted without each network, in the order of `places`."""
    table = pd.read_csv(LEFT_OUT, index_col=["where", "constant"]).loc[places()]
    return {str(network): table[network].to_numpy() for network in table if network != WHOLE}


def fit(points: pd.DataFrame) -> np.ndarray:
    """Return the constants, in the order of `places`, that fit `points` best."""
    start = np.log(present())
    bursts = np.zeros(len(points), dtype=bool)
    for network, engine in BURSTS:
        bursts |= ((points.network == network) & (points.engine == engine)).to_numpy()

    def distance(logs: np.ndarray) -> np.ndarray:
        compared = against_measured(points, adjust=constants_of(np.exp(logs)))
        per_token, first = (np.log(compared[f"ratio_{name}"].to_numpy()) for name in TIMES)
        off = np.concatenate([per_token, FIRST_TOKEN_WEIGHT * np.where(bursts, 0.0, first)])
        return np.concatenate([np.nan_to_num(off), (logs - start) / PRIOR])

    result = least_squares(distance, start, loss="soft_l1", f_scale=TURN, diff_step=1e-3, xtol=1e-3, ftol=1e-4)
    return np.exp(result.x)


def main() -> None:
    """Fit with each network left out and with all, print the errors, and write the constants."""
    points = measured_points()
    points = points[points.network.isin(FITTED)].reset_index(drop=True)
    whole = fit(points)
    table = pd.DataFrame({WHOLE: whole}, index=pd.MultiIndex.from_tuples(places(), names=["where", "constant"]))
    judged = []
    for network in FITTED:
        same_network = points.network == network
        table[network] = fit(points[~same_network].reset_index(drop=True))
        judged.append(against_measured(points[same_network], adjust=constants_of(table[network].to_numpy())))
    apart, within = pd.concat(judged), against_measured(points, adjust=constants_of(whole))
    print(table.to_string(float_format="{:.3g}".format))
    for name in TIMES:
        column = f"ratio_{name}"
        print(f"\n{name}: fitted {errors(within[column]).round(3).to_dict()}")
        print(f"{name}: left out {errors(apart[column]).round(3).to_dict()}")
        print(apart.groupby("network")[column].apply(errors).unstack().round(3).to_string())
    table.to_csv(LEFT_OUT, float_format="%.4g")


if __name__ == "__main__":
    main()
