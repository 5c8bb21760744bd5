"""MixDQ (ECCV 2024, arXiv 2405.17873) and HAWQ-V3 (ICML 2021, arXiv 2011.10680): published allocations, and ours.

Configurations are solved again at the budgets of the published ones; memory and latency are predicted from the layers'
shapes. `mixdq.csv` lists the figures with their evidence.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from explorer.allocation.allocate import Allocation, allocate
from explorer.papers import mixdq_data as data
from explorer.papers.scoreboard import Row, read_rows
from hwbase import load_book
from hwsim.network_roofline import NetworkTime, load_gpu, network_time
from hwsim.technology import BOOKS

_CELLS = Path(__file__).with_name("mixdq.csv")
#: GPUs of the published latencies, by their books.
GPUS = ("rtx3090", "rtx4080", "a100")
_MIB = 2**20
_BITS_PER_BYTE = 8
#: Peak activations as published, in MB, which are not in the layer table: FP16 and W8A8.
_ACTIVATIONS_MB = {"fp16": 240.88, "w8a8": 55.77}


def mixdq_rows(set: Mapping[str, Any] | None = None) -> tuple[list[Row], tuple[str, ...]]:
    """Return (rows, fitted constants: none); `set` overrides constants of the three GPUs' books."""
    ours = _configurations() | _noise_power() | _hawq() | _memory() | _latency(set or {})
    return read_rows(_CELLS, ours), ()


def solve_group(configuration: str, group: str, objective: str | None = None) -> Allocation:
    """Return our allocation of a group at the budget of a published configuration, by the published score or another.

    Raises `InputError` for a group, configuration or objective that does not exist.
    """
    options, bits = data.sdxl_options(group), data.published_bits(configuration)
    chosen = options[options["bits"] == options["layer"].map(bits)]
    budget = float((chosen["bits"] * chosen["size"]).sum())
    return allocate(options, budget, unit="bits", objective=objective or f"score:{data.METRICS[group]}")


def network_times(gpu: str, set: Mapping[str, Any] | None = None) -> tuple[NetworkTime, NetworkTime]:
    """Return the times of SDXL-Turbo's U-Net at 512 x 512 on a GPU in FP16 and W8A8. Raises `InputError`.

    Layers that the published W8A8 network protects, and attention, stay in FP16.
    """
    device = load_gpu(gpu, load_book(gpu, BOOKS).override(set or {}).reader())
    layers, attention = data.sdxl_layers(), data.sdxl_attention()
    shapes = {"macs": layers["macs"].to_numpy(), "weights": layers["size"].to_numpy()}
    shapes |= {name: layers[name].to_numpy() for name in ("in_elements", "out_elements")}
    heads = {name: attention[name].to_numpy() for name in ("q_tokens", "kv_tokens", "heads", "head_dim")}
    bits = np.where(layers["float_activations"] == 1, 16, 8)
    return network_time(device, shapes, heads), network_time(device, shapes, heads, weight_bits=8, activation_bits=bits)


def _configurations() -> dict[str, float]:
    ours: dict[str, float] = {}
    for name in data.CONFIGURATIONS:
        published = data.published_bits(name)
        groups = {group: solve_group(name, group) for group in data.CANDIDATES}
        bits = groups["quality"].bits | groups["content"].bits
        sizes = data.sdxl_layers().set_index("layer")["size"]
        ours[f"config-{name}-layers"] = sum(published[layer] == width for layer, width in bits.items())
        ours[f"config-{name}-mean-bits"] = sum(b * int(sizes[layer]) for layer, b in bits.items()) / int(sizes.sum())
        ours |= {f"config-{name}-{group}-loss": allocation.objective for group, allocation in groups.items()}
    by_group = data.sdxl_layers().groupby("group")["size"].sum()
    return ours | {"content-quality-ratio": by_group["content"] / by_group["quality"]}


def _noise_power() -> dict[str, float]:
    """Return the SQNR of the output if the noise powers of the quality group's layers add, at the W4.00 budget."""
    return {"noise-power-sqnr": float(-10.0 * np.log10(solve_group("4.00", "quality", "noise:sqnr").objective))}


def _hawq() -> dict[str, float]:
    options, rows = data.resnet18_options(), data.resnet18().set_index("layer")
    ours = {}
    for budget, unit in data.HAWQ_BUDGETS.items():
        for share in data.HAWQ_SHARES:
            limit = data.hawq_budget(options, unit, float(share))
            result = allocate(options, limit, unit=unit)
            published = rows[f"published_{budget}_{share}"]
            ours[f"hawq-{budget}-{share}"] = sum(published[layer] == bits for layer, bits in result.bits.items())
    return ours


def _memory() -> dict[str, float]:
    """Return weights from the layer table, at 16, 8 and the W4.00 configuration's bits; activations as published."""
    layers = data.sdxl_layers()
    sizes = layers["size"].to_numpy()
    bits = {"fp16": 16 * sizes, "w8a8": 8 * sizes, "w4a8": layers["published_4.00"].to_numpy() * sizes}
    weights = {name: float(b.sum()) / _BITS_PER_BYTE / _MIB for name, b in bits.items()}
    peak = weights["fp16"] + _ACTIVATIONS_MB["fp16"]
    return {
        "weights-fp16": weights["fp16"],
        "weights-w8a8": weights["w8a8"],
        "weights-ratio-w8a8": weights["fp16"] / weights["w8a8"],
        "activations-fp16": _ACTIVATIONS_MB["fp16"],
        "activations-w8a8": _ACTIVATIONS_MB["w8a8"],
        "peak-ratio-measured-w8a8": peak / (weights["w8a8"] + _ACTIVATIONS_MB["w8a8"]),
        "peak-ratio-w8a8": peak / (weights["w8a8"] + _ACTIVATIONS_MB["w8a8"]),
        "peak-ratio-w4a8": peak / (weights["w4a8"] + _ACTIVATIONS_MB["w8a8"]),
    }


def _latency(set: Mapping[str, Any]) -> dict[str, float]:
    ours = {}
    for gpu in GPUS:
        fp16, w8a8 = network_times(gpu, set)
        ours[f"latency-{gpu}-fp16"] = fp16.seconds * 1e3
        ours[f"latency-{gpu}-w8a8"] = w8a8.seconds * 1e3
        ours[f"speedup-{gpu}"] = fp16.seconds / w8a8.seconds
    return ours
