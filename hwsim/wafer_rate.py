"""What one wafer, or one chip of a pipeline of them, generates at best while it keeps a promise.

More sequences in the pipeline raise its throughput, take memory and so more chips, and the time between two tokens of
each. The number with the most tokens a second a chip is taken.
"""

import numpy as np

from hwbase.check import Number
from hwsim.gpu.rate import GpuRate, load_points
from hwsim.wafer import Wafer, simulate_wafer
from models import LLMSpec

#: Sequences tried: from one to so many for every layer, in even ratios.
_MOST_A_LAYER, _TRIED = 32, 96


def best_wafer_rate(
    model: LLMSpec,
    device: Wafer,
    *,
    context: Number,
    prompt_tokens: Number = 0,
    output_tokens: Number = 0,
    time_per_token_s: Number,
) -> GpuRate:
    """Return the most output tokens per second a chip within a promise; everything broadcasts.

    Parameters
    ----------
    model : LLMSpec
        The network, in the number formats that its spec states.
    device : Wafer
        One wafer or chip.
    context : int or array
        Positions that each sequence attends to, where only decoding counts.
    prompt_tokens, output_tokens : int or array
        Tokens of a prompt and of an answer, both more than 0 where prompts are read too; then `context` does not count.
    time_per_token_s : float or array
        The promise: the time between output tokens, at most.

    Returns
    -------
    GpuRate
        Its `tensor` are the chips that serve together; NaN where none keep the promise.

    Raises
    ------
    InputError
        For numbers out of range, and a network that is no decoder.
    """
    points, shape = load_points(context, prompt_tokens, output_tokens, time_per_token_s)
    context, prompt, output, promise, _ = (column[:, None] for column in points.T)
    tried = np.unique(np.round(np.geomspace(1.0, _MOST_A_LAYER * model.layers, _TRIED)))[None, :]
    served = prompt > 0
    run = simulate_wafer(
        model,
        device,
        context=np.where(served, prompt + np.floor(output / 2.0), context),
        batch=tried,
        prompt=np.maximum(prompt, 1.0),
    )
    reading_s = np.where(served, run.time_to_first_token_s - run.latency_s, 0.0)
    answers = np.where(served, output, 1.0)
    rate = answers / (reading_s + answers * run.interval_s) / run.chips
    rate = np.where(run.latency_s <= promise, rate, -np.inf)
    best = np.argmax(rate, axis=1)[:, None]
    held = np.take_along_axis(np.isfinite(rate), best, axis=1)
    fields = (rate, run.chips, np.ones_like(rate), np.broadcast_to(tried, rate.shape), run.latency_s)
    picked = (np.take_along_axis(np.broadcast_to(field, rate.shape), best, axis=1) for field in fields)
    return GpuRate(*(np.where(held, values, np.nan).reshape(shape)[()] for values in picked))
