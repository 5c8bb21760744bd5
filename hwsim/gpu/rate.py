"""What one GPU of a fleet generates at best while it keeps a promise: the split and the number of sequences are chosen.

A server of one or more GPUs decodes some sequences together. More of them raise its throughput and the time between
two tokens of each, so the best server takes as many as its memory, its engine and the promise allow. Among the splits
over the GPUs of a node, those that were measured, the one whose GPUs generate most is taken; where none holds a
sequence, several nodes share the model. Where memory limits the sequences of a split, pipelines of such servers are
tried too (`hwsim.gpu.staging`), unless the GPU's book states a number of stages.
"""

from dataclasses import dataclass, fields, replace

import numpy as np

from hwbase import Record
from hwbase.check import Number, count, positive
from hwsim.accelerator import Accelerator
from hwsim.gpu.loop import loop_times
from hwsim.gpu.pools import prompt_pool, transfer_gpu_s
from hwsim.gpu.power import busy_power_share
from hwsim.gpu.split import Split, memory, tensor_sizes
from hwsim.gpu.staging import pooled, staging_s
from hwsim.gpu.step import StepModel
from models import LLMSpec

#: Nodes that share a model which no node holds, tried in turn.
_NODES = (2, 4, 8, 16, 32)
#: Stages tried in turn where the GPU's book states one.
_STAGES = (1, 2, 4, 8)
#: Numbers of sequences tried between 1 and the most, and then between the best of them and the next.
_STEPS_PER_OCTAVE, _BETWEEN = 4, 17


@dataclass(frozen=True)
class GpuRate(Record):
    """The best server of a fleet; NaN where no server keeps the promise. Numbers, or arrays of one shape."""

    tokens_per_s: Number
    """Output tokens per second of one GPU."""
    tensor: Number
    """GPUs that share every matrix."""
    replicas: Number
    """Groups of such GPUs in a server."""
    sequences: Number
    """Sequences that a server decodes together."""
    time_per_output_token_s: Number
    """Seconds between two tokens of a sequence."""
    power_share: Number = 1.0
    """Power that its GPUs draw, over that stated."""
    stages: Number = 1
    """Stages of a pipeline of such servers."""
    time_to_first_token_s: Number = np.nan
    """Seconds, where prompts are read."""
    prompt_gpus: Number = 0
    """GPUs that read prompts, for each such server, where they are others."""

    @property
    def gpus(self) -> Number:
        """GPUs of a server that decodes."""
        return self.tensor * self.replicas * self.stages

    def describe(self) -> str:
        """Return how the GPUs share a network, in words; of one server, not of arrays."""
        parts = {"tensor parallelism": self.tensor, "groups": self.replicas, "pipeline stages": self.stages}
        how = ", ".join(f"{name} {value:g}" for name, value in parts.items() if value > 1) or "not split"
        return f"{how}; beside it {self.prompt_gpus:.3g} GPUs that read prompts" if self.prompt_gpus > 0 else how


def best_rate(
    model: LLMSpec,
    device: Accelerator,
    *,
    context: Number,
    prompt_tokens: Number = 0,
    output_tokens: Number = 0,
    time_per_token_s: Number,
    sequences: Number,
) -> GpuRate:
    """Return the most output tokens per second a GPU that a fleet generates within a promise; everything broadcasts.

    Parameters
    ----------
    model : LLMSpec
        The network, in the number formats that its spec states.
    device : Accelerator
        One GPU and its serving engine.
    context : int or array
        Positions that each sequence attends to, where only decoding counts.
    prompt_tokens, output_tokens : int or array
        Tokens of a prompt and of an answer, both more than 0 where prompts are read too; then `context` does not count.
    time_per_token_s : float or array
        The promise: the mean time between output tokens, at most.
    sequences : int or array
        Sequences of a group of GPUs that the engine decodes together, at most.

    Returns
    -------
    GpuRate

    Raises
    ------
    InputError
        For numbers out of range, and a network that is no decoder.
    """
    inputs, shape = load_points(context, prompt_tokens, output_tokens, time_per_token_s, sequences)
    points, index = np.unique(inputs, axis=0, return_inverse=True)
    if device.separate_pools:
        best = _in_pools(model, replace(device, separate_pools=0), points)
    else:
        best = _best(model, device, points)
    return GpuRate(*(row[index.ravel()].reshape(shape)[()] for row in best))


