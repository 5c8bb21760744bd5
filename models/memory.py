"""How many bytes weights and the key-value cache take, over any array of formats, contexts and batches."""

from dataclasses import dataclass

import numpy as np

from hwbase import InputError, Record, check, number_format
from hwbase.check import Number
from models.counts import mixers, parameters
from models.layers import Mixer
from models.macs import as_number, attended_entries, checked_context, held_entries, plain_number
from models.spec import LARGEST_WEIGHT_BITS, LLMSpec

BITS_PER_BYTE = 8.0
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
    towers: Number
    total: Number

    @property
    def streamed(self) -> Number:
        """What every step reads whatever the tokens: all but tables that are looked up, towers and routed experts."""
        return self.total - self.embedding - self.towers - self.experts


def weight_bytes(spec: LLMSpec, weight_bits: Number | str | None = None) -> WeightBytes:
    """Return the bytes of the weights, of the shape of `weight_bits`; a tied table counts once.

    bytes = parameters x bits / 8.

    Parameters
    ----------
    spec : LLMSpec
        The network.
    weight_bits : str, number or array, optional
        None or "native" for the released formats (the `*_weight_bits` fields), the name of a format of
        `hwbase.FORMATS`, or bits per weight, above 0, for every component.

    Raises
    ------
    InputError
        For an unknown format or bits out of range.
    """
    counts = parameters(spec)
    # Each tower has a format of its own, so what stands for its bits is the mean.
    bits: dict[str, Number] = dict(native_bits(spec))
    if not (weight_bits is None or (isinstance(weight_bits, str) and weight_bits.lower() == NATIVE)):
        bits = dict.fromkeys(bits, format_bits(weight_bits))
    parts = {name: getattr(counts, name) * each / BITS_PER_BYTE for name, each in bits.items()}
    return WeightBytes(**parts, total=sum(parts.values()))


def native_bits(spec: LLMSpec) -> dict[str, float]:
    """Return the released bits per weight of each component of `ParameterCounts`."""
    return {
        "embedding": spec.embedding_weight_bits,
        "unembedding": _or_else(spec.unembedding_weight_bits, spec.embedding_weight_bits),
        "attention": spec.attention_weight_bits,
        "router": spec.router_weight_bits,
        "experts": spec.expert_weight_bits,
        "shared_experts": _or_else(spec.shared_expert_weight_bits, spec.ffn_weight_bits),
        "dense_ffn": spec.ffn_weight_bits,
        "norms": spec.other_weight_bits,
        "biases": spec.other_weight_bits,
        "other": spec.other_weight_bits,
        "towers": _tower_bits(spec),
    }


def _or_else(value: float | None, other: float) -> float:
    return other if value is None else value


def _tower_bits(spec: LLMSpec) -> float:
    parameters_in_all = sum(tower.parameters for tower in spec.towers)
    bits = sum(tower.parameters * tower.weight_bits for tower in spec.towers)
    return bits / parameters_in_all if parameters_in_all else 0.0


def format_bits(weight_bits: Number | str) -> Number:
    """Return bits per weight of a format's name, or the checked number or array itself; raises `InputError`."""
    if isinstance(weight_bits, str):
        return number_format(weight_bits, "weight format", also=(NATIVE,)).bits_per_weight
    return as_number(check.positive("weight_bits", plain_number("weight_bits", weight_bits), high=LARGEST_WEIGHT_BITS))


def kv_elements_per_token_per_layer(spec: LLMSpec) -> int:
    """Return the cache elements that one position adds to one layer.

    GQA: kv_heads x (key width + value width). MLA: kv_lora_rank + qk_rope_head_dim, the latent and one rotary key
    for all heads (DeepSeek-V2, arXiv 2405.04434, section 2.1.3). Raises `InputError` where layers differ.
    """
    sizes = {_growth(mixer) for mixer in mixers(spec)}
    if len(sizes) > 1:
        raise InputError(f"{spec.name}: its layers cache different amounts; see models.mixers")
    return int(sizes.pop())


def kv_elements_per_token(spec: LLMSpec) -> int:
    """Return the cache elements that one position adds to all layers (windows not considered)."""
    return int(sum(mixer.layers * _growth(mixer) for mixer in mixers(spec)))


