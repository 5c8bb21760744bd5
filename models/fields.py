"""What a network's specification holds: the fields of `LLMSpec` and their meaning, nothing else.

Every field is one number, flag or word as printed in a model card or a configuration file. A TOML spec is a flat
list of these names. Sizes are elements (one weight or activation value), never bytes.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Strict

from hwbase import FORMATS, Record
from models.layers import Count, FeedForward, Flag, Mixer, Text, Tower

#: Bits of a bfloat16 value, the format of a component unless a spec says otherwise.
BF16_BITS = FORMATS["bf16"].bits_per_weight

#: A number, taken as it is, as `Text`, `Count` and `Flag` are.
Real = Annotated[float, Strict()]


@dataclass(frozen=True, kw_only=True)
class SpecFields(Record):
    """The fields of a language model's specification, typed but not yet checked against each other.

    A network whose layers are alike, but for windows and for dense blocks among mixtures of experts, is described by
    the sizes alone. Where they do not suffice, `mixers` and `feed_forwards` say what the layers are made of, and the
    sizes of attention and feed-forward blocks are those of some layers, or 0.
    """

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

    head: Flag = True
    """There is an unembedding; an embedding model or an encoder has none."""
    causal: Flag = True
    """Each position attends to earlier ones only, and they are cached; an encoder attends both ways."""
    activation: Text = "silu"
    """The activation function of feed-forward blocks."""
    other_embeddings: Count = 0
    """Elements of other tables that are looked up: learned positions, segments, embeddings of each layer."""
    outer_norms: Count | None = None
    """Elements of the norms outside the layers; None means one of width `hidden_size` after the last layer."""
    outer_other: Count = 0
    """Elements of what else is outside the layers and used for each token: a bias of the unembedding, projections."""
    mtp_parameters: Count = 0
    """Parameters of layers that predict several tokens, kept apart: no total counts them."""
    pooler_parameters: Count = 0
    """Parameters of an encoder's pooler, kept apart likewise."""
    towers: tuple[Tower, ...] = ()
    """Parts that read images, sound or a source text."""
    mixers: tuple[Mixer, ...] = ()
    """What mixes positions, layer by layer; empty where the sizes below say it."""
    feed_forwards: tuple[FeedForward, ...] = ()
    """Feed-forward blocks, layer by layer; empty where the sizes below say it."""

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
    """Bits per weight as released, scales included, the mean over layers: embedding and unembedding tables."""
    unembedding_weight_bits: Real | None = None
    """Unembedding, where it is not as the embedding."""
    attention_weight_bits: Real = BF16_BITS
    ffn_weight_bits: Real = BF16_BITS
    """Dense blocks and shared experts."""
    shared_expert_weight_bits: Real | None = None
    """Shared experts, where they are not as the dense blocks."""
    expert_weight_bits: Real = BF16_BITS
    """Routed experts."""
    router_weight_bits: Real = BF16_BITS
    other_weight_bits: Real = BF16_BITS
    """Norms, biases and sinks."""
    kv_cache_bits: Real = BF16_BITS
    """Bits of an element of the key-value cache, as released."""
    attention_format: Text = ""
    """Name of the number format of most attention projections; "" where it is plain floating point."""
    ffn_format: Text = ""
    """The same of dense blocks and shared experts."""
    expert_format: Text = ""
    """The same of routed experts."""
    max_context: Count = 0
    """Positions that the network is made for; 0 where none is stated."""

    published_total: Real | None = None
    """Parameters in all, as published."""
    published_total_digits: Count | None = None
    """Significant digits that `published_total` was printed with."""
    published_active: Real | None = None
    """Parameters that one token uses, as published."""
    published_active_digits: Count | None = None
    published_source: Text = ""
    """Where the published counts are printed."""

    notes: tuple[Text, ...] = field(default=(), compare=False)
    """What a reader did not take into account."""
