"""Wafer-scale engines: weights in the memory next to the cores, a layer to a region of the wafer, tokens in a pipeline.

A token goes through one layer after the other. In each, a chain of products crosses the region of the layer: the vector
is broadcast along its rows and sums run along its columns, a hop a core, and each product starts after the one before.
Where the network needs more than one wafer, its layers divide them. A region reads its weights with its own share of
the bandwidth, so that a sequence alone uses one layer's share at a time and others follow it, one region behind.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwbase import InputError, Record, load_book
from hwbase.books import Reader, check_fields, from_book, sourced
from hwbase.check import Number, count, shapes
from hwsim.results import Check, SimResult
from hwsim.technology import BOOKS
from models import (
    LLMSpec,
    check_decoder,
    kv_bytes_per_sequence,
    kv_bytes_read_per_token,
    macs_per_token,
    mixers,
    parameters,
    weight_bytes,
)

#: Products of a layer, each waiting for the one before: queries, keys and values; scores; values; output; up; down.
_PRODUCTS = 6
#: A router before experts; a latent to compress to and to expand from.
_ROUTER_PRODUCTS, _LATENT_PRODUCTS = 1, 2
#: A vector goes out along the rows of a region, and sums come back along its columns.
_CROSSINGS = 2


@dataclass(frozen=True)
class Wafer(Record):
    """One wafer: memory and arithmetic as a whole, its mesh of cores, and what a product takes on top."""

    name: str
    memory_bandwidth_bytes_per_s: Number = sourced("B/s", above=0.0, high=1e18)
    memory_bytes: Number = sourced("B", above=0.0, high=1e18)
    peak_ops_per_s: Number = sourced("1/s", above=0.0, high=1e24)
    memory_efficiency: Number = sourced("1", above=0.0, high=1.0)
    compute_efficiency: Number = sourced("1", above=0.0, high=1.0)
    cores: Number = sourced("1", above=0.0, high=1e9)
    hop_latency_s: Number = sourced("s", low=0.0, high=1.0)
    product_latency_s: Number = sourced("s", low=0.0, high=1.0)
    wafer_latency_s: Number = sourced("s", low=0.0, high=1.0)
    kv_element_bytes: Number = sourced("B", above=0.0, high=64)
    area_mm2: Number = sourced("mm**2", above=0.0, high=1e6)
    power_w: Number = sourced("W", above=0.0, high=1e9)
    rack_units: Number = sourced("1", above=0.0)

    def __post_init__(self) -> None:
        check_fields(type(self), vars(self))


def load_wafer(name_or_path: str | Path = "wse3", reader: Reader | None = None) -> Wafer:
    """Return the `Wafer` of a book; `reader` collects what was read. Raises `InputError`."""
    reader = reader or load_book(name_or_path, BOOKS).reader()
    return from_book(Wafer, reader, name=reader.book.name)


def simulate_wafer(
    model: LLMSpec,
    device: Wafer,
    *,
    context: Number = 2048,
    batch: Number | None = None,
    prompt: Number | None = None,
    devices: Number | None = None,
) -> SimResult:
    """Return the speed of `model` on wafers; parameters are those of `hwsim.simulate_accelerator`.

    With as many sequences as layers every region is at work; more of them share a region, which reads its weights once
    for all. Raises `InputError` for numbers out of range and too few wafers.
    """
    context = count("context", context, high=1e8)
    batch = 1 if batch is None else count("batch", batch, high=1e7)
    prompt = context if prompt is None else count("prompt", prompt, high=1e8)
    shapes(**vars(device) | {"context": context, "batch": batch, "prompt": prompt, "devices": devices})
    check_decoder(model, "a wafer that decodes")
    stored = weight_bytes(model)
    kv = kv_bytes_per_sequence(model, context, device.kv_element_bytes)
    demand = stored.total + kv * batch
    needed = np.maximum(np.ceil(demand / device.memory_bytes), 1.0)[()]
    wafers = needed if devices is None else count("gpus", devices, high=1e6)
    if not np.ndim(demand) and not np.ndim(wafers) and np.ndim(device.memory_bytes) == 0 and wafers < needed:
        raise InputError(
            f"devices = {wafers:g}: {model.name} and {batch:g} sequences take {demand / 1e9:,.0f} GB, "
            f"they hold {wafers * device.memory_bytes / 1e9:,.0f} GB: expected at least {needed:g}"
        )
    layers = model.layers
    # Sequences that are in one region at a time.
    together = np.maximum(batch / layers, 1.0)
    used = 1.0 - np.power(1.0 - model.experts_per_token / model.experts, together) if model.experts else 0.0
    streamed = stored.streamed + stored.experts * used
    read = kv_bytes_read_per_token(model, context, device.kv_element_bytes)
    # All regions read at once; each has its share of the wafers.
    region_s = 1.0 / (device.memory_bandwidth_bytes_per_s * device.memory_efficiency * wafers)
    memory_s = (streamed + read * together) * region_s
    macs = macs_per_token(model, context)
    attention = macs.attention_scores + macs.attention_values + macs.state
    rate = device.peak_ops_per_s * device.compute_efficiency * wafers
    compute_s = 2.0 * (parameters(model).active + attention) * together / rate
    latency_s = _layer_latency_s(model, device, wafers) + device.wafer_latency_s * (wafers - 1.0) / layers
    region = np.maximum(memory_s, compute_s) + latency_s
    step_s = layers * region
    tokens_per_s = batch / step_s
    prefill_s = 2.0 * prompt * macs_per_token(model, np.maximum(np.asarray(prompt) // 2, 1)).total / rate
    bound = {"memory bandwidth": memory_s, "compute": compute_s, "latency": latency_s}
    slowest = np.asarray(list(bound), dtype=object)[np.argmax(np.broadcast_arrays(*bound.values()), axis=0)]
    power_w = device.power_w * wafers
    attention_share = np.clip(read * together * region_s / region, 0.0, 1.0)
    latency_share = latency_s / region
    return SimResult(
        machine=device.name,
        model=model.name,
        reading="roofline",
        context=context,
        batch=batch,
        chips=wafers,
        tokens_per_s=tokens_per_s,
        latency_s=step_s,
        interval_s=step_s / batch,
        time_to_first_token_s=prefill_s + step_s,
        energy_j_per_token=power_w / tokens_per_s,
        power_w=power_w,
        area_mm2=device.area_mm2 * wafers,
        bound_by=slowest,
        breakdown={
            "communication": latency_share,
            "nonlinear": 0.0,
            "stall": 0.0,
            "projection": 1.0 - attention_share - latency_share,
            "attention": attention_share,
        },
        occupancy_s={name: seconds * layers / batch for name, seconds in bound.items()},
        kv_bytes_per_sequence=kv,
        checks=(Check("memory", demand, device.memory_bytes * wafers, "B"),),
        notes=(f"split: {layers} layers in a pipeline over the wafers",),
    )


def _layer_latency_s(model: LLMSpec, device: Wafer, wafers: Number) -> Number:
    """Seconds in which a layer's products wait for hops and for each other."""
    products = _PRODUCTS + _ROUTER_PRODUCTS * model.moe_layers / model.layers
    products += _LATENT_PRODUCTS if any(mixer.kind == "mla" for mixer in mixers(model)) else 0
    side = np.sqrt(device.cores * wafers / model.layers)
    return products * (_CROSSINGS * side * device.hop_latency_s + device.product_latency_s)
