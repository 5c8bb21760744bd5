"""What a network's specification holds: the fields of `LLMSpec` and their meaning, nothing else.

Every field is one number, flag or word as printed in a model card or a configuration file. A TOML spec is a flat
list of these names. Sizes are elements (one weight or activation value), never bytes.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Strict

from hwbase import FORMATS, Record

#: Bits of a bfloat16 value, the format of a component unless a spec says otherwise.
BF16_BITS = FORMATS["bf16"].bits_per_weight

#: The types of fields, taken as they are: a file's "36" or true is not a number.
Text = Annotated[str, Strict()]
Count = Annotated[int, Strict()]
Flag = Annotated[bool, Strict()]
Real = Annotated[float, Strict()]


@dataclass(frozen=True, kw_only=True)
class SpecFields(Record):
    """The fields of a decoder-only language model's specification, typed but not yet checked against each other."""

    name: Text
    source: Text = ""
    """Where the sizes come from: model card, configuration file, paper."""

    vocab_size: Count
    """Rows of the embedding table, padding rows included."""
    hidden_size: Count
    """Width of the residual stream."""
    layers: Count
    tied_embeddings: Flag = False
    """One table serves as embedding and unembedding."""
    norms_per_layer: Count = 2
    """Norms of width `hidden_size` in a layer; one more follows the last layer."""

    attention: Literal["gqa", "mla"] = "gqa"
    """"gqa": grouped queries (kv_heads = query_heads is plain multi-head). "mla": multi-head latent attention."""
    query_heads: Count
    kv_heads: Count = 0
    """GQA only: heads of keys and values; divides `query_heads`."""
    head_dim: Count = 0
    """GQA only: width of a query and of a key head."""
    v_head_dim: Count = 0
    """Width of a value head; 0 in GQA means `head_dim`."""
    q_lora_rank: Count = 0
    """MLA only: width of the compressed query; 0 means that queries are projected directly."""
    kv_lora_rank: Count = 0
    """MLA only: width of the cached latent that keys and values are made from."""
    qk_nope_head_dim: Count = 0
    """MLA only: part of a query or key head without position."""
    qk_rope_head_dim: Count = 0
    """MLA only: part of a query or key head with rotary position; one cached copy serves all heads."""
    attention_bias: Flag = False
    """Biases on q, k and v (MLA: on the two down-projections)."""
    output_bias: Flag = False
    """Bias on the attention output projection."""
    attention_sinks: Flag = False
    """One learned logit per query head and layer, added to the softmax denominator."""
    qk_norm: Flag = False
    """GQA only: a norm of width `head_dim` on queries and another on keys (MLA has its latent norms always)."""
    sliding_window: Count = 0
    """Positions, the present one included, that a windowed layer attends to; 0 means no layer has a window."""
    windowed_layers: Count = 0
    """How many of `layers` use `sliding_window`; the others attend to everything."""

    gated: Flag = True
    """Feed-forward blocks have a gate (SwiGLU: three matrices) instead of two matrices."""
    intermediate_size: Count = 0
    """Width of a dense feed-forward block."""
    mlp_bias: Flag = False
    """Biases on the matrices of dense (and shared-expert) feed-forward blocks."""
    experts: Count = 0
    """Routed experts in a mixture-of-experts layer; 0 means that the network is dense."""
    experts_per_token: Count = 0
    expert_intermediate_size: Count = 0
    dense_layers: Count = 0
    """Layers of a mixture-of-experts network that have a dense block instead."""
    shared_experts: Count = 0
    """Experts that every token uses."""
    shared_expert_intermediate_size: Count = 0
    """Width of one shared expert."""
    router_bias: Flag = False
    """A bias in the router's linear layer."""
    router_correction_bias: Flag = False
    """A load-balancing offset per expert that steers the choice of experts only (DeepSeek-V3)."""
    expert_bias: Flag = False
    """Biases on the matrices of routed experts."""

    embedding_weight_bits: Real = BF16_BITS
    """Bits per weight as released, scales included: embedding and unembedding tables."""
    attention_weight_bits: Real = BF16_BITS
    ffn_weight_bits: Real = BF16_BITS
    """Dense blocks and shared experts."""
    expert_weight_bits: Real = BF16_BITS
    """Routed experts."""
    router_weight_bits: Real = BF16_BITS
    other_weight_bits: Real = BF16_BITS
    """Norms, biases and sinks."""

    published_total: Real | None = None
    """Parameters in all, as published."""
    published_total_digits: Count | None = None
    """Significant digits that `published_total` was printed with."""
    published_active: Real | None = None
    """Parameters that one token uses, as published."""
    published_active_digits: Count | None = None
    published_source: Text = ""
    """Where the published counts are printed."""
