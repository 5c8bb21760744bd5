"""Hugging Face `config.json` files as specs: one small reader for each family of networks.

A family's reader names only what sets it apart; everything shared (sizes, windows, ties, formats) is read here.
Keys and defaults follow the configuration classes of the transformers library.
"""

from collections.abc import Callable
from typing import Any

from hwbase import InputError, unknown_name
from models.hf_config import Config
from models.hf_formats import native_formats
from models.spec import LLMSpec, spec_from_fields

Fields = dict[str, Any]


def spec_from_config(config: dict[str, Any], name: str = "", where: str = "config") -> LLMSpec:
    """Return the spec that a Hugging Face configuration describes.

    Args:
        config: the parsed JSON object.
        name: the network's name if the configuration has no `_name_or_path`.
        where: what to call the configuration in messages.

    Raises `InputError` for a `model_type` that is not known (the nearest is suggested), a missing key, a value of the
    wrong type or one out of range.
    """
    if not isinstance(config, dict):
        raise InputError(f"{where}: expected a JSON object, found {type(config).__name__}")
    reader = Config(config, where)
    family = reader.text("model_type")
    if family not in FAMILIES:
        raise unknown_name(f"model_type in {where}:", family, FAMILIES)
    title = reader.text("_name_or_path", "") or name or family
    fields: Fields = {
        "name": title,
        "source": f"{where} (model_type {family})",
        "vocab_size": reader.count("vocab_size"),
        "hidden_size": reader.count("hidden_size"),
        "layers": reader.layers,
        "query_heads": reader.count("num_attention_heads"),
        "tied_embeddings": reader.flag("tie_word_embeddings", False),
    }
    fields |= FAMILIES[family](reader)
    fields |= native_formats(reader, is_moe=bool(fields.get("experts")))
    return spec_from_fields(fields, where)


def _llama(config: Config) -> Fields:
    bias = config.flag("attention_bias", False)
    return {
        **_grouped_heads(config, kv_heads_default=config.count("num_attention_heads")),
        **_windows(config, windowed=0),
        "intermediate_size": config.count("intermediate_size"),
        "attention_bias": bias,
        "output_bias": bias,
        "mlp_bias": config.flag("mlp_bias", False),
    }


def _mistral(config: Config) -> Fields:
    windowed = config.layers if config.count("sliding_window", 0) else 0
    return {
        **_grouped_heads(config),
        **_windows(config, windowed),
        "intermediate_size": config.count("intermediate_size"),
    }


def _mixtral(config: Config) -> Fields:
    fields = _mistral(config)
    del fields["intermediate_size"]
    return fields | {
        "experts": config.count("num_local_experts"),
        "experts_per_token": config.count("num_experts_per_tok"),
        "expert_intermediate_size": config.count("intermediate_size"),
    }


def _qwen2(config: Config) -> Fields:
    return {
        **_grouped_heads(config),
        **_windows(config, _qwen_windowed_layers(config)),
        "intermediate_size": config.count("intermediate_size"),
        "attention_bias": True,
    }


def _qwen3(config: Config) -> Fields:
    bias = config.flag("attention_bias", False)
    config.count("head_dim")
    return _qwen2(config) | {"attention_bias": bias, "output_bias": bias, "qk_norm": True}


def _qwen3_moe(config: Config) -> Fields:
    layers = config.layers
    step = config.count("decoder_sparse_step", 1)
    dense_only = config.items("mlp_only_layers")
    dense = sum(index in dense_only or (index + 1) % step != 0 for index in range(layers))
    return _qwen3(config) | {
        "intermediate_size": config.count("intermediate_size") if dense else 0,
        "dense_layers": dense,
        "experts": config.count("num_experts"),
        "experts_per_token": config.count("num_experts_per_tok"),
        "expert_intermediate_size": config.count("moe_intermediate_size"),
    }


