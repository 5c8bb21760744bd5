"""How many parameters a network has, by component: exact integers from its sizes.

A matrix is written (inputs, outputs); biases, norms and sinks are counted apart from the matrices.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import get_args

from hwbase import InputError, Record
from hwbase.errors import shown
from models.layers import (
    Component,
    FeedForward,
    Matrix,
    Mixer,
    block_matrices,
    dense_block,
    grouped_attention,
    latent_attention,
)
from models.spec import LLMSpec

#: Norms on queries and keys in a layer with `qk_norm`.
QK_NORMS = 2
#: Networks whose layers are kept: what a run asks for again and again.
_SPECS_KEPT = 256


@dataclass(frozen=True)
class ParameterCounts(Record):
    """Parameters of a network. The components from `embedding` to `towers` add up to `total`.

    Attributes
    ----------
    embedding
        Tables that turn a token, its position or its segment into a vector; the token table is 0 here where
        it is tied, so that the one table counts once.
    unembedding
        Matrix that turns the last vector into logits (the one table, where tied; 0 without a head).
    attention
        Projection matrices of all mixers (attention, and layers with a state).
    router
        Router matrices of all layers.
    experts
        Matrices of all routed experts of all layers.
    shared_experts
        Matrices of all shared experts of all layers.
    dense_ffn
        Matrices of all dense feed-forward blocks.
    norms
        All norm gains (and biases of norms).
    biases
        Attention, router, feed-forward and expert biases.
    other
        Attention sinks, router correction offsets, convolutions, decays.
    total
        All of the above, and `towers`.
    active
        Parameters that one token uses, without the embedding; see `parameters`.
    attention_per_layer
        Elements of each projection matrix of a layer of the commonest kind, by name.
    towers
        Parts that read images, sound or a source text.
    active_with_embedding
        `active` and the table of tokens.
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
    towers: int = 0
    active_with_embedding: int = 0


def parameters(spec: LLMSpec) -> ParameterCounts:
    """Return the parameter counts of `spec`, in elements.

    total = embedding + unembedding + attention + router + experts + shared experts + dense blocks + norms + biases
    + other + towers. active = total - embedding - towers - routed experts (matrices and biases) that a token does not
    use. So the unembedding is active and the embedding table, of which a token reads one row, is not; a tied table is
    active. This is the convention of OpenAI's gpt-oss model card (arXiv 2508.10925, table 1).

    >>> from models.loading import load
    >>> counts = parameters(load("gpt-oss-120b"))
    >>> f"{counts.total:,}", f"{counts.active:,}"
    ('116,829,156,672', '5,132,849,472')
    """
    if not isinstance(spec, LLMSpec):
        raise InputError(f"spec = {shown(spec)}: expected a network, as models.load returns")
    table, tied = embedding_table_elements(spec), spec.tied_embeddings and spec.head
    layers: list[Mixer | FeedForward] = [*mixers(spec), *feed_forwards(spec)]
    matrices = [(group.layers, matrix) for group in layers for matrix in group.matrices]
    by_component = dict.fromkeys(get_args(Component), 0)
    idle = 0
    for count, matrix in matrices:
        by_component[matrix.component] += count * matrix.elements
        idle += count * (matrix.copies - matrix.used) * (matrix.inputs * matrix.outputs + _one_bias(matrix))
    components = {
        "embedding": (0 if tied else table) + spec.other_embeddings,
        "unembedding": table if spec.head else 0,
        **by_component,
        "norms": _outer_norms(spec) + sum(group.layers * group.norms for group in layers),
        "biases": sum(count * matrix.bias_elements for count, matrix in matrices),
        "other": spec.outer_other + sum(group.layers * group.other for group in layers),
        "towers": sum(tower.parameters for tower in spec.towers),
    }
    total = sum(components.values())
    active = total - components["embedding"] - components["towers"] - idle
    return ParameterCounts(
        **components,
        total=total,
        active=active,
        active_with_embedding=active + (0 if tied else table),
        attention_per_layer=_commonest_attention(spec),
    )