def load_points(
    context: Number, prompt_tokens: Number, output_tokens: Number, time_per_token_s: Number, sequences: Number = 1
) -> tuple[np.ndarray, tuple[int, ...]]:
    """Return (loads of `best_rate`, a row each, shape (points, 5); the shape that they broadcast to).

    Raises `InputError` for numbers out of range.
    """
    columns = np.broadcast_arrays(
        count("context", context, high=1e8),
        count("prompt_tokens", prompt_tokens, low=0, high=1e8),
        count("output_tokens", output_tokens, low=0, high=1e8),
        positive("time_per_token_s", time_per_token_s),
        count("sequences", sequences, high=1e6),
    )
    return np.stack([column.ravel() for column in columns], axis=1).astype(float), columns[0].shape


def _best(model: LLMSpec, device: Accelerator, points: np.ndarray) -> np.ndarray:
    """Return the fields of `GpuRate`, shape (fields, points), of the best server of all splits."""
    best = np.full((len(fields(GpuRate)), len(points)), np.nan)
    alone = np.zeros(len(points), dtype=bool)
    for splits in split_groups(model, device):
        missing = np.flatnonzero(~alone)
        if not missing.size:
            break
        for split in splits:
            tried = missing
            for staged in _staged(model, device):
                server, crowded = _server(model, staged, split, points[tried])
                better = np.isfinite(server[0]) & ~(server[0] <= best[0, tried])
                best[:, tried[better]] = server[:, better]
                if staged.pipeline_stages == device.pipeline_stages:
                    alone[tried] |= np.isfinite(server[0])
                tried = tried[crowded]
                if not tried.size:
                    break
    return best


def _in_pools(model: LLMSpec, device: Accelerator, points: np.ndarray) -> np.ndarray:
    """Return `_best` with prompts read on GPUs of their own: a server that only decodes, and its share of those."""
    context, prompt, output = points.T[:3]
    loads = points.copy()
    loads[:, 0], loads[:, 1:3] = _positions(context, prompt, output), 0.0
    best = GpuRate(*_best(model, device, loads))
    served, length = prompt > 0, np.maximum(prompt, 1.0)
    pool = prompt_pool(model, device, split_groups(model, device), length)
    sent_s = transfer_gpu_s(model, device, length)
    with np.errstate(invalid="ignore", divide="ignore"):
        answer_gpu_s = np.maximum((output - 1.0) / best.tokens_per_s, sent_s)
        gpu_s = pool.gpu_s + answer_gpu_s
        prompts_power = (pool.gpu_s * pool.power_share + answer_gpu_s * best.power_share) / gpu_s
        first_s = pool.first_token_s + sent_s / np.minimum(pool.gpus, best.gpus)
        both = replace(
            best,
            tokens_per_s=output / gpu_s,
            power_share=prompts_power,
            time_to_first_token_s=first_s,
            prompt_gpus=best.gpus * pool.gpu_s / answer_gpu_s,
        )
    kept = np.where(served, np.stack(list(vars(both).values())), np.stack(list(vars(best).values())))
    return np.where(np.isfinite(kept[0]), kept, np.nan)


