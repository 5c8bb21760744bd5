"""A network decoding on GPUs in closed form: a step of `hwsim.gpu.step` at one context and batch, or arrays of them."""

from dataclasses import replace

import numpy as np

from hwbase import InputError
from hwbase.check import Number, count, shapes
from hwsim.accelerator import Accelerator
from hwsim.gpu.pools import transfer_gpu_s
from hwsim.gpu.power import step_power_share
from hwsim.gpu.split import MOST_GPUS, Split, fewest_gpus, memory, refusal, split_over
from hwsim.gpu.staging import pooled, staging_s
from hwsim.gpu.step import StepModel
from hwsim.results import Check, SimResult
from models import LLMSpec, kv_bytes_per_sequence


def simulate_accelerator(
    model: LLMSpec,
    device: Accelerator,
    *,
    context: Number = 2048,
    batch: Number | None = None,
    prompt: Number | None = None,
    devices: Number | None = None,
) -> SimResult:
    """Return the speed of `model` decoding on GPUs, a step at a time.

    Parameters
    ----------
    model : LLMSpec
        The network, in the number formats that its spec states.
    device : Accelerator
        One GPU and its serving engine (`load_accelerator`).
    context : number or array
        Positions that each sequence attends to.
    batch : number or array, optional
        Sequences that decode together, 1 by default.
    prompt : number or array, optional
        Tokens of the prompt for `time_to_first_token_s`; by default the context.
    devices : number or array, optional
        GPUs that serve it; by default the fewest (a power of two) that hold it.

    Returns
    -------
    SimResult
            Its notes describe the split of the model. With arrays, points that no number of GPUs holds are NaN and fail
            their memory check.

    Raises
    ------
    InputError
        For numbers out of range, and where the GPUs cannot be split or do not hold the model and its sequences.
    """
    context = count("context", context, high=1e8)
    batch = 1 if batch is None else count("batch", batch, high=1e7)
    prompt = context if prompt is None else count("prompt", prompt, high=1e8)
    shapes(**vars(device) | {"context": context, "batch": batch, "prompt": prompt, "devices": devices})
    stages = device.pipeline_stages
    devices = None if devices is None else _of_a_stage(devices, stages)
    split = _split(model, pooled(device), context, batch, devices)
    step_model = StepModel(model, device, split)
    held = memory(model, pooled(device), split, context, batch)
    step = step_model.decode(batch / stages, context)
    step = replace(step, exchange_s=step.exchange_s + staging_s(model, device, split, step.seconds, batch / stages))
    step_s = step.seconds
    sent_s = device.separate_pools * transfer_gpu_s(model, device, prompt) / split.gpus
    tokens_per_s = batch / step_s
    gpus = split.gpus * stages
    power_w = device.power_w * gpus * step_power_share(device, step)
    bound = {"memory bandwidth": step.memory_s, "compute": step.compute_s, "NVLink": step.exchange_s}
    bound["latency"] = step.layers_s + step.host_s
    shares = np.broadcast_arrays(*bound.values(), step_s)[:-1]
    slowest = np.asarray(list(bound), dtype=object)[np.argmax(shares, axis=0)]
    return SimResult(
        machine=device.name,
        model=model.name,
        reading="roofline",
        context=context,
        batch=batch,
        chips=gpus,
        tokens_per_s=tokens_per_s,
        latency_s=step_s,
        interval_s=step_s / batch,
        time_to_first_token_s=step_model.first_token_s + step_model.prefill(prompt).seconds + sent_s,
        energy_j_per_token=power_w / tokens_per_s,
        power_w=power_w,
        area_mm2=device.area_mm2 * gpus,
        bound_by=slowest,
        breakdown={
            "communication": step.exchange_s / step_s,
            "projection": step.products_s / step_s,
            "nonlinear": step.layers_s / step_s,
            "attention": step.attention_s / step_s,
            "stall": step.host_s / step_s,
        },
        occupancy_s={name: seconds / batch for name, seconds in bound.items()},
        kv_bytes_per_sequence=kv_bytes_per_sequence(model, context, device.kv_element_bytes),
        checks=(Check("memory", held.needed_bytes / stages, held.room_bytes / stages, "B", note="of one device"),),
        notes=_notes(model, split, stages),
    )


def _split(model: LLMSpec, device: Accelerator, context: Number, batch: Number, devices: Number | None) -> Split:
    if devices is not None:
        split = split_over(model, device, count("devices", devices, high=MOST_GPUS), context, batch)
        if not np.ndim(split.tensor) and np.isnan(split.tensor):
            raise InputError(refusal(model, device, int(devices), context, batch))
        return split
    split = fewest_gpus(model, device, context, batch)
    if not np.ndim(split.tensor) and np.isnan(split.tensor):
        raise InputError(
            f"context = {context:g}, batch = {batch:g}: no number of GPUs holds {model.name} and these sequences: "
            "expected fewer or shorter ones"
        )
    return split


def _of_a_stage(devices: Number, stages: Number) -> Number:
    """Return the GPUs of a stage; raises `InputError` where they do not divide."""
    gpus = count("devices", devices, high=MOST_GPUS)
    if np.any(gpus % stages):
        raise InputError(f"gpus = {devices}: expected a multiple of pipeline_stages = {stages}")
    return gpus // stages


def _notes(model: LLMSpec, split: Split, stages: Number) -> tuple[str, ...]:
    how = split.describe(model) if not np.ndim(split.gpus) else "each point over the fewest GPUs that hold it"
    if np.ndim(stages) == 0 and stages > 1:
        how += f", in each of {stages:g} stages"
    return (f"split: {how}", "kernels' measured efficiencies and fitted latencies; nothing waits for anything")
