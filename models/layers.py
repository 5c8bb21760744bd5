"""What a layer is made of: matrices, caches of earlier positions, a state of fixed size; and the usual kinds of layers.

A network is a list of mixers (what carries information between positions) and a list of feed-forward blocks, each
with the number of layers that have it. All sizes are elements.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Literal, TypeVar

from pydantic import Strict

from hwbase import Record

#: The types of fields, taken as they are: a file's "36" or true is not a number.
Text = Annotated[str, Strict()]
Count = Annotated[int, Strict()]
Flag = Annotated[bool, Strict()]

#: Parts of a network that hold matrices of layers.
Component = Literal["attention", "router", "experts", "shared_experts", "dense_ffn"]
#: What mixes positions. "sparse" chooses positions by an index; "none" is a layer with a feed-forward block only.
MixerKind = Literal[
    "attention", "mla", "sparse", "compressed", "cross", "gated-delta", "kda", "lightning", "mamba", "mamba2", "conv",
    "attention and mamba2", "linear", "none",
]  # fmt: skip
FeedForwardKind = Literal["dense", "experts", "dense and experts", "none"]


@dataclass(frozen=True, kw_only=True)
class Matrix(Record):
    """A matrix of a layer, or `copies` of them of which a token uses `used`; `biased` adds a bias for each output."""

    role: Text
    """What the matrix does: "q", "up", "router" ...; the last part of its name in a checkpoint follows from it."""
    component: Component
    inputs: Count
    outputs: Count
    copies: Count = 1
    used: Count = 1
    biased: Flag = False

    @property
    def elements(self) -> int:
        """Elements of all copies, without biases."""
        return self.copies * self.inputs * self.outputs

    @property
    def bias_elements(self) -> int:
        """Biases of all copies."""
        return self.copies * self.outputs if self.biased else 0


@dataclass(frozen=True, kw_only=True)
class Cache(Record):
    """What a layer keeps of earlier positions, and what a query does with an entry.

    `expanded_*` are the multiply-accumulates where the keys and values of all heads are made anew (MLA on a prompt).
    """

    elements: Count
    """Elements of an entry."""
    score_macs: Count = 0
    """Multiply-accumulates of a query with an entry, all heads: scores."""
    value_macs: Count = 0
    """The same: weighted values."""
    expanded_score_macs: Count = 0
    expanded_value_macs: Count = 0
    window: Count = 0
    """Newest positions that are kept, the present one included; 0 keeps all."""
    stride: Count = 1
    """Positions that share an entry."""
    top_k: Count = 0
    """Entries that a query attends to; 0 means all."""
    borrowed: Flag = False
    """The entries are another layer's: read here, held there."""
    fixed: Count = 0
    """Entries whatever the context (an encoder's output); 0 means as many as the context has."""


@dataclass(frozen=True, kw_only=True)
class Mixer(Record):
    """What mixes positions in `layers` of the layers, with the norms of those layers."""

    kind: MixerKind
    layers: Count = 1
    matrices: tuple[Matrix, ...] = ()
    caches: tuple[Cache, ...] = ()
    state_elements: Count = 0
    """Elements of a state of fixed size that each token reads and writes."""
    state_bits: Count = 16
    state_macs: Count = 0
    """Multiply-accumulates of a token with the state."""
    norms: Count = 0
    """Elements of the norms of a layer."""
    other: Count = 0
    """Elements of all else that is no matrix: sinks, convolutions, decays."""


@dataclass(frozen=True, kw_only=True)
class FeedForward(Record):
    """The feed-forward block of `layers` of the layers."""

    kind: FeedForwardKind
    layers: Count = 1
    matrices: tuple[Matrix, ...] = ()
    norms: Count = 0
    other: Count = 0


@dataclass(frozen=True, kw_only=True)
class Tower(Record):
    """A part beside the layers that reads something other than tokens (images, sound, the source text)."""

    name: Text
    parameters: Count
    weight_bits: float = 16.0
    tokens: Count = 0
    """Tokens that it makes of one input of the usual size, before any reduction; 0 where that varies."""
    reduced_tokens: Count = 0
    """Those that the layers see, after reduction."""


#: The output gate of attention: none, one value for each head, or one for each element.
Gate = Literal["", "head", "element"]


def grouped_attention(
    hidden: int,
    heads: int,
    kv_heads: int,
    head_dim: int,
    value_dim: int = 0,
    *,
    bias: bool = False,
    output_bias: bool = False,
    gate: Gate = "",
    window: int = 0,
    norms: int = 0,
    other: int = 0,
    shared_values: bool = False,
    borrowed: bool = False,
    kind: MixerKind = "attention",
    caches: tuple[Cache, ...] = (),
) -> Mixer:
    """Return a layer of attention with grouped queries (kv_heads = heads is plain multi-head attention).

    Parameters
    ----------
    hidden, heads, kv_heads, head_dim : int
        Width of the residual stream, heads of queries, heads of keys and values, width of a query or key head.
    value_dim : int
        Width of a value head; 0 means `head_dim`.
    bias, output_bias : bool
        Biases on q, k and v; on the output projection.
    gate : str
        Output gate computed from the layer's input: "head", "element", or "" for none.
    window : int
        Positions kept, 0 for all.
    norms, other : int
        Elements of norms and of what is no matrix.
    shared_values : bool
        Keys are also the values: no v projection.
    borrowed : bool
        Keys and values are another layer's: neither k nor v projection, nothing held.
    kind : str
        "attention", or what else the layer is called.
    caches : tuple of Cache
        More caches, as of an index.

    Returns
    -------
    Mixer
        One layer.
    """
    value = value_dim or head_dim
    projections = [Matrix(role="q", component="attention", inputs=hidden, outputs=heads * head_dim, biased=bias)]
    if not borrowed:
        keys = Matrix(role="k", component="attention", inputs=hidden, outputs=kv_heads * head_dim, biased=bias)
        projections.append(keys)
        if not shared_values:
            projections.append(replace(keys, role="v", outputs=kv_heads * value))
    if gate:
        outputs = heads * (value if gate == "element" else 1)
        projections.append(Matrix(role="gate", component="attention", inputs=hidden, outputs=outputs))
    projections.append(
        Matrix(role="o", component="attention", inputs=heads * value, outputs=hidden, biased=output_bias)
    )
    held = Cache(
        elements=kv_heads * (head_dim + value),
        score_macs=heads * head_dim,
        value_macs=heads * value,
        window=window,
        borrowed=borrowed,
    )
    return Mixer(kind=kind, matrices=tuple(projections), caches=(held, *caches), norms=norms, other=other)


