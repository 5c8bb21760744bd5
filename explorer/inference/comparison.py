"""Measures of one arithmetic beside another on the same text, token by token: perplexity, accuracy, divergence."""

from dataclasses import dataclass, field

import numpy as np
from scipy.special import log_softmax
from scipy.stats import t as student

#: Confidence of intervals, two-sided.
CONFIDENCE = 0.95
#: Tokens whose probabilities are compared at once.
_ROWS = 32


@dataclass(eq=False)
class Reference:
    """Log-probabilities of every next token in the first arithmetic, window by window, as float16."""

    windows: dict[int, np.ndarray] = field(default_factory=dict)


class Predictions:
    """Gathers accuracy and divergence as `token_losses` passes its logits on.

    Parameters
    ----------
    ids : ndarray of int, (tokens + 1,)
        The text; the first token is not scored.
    reference : Reference
        What divergence is to; filled where it is empty, by the first arithmetic.
    """

    def __init__(self, ids: np.ndarray, reference: Reference) -> None:
        self._ids, self._reference, self._fills = np.asarray(ids), reference, not reference.windows
        self.right: list[np.ndarray] = []
        self.divergence: list[np.ndarray] = []

    def __call__(self, start: int, logits: np.ndarray) -> None:
        """Take the logits (tokens, vocabulary) that predict the tokens from `start` on."""
        targets = self._ids[start : start + len(logits)]
        self.right.append(logits.argmax(axis=-1) == targets)
        if self._fills:
            self._reference.windows[start] = np.empty(logits.shape, np.float16)
        kept = self._reference.windows[start]
        lost = np.zeros(len(logits))
        for first in range(0, len(logits), _ROWS):
            rows = slice(first, first + _ROWS)
            here = log_softmax(logits[rows], axis=-1)
            if self._fills:
                kept[rows] = here
            else:
                there = kept[rows].astype(np.float32)
                lost[rows] = (np.exp(there) * (there - here)).sum(axis=-1, dtype=np.float64)
        self.divergence.append(lost)


def paired_interval(more: np.ndarray, window: int) -> tuple[float, float]:
    """Return the interval of the ratio of two perplexities, from the differences of their losses (tokens,).

    Windows of `window` - 1 scored tokens are the units, for tokens of one window are not independent; a last one that
    is shorter counts with the one before. Student's t; NaN for fewer than two windows.
    """
    units = max(len(more) // max(window - 1, 1), 1)
    means = np.array([part.mean() for part in np.split(more, np.arange(1, units) * (window - 1))])
    if units < 2:
        return float("nan"), float("nan")
    wide = student.ppf((1 + CONFIDENCE) / 2, units - 1) * means.std(ddof=1) / np.sqrt(units)
    return float(np.exp(more.mean() - wide)), float(np.exp(more.mean() + wide))