@lru_cache(_SPECS_KEPT)
def mixers(spec: LLMSpec) -> tuple[Mixer, ...]:
    """Return what mixes positions, by kind of layer, each with its number of layers."""
    if spec.mixers:
        return spec.mixers
    hidden, norms = spec.hidden_size, spec.norms_per_layer * spec.hidden_size
    if spec.attention == "mla":
        one = latent_attention(
            hidden,
            spec.query_heads,
            q_rank=spec.q_lora_rank,
            kv_rank=spec.kv_lora_rank,
            nope_dim=spec.qk_nope_head_dim,
            rope_dim=spec.qk_rope_head_dim,
            value_dim=spec.v_head_dim,
            bias=spec.attention_bias,
            output_bias=spec.output_bias,
            norms=norms + spec.q_lora_rank + spec.kv_lora_rank,
        )
    else:
        one = grouped_attention(
            hidden,
            spec.query_heads,
            spec.kv_heads,
            spec.head_dim,
            spec.v_head_dim,
            bias=spec.attention_bias,
            output_bias=spec.output_bias,
            norms=norms + (QK_NORMS * spec.head_dim if spec.qk_norm else 0),
        )
    if spec.attention_sinks:
        one = replace(one, other=spec.query_heads)
    windowed = replace(one, caches=tuple(replace(cache, window=spec.sliding_window) for cache in one.caches))
    groups = (replace(windowed, layers=spec.windowed_layers), replace(one, layers=spec.full_layers))
    return tuple(group for group in groups if group.layers)


@lru_cache(_SPECS_KEPT)
def feed_forwards(spec: LLMSpec) -> tuple[FeedForward, ...]:
    """Return the feed-forward blocks, by kind of layer, each with its number of layers."""
    if spec.feed_forwards:
        return spec.feed_forwards
    dense = dense_block(spec.hidden_size, spec.intermediate_size, gated=spec.gated, biased=spec.mlp_bias)
    groups = [replace(dense, layers=spec.dense_ffn_layers)]
    if spec.is_moe:
        groups.append(replace(_mixture(spec), layers=spec.moe_layers))
    return tuple(group for group in groups if group.layers)


def _mixture(spec: LLMSpec) -> FeedForward:
    hidden = spec.hidden_size
    router = Matrix(role="router", component="router", inputs=hidden, outputs=spec.experts, biased=spec.router_bias)
    experts = block_matrices(
        hidden,
        spec.expert_intermediate_size,
        gated=spec.gated,
        biased=spec.expert_bias,
        component="experts",
        copies=spec.experts,
        used=spec.experts_per_token,
    )
    shared: tuple[Matrix, ...] = ()
    if spec.shared_experts:
        shared = block_matrices(
            hidden,
            spec.shared_expert_intermediate_size,
            gated=spec.gated,
            biased=spec.mlp_bias,
            component="shared_experts",
            copies=spec.shared_experts,
            used=spec.shared_experts,
        )
    other = spec.experts if spec.router_correction_bias else 0
    return FeedForward(kind="experts", matrices=(router, *experts, *shared), other=other)


def hardwired_parameters(spec: LLMSpec) -> int:
    """Return the parameters that a hardwired chip holds in its wires: all but the embedding table and the towers.

    The table is looked up, not multiplied by, and stays in memory (`embedding_table_elements`); the unembedding is
    multiplied by, so it is hardwired even where it is tied to the table. Source: HNLPU (doi 10.1145/3779212.3790169).
    """
    counts = parameters(spec)
    return counts.total - counts.embedding - counts.towers


def embedding_table_elements(spec: LLMSpec) -> int:
    """Return the elements of the embedding table, vocab_size x hidden_size, tied or not."""
    return spec.vocab_size * spec.hidden_size


