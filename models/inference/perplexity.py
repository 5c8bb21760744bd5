"""Perplexity of a network on a text, over windows of bounded length."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hwbase import InputError, Record, check
from models.inference.transformer import Transformer, check_tokens

#: Called with (tokens scored so far, tokens to score).
Progress = Callable[[int, int], None]
#: Called with the position of the first token that is scored, and the logits (tokens, vocabulary) that predict them.
Observe = Callable[[int, np.ndarray], None]
DEFAULT_WINDOW = 512
_ROWS = 8


@dataclass(frozen=True)
class Perplexity(Record):
    """Perplexity `value` = exp(`nll`), the mean negative log-likelihood in nats of the `tokens` scored.

    `standard_error` is that of `nll` if tokens were independent; differences between two arithmetics on the same text
    are far steadier than it suggests.
    """

    value: float
    nll: float
    standard_error: float
    tokens: int
    window: int
    stride: int


def perplexity(
    model: Transformer,
    tokens: Sequence[int] | np.ndarray,
    *,
    window: int = DEFAULT_WINDOW,
    stride: int | None = None,
    progress: Progress | None = None,
) -> Perplexity:
    """Return the perplexity of token ids (tokens,) read in windows of `window` tokens, each from an empty cache.

    Windows start `stride` tokens apart, by default such that each token is scored once with the least work: the last
    token of a window is the first of the next. A smaller stride gives tokens more context; those already scored are
    not scored again. The first token of the text is never scored. Raises `InputError` for fewer than two tokens, a
    window above the network's context, or a stride that would skip tokens.

    Parameters
    ----------
    model : Transformer
        The network.
    tokens : sequence of int, (tokens,)
        Token ids of the text.
    window : int
        Tokens of a window. Default 512.
    stride : int, optional
        Tokens from one window to the next; `window` - 1 unless given.
    progress : callable, optional
        Called with the tokens scored so far and the tokens to score.
    """
    losses = token_losses(model, tokens, window=window, stride=stride, progress=progress)
    nll = float(losses.mean())
    error = float(losses.std() / np.sqrt(losses.size))
    apart = window - 1 if stride is None else stride
    return Perplexity(float(np.exp(nll)), nll, error, losses.size, int(window), int(apart))


def token_losses(
    model: Transformer,
    tokens: Sequence[int] | np.ndarray,
    *,
    window: int = DEFAULT_WINDOW,
    stride: int | None = None,
    begin: int | None = None,
    progress: Progress | None = None,
    observe: Observe | None = None,
) -> np.ndarray:
    """Return -log p of every token but the first given those before it in its window, nats, float64 (tokens - 1,).

    Parameters and errors are those of `perplexity`.

    Parameters
    ----------
    model : Transformer
        The network.
    tokens : sequence of int, (tokens,)
        Token ids of the text.
    window : int
        Tokens of a window. Default 512.
    stride : int, optional
        Tokens from one window to the next; `window` - 1 unless given.
    begin : int, optional
        A token that every window begins with, beside its own.
    progress : callable, optional
        Called with the tokens scored so far and the tokens to score.
    observe : callable, optional
        Called with the position of the first token scored in a window, and the logits that predict its tokens.
    """
    ids = check_tokens(tokens, model.config.vocabulary)
    if len(ids) < 2:
        raise InputError(f"{len(ids)} token: expected at least 2, the first is not scored")
    first = [] if begin is None else [begin]
    length = check.integer("window", window, low=2, high=model.config.context - len(first))
    apart = check.integer("stride", length - 1 if stride is None else stride, high=length - 1)
    losses = np.empty(len(ids) - 1)
    for start, scored, stop in _windows(len(ids), length, apart):
        logits = model.forward([*first, *ids[start : stop - 1]])[len(first) + scored - start - 1 :]
        losses[scored - 1 : stop - 1] = _losses(logits, ids[scored:stop])
        if observe is not None:
            observe(scored, logits)
        if progress is not None:
            progress(stop - 1, len(ids) - 1)
    return losses


def _windows(total: int, length: int, apart: int) -> Iterator[tuple[int, int, int]]:
    """Yield (first token, first token scored, one past the last) of each window."""
    scored, start = 1, 0
    while scored < total:
        stop = min(start + length, total)
        yield start, scored, stop
        scored, start = stop, start + apart


def _losses(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    losses = np.empty(len(targets))
    # A few rows at a time stay in the cache.
    for start in range(0, len(targets), _ROWS):
        rows = logits[start : start + _ROWS]
        below = rows - rows.max(axis=-1, keepdims=True)
        chosen = np.take_along_axis(below, targets[start : start + _ROWS, None], axis=-1)[:, 0]
        losses[start : start + _ROWS] = np.log(np.exp(below, out=below).sum(axis=-1, dtype=np.float64)) - chosen
    return losses