def split_groups(model: LLMSpec, device: Accelerator) -> list[list[Split]]:
    """Return the splits that are tried together: those within a node, then those over 2, 4, 8 ... nodes."""
    sizes, node = tensor_sizes(model, device), int(np.max(device.node_gpus))
    inside = [size for size in sizes if size <= node]
    groups = [[Split(size, 1) for size in inside]]
    for nodes in _NODES:
        gpus = nodes * node
        over = [Split(gpus, 1)] if gpus in sizes else []
        groups.append([*over, *(Split(size, gpus // size) for size in inside)])
    return groups


def _staged(model: LLMSpec, device: Accelerator) -> list[Accelerator]:
    """Return the GPU with each number of stages that is tried, the number of its book first."""
    if device.pipeline_stages > 1:
        return [device]
    return [replace(device, pipeline_stages=stages) for stages in _STAGES if stages <= model.layers]


def _server(model: LLMSpec, device: Accelerator, split: Split, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (the fields of `GpuRate`, shape (fields, points), of the best number of sequences on one split; where
    memory has no room for one more).
    """
    most = points[:, 4]
    octaves = np.arange(0.0, np.log2(np.max(most)) + 1.0, 1.0 / _STEPS_PER_OCTAVE)
    tried = np.unique(np.minimum(np.round(2.0**octaves), np.max(most)))
    step = StepModel(model, device, split)
    rate, *_ = _rates(step, points, tried[None, :])
    best = np.argmax(rate, axis=1)
    low, high = tried[best][:, None], tried[np.minimum(best + 1, tried.size - 1)][:, None]
    sequences = np.round(low + (high - low) * np.linspace(0.0, 1.0, _BETWEEN))
    rate, between, power, first = _rates(step, points, sequences)
    at = np.arange(len(points)), np.argmax(rate, axis=1)
    values = (
        rate[at],
        np.full(len(points), float(split.tensor)),
        np.full(len(points), float(split.replicas)),
        sequences[at] * split.replicas * device.pipeline_stages,
        between[at],
        power[at],
        np.full(len(points), float(device.pipeline_stages)),
        first[at],
        np.zeros(len(points)),
    )
    is_served = np.isfinite(rate[at])
    more = np.where(is_served, sequences[at], 0.0) + 1.0
    context, prompt, output = points.T[:3]
    positions = _positions(context, prompt, output)
    one_more = memory(model, pooled(device), split, positions, more * split.replicas * device.pipeline_stages)
    return np.where(is_served, np.stack(values), np.nan), ~one_more.fits


def _rates(step: StepModel, points: np.ndarray, sequences: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return (tokens/s a GPU, seconds between tokens, power over that stated, seconds to the first), (points, numbers).

    `sequences` are numbers of sequences of a group. The rate is minus infinity where memory, the engine or the promise
    does not allow them.
    """
    context, prompt, output, promise, most = (column[:, None] for column in points.T)
    split, tried, stages = step.split, sequences * step.split.replicas, step.device.pipeline_stages
    served = prompt > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        decode = step.decode(tried, context)
        decoding = decode.seconds + staging_s(step.spec, step.device, split, decode.seconds, tried)
        times = loop_times(step, tried, np.maximum(prompt, 1.0), np.maximum(output, 1.0))
        cycle_s = times.time_to_first_token_s + times.time_per_output_token_s * (output - 1.0)
        between = np.where(served, times.time_per_output_token_s, decoding)
        rate = np.where(served, times.running * output / cycle_s, tried / decoding) / split.gpus
        busy = (
            np.where(served, of_loop, of_step / decoding)
            for of_loop, of_step in ((times.memory_share, decode.memory_s), (times.compute_share, decode.compute_s))
        )
        power = busy_power_share(step.device, *busy)
        positions = _positions(context, prompt, output)
        held = memory(step.spec, pooled(step.device), split, positions, tried * stages).fits
        allowed = held & (between <= promise) & (sequences * stages <= most)
    shape = rate.shape
    first = np.where(served, times.time_to_first_token_s, np.nan)
    others = (np.broadcast_to(value, shape) for value in (between, power, first))
    return np.where(allowed, rate, -np.inf), *others


def _positions(context: np.ndarray, prompt: np.ndarray, output: np.ndarray) -> np.ndarray:
    """Return the positions that a sequence holds in the mean."""
    return np.where(prompt > 0, prompt + output / 2.0, context)
