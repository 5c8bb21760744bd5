"""Pipeline parallelism: groups of GPUs hold some layers each, and hand batches on.

With p stages, p batches are under way. Each goes through all layers in the time of a step on one group, and through
p - 1 links between stages; meanwhile the other stages work on other batches (Narayanan et al., SC 2021, arXiv
2104.04473, of whose schedule decoding is the steady state, without a bubble). So a pipeline generates as a group does
whose memory is p times as large, a GPU as much as one of the group: stages are worth their GPUs where memory binds.
"""

from dataclasses import replace

import numpy as np

from hwbase.check import Number
from hwsim.accelerator import Accelerator
from hwsim.gpu.split import Split
from models import LLMSpec


def pooled(device: Accelerator) -> Accelerator:
    """Return a GPU whose memory is that of one GPU of each stage."""
    if np.all(np.asarray(device.pipeline_stages) == 1):
        return device
    return replace(device, memory_bytes=device.memory_bytes * device.pipeline_stages)


def staging_s(spec: LLMSpec, device: Accelerator, split: Split, step_s: Number, sequences: Number) -> Number:
    """Return the seconds that stages add to a step of `step_s`; everything broadcasts.

    A batch of `sequences` tokens is handed from stage to stage, and waits for the stage with the most layers where they
    do not divide. Stages that do not share a node are linked by the network.
    """
    stages = device.pipeline_stages
    inside = device.nvlink_bandwidth_bytes_per_s * device.nvlink_efficiency
    links = np.where(np.asarray(split.gpus) * stages > device.node_gpus, device.network_bandwidth_bytes_per_s, inside)
    vectors = sequences * spec.hidden_size * device.activation_bytes
    uneven = np.ceil(spec.layers / np.asarray(stages)) * stages / spec.layers - 1.0
    return ((stages - 1.0) * (device.all_reduce_latency_s + vectors / links) + uneven * step_s)[()]
