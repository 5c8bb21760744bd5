"""Speculative decoding: tokens are drafted cheaply, and one step of the network verifies them together.

Of g drafted tokens, each accepted with probability a if those before it were, a step keeps

    (1 - a^(g + 1)) / (1 - a)

tokens of a sequence in the mean, its own included; drafting takes g c steps, c the time of a drafted token over that of
a step (Leviathan, Kalman and Matias, ICML 2023, arXiv 2211.17192, equation 1 and theorem 3.8).
"""

import numpy as np

from hwbase.check import Number
from hwsim.accelerator import Accelerator


def tokens_per_step(drafted: Number, acceptance: Number) -> Number:
    """Return the tokens that a step keeps of each sequence in the mean; everything broadcasts.

    >>> round(tokens_per_step(1, 0.85), 2), tokens_per_step(4, 0.0), tokens_per_step(4, 1.0)
    (1.85, 1.0, 5.0)
    """
    drafted, acceptance = np.asarray(drafted, float), np.asarray(acceptance, float)
    refused = np.where(acceptance < 1.0, 1.0 - acceptance, 1.0)
    kept = np.where(acceptance < 1.0, (1.0 - acceptance ** (drafted + 1.0)) / refused, drafted + 1.0)
    return kept if kept.ndim else float(kept)


def steps_per_token(device: Accelerator) -> Number:
    """Return the time of a step with its drafts, over that of one step, for each token that it keeps."""
    kept = tokens_per_step(device.drafted_tokens, device.draft_acceptance)
    return (1.0 + device.draft_time_share * device.drafted_tokens) / kept
