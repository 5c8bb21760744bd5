"""How many parameters a network has, by component: exact integers from its sizes.

A matrix is written (inputs, outputs); biases, norms and sinks are counted apart from the matrices.
"""

from dataclasses import dataclass

from hwbase import Record
from models.spec import LLMSpec

#: Matrices of a feed-forward block with a gate (up, gate, down) and without (up, down).
GATED_MATRICES = 3
PLAIN_MATRICES = 2
#: Norms on queries and keys in a layer with `qk_norm`.
QK_NORMS = 2


@dataclass(frozen=True)
class ParameterCounts(Record):
    """Parameters of a network. The components from `embedding` to `other` add up to `total`.

    Attributes:
        embedding: table that turns a token into a vector; 0 where it is tied, so that the one table counts once.
        unembedding: matrix that turns the last vector into logits (the one table, where tied).
        attention: projection matrices of all layers.
        router: router matrices of all layers.
        experts: matrices of all routed experts of all layers.
        shared_experts: matrices of all shared experts of all layers.
        dense_ffn: matrices of all dense feed-forward blocks.
        norms: all norm gains.
        biases: attention, router, feed-forward and expert biases.
        other: attention sinks and router correction offsets.
        total: all of the above.
        active: parameters that one token uses; see `parameters`.
        attention_per_layer: elements of each projection matrix of one layer, by name.
    """

    embedding: int
    unembedding: int
    attention: int
    router: int
    experts: int
    shared_experts: int
    dense_ffn: int
    norms: int
    biases: int
    other: int
    total: int
    active: int
    attention_per_layer: dict[str, int]


def parameters(spec: LLMSpec) -> ParameterCounts:
    """Return the parameter counts of `spec`, in elements.

    total = embedding + unembedding + attention + router + experts + shared experts + dense blocks + norms + biases
    + other. active = total - embedding - routed experts (matrices and biases) that a token does not use. So the
    unembedding is active and the embedding table, of which a token reads one row, is not; a tied table is active.
    This is the convention of OpenAI's gpt-oss model card (arXiv 2508.10925, table 1).

    >>> from models.loading import load
    >>> counts = parameters(load("gpt-oss-120b"))
    >>> f"{counts.total:,}", f"{counts.active:,}"
    ('116,829,156,672', '5,132,849,472')
    """
    table = spec.vocab_size * spec.hidden_size
    expert_biases = _expert_bias_elements(spec)
    per_layer = {name: inputs * outputs for name, (inputs, outputs) in attention_shapes(spec).items()}
    components = {
        "embedding": 0 if spec.tied_embeddings else table,
        "unembedding": table,
        "attention": spec.layers * sum(per_layer.values()),
        "router": spec.moe_layers * spec.hidden_size * spec.experts,
        "experts": spec.moe_layers * spec.experts * expert_elements(spec),
        "shared_experts": spec.moe_layers
        * spec.shared_experts
        * _ffn_elements(spec, spec.shared_expert_intermediate_size),
        "dense_ffn": spec.dense_ffn_layers * _ffn_elements(spec, spec.intermediate_size),
        "norms": _norm_elements(spec),
        "biases": _bias_elements(spec) + spec.moe_layers * spec.experts * expert_biases,
        "other": _other_elements(spec),
    }
    total = sum(components.values())
    idle_experts = spec.moe_layers * (spec.experts - spec.experts_per_token)
    active = total - components["embedding"] - idle_experts * (expert_elements(spec) + expert_biases)
    return ParameterCounts(**components, total=total, active=active, attention_per_layer=per_layer)


def hardwired_parameters(spec: LLMSpec) -> int:
    """Return the parameters that a hardwired chip holds in its wires: all but the embedding table.

    The table is looked up, not multiplied by, and stays in memory (`embedding_table_elements`); the unembedding is
    multiplied by, so it is hardwired even where it is tied to the table. Source: HNLPU (doi 10.1145/3779212.3790169).
    """
    counts = parameters(spec)
    return counts.total - counts.embedding


def embedding_table_elements(spec: LLMSpec) -> int:
    """Return the elements of the embedding table, vocab_size x hidden_size, tied or not."""
    return spec.vocab_size * spec.hidden_size


def attention_shapes(spec: LLMSpec) -> dict[str, tuple[int, int]]:
    """Return the (inputs, outputs) of each attention projection of one layer, by name.

    GQA: q, k, v, o. MLA (DeepSeek-V2, arXiv 2405.04434, section 2.1): q_a and q_b (or q alone where queries are not
    compressed), kv_a (to the latent and the shared rotary key), kv_b (from the latent to all heads' keys and
    values), o.
    """
    hidden, heads = spec.hidden_size, spec.query_heads
    query_width = heads * spec.qk_dim
    output = {"o": (heads * spec.value_dim, hidden)}
    if spec.attention == "gqa":
        keys, values = spec.kv_heads * spec.head_dim, spec.kv_heads * spec.value_dim
        return {"q": (hidden, query_width), "k": (hidden, keys), "v": (hidden, values)} | output
    rank = spec.q_lora_rank
    queries = {"q_a": (hidden, rank), "q_b": (rank, query_width)} if rank else {"q": (hidden, query_width)}
    latent = {
        "kv_a": (hidden, spec.kv_lora_rank + spec.qk_rope_head_dim),
        "kv_b": (spec.kv_lora_rank, heads * (spec.qk_nope_head_dim + spec.value_dim)),
    }
    return queries | latent | output


def expert_elements(spec: LLMSpec) -> int:
    """Return the matrix elements of one routed expert (0 in a dense network)."""
    return _ffn_elements(spec, spec.expert_intermediate_size)


def _ffn_elements(spec: LLMSpec, width: int) -> int:
    return (GATED_MATRICES if spec.gated else PLAIN_MATRICES) * spec.hidden_size * width


def _ffn_bias_elements(spec: LLMSpec, width: int) -> int:
    return (GATED_MATRICES - 1 if spec.gated else PLAIN_MATRICES - 1) * width + spec.hidden_size


def _norm_elements(spec: LLMSpec) -> int:
    per_layer = spec.norms_per_layer * spec.hidden_size
    if spec.attention == "mla":
        per_layer += spec.q_lora_rank + spec.kv_lora_rank
    elif spec.qk_norm:
        per_layer += QK_NORMS * spec.head_dim
    return spec.layers * per_layer + spec.hidden_size


def _bias_elements(spec: LLMSpec) -> int:
    """Return all biases but those of routed experts."""
    per_layer = 0
    if spec.attention_bias:
        biased = ("q", "k", "v") if spec.attention == "gqa" else ("q_a", "kv_a")
        shapes = attention_shapes(spec)
        per_layer += sum(shapes[name][1] for name in biased if name in shapes)
    if spec.output_bias:
        per_layer += spec.hidden_size
    total = spec.layers * per_layer
    if spec.router_bias:
        total += spec.moe_layers * spec.experts
    if spec.mlp_bias:
        total += spec.dense_ffn_layers * _ffn_bias_elements(spec, spec.intermediate_size)
        shared = _ffn_bias_elements(spec, spec.shared_expert_intermediate_size)
        total += spec.moe_layers * spec.shared_experts * shared
    return total


def _expert_bias_elements(spec: LLMSpec) -> int:
    return _ffn_bias_elements(spec, spec.expert_intermediate_size) if spec.expert_bias else 0


def _other_elements(spec: LLMSpec) -> int:
    sinks = spec.layers * spec.query_heads if spec.attention_sinks else 0
    corrections = spec.moe_layers * spec.experts if spec.router_correction_bias else 0
    return sinks + corrections
