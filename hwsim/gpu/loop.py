"""A closed loop of users on GPUs in the steady state: means without events, for arrays of points.

Every user sends a prompt, waits for the whole answer and sends again. While a sequence decodes, the prompts of the
others are read between its tokens. With N sequences at work, steps of d seconds, prompts that add P and a cycle of C
seconds from one request of a user to the next,

    (C - T) (1 - (N - 1) P / C) = (n_out - 1) d,

where T is the time to the first token: the others' prompts take their share of the time in which a sequence decodes.
Where the cache holds fewer sequences than there are users, the rest wait their turn.
"""

from dataclasses import dataclass

import numpy as np

from hwbase import InputError, Record
from hwbase.check import Number
from hwsim.gpu.split import memory
from hwsim.gpu.staging import pooled, staging_s
from hwsim.gpu.step import StepModel

#: Waiting is not followed beyond this share of time spent on prompts.
_MOST_BUSY = 0.95


@dataclass(frozen=True)
class LoopTimes(Record):
    """Means over requests: seconds to the first token and for each token after it, and sequences at work."""

    time_to_first_token_s: Number
    time_per_output_token_s: Number
    running: Number
    memory_share: Number
    """Share of the time in which memory is busy."""
    compute_share: Number
    """Share of the time in which arithmetic is."""


def loop_times(
    model: StepModel, users: Number, prompt: Number, output: Number, *, rounds: float = np.inf, most: Number = np.inf
) -> LoopTimes:
    """Return the means of `users` users that each send `rounds` requests; everything broadcasts.

    Parameters
    ----------
    model
        Times of the steps.
    users
        Users in the loop, of one batch where GPUs are a pipeline.
    prompt, output
        Tokens of each prompt and answer.
    rounds
        Requests of each user. In the first round all prompts come at once and wait for each other.
    most
        Most prompt tokens that a step reads.

    Returns
    -------
    LoopTimes
        Seconds. Not a number where the GPUs hold no sequence of this length.

    Raises
    ------
    InputError
        Where prompts are read on other GPUs.
    """
    if model.device.separate_pools:
        raise InputError(
            f"separate_pools = {model.device.separate_pools:g}: one server reads prompts and decodes here: expected 0"
        )
    prompt, output = np.asarray(prompt, float), np.asarray(output, float)
    # Half of the sequences have more than half of their answer.
    context = prompt + output / 2.0
    stages = model.device.pipeline_stages
    held = memory(model.spec, pooled(model.device), model.split, context, model.split.replicas)
    fitting = np.floor((held.room_bytes - held.weights_bytes) / held.kv_bytes / stages) * model.split.replicas
    running = np.where(fitting >= 1, np.minimum(users, fitting), np.nan)
    step = model.decode(running, context)
    step_s = step.seconds + staging_s(model.spec, model.device, model.split, step.seconds, running)
    read = prompt * (1.0 - model.device.cached_prompt_share)
    pieces = np.ceil(read / most) if np.isfinite(most) else 1.0
    beside = running - 1.0
    more = model.prefill(prompt, beside)
    without = model.decode(beside, 0.0)
    prompt_s = more.seconds - without.seconds + (pieces - 1.0) * model.prefill_layers_s
    alone_s = model.prefill(prompt).seconds + (pieces - 1.0) * (model.prefill_layers_s + model.layers_s + model.host_s)
    steps = np.maximum(output - 1.0, 1.0)
    # (C - T)(C - (N - 1) P) = steps d C
    half = (alone_s + beside * prompt_s + steps * step_s) / 2.0
    cycle_s = half + np.sqrt(half * half - alone_s * beside * prompt_s)
    busy = np.minimum(beside * prompt_s / cycle_s, _MOST_BUSY)
    # A request waits for the step under way, for prompts before it (a fixed service time, Poisson arrivals), for all
    # other prompts at once in the first round, and for a place where the cache is full.
    queue_s = step_s / 2.0 + busy / (2.0 * (1.0 - busy)) * prompt_s
    first_round_s = beside / 2.0 * prompt_s / rounds
    waiting_s = (users / running - 1.0) * cycle_s
    return LoopTimes(
        time_to_first_token_s=(model.first_token_s + alone_s + queue_s + first_round_s + waiting_s)[()],
        time_per_output_token_s=((cycle_s - alone_s) / steps)[()],
        running=running[()],
        memory_share=((steps * step.memory_s + running * (more.memory_s - without.memory_s)) / cycle_s)[()],
        compute_share=((steps * step.compute_s + running * (more.compute_s - without.compute_s)) / cycle_s)[()],
    )
