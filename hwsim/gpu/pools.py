"""Prompts and answers on GPUs apart: servers that read prompts hand keys and values to servers that decode.

A prompt takes GPU-seconds of one pool and an answer of the other, so the pools are balanced where their GPUs are in the
ratio of these. Decoding is never interrupted, and each pool is split as suits it (Zhong et al., DistServe, OSDI 2024,
arXiv 2401.09670; Patel et al., Splitwise, ISCA 2024, arXiv 2311.18677). The cache of a prompt crosses the network,
from as many GPUs as the smaller of both servers has; all of it comes after the prompt.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hwbase import Record
from hwbase.check import Number
from hwsim.accelerator import Accelerator
from hwsim.gpu.power import step_power_share
from hwsim.gpu.split import Split, element_bytes, memory
from hwsim.gpu.staging import pooled
from hwsim.gpu.step import StepModel
from models import LLMSpec, kv_bytes_per_sequence, state_bytes_per_sequence


@dataclass(frozen=True)
class PromptPool(Record):
    """The servers that read prompts, at the load that is planned for them; arrays of one shape."""

    gpus: Number
    """GPUs of a server."""
    gpu_s: Number
    """GPU-seconds of a prompt, idle times between prompts included."""
    first_token_s: Number
    """Seconds to the first token, without those on the network."""
    power_share: Number


def transfer_gpu_s(spec: LLMSpec, device: Accelerator, prompt: Number) -> Number:
    """Return the seconds in which the cache of `prompt` tokens leaves one GPU over its share of the network."""
    cache = kv_bytes_per_sequence(spec, prompt, element_bytes(spec, device)) + state_bytes_per_sequence(spec)
    return cache / device.network_bandwidth_bytes_per_s


def prompt_pool(
    spec: LLMSpec, device: Accelerator, groups: Iterable[Iterable[Split]], prompt: np.ndarray
) -> PromptPool:
    """Return the server whose GPUs read most prompts of `prompt` tokens; NaN where none holds one.

    Of the `groups` of splits, the first that holds a prompt counts. As many prompts as `prefill_pool_tokens` hold are
    read in a step.
    """
    best = np.full((4, *np.shape(prompt)), np.nan)
    together = np.maximum(np.floor(device.prefill_pool_tokens / prompt), 1.0)
    sent_s = transfer_gpu_s(spec, device, prompt)
    load = device.prefill_pool_load
    for splits in groups:
        missing = np.isnan(best[1])
        if not missing.any():
            break
        for split in splits:
            step = StepModel(spec, device, split)
            read = step.prefill(prompt, prompts=together)
            gpu_s = np.maximum(split.gpus * read.seconds / together, sent_s) / load
            # The wait for the step under way and those before it: a fixed service time, Poisson arrivals.
            first_s = step.first_token_s + read.seconds * (1.0 + load / (2.0 * (1.0 - load)))
            power = load * step_power_share(device, read) + (1.0 - load) * device.idle_power_share
            batch = np.ceil(together / split.replicas) * split.replicas * device.pipeline_stages
            held = memory(spec, pooled(device), split, prompt, batch).fits
            better = missing & held & ~(gpu_s >= best[1])
            best = np.where(better, np.stack(np.broadcast_arrays(float(split.gpus), gpu_s, first_s, power)), best)
    return PromptPool(*best)