def _deepseek(config: Config) -> Fields:
    layers = config.layers
    first, step = config.whole("first_k_dense_replace"), config.count("moe_layer_freq", 1)
    dense = sum(index < first or index % step != 0 for index in range(layers))
    shared = config.whole("n_shared_experts", 0)
    bias = config.flag("attention_bias", False)
    expert_width = config.count("moe_intermediate_size")
    newest = config.text("model_type") != "deepseek_v2"
    return {
        "attention": "mla",
        "q_lora_rank": config.whole("q_lora_rank", 0),
        "kv_lora_rank": config.count("kv_lora_rank"),
        "qk_nope_head_dim": config.count("qk_nope_head_dim"),
        "qk_rope_head_dim": config.count("qk_rope_head_dim"),
        "v_head_dim": config.count("v_head_dim"),
        "attention_bias": bias,
        "output_bias": bias,
        "intermediate_size": config.count("intermediate_size") if dense else 0,
        "dense_layers": dense,
        "experts": config.count("n_routed_experts"),
        "experts_per_token": config.count("num_experts_per_tok"),
        "expert_intermediate_size": expert_width,
        "shared_experts": shared,
        "shared_expert_intermediate_size": expert_width if shared else 0,
        "router_correction_bias": config.text("topk_method", "noaux_tc" if newest else "greedy") == "noaux_tc",
    }


def _gpt_oss(config: Config) -> Fields:
    bias = config.flag("attention_bias", True)
    layers = config.layers
    used = "num_experts_per_tok" if config.has("num_experts_per_tok") else "experts_per_token"
    config.count("head_dim")
    return {
        **_grouped_heads(config),
        **_windows(config, windowed=(layers + 1) // 2 if config.count("sliding_window", 0) else 0),
        "attention_bias": bias,
        "output_bias": bias,
        "attention_sinks": True,
        "experts": config.count("num_local_experts"),
        "experts_per_token": config.count(used),
        "expert_intermediate_size": config.count("intermediate_size"),
        "router_bias": True,
        "expert_bias": True,
    }


def _grouped_heads(config: Config, kv_heads_default: int | None = None) -> Fields:
    """Return kv_heads and head_dim; a null kv_heads means one per query head, no head_dim the hidden size's share."""
    hidden, heads = config.count("hidden_size"), config.count("num_attention_heads")
    null_means = heads if config.is_null("num_key_value_heads") else kv_heads_default
    kv_heads = config.count("num_key_value_heads", null_means)
    if not config.has("head_dim") and hidden % heads:
        raise config.error("num_attention_heads", heads, f"a divisor of hidden_size = {hidden}, or a head_dim")
    return {"kv_heads": kv_heads, "head_dim": config.count("head_dim", hidden // heads or None)}


def _windows(config: Config, windowed: int) -> Fields:
    """Return the window and how many layers have it: `layer_types` if given, `windowed` otherwise."""
    if config.has("layer_types"):
        kinds, layers = config.items("layer_types"), config.layers
        for kind in kinds:
            if kind not in LAYER_TYPES:
                raise unknown_name(f"layer type in {config.where}:", kind, LAYER_TYPES)
        if len(kinds) != layers:
            raise config.error("layer_types", f"{len(kinds)} entries", f"num_hidden_layers = {layers} of them")
        windowed = kinds.count("sliding_attention")
    if not windowed:
        return {}
    return {"sliding_window": config.count("sliding_window"), "windowed_layers": windowed}


def _qwen_windowed_layers(config: Config) -> int:
    """Return how many layers have a window: those from `max_window_layers` on, if windows are switched on at all."""
    if not config.flag("use_sliding_window", False):
        return 0
    return max(0, config.layers - config.whole("max_window_layers"))


#: Kinds of attention that a `layer_types` list may name.
LAYER_TYPES = ("full_attention", "sliding_attention")

#: A reader for each `model_type` that is understood.
FAMILIES: dict[str, Callable[[Config], Fields]] = {
    "llama": _llama,
    "mistral": _mistral,
    "mixtral": _mixtral,
    "qwen2": _qwen2,
    "qwen3": _qwen3,
    "qwen3_moe": _qwen3_moe,
    "deepseek_v2": _deepseek,
    "deepseek_v3": _deepseek,
    "kimi_k2": _deepseek,
    "gpt_oss": _gpt_oss,
}