def attention_shapes(spec: LLMSpec) -> dict[str, tuple[int, int]]:
    """Return the (inputs, outputs) of each attention projection of one layer, by name.

    GQA: q, k, v, o. MLA (DeepSeek-V2, arXiv 2405.04434, section 2.1): q_a and q_b (or q alone where queries are not
    compressed), kv_a (to the latent and the shared rotary key), kv_b (from the latent to all heads' keys and
    values), o. Raises `InputError` for a network whose layers differ in them.
    """
    shapes = [{m.role: (m.inputs, m.outputs) for m in mixer.matrices} for mixer in mixers(spec)]
    if any(each != shapes[0] for each in shapes):
        raise InputError(f"{spec.name}: its layers have different projections; see models.mixers")
    return shapes[0]


def expert_elements(spec: LLMSpec) -> int:
    """Return the matrix elements of one routed expert (0 in a dense network); raises `InputError` if layers differ."""
    sizes = {
        sum(matrix.inputs * matrix.outputs for matrix in block.matrices if matrix.component == "experts")
        for block in feed_forwards(spec)
    } - {0}
    if len(sizes) > 1:
        raise InputError(f"{spec.name}: its layers have experts of different sizes; see models.feed_forwards")
    return next(iter(sizes), 0)


def check_plain(spec: LLMSpec, what: str) -> None:
    """Refuse a network that its sizes alone do not describe: `what` (a machine, a mapping) reads nothing else.

    Raises `InputError` naming what is not modelled. Norms, biases and what else is no matrix may differ.
    """
    check_decoder(spec, what)
    unknown = _beyond_sizes(spec)
    if unknown:
        raise InputError(f"{spec.name}: {what} does not model {', '.join(unknown)}")


def check_decoder(spec: LLMSpec, what: str) -> None:
    """Refuse a network that does not make one token after another from a cache; raises `InputError` saying why."""
    unknown = []
    if not spec.head:
        unknown.append("a network without an unembedding")
    if not spec.causal:
        unknown.append("attention both ways")
    unknown += [f"an {tower.name}" for tower in spec.towers if tower.name == "encoder"]
    if unknown:
        raise InputError(f"{spec.name}: {what} does not model {', '.join(unknown)}")


#: Kinds of layers in words, where the kind's name does not do.
_WORDS = {
    "attention": "attention of other sizes",
    "mla": "latent attention of other sizes",
    "sparse": "sparse attention",
    "compressed": "compressed attention",
    "cross": "cross-attention",
    "dense": "dense blocks of other sizes",
    "experts": "experts of other sizes",
}


def _beyond_sizes(spec: LLMSpec) -> list[str]:
    """Return the kinds of layers that the sizes do not describe, in words."""
    groups: list[Mixer | FeedForward] = [*spec.mixers, *spec.feed_forwards]
    if not groups:
        return []
    try:
        sizes = replace(spec, mixers=(), feed_forwards=())
        known = _cores([*mixers(sizes), *feed_forwards(sizes)])
    except InputError:
        known = {}
    given = _cores(groups)
    unlike = [group for group in groups if given[_core(group)] != known.get(_core(group))]
    return [
        f"{group.layers} layers of {_WORDS.get(group.kind, group.kind)}" for group in unlike if group.kind != "none"
    ]


def _cores(groups: list[Mixer | FeedForward]) -> dict[object, int]:
    cores: dict[object, int] = {}
    for group in groups:
        core = _core(group)
        cores[core] = cores.get(core, 0) + group.layers
    return cores


def _core(group: Mixer | FeedForward) -> object:
    """Return what a machine that multiplies by matrices and keeps a cache has to know of a kind of layer."""
    sizes = sorted((m.component, m.inputs, m.outputs, m.copies, m.used) for m in group.matrices)
    kept = (group.caches, group.state_elements) if isinstance(group, Mixer) else ()
    return (group.kind, tuple(sizes), kept)


def _one_bias(matrix: Matrix) -> int:
    return matrix.outputs if matrix.biased else 0


def _outer_norms(spec: LLMSpec) -> int:
    return spec.hidden_size if spec.outer_norms is None else spec.outer_norms


def _commonest_attention(spec: LLMSpec) -> dict[str, int]:
    commonest = max(mixers(spec), key=lambda mixer: mixer.layers)
    return {matrix.role: matrix.elements for matrix in commonest.matrices}
