"""How many bytes weights and the key-value cache take, over any array of formats, contexts and batches."""

from dataclasses import dataclass

import numpy as np

from hwbase import FORMATS, Record, check, number_format
from hwbase.check import Number
from models.counts import parameters
from models.macs import as_number, attended_positions, plain_number
from models.spec import LARGEST_WEIGHT_BITS, LLMSpec

BITS_PER_BYTE = 8.0
#: Bytes of a bfloat16 element, the usual format of a key-value cache.
BF16_BYTES = FORMATS["bf16"].bits_per_weight / BITS_PER_BYTE
#: A cache element takes at most this much.
LARGEST_ELEMENT_BYTES = 8.0
#: No batch comes near this many sequences.
LARGEST_BATCH = 1e12

#: Name of the formats in which the network was released, component by component.
NATIVE = "native"


@dataclass(frozen=True)
class WeightBytes(Record):
    """Bytes of a network's weights by component (the components of `ParameterCounts`); the parts add up to `total`."""

    embedding: Number
    unembedding: Number
    attention: Number
    router: Number
    experts: Number
    shared_experts: Number
    dense_ffn: Number
    norms: Number
    biases: Number
    other: Number
    total: Number


def weight_bytes(spec: LLMSpec, weight_bits: Number | str | None = None) -> WeightBytes:
    """Return the bytes of the weights, of the shape of `weight_bits`; a tied table counts once.

    Args:
        spec: the network.
        weight_bits: None or "native" for the released formats (the `*_weight_bits` fields), the name of a format of
            `hwbase.FORMATS`, or bits per weight (a number or an array, above 0) for every component alike.

    bytes = parameters x bits / 8. Raises `InputError` for an unknown format or bits out of range.
    """
    counts = parameters(spec)
    bits: dict[str, Number] = dict(native_bits(spec))
    if not (weight_bits is None or (isinstance(weight_bits, str) and weight_bits.lower() == NATIVE)):
        bits = dict.fromkeys(bits, format_bits(weight_bits))
    parts = {name: getattr(counts, name) * each / BITS_PER_BYTE for name, each in bits.items()}
    return WeightBytes(**parts, total=sum(parts.values()))


def native_bits(spec: LLMSpec) -> dict[str, float]:
    """Return the released bits per weight of each component of `ParameterCounts`."""
    return {
        "embedding": spec.embedding_weight_bits,
        "unembedding": spec.embedding_weight_bits,
        "attention": spec.attention_weight_bits,
        "router": spec.router_weight_bits,
        "experts": spec.expert_weight_bits,
        "shared_experts": spec.ffn_weight_bits,
        "dense_ffn": spec.ffn_weight_bits,
        "norms": spec.other_weight_bits,
        "biases": spec.other_weight_bits,
        "other": spec.other_weight_bits,
    }


def format_bits(weight_bits: Number | str) -> Number:
    """Return bits per weight of a format's name, or the checked number or array itself; raises `InputError`."""
    if isinstance(weight_bits, str):
        return number_format(weight_bits, "weight format", also=(NATIVE,)).bits_per_weight
    return as_number(check.positive("weight_bits", plain_number("weight_bits", weight_bits), high=LARGEST_WEIGHT_BITS))


def kv_elements_per_token_per_layer(spec: LLMSpec) -> int:
    """Return the cache elements that one position adds to one layer.

    GQA: kv_heads x (key width + value width). MLA: kv_lora_rank + qk_rope_head_dim, the latent and one rotary key
    for all heads (DeepSeek-V2, arXiv 2405.04434, section 2.1.3).
    """
    if spec.attention == "mla":
        return spec.kv_lora_rank + spec.qk_rope_head_dim
    return spec.kv_heads * (spec.head_dim + spec.value_dim)


def kv_elements_per_token(spec: LLMSpec) -> int:
    """Return the cache elements that one position adds to all layers (windows not considered)."""
    return spec.layers * kv_elements_per_token_per_layer(spec)


def kv_bytes_per_token(spec: LLMSpec, bytes_per_element: Number = BF16_BYTES) -> Number:
    """Return the cache bytes that one position adds to all layers, of the shape of `bytes_per_element`.

    Windows are not considered: this is the growth of a sequence shorter than any window.
    """
    return kv_elements_per_token(spec) * _element_bytes(bytes_per_element)


def kv_bytes_per_sequence(
    spec: LLMSpec,
    context: Number,
    bytes_per_element: Number = BF16_BYTES,
    sliding_window: bool = True,
    batch: Number = 1,
) -> Number:
    """Return the cache bytes of `batch` sequences of `context` positions each, broadcast over all three arguments.

    Args:
        spec: the network.
        context: positions held, >= 0.
        bytes_per_element: 2 for bfloat16, 1 for 8-bit caches; above 0.
        sliding_window: a windowed layer keeps min(context, window) positions; otherwise it keeps them all.
        batch: sequences of that length, >= 0.

    bytes = batch x positions summed over layers x elements per position and layer x bytes per element.
    Raises `InputError` for numbers out of range.

    >>> from models.loading import load
    >>> round(kv_bytes_per_sequence(load("gpt-oss-120b"), 65536) / 1e9, 2)
    2.42
    """
    sequences = as_number(check.non_negative("batch", plain_number("batch", batch), high=LARGEST_BATCH))
    positions = attended_positions(spec, context, sliding_window)
    elements = kv_elements_per_token_per_layer(spec) * positions
    return as_number(np.multiply(sequences, elements * _element_bytes(bytes_per_element)))


def _element_bytes(bytes_per_element: Number) -> Number:
    value = plain_number("bytes_per_element", bytes_per_element)
    return as_number(check.positive("bytes_per_element", value, high=LARGEST_ELEMENT_BYTES))