def latent_attention(
    hidden: int,
    heads: int,
    *,
    q_rank: int,
    kv_rank: int,
    nope_dim: int,
    rope_dim: int,
    value_dim: int,
    bias: bool = False,
    output_bias: bool = False,
    gate: Gate = "",
    norms: int = 0,
    top_k: int = 0,
    kind: MixerKind = "mla",
    matrices: tuple[Matrix, ...] = (),
    caches: tuple[Cache, ...] = (),
    window: int = 0,
) -> Mixer:
    """Return a layer of multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1).

    Parameters
    ----------
    hidden, heads : int
        Width of the residual stream, heads of queries.
    q_rank, kv_rank : int
        Width of the compressed query (0: queries are projected directly) and of the cached latent.
    nope_dim, rope_dim, value_dim : int
        Parts of a query or key head without and with rotary position, width of a value head.
    bias, output_bias : bool
        Biases on the two down-projections; on the output projection.
    gate : str
        Output gate computed from the layer's input, as in `grouped_attention`.
    norms : int
        Elements of the layer's norms, those of the latents included.
    top_k : int
        Positions that a query attends to, 0 for all.
    kind : str
        "mla", or "sparse" with an index.
    matrices, caches : tuple
        Those of the index.
    window : int
        Positions kept, 0 for all.

    Returns
    -------
    Mixer
        One layer. Its cache holds the latent and one rotary key for all heads.
    """

    def projection(role: str, inputs: int, outputs: int, biased: bool = False) -> Matrix:
        return Matrix(role=role, component="attention", inputs=inputs, outputs=outputs, biased=biased)

    query_width = heads * (nope_dim + rope_dim)
    if q_rank:
        queries = [projection("q_a", hidden, q_rank, bias), projection("q_b", q_rank, query_width)]
    else:
        queries = [projection("q", hidden, query_width)]
    latents = [
        projection("kv_a", hidden, kv_rank + rope_dim, bias),
        projection("kv_b", kv_rank, heads * (nope_dim + value_dim)),
    ]
    if gate:
        latents.append(projection("gate", hidden, heads * (value_dim if gate == "element" else 1)))
    held = Cache(
        elements=kv_rank + rope_dim,
        score_macs=heads * (kv_rank + rope_dim),
        value_macs=heads * kv_rank,
        expanded_score_macs=heads * (nope_dim + rope_dim),
        expanded_value_macs=heads * value_dim,
        top_k=top_k,
        window=window,
    )
    output = projection("o", heads * value_dim, hidden, output_bias)
    return Mixer(kind=kind, matrices=(*queries, *latents, output, *matrices), caches=(held, *caches), norms=norms)


def dense_block(
    hidden: int,
    width: int,
    *,
    gated: bool = True,
    biased: bool = False,
    norms: int = 0,
    other: int = 0,
    component: Component = "dense_ffn",
    copies: int = 1,
    used: int = 1,
) -> FeedForward:
    """Return a layer's dense feed-forward block: up and down, and a gate where `gated` (SwiGLU)."""
    matrices = block_matrices(hidden, width, gated=gated, biased=biased, component=component, copies=copies, used=used)
    return FeedForward(kind="dense", matrices=matrices, norms=norms, other=other)


def block_matrices(
    hidden: int,
    width: int,
    *,
    gated: bool = True,
    biased: bool = False,
    component: Component = "dense_ffn",
    copies: int = 1,
    used: int = 1,
) -> tuple[Matrix, ...]:
    """Return the matrices of `copies` feed-forward blocks, of which a token uses `used`."""
    up = Matrix(role="up", component=component, inputs=hidden, outputs=width, copies=copies, used=used, biased=biased)
    gate = (replace(up, role="gate"),) if gated else ()
    return (*gate, up, replace(up, role="down", inputs=width, outputs=hidden))


Layer = TypeVar("Layer", Mixer, FeedForward)


def grouped(each: Iterable[Layer]) -> tuple[Layer, ...]:
    """Return equal entries as one with the sum of their layers, in order of first appearance."""
    layers: dict[Layer, int] = {}
    for entry in each:
        one = entry if entry.layers == 1 else replace(entry, layers=1)
        layers[one] = layers.get(one, 0) + entry.layers
    return tuple(replace(entry, layers=count) for entry, count in layers.items())
