"""How much arithmetic one token takes: multiply-accumulates by component, over any array of contexts."""

from dataclasses import dataclass

import numpy as np

from hwbase import InputError, Record, check
from hwbase.check import Number
from models.counts import expert_elements, parameters
from models.spec import LLMSpec

#: No context comes near this many positions.
LONGEST_CONTEXT = 1e12


@dataclass(frozen=True)
class MacCounts(Record):
    """Multiply-accumulates for one token; two floating-point operations each. Scores and values follow the context.

    Attributes:
        attention_projections: projection matrices of all layers.
        router: choosing experts.
        feed_forward: the active experts, shared experts and dense blocks.
        attention_scores: queries times cached keys.
        attention_values: weights times cached values.
        unembedding: logits over the vocabulary.
        total: all of the above.
    """

    attention_projections: Number
    router: Number
    feed_forward: Number
    attention_scores: Number
    attention_values: Number
    unembedding: Number
    total: Number

    @property
    def projections(self) -> Number:
        """Multiply-accumulates with the weights of the layers (everything but attention itself and the logits)."""
        return self.attention_projections + self.router + self.feed_forward


def macs_per_token(spec: LLMSpec, context: Number, mla_absorbed: bool = True) -> MacCounts:
    """Return the multiply-accumulates that generate one token, of the shape of `context`.

    Args:
        spec: the network.
        context: positions attended to, the present one included; a number or an array, >= 0.
        mla_absorbed: MLA attends in the latent space, its up-projection folded into queries and outputs (how a
            token is decoded from the latent cache); otherwise over expanded heads (how a prompt is processed).

    Each weight of a used matrix is one MAC. Scores: heads x sum over layers of positions x width of a key; values
    likewise; a windowed layer sees min(context, window) positions. Absorbed MLA has keys of width kv_lora_rank +
    qk_rope_head_dim and values of width kv_lora_rank (DeepSeek-V2, arXiv 2405.04434, section 2.1.2). Norms,
    activations, softmax and biases are not MACs. Raises `InputError` for a context out of range.

    >>> from models.loading import load
    >>> macs = macs_per_token(load("gpt-oss-120b"), context=[2048, 65536])
    >>> (macs.total / 1e9).round(2).tolist()
    [5.45, 14.81]
    """
    positions = attended_positions(spec, context)
    key_width, value_width = spec.qk_dim, spec.value_dim
    if spec.attention == "mla" and mla_absorbed:
        key_width, value_width = spec.kv_lora_rank + spec.qk_rope_head_dim, spec.kv_lora_rank
    counts = parameters(spec)
    used_experts = spec.moe_layers * spec.experts_per_token * expert_elements(spec)
    scores = spec.query_heads * key_width * positions
    values = spec.query_heads * value_width * positions
    feed_forward = used_experts + counts.shared_experts + counts.dense_ffn
    constant = counts.attention + counts.router + feed_forward + counts.unembedding
    return MacCounts(
        attention_projections=float(counts.attention),
        router=float(counts.router),
        feed_forward=float(feed_forward),
        attention_scores=scores,
        attention_values=values,
        unembedding=float(counts.unembedding),
        total=constant + scores + values,
    )


def attended_positions(spec: LLMSpec, context: Number, sliding_window: bool = True) -> Number:
    """Return the cached positions summed over layers, of the shape of `context`.

    full_layers x context + windowed_layers x min(context, sliding_window); without `sliding_window` every layer
    counts the whole context. Raises `InputError` for a context that is negative, not finite or absurd.
    """
    positions = as_number(check.non_negative("context", plain_number("context", context), high=LONGEST_CONTEXT))
    if not sliding_window or not spec.windowed_layers:
        return spec.layers * positions
    windowed = np.minimum(positions, float(spec.sliding_window))
    return as_number(spec.full_layers * positions + spec.windowed_layers * windowed)


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