def kv_bytes_per_token(spec: LLMSpec, bytes_per_element: Number | None = None) -> Number:
    """Return the cache bytes that one position adds to all layers, of the shape of `bytes_per_element`.

    Windows are not considered: this is the growth of a sequence shorter than any window.
    """
    return kv_elements_per_token(spec) * _element_bytes(spec, bytes_per_element)


def kv_bytes_per_sequence(
    spec: LLMSpec,
    context: Number,
    bytes_per_element: Number | None = None,
    sliding_window: bool = True,
    batch: Number = 1,
) -> Number:
    """Return the cache and state bytes of `batch` sequences of `context` positions each, broadcast over the arguments.

    bytes = batch x (sum over layers of entries held x elements of an entry x bytes per element + states of fixed size).

    Parameters
    ----------
    spec : LLMSpec
        The network.
    context : number or array
        Positions held, >= 0.
    bytes_per_element : number or array, optional
        2 for bfloat16, 1 for 8-bit caches; above 0; by default the network's own.
    sliding_window : bool
        True: a windowed layer keeps min(context, window) positions; False: it keeps them all.
    batch : number or array
        Sequences of that length, >= 0.

    Returns
    -------
    number or array
        Bytes.

    Raises
    ------
    InputError
        For numbers out of range.

    Examples
    --------
    >>> from models.loading import load
    >>> round(kv_bytes_per_sequence(load("gpt-oss-120b"), 65536) / 1e9, 2)
    2.42
    """
    sequences = as_number(check.non_negative("batch", plain_number("batch", batch), high=LARGEST_BATCH))
    positions = checked_context(context)
    elements: Number = 0.0
    for mixer in mixers(spec):
        for cache in mixer.caches:
            if not cache.borrowed:
                elements = elements + mixer.layers * cache.elements * held_entries(cache, positions, sliding_window)
    held = elements * _element_bytes(spec, bytes_per_element) + state_bytes_per_sequence(spec)
    return as_number(np.multiply(sequences, held))


def kv_bytes_read_per_token(
    spec: LLMSpec, context: Number, bytes_per_element: Number | None = None, sliding_window: bool = True
) -> Number:
    """Return the cache and state bytes that one token of a sequence reads, broadcast over the arguments.

    A selection of positions counts only the positions that a layer attends to, an entry borrowed from another layer
    counts again, an index is read whole, and a state is read (its write is not counted).

    Parameters
    ----------
    spec : LLMSpec
        The network.
    context : number or array
        Positions before the token, >= 0.
    bytes_per_element : number or array, optional
        As in `kv_bytes_per_sequence`; by default the network's own.
    sliding_window : bool
        True: a windowed layer reads min(context, window) positions; False: it reads them all.

    Returns
    -------
    number or array
        Bytes.

    Raises
    ------
    InputError
        For numbers out of range.
    """
    positions = checked_context(context)
    elements: Number = 0.0
    for mixer in mixers(spec):
        for cache in mixer.caches:
            read = attended_entries(cache, positions, sliding_window)
            elements = elements + mixer.layers * cache.elements * read
    return as_number(elements * _element_bytes(spec, bytes_per_element) + state_bytes_per_sequence(spec))


def state_bytes_per_sequence(spec: LLMSpec) -> float:
    """Return the bytes of the states of fixed size of one sequence (0 where there are none)."""
    bits = sum(mixer.layers * mixer.state_elements * mixer.state_bits for mixer in mixers(spec))
    return bits / BITS_PER_BYTE


def _growth(mixer: Mixer) -> float:
    # What a short convolution keeps does not grow with the sequence.
    held = (cache for cache in mixer.caches if cache.score_macs and not cache.borrowed and not cache.fixed)
    return sum(cache.elements / cache.stride for cache in held)


def _element_bytes(spec: LLMSpec, bytes_per_element: Number | None) -> Number:
    if bytes_per_element is None:
        return spec.kv_cache_bits / BITS_PER_BYTE
    value = plain_number("bytes_per_element", bytes_per_element)
    return as_number(check.positive("bytes_per_element", value, high=LARGEST_ELEMENT_BYTES))
