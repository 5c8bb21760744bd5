"""Text generation: the next token picked greedily or sampled by seed, one at a time, until a stop token or a limit."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hwbase import InputError, Record, check
from models.inference.transformer import Cache, Transformer, check_tokens

#: Tokens generated unless the caller says otherwise.
DEFAULT_MAX_TOKENS = 128


@dataclass(frozen=True, kw_only=True)
class Sampling(Record):
    """How the next token is picked. `temperature` 0 is greedy; otherwise logits are divided by it.

    `top_k` keeps the k likeliest tokens, then `top_p` the fewest whose probabilities reach p; None keeps all. The same
    `seed` gives the same tokens. Raises `InputError` for numbers out of range.
    """

    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check.non_negative("temperature", self.temperature, high=100.0)
        if self.top_k is not None:
            check.count("top_k", self.top_k, high=1e9)
        if self.top_p is not None:
            check.number("top_p", self.top_p, above=0.0, high=1.0)
        check.count("seed", self.seed, low=0, high=2**53)


def generate(
    model: Transformer,
    prompt: Sequence[int] | np.ndarray,
    *,
    max_tokens: int = DEFAULT_MAX_TOKENS,
    sampling: Sampling | None = None,
    stop: Collection[int] = (),
    cache: Cache | None = None,
) -> Iterator[int]:
    """Yield up to `max_tokens` token ids that continue `prompt`; ends before a token of `stop`, which is not yielded.

    `cache` may hold positions before the prompt and is left with all but the last token yielded. Input is checked at
    the call, before the first token is asked for: raises `InputError` for an empty prompt, ids outside the
    vocabulary, or a prompt that leaves no room for `max_tokens` in the context.

    Parameters
    ----------
    model : Transformer
        The network.
    prompt : sequence of int
        Token ids to continue.
    max_tokens : int
        Most tokens to yield.
    sampling : Sampling, optional
        How to choose a token; the likeliest unless given.
    stop : collection of int
        Tokens that end the output. Default none.
    cache : Cache, optional
        Keys and values of positions before the prompt; a new one unless given.
    """
    limit = check.integer("max_tokens", max_tokens, high=1e9)
    if len(prompt) == 0:
        raise InputError("prompt is empty: expected at least one token")
    ids = check_tokens(prompt, model.config.vocabulary)
    before = 0 if cache is None else cache.length
    room = model.config.context if cache is None else cache.capacity
    if before + len(ids) + limit > room:
        tokens = f"prompt of {before + len(ids)} tokens"
        if before + len(ids) >= room:
            raise InputError(f"{tokens} is too long: expected fewer than the context of {room}")
        raise InputError(f"{tokens} and max_tokens = {limit} exceed the context of {room}: expected at most "
                         f"max_tokens = {room - before - len(ids)}")  # fmt: skip
    chosen = Sampling() if sampling is None else sampling
    used = model.cache(before + len(ids) + limit) if cache is None else cache
    return _generate(model, ids, limit, chosen, frozenset(stop), used)


def _generate(
    model: Transformer, ids: np.ndarray, limit: int, sampling: Sampling, stop: frozenset[int], cache: Cache
) -> Iterator[int]:
    random = np.random.default_rng(sampling.seed)
    logits = model.forward(ids, cache, last=True)[-1]
    for i in range(limit):
        token = pick(logits, sampling, random)
        if token in stop:
            return
        yield token
        if i + 1 < limit:
            logits = model.forward([token], cache, last=True)[-1]


def pick(logits: np.ndarray, sampling: Sampling, random: np.random.Generator) -> int:
    """Return the id picked from logits (vocabulary,); greedy takes the lowest id among equals.

    Raises `InputError` for logits that hold NaN, which arithmetic that overflows leads to.
    """
    if np.isnan(logits).any():
        raise InputError("logits hold NaN: expected finite numbers; the arithmetic has overflowed")
    if sampling.temperature == 0.0:
        return int(np.argmax(logits))
    order = np.argsort(-logits, kind="stable")[: sampling.top_k]
    # Relative to the largest, so that a temperature near zero does not overflow.
    scaled = (logits[order].astype(np.float64) - float(logits[order[0]])) / sampling.temperature
    weights = np.exp(scaled)
    shares = np.cumsum(weights) / weights.sum()
    if sampling.top_p is not None:
        kept = int(np.searchsorted(shares, sampling.top_p)) + 1
        order, shares = order[:kept], shares[:kept] / shares[min(kept, len(shares)) - 1]
    return int(order[min(int(np.searchsorted(shares, random.random(), side="right")), len(order) - 1)])
