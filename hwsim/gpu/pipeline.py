"""Pipeline parallelism: groups of GPUs hold some layers each, and hand batches on.

With p stages, p batches are under way. Each goes through all layers in the time of a step on one group, and through
p - 1 links between stages; meanwhile the other stages work on other batches (Narayanan et al., SC 2021, arXiv
2104.04473, of whose schedule decoding is the steady state, without a bubble). So a pipeline generates as a group does
whose memory is p times as large, a GPU as much as one of the group: stages are worth their GPUs where memory binds.
"""

from dataclasses import replace

from hwbase.check import Number
from hwsim.accelerator import Accelerator
from models import LLMSpec


def pooled(device: Accelerator) -> Accelerator:
    """Return a GPU whose memory is that of one GPU of each stage."""
    return replace(device, memory_bytes=device.memory_bytes * device.pipeline_stages)


def handing_s(spec: LLMSpec, device: Accelerator, sequences: Number) -> Number:
    """Return the seconds in which a batch of `sequences` tokens goes from stage to stage; everything broadcasts."""
    links = device.nvlink_bandwidth_bytes_per_s * device.nvlink_efficiency
    vectors = sequences * spec.hidden_size * device.activation_bytes
    return (device.pipeline_stages - 1.0) * (device.all_reduce_latency_s + vectors / links)
