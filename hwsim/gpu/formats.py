"""A network served in a number format other than the one it was released in: which weights change, and to what."""

from dataclasses import replace

from hwbase import NumberFormat, number_format
from models import LLMSpec

#: Weights up to so many bits count as 4-bit, scales included.
_FOUR_BITS = 5.0
#: Codes that share a scale where a format of 4-bit integers does not say (compressed-tensors, `group_size`).
_INTEGER_GROUP = 32
_BF16 = "bf16"


def serve_in(spec: LLMSpec, name: str | NumberFormat) -> LLMSpec:
    """Return `spec` with its matrices in a number format; raises `InputError` for a format that is not known.

    Formats of 8 bits and more are those of every matrix but embedding and router. Formats of 4 bits are those of every
    such matrix of a dense network, and of routed experts alone in a mixture of experts, whose other matrices are in 16
    bits, as most checkpoints have it; experts that were released in 4 bits stay as they are.
    """
    fmt = number_format(name)
    if fmt.kind == "integer" and fmt.bits_per_weight <= _FOUR_BITS and fmt.group is None:
        fmt = fmt.grouped(_INTEGER_GROUP)
    others, experts = fmt, fmt.bits_per_weight
    expert_format = fmt.name
    if spec.experts and experts <= _FOUR_BITS:
        others = number_format(_BF16)
        if spec.expert_weight_bits <= _FOUR_BITS:
            experts, expert_format = spec.expert_weight_bits, spec.expert_format
    return replace(
        spec,
        attention_weight_bits=others.bits_per_weight,
        attention_format=others.name,
        ffn_weight_bits=others.bits_per_weight,
        ffn_format=others.name,
        shared_expert_weight_bits=None,
        expert_weight_bits=experts,
        expert_format=expert_format,
    )
