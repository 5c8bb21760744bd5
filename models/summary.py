"""One network's figures: parameters, bytes, cache, layers, and what its reader left out."""

from dataclasses import dataclass

from hwbase import Record
from models.counts import ParameterCounts, feed_forwards, mixers, parameters
from models.layers import Tower
from models.memory import BITS_PER_BYTE, kv_bytes_per_token, native_bits, state_bytes_per_sequence, weight_bytes
from models.spec import LLMSpec


@dataclass(frozen=True)
class Summary(Record):
    """What `hwsim models FILE` shows. Counts are elements.

    Attributes
    ----------
    name
        The network.
    source
        Where its sizes come from.
    parameters
        In all, a tied table once, the towers included.
    active_parameters
        Those that a token uses, without the embedding.
    active_parameters_with_embedding
        The same with the table of tokens.
    weight_bytes
        Bytes of `parameters` as released, scales and zero points included.
    bits_per_weight
        Mean over all parameters.
    kv_bytes_per_token
        What a position adds to the cache of all layers.
    state_bytes_per_sequence
        States of fixed size.
    mtp_parameters
        Layers that predict several tokens, not in `parameters`.
    pooler_parameters
        An encoder's pooler, not in `parameters`.
    layers
        Number of layers by kind, such as {"gated-delta": 36, "attention": 12}.
    blocks
        Number of feed-forward blocks by kind.
    towers
        Parts that read images, sound or a source text.
    counts
        Parameters by component.
    component_bits
        Bits per weight by component.
    formats
        Number formats of most attention projections, dense blocks and experts, where not plain.
    max_context
        Positions that the network is made for, 0 where none is stated.
    notes
        What the reader did not take into account.
    """

    name: str
    source: str
    parameters: int
    active_parameters: int
    active_parameters_with_embedding: int
    weight_bytes: float
    bits_per_weight: float
    kv_bytes_per_token: float
    state_bytes_per_sequence: float
    mtp_parameters: int
    pooler_parameters: int
    layers: dict[str, int]
    blocks: dict[str, int]
    towers: tuple[Tower, ...]
    counts: ParameterCounts
    component_bits: dict[str, float]
    formats: dict[str, str]
    max_context: int
    notes: tuple[str, ...]


def summarise(spec: LLMSpec) -> Summary:
    """Return the figures of a network.

    >>> from models.loading import load
    >>> summary = summarise(load("qwen3-30b-a3b"))
    >>> f"{summary.parameters:,}", f"{summary.active_parameters_with_embedding:,}", summary.bits_per_weight
    ('30,532,122,624', '3,353,032,704', 16.0)
    """
    counts, stored = parameters(spec), float(weight_bytes(spec).total)
    layers: dict[str, int] = {}
    blocks: dict[str, int] = {}
    for mixer in mixers(spec):
        layers[mixer.kind] = layers.get(mixer.kind, 0) + mixer.layers
    for block in feed_forwards(spec):
        blocks[block.kind] = blocks.get(block.kind, 0) + block.layers
    formats = {"attention": spec.attention_format, "ffn": spec.ffn_format, "experts": spec.expert_format}
    bits = native_bits(spec)
    return Summary(
        name=spec.name,
        source=spec.source,
        parameters=counts.total,
        active_parameters=counts.active,
        active_parameters_with_embedding=counts.active_with_embedding,
        weight_bytes=stored,
        bits_per_weight=stored * BITS_PER_BYTE / counts.total,
        kv_bytes_per_token=float(kv_bytes_per_token(spec)),
        state_bytes_per_sequence=state_bytes_per_sequence(spec),
        mtp_parameters=spec.mtp_parameters,
        pooler_parameters=spec.pooler_parameters,
        layers=layers,
        blocks=blocks,
        towers=spec.towers,
        counts=counts,
        component_bits={name: each for name, each in bits.items() if getattr(counts, name)},
        formats={name: each for name, each in formats.items() if each},
        max_context=spec.max_context,
        notes=spec.notes,
    )
