"""How much arithmetic one token takes: multiply-accumulates by component, over any array of contexts."""

from dataclasses import dataclass

import numpy as np

from hwbase import InputError, Record, check
from hwbase.check import Number
from models.counts import feed_forwards, mixers, parameters
from models.layers import Cache
from models.spec import LLMSpec

#: No context comes near this many positions.
LONGEST_CONTEXT = 1e12


@dataclass(frozen=True)
class MacCounts(Record):
    """Multiply-accumulates for one token; two floating-point operations each. Scores and values follow the context.

    Attributes:
        attention_projections: projection matrices of all mixers.
        router: choosing experts.
        feed_forward: the active experts, shared experts and dense blocks.
        attention_scores: queries times cached keys, those of an index included.
        attention_values: weights times cached values.
        unembedding: logits over the vocabulary (0 without a head).
        total: all of the above and `state`.
        state: reading and writing states of fixed size.
    """

    attention_projections: Number
    router: Number
    feed_forward: Number
    attention_scores: Number
    attention_values: Number
    unembedding: Number
    total: Number
    state: Number = 0.0

    @property
    def projections(self) -> Number:
        """Multiply-accumulates with the weights of the layers (everything but attention itself and the logits)."""
        return self.attention_projections + self.router + self.feed_forward


def macs_per_token(spec: LLMSpec, context: Number, mla_absorbed: bool = True) -> MacCounts:
    """Return the multiply-accumulates that generate one token, of the shape of `context`.

    Each weight of a used matrix is one MAC. Scores: heads x sum over layers of positions x width of a key; values
    likewise; a windowed layer attends to min(context, window) positions, one that selects positions to at most as many
    as it selects, after its index has scored them all. Absorbed MLA has keys of width kv_lora_rank +
    qk_rope_head_dim and values of width kv_lora_rank (DeepSeek-V2, arXiv 2405.04434, section 2.1.2). Norms,
    activations, softmax and biases are not MACs.

    Parameters
    ----------
    spec : LLMSpec
        The network.
    context : number or array
        Positions attended to, the present one included, >= 0.
    mla_absorbed : bool
        True: MLA attends in the latent space, its up-projection folded into queries and outputs (decoding from the
        latent cache); False: over expanded heads (processing a prompt).

    Raises
    ------
    InputError
        For a context out of range.

    Examples
    --------
    >>> from models.loading import load
    >>> macs = macs_per_token(load("gpt-oss-120b"), context=[2048, 65536])
    >>> (macs.total / 1e9).round(2).tolist()
    [5.45, 14.81]
    """
    context = checked_context(context)
    scores: Number = 0.0
    values: Number = 0.0
    for layers, cache in _caches(spec):
        expanded = not mla_absorbed and bool(cache.expanded_score_macs)
        entries = layers * attended_entries(cache, context)
        scores = scores + entries * (cache.expanded_score_macs if expanded else cache.score_macs)
        values = values + entries * (cache.expanded_value_macs if expanded else cache.value_macs)
    counts = parameters(spec)
    matrices = [(block.layers, matrix) for block in feed_forwards(spec) for matrix in block.matrices]
    feed_forward = sum(
        count * matrix.used * matrix.inputs * matrix.outputs
        for count, matrix in matrices
        if matrix.component != "router"
    )
    state = sum(mixer.layers * mixer.state_macs for mixer in mixers(spec))
    constant = counts.attention + counts.router + feed_forward + counts.unembedding + state
    return MacCounts(
        attention_projections=float(counts.attention),
        router=float(counts.router),
        feed_forward=float(feed_forward),
        attention_scores=as_number(scores),
        attention_values=as_number(values),
        unembedding=float(counts.unembedding),
        total=as_number(constant + scores + values),
        state=float(state),
    )


def attended_positions(spec: LLMSpec, context: Number, sliding_window: bool = True) -> Number:
    """Return the cached positions that a token attends to, summed over layers, of the shape of `context`.

    full_layers x context + windowed_layers x min(context, sliding_window); without `sliding_window` every layer
    counts the whole context. Of layers that choose positions, or keep one entry for several, the entries attended to
    count; those with a state only have none. Raises `InputError` for a context that is negative, not finite or absurd.
    """
    positions = checked_context(context)
    total: Number = 0.0
    for layers, cache in _caches(spec):
        if cache.value_macs:
            total = total + layers * attended_entries(cache, positions, sliding_window)
    return as_number(total)


def held_entries(cache: Cache, context: Number, sliding_window: bool = True) -> Number:
    """Return the entries that a layer's cache has after `context` positions, of the shape of `context`."""
    if cache.fixed:
        return float(cache.fixed) + 0.0 * context
    kept = np.minimum(context, float(cache.window)) if cache.window and sliding_window else context
    return as_number(kept if cache.stride == 1 else np.floor_divide(kept, cache.stride))


def attended_entries(cache: Cache, context: Number, sliding_window: bool = True) -> Number:
    """Return the entries that a query attends to, of the shape of `context`."""
    held = held_entries(cache, context, sliding_window)
    return as_number(np.minimum(held, float(cache.top_k))) if cache.top_k else held


def _caches(spec: LLMSpec) -> list[tuple[int, Cache]]:
    return [(mixer.layers, cache) for mixer in mixers(spec) for cache in mixer.caches]


def checked_context(context: Number) -> Number:
    """Return `context` as positions, one number or an array; raises `InputError` if out of range."""
    return as_number(check.non_negative("context", plain_number("context", context), high=LONGEST_CONTEXT))


def plain_number(name: str, value: Number) -> Number:
    """Return `value`, refusing integers (alone or in a list) too large for a double."""
    try:
        np.asarray(value, dtype=float)
    except OverflowError:
        raise InputError(f"{name}: expected numbers <= {check.ABSURD:g}") from None
    except (TypeError, ValueError):
        pass  # not numbers at all: left to the check that follows
    return value


def as_number(value: Number) -> Number:
    """Return a plain float for a single value, the array otherwise."""
    return value if np.ndim(value) else float(value)
