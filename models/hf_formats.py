"""Bits per weight of a released checkpoint, from a configuration's `dtype` and `quantization_config`."""

from typing import Any

from hwbase import FORMATS, number_format, unknown_name
from models.hf_config import Config

#: Number formats that a configuration may name as its dtype.
DTYPES = ("fp32", "fp16", "bf16")
#: Format of the scale of a group of integer weights.
GROUP_SCALE = FORMATS["fp16"]
#: Quantisation methods that are understood.
METHODS = ("fp8", "mxfp4", "gptq", "awq", "compressed-tensors")

_COMPONENTS = ("embedding", "attention", "ffn", "expert", "router", "other")
#: What a list of unconverted modules calls each component (the dense blocks of a mixture count as shared experts).
MODULES = {"attention": "self_attn", "ffn": "shared_expert", "expert": "mlp.experts"}
DENSE_MODULES = {"attention": "self_attn", "ffn": "mlp"}


def native_formats(config: Config, is_moe: bool) -> dict[str, Any]:
    """Return the `*_weight_bits` fields of a configuration.

    Everything has the bits of `dtype` (bfloat16 if absent) but the components that `quantization_config` converts:
    with "mxfp4" the routed experts, with the other methods all projections, dense blocks and experts; those that it
    lists as unconverted keep their format. Scales of fp8 blocks (0.02 %) are left out, those of integer groups and
    of MXFP4 blocks are included. Raises `InputError` for a dtype or method that is not known.
    """
    dtype = config.text("dtype", config.text("torch_dtype", "bfloat16"))
    bits = dict.fromkeys(_COMPONENTS, number_format(dtype, f"dtype in {config.where}:", among=DTYPES).bits_per_weight)
    if config.has("quantization_config"):
        bits |= _converted(config.table("quantization_config"), is_moe)
    return {f"{component}_weight_bits": value for component, value in bits.items()}


def _converted(settings: Config, is_moe: bool) -> dict[str, float]:
    method = settings.text("quant_method")
    if method not in METHODS:
        raise unknown_name(f"quant_method in {settings.where}:", method, METHODS)
    if method == "mxfp4":
        return {"expert": FORMATS[method].bits_per_weight}
    if method == "fp8":
        bits = number_format(method).bits_per_weight
    elif method == "compressed-tensors":
        groups = settings.table("config_groups")
        first = next(iter(groups.data), "group_0")
        bits = _grouped_bits(groups.table(first).table("weights"), "num_bits")
    else:
        bits = _grouped_bits(settings, "bits")
    kept = [str(module) for key in ("modules_to_not_convert", "ignore") for module in settings.items(key)]
    modules = MODULES if is_moe else DENSE_MODULES
    return {component: bits for component, module in modules.items() if not any(module in each for each in kept)}


def _grouped_bits(settings: Config, key: str) -> float:
    """Return bits per weight with the share of a group's scale (a group size of -1 or none means one per row)."""
    bits = float(settings.count(key))
    size = settings.data.get("group_size")
    return bits if size in (None, -1) else bits + GROUP_SCALE.bits / settings.count("group_size")
