"""The specification of a language model: fields that fit each other, or a sentence saying which do not."""

import dataclasses
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from pydantic import TypeAdapter

from hwbase import InputError, check, unknown_name
from hwbase.parsing import parse_strict
from models.fields import Count, Flag, SpecFields, Text
from models.layers import FeedForward, Mixer

#: No count of a network (vocabulary, width, layers, experts) comes near this.
LARGEST_COUNT = 10**8
#: Nor does a depth come near this.
LARGEST_LAYERS = 10**5
#: Nor do the elements of one table or of a part kept apart.
LARGEST_ELEMENTS = 10**15
#: The widest number format (float64).
LARGEST_WEIGHT_BITS = 64.0
#: The digits of a double; nobody prints more.
LARGEST_DIGITS = 17

_FIELDS = {field.name: field for field in dataclasses.fields(SpecFields)}
_COUNTS = [name for name, field in _FIELDS.items() if field.type is Count]
_FLAGS = [name for name, field in _FIELDS.items() if field.type is Flag]
_TEXTS = [name for name, field in _FIELDS.items() if field.type is Text]
_BITS = [name for name in _FIELDS if name.endswith("_bits")]
_OPTIONAL = ("unembedding_weight_bits", "shared_expert_weight_bits")
_AT_LEAST_ONE = ("vocab_size", "hidden_size", "layers", "query_heads")
_ELEMENTS = ("other_embeddings", "outer_other", "mtp_parameters", "pooler_parameters")
_GQA_ONLY = ("kv_heads", "head_dim")
_MLA_ONLY = ("kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "q_lora_rank")
_MOE_ONLY = ("experts_per_token", "expert_intermediate_size", "dense_layers", "shared_experts")
_MOE_FLAGS = ("router_bias", "router_correction_bias", "expert_bias")


@dataclass(frozen=True, kw_only=True)
class LLMSpec(SpecFields):
    """A language model: sizes, attention, feed-forward blocks, formats, published counts.

    The fields are listed and explained in `SpecFields`. Making one (directly, by `dataclasses.replace` or from a
    file) raises `InputError` for a value that is not a number of the right kind, out of range, or at odds with
    another field.
    """

    def __post_init__(self) -> None:
        _check_scalars(self)
        _check_layers(self, "mixers", Mixer)
        _check_layers(self, "feed_forwards", FeedForward)
        if not self.mixers:
            _check_attention(self)
        if not self.feed_forwards:
            _check_feed_forward(self)
        _check_published(self)

    @property
    def is_moe(self) -> bool:
        """Whether some layers choose among experts."""
        return self.experts > 0

    @property
    def moe_layers(self) -> int:
        """Layers with routed experts (0 in a dense network)."""
        if self.feed_forwards:
            return sum(block.layers for block in self.feed_forwards if "experts" in block.kind)
        return self.layers - self.dense_layers if self.is_moe else 0

    @property
    def dense_ffn_layers(self) -> int:
        """Layers with a dense feed-forward block."""
        if self.feed_forwards:
            return sum(block.layers for block in self.feed_forwards if "dense" in block.kind)
        return self.layers - self.moe_layers

    @property
    def full_layers(self) -> int:
        """Layers that attend to the whole context."""
        return self.layers - self.windowed_layers

    @property
    def qk_dim(self) -> int:
        """Width of a query head, elements."""
        return self.head_dim if self.attention == "gqa" else self.qk_nope_head_dim + self.qk_rope_head_dim

    @property
    def value_dim(self) -> int:
        """Width of a value head, elements."""
        return self.v_head_dim or self.head_dim


def spec_from_fields(data: dict[str, Any], where: str) -> LLMSpec:
    """Return the spec with the fields of `data`; `where` names their origin in messages.

    Raises `InputError` for an unknown field (the nearest name suggested), a missing one, or a bad value.
    """
    fields = parse_strict(_ADAPTER, data, SpecFields, where)
    try:
        return LLMSpec(**{name: getattr(fields, name) for name in _FIELDS})
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


_ADAPTER = TypeAdapter(SpecFields)


def _check_scalars(spec: LLMSpec) -> None:
    for name in _TEXTS:
        if not isinstance(getattr(spec, name), str):
            raise InputError(f"{name} = {getattr(spec, name)!r}: expected a text")
    if not spec.name.strip():
        raise InputError("name is empty: expected the network's name")
    for name in _FLAGS:
        if not isinstance(getattr(spec, name), (bool, np.bool_)):
            raise InputError(f"{name} = {getattr(spec, name)!r}: expected true or false")
    for name in _COUNTS:
        low = 1 if name in _AT_LEAST_ONE and not (name == "query_heads" and spec.mixers) else 0
        high = LARGEST_LAYERS if name == "layers" else LARGEST_ELEMENTS if name in _ELEMENTS else LARGEST_COUNT
        object.__setattr__(spec, name, whole(name, getattr(spec, name), low=low, high=high))
    if spec.outer_norms is not None:
        object.__setattr__(spec, "outer_norms", whole("outer_norms", spec.outer_norms, low=0))
    for name in _BITS:
        if name in _OPTIONAL and getattr(spec, name) is None:
            continue
        _scalar(name, getattr(spec, name))
        object.__setattr__(spec, name, check.positive(name, getattr(spec, name), high=LARGEST_WEIGHT_BITS))


def _check_layers(spec: LLMSpec, name: str, kind: type) -> None:
    entries = getattr(spec, name)
    if not isinstance(entries, tuple) or not all(isinstance(entry, kind) for entry in entries):
        raise InputError(f"{name}: expected a tuple of {kind.__name__}")
    if entries and sum(entry.layers for entry in entries) != spec.layers:
        counted = sum(entry.layers for entry in entries)
        raise InputError(f"{name}: {counted} layers: expected layers = {spec.layers} of them")
    for entry in entries:
        for part in (entry, *entry.matrices, *getattr(entry, "caches", ())):
            _check_counts(name, part)


def _check_counts(name: str, part: Any) -> None:
    for field in dataclasses.fields(part):
        if field.type is Count:
            low = 1 if field.name in ("layers", "inputs", "outputs", "copies", "used", "stride") else 0
            whole(f"{name}: {field.name}", getattr(part, field.name), low=low, high=LARGEST_ELEMENTS)


def _check_attention(spec: LLMSpec) -> None:
    kinds = get_args(_FIELDS["attention"].type)
    if spec.attention not in kinds:
        raise unknown_name("attention", spec.attention, kinds)
    if spec.attention == "gqa":
        _needs(spec, _GQA_ONLY, "gqa attention")
        _unused(spec, _MLA_ONLY, "gqa attention")
        if spec.query_heads % spec.kv_heads:
            raise InputError(f"kv_heads = {spec.kv_heads}: expected a divisor of query_heads = {spec.query_heads}")
    else:
        _needs(spec, ("kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"), "mla attention")
        _unused(spec, _GQA_ONLY, "mla attention")
        if spec.qk_norm:
            raise InputError("qk_norm = True: expected false for mla attention, whose latents have norms of their own")
    if spec.windowed_layers > spec.layers:
        raise InputError(f"windowed_layers = {spec.windowed_layers}: expected at most layers = {spec.layers}")
    if bool(spec.windowed_layers) != bool(spec.sliding_window):
        raise InputError(
            f"sliding_window = {spec.sliding_window}, windowed_layers = {spec.windowed_layers}: "
            "expected both above 0 or both 0"
        )


def _check_feed_forward(spec: LLMSpec) -> None:
    if not spec.is_moe:
        _needs(spec, ("intermediate_size",), "a dense network")
        _unused(spec, (*_MOE_ONLY, *_MOE_FLAGS), "a dense network (experts = 0)")
        return
    _needs(spec, ("experts_per_token", "expert_intermediate_size"), "a mixture of experts")
    if spec.experts_per_token > spec.experts:
        raise InputError(f"experts_per_token = {spec.experts_per_token}: expected at most experts = {spec.experts}")
    if spec.dense_layers >= spec.layers:
        raise InputError(f"dense_layers = {spec.dense_layers}: expected fewer than layers = {spec.layers}")
    if spec.dense_layers:
        _needs(spec, ("intermediate_size",), "a network with dense_layers")
    if bool(spec.shared_experts) != bool(spec.shared_expert_intermediate_size):
        raise InputError(
            f"shared_experts = {spec.shared_experts}, shared_expert_intermediate_size = "
            f"{spec.shared_expert_intermediate_size}: expected both above 0 or both 0"
        )


def _check_published(spec: LLMSpec) -> None:
    for name in ("published_total", "published_active"):
        value, digits = getattr(spec, name), getattr(spec, f"{name}_digits")
        if (value is None) != (digits is None):
            raise InputError(f"{name} and {name}_digits: expected both or neither")
        if value is not None:
            _scalar(name, value)
            check.positive(name, value)
            whole(f"{name}_digits", digits, low=1, high=LARGEST_DIGITS)
            if not spec.published_source.strip():
                raise InputError(f"published_source is empty: expected where {name} is printed")


def whole(name: str, value: Any, *, low: int, high: int = LARGEST_COUNT) -> int:
    """Return `value` as an int within [`low`, `high`]; raises `InputError` naming `name` otherwise."""
    _scalar(name, value)
    if isinstance(value, int) and abs(value) > high:
        sign = "-" if value < 0 else ""
        raise InputError(f"{name} = {sign}{_short(abs(value))}: expected a whole number >= {low} and <= {high:g}")
    return int(check.count(name, value, low=low, high=high))


def _short(value: int) -> str:
    """Return a magnitude as text without formatting thousands of digits."""
    return str(value) if value < check.ABSURD else "more than 1e30"


def _scalar(name: str, value: Any) -> None:
    if isinstance(value, (list, tuple)) or np.ndim(value):
        raise InputError(f"{name}: expected one number, found {type(value).__name__}")
    if isinstance(value, int) and abs(value) > check.ABSURD:
        raise InputError(f"{name}: expected a number <= {check.ABSURD:g}")


def _needs(spec: LLMSpec, names: tuple[str, ...], what: str) -> None:
    for name in names:
        if not getattr(spec, name):
            raise InputError(f"{name} = {getattr(spec, name)}: expected a number >= 1 for {what}")


def _unused(spec: LLMSpec, names: tuple[str, ...], what: str) -> None:
    for name in names:
        if getattr(spec, name):
            raise InputError(
                f"{name} = {getattr(spec, name)}: not used by {what}; expected {type(getattr(spec, name))()}"
            )
