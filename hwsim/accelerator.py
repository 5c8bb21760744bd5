"""Machines that keep weights in memory (GPU, wafer-scale engine): a roofline for decode."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwbase import Record, load_book
from hwbase.books import Reader, check_fields, from_book, sourced
from hwbase.check import Number, count
from hwsim.machine_books import DEFAULT_GPU
from hwsim.results import Check, SimResult
from hwsim.technology import BOOKS
from models import (
    LLMSpec,
    check_decoder,
    kv_bytes_per_sequence,
    kv_bytes_read_per_token,
    macs_per_token,
    parameters,
    weight_bytes,
)


@dataclass(frozen=True)
class Accelerator(Record):
    """One device that keeps weights in memory."""

    name: str
    memory_bandwidth_bytes_per_s: Number = sourced("B/s", above=0.0, high=1e18)
    memory_bytes: Number = sourced("B", above=0.0, high=1e18)
    peak_ops_per_s: Number = sourced("1/s", above=0.0, high=1e24)
    memory_efficiency: Number = sourced("1", above=0.0, high=1.0)
    compute_efficiency: Number = sourced("1", above=0.0, high=1.0)
    area_mm2: Number = sourced("mm**2", above=0.0, high=1e6)
    power_w: Number = sourced("W", above=0.0, high=1e9)
    rack_units: Number = sourced("1", above=0.0)
    kv_element_bytes: Number = sourced("B", above=0.0, high=64)

    def __post_init__(self) -> None:
        check_fields(type(self), vars(self))


def load_accelerator(name_or_path: str | Path = DEFAULT_GPU, reader: Reader | None = None) -> Accelerator:
    """Return the `Accelerator` of a machine by name or path; `reader` collects what was read."""
    reader = reader or load_book(name_or_path, BOOKS).reader()
    return from_book(Accelerator, reader, name=reader.book.name)


def simulate_accelerator(
    model: LLMSpec,
    device: Accelerator,
    *,
    context: Number = 2048,
    batch: Number | None = None,
    prompt: Number | None = None,
    devices: Number | None = None,
) -> SimResult:
    """Return the roofline of `model` decoding `batch` sequences at `context` on as few devices as hold its weights.

    A step reads every weight some sequence uses (of E experts with k active, E (1 - (1 - k/E)^batch) are expected to
    be), and every sequence's keys and values; it computes 2 operations a multiply-accumulate. The slower of memory
    and arithmetic, each at its efficiency, sets the time (Williams, Waterman and Patterson, CACM 52(4), 2009). An upper
    bound: no kernel launches, no interconnect, no scheduling. Broadcasts over context and batch; raises `InputError`.
    """
    context = count("context", context, high=1e8)
    batch = 1 if batch is None else count("batch", batch, high=1e7)
    prompt = context if prompt is None else count("prompt", prompt, high=1e8)
    check_decoder(model, "a roofline of decoding")
    stored = weight_bytes(model)
    kv = kv_bytes_per_sequence(model, context, device.kv_element_bytes)
    needed = np.maximum(np.ceil((stored.total + kv * batch) / device.memory_bytes), 1.0)[()]
    units = needed if devices is None else count("devices", devices, high=1e6)
    used_share = 1.0
    if model.experts:
        used_share = 1.0 - np.power(1.0 - model.experts_per_token / model.experts, batch)
    streamed = stored.streamed + stored.experts * used_share
    read = kv_bytes_read_per_token(model, context, device.kv_element_bytes)
    memory_s = (streamed + read * batch) / (device.memory_bandwidth_bytes_per_s * device.memory_efficiency * units)
    macs = macs_per_token(model, context)
    attention = macs.attention_scores + macs.attention_values + macs.state
    dense = parameters(model).active
    rate = device.peak_ops_per_s * device.compute_efficiency * units
    compute_s = 2.0 * (dense + attention) * batch / rate
    step_s = np.maximum(memory_s, compute_s)
    tokens_per_s = batch / step_s
    prefill_s = 2.0 * prompt * macs_per_token(model, np.maximum(np.asarray(prompt) // 2, 1)).total / rate
    bound = np.where(memory_s >= compute_s, "memory bandwidth", "compute")[()]
    power_w = device.power_w * units
    parts = {"communication": 0.0, "nonlinear": 0.0, "stall": 0.0}
    kv_s = read * batch / (device.memory_bandwidth_bytes_per_s * device.memory_efficiency * units)
    attention_share = np.clip(kv_s / step_s, 0.0, 1.0)
    return SimResult(
        machine=device.name,
        model=model.name,
        reading="roofline",
        context=context,
        batch=batch,
        chips=units,
        tokens_per_s=tokens_per_s,
        latency_s=step_s,
        interval_s=step_s / batch,
        time_to_first_token_s=prefill_s + step_s,
        energy_j_per_token=power_w / tokens_per_s,
        power_w=power_w,
        area_mm2=device.area_mm2 * units,
        bound_by=str(bound) if np.ndim(bound) == 0 else bound,
        breakdown={**parts, "projection": 1.0 - attention_share, "attention": attention_share},
        occupancy_s={"memory bandwidth": memory_s / batch, "compute": compute_s / batch},
        kv_bytes_per_sequence=kv,
        checks=(Check("memory", stored.total + kv * batch, device.memory_bytes * units, "B"),),
        notes=("a roofline: an upper bound on speed, not a measurement",),
    )
