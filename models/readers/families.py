"""The table of families: for each `model_type`, what sets its configuration and its layers apart.

Keys and defaults follow the configuration classes of the transformers library; an entry that is not said here is as
in `USUAL`. Entries are constants, keys, or functions of the other values (`models.readers.table`).
"""

from typing import Any

from models.readers import attention as at
from models.readers import blocks as bl
from models.readers.table import Values, head_dim, key, kv_heads_or_all, kv_heads_stated

USUAL: dict[str, Any] = {
    "vocab_size": key("vocab_size"),
    "hidden": key("hidden_size"),
    "layers": lambda values: values.config.layers(),
    "tied": key("tie_word_embeddings", default=False),
    "head": True,
    "causal": True,
    "activation": key("hidden_act", default="silu"),
    # Norms: how many of the hidden size in a layer, arrays in each (2 with biases), how many outside the layers.
    "norms": 2,
    "norm_parts": 1,
    "norm_parts_qk": 1,
    "outer_norms": 1,
    "other_embeddings": 0,
    "outer_other": 0,
    "pooler": 0,
    # Mixers.
    "mixers": lambda values: at.attention_layers,
    "heads": key("num_attention_heads"),
    "kv_heads": kv_heads_stated,
    "head_dim": head_dim,
    "value_dim": 0,
    "bias": False,
    "output_bias": False,
    "qk_norm": "",
    "gate": "",
    "sinks": False,
    "windows": at.no_windows,
    # Feed-forward blocks.
    "blocks": lambda values: bl.dense_blocks,
    "gated": True,
    "width": key("intermediate_size"),
    "mlp_bias": False,
    "dense": bl.none_dense,
    "dense_width": key("intermediate_size"),
    "shared": 0,
    "shared_width": 0,
    "shared_gate": False,
    "router_bias": False,
    "correction": False,
    "expert_bias": False,
    "expert_other": 0,
    "latent": 0,
    # Layers of the checkpoint that predict several tokens.
    "mtp_layers": key("num_nextn_predict_layers", default=0),
}

ATTENTION_BIAS = key("attention_bias", default=False)
BOTH_BIASES: dict[str, Any] = {"bias": ATTENTION_BIAS, "output_bias": ATTENTION_BIAS}
MLP_BIAS = key("mlp_bias", default=False)
LAYER_NORM: dict[str, Any] = {"norm_parts": 2}
PLAIN_BLOCK: dict[str, Any] = {"gated": False}
TIED = key("tie_word_embeddings", default=True)
MIXTURE: dict[str, Any] = {"blocks": lambda values: bl.mixtures}


def _all_biased(name: str, default: bool) -> dict[str, Any]:
    entry = key(name, default=default)
    return {"bias": entry, "output_bias": entry, "mlp_bias": entry}


LLAMA = BOTH_BIASES | {"kv_heads": kv_heads_or_all, "mlp_bias": MLP_BIAS}
MISTRAL: dict[str, Any] = {"windows": at.all_windowed}
QWEN2: dict[str, Any] = {"bias": True, "windows": at.qwen_windows}
QWEN3 = QWEN2 | BOTH_BIASES | {"head_dim": key("head_dim"), "qk_norm": "head"}


def _hunyuan_head(values: Values) -> int:
    if values.config.has("attention_head_dim"):
        return values.config.count("attention_head_dim")
    return head_dim(values)


DENSE: dict[str, dict[str, Any]] = {
    "llama": LLAMA,
    "llama_bidirec": LLAMA | {"causal": False, "head": False},
    "mistral": MISTRAL,
    "ministral": MISTRAL,
    "ministral3": MISTRAL,
    "qwen2": QWEN2,
    "qwen3": QWEN3,
    "mimo": QWEN2 | {"bias": key("attention_bias", default=True)},
    "internlm2": {
        "kv_heads": kv_heads_or_all,
        "bias": key("bias", default=False),
        "output_bias": key("bias", default=False),
    },
    "internlm3": {
        "bias": key("qkv_bias", default=False),
        "output_bias": key("bias", default=False),
        "mlp_bias": key("bias", default=False),
    },
    "granite": LLAMA,
    "seed_oss": {
        "bias": key("attention_bias", default=True),
        "output_bias": key("attention_out_bias", default=False),
        "mlp_bias": MLP_BIAS,
    },
    "smollm3": LLAMA | {"tied": TIED, "windows": at.qwen_windows},
    "arcee": LLAMA | PLAIN_BLOCK | {"activation": key("hidden_act", default="relu2")},
    "nemotron": LLAMA | PLAIN_BLOCK | LAYER_NORM | {"activation": key("hidden_act", default="relu2")},
    "apertus": LLAMA
    | PLAIN_BLOCK
    | {"qk_norm": "head", "activation": key("hidden_act", default="xielu"), "expert_other": 0},
    "helium": {"kv_heads": kv_heads_or_all},
    "ernie4_5": {"tied": TIED, **_all_biased("use_bias", False)},
    "hunyuan_v1_dense": LLAMA | {"qk_norm": "head", "head_dim": _hunyuan_head},
    "minicpm": LLAMA,
    "olmo": LLAMA | {"norms": 0, "outer_norms": 0},
    "olmo2": LLAMA | {"qk_norm": "all"},
    "olmo3": LLAMA | {"qk_norm": "all", "windows": at.alternating_windows(4)},
    "exaone": LLAMA
    | {
        "layers": lambda values: values.config.layers(values.config.first("num_layers", "num_hidden_layers")),
        "activation": key("activation_function", default="silu"),
    },
    "exaone4": {"qk_norm": "head", "windows": at.alternating_windows(4)},
    "glm": {"bias": key("attention_bias", default=False)},
    "glm4": {"bias": key("attention_bias", default=False), "norms": 4},
    "cohere": {
        "norms": 1,
        "tied": TIED,
        **BOTH_BIASES,
        "qk_norm": lambda v: "all" if v.config.flag("use_qk_norm", False) else "",
    },
    "cohere2": {"norms": 1, "tied": TIED, **BOTH_BIASES, "windows": at.alternating_windows(4)},
    "starcoder2": LAYER_NORM
    | PLAIN_BLOCK
    | _all_biased("use_bias", True)
    | {"tied": TIED, "windows": at.all_windowed, "activation": key("hidden_act", default="gelu")},
    "stablelm": LAYER_NORM
    | {
        "bias": key("use_qkv_bias", default=False),
        "qk_norm": lambda v: "all" if v.config.flag("qk_layernorm", False) else "",
        "norms": lambda v: 1 if v.config.flag("use_parallel_residual", False) else 2,
    },
    "gemma": BOTH_BIASES
    | {"tied": TIED, "activation": key("hidden_activation", "hidden_act", default="gelu_pytorch_tanh")},
    "gemma2": BOTH_BIASES
    | {
        "tied": TIED,
        "norms": 4,
        "windows": at.first_windowed,
        "activation": key("hidden_activation", "hidden_act", default="gelu_pytorch_tanh"),
    },
    "gemma3_text": BOTH_BIASES
    | {
        "tied": TIED,
        "norms": 4,
        "qk_norm": "head",
        "windows": at.alternating_windows(6, "sliding_window_pattern"),
        "activation": key("hidden_activation", "hidden_act", default="gelu_pytorch_tanh"),
    },
    "phi": LAYER_NORM
    | PLAIN_BLOCK
    | {
        "kv_heads": kv_heads_or_all,
        "bias": True,
        "output_bias": True,
        "mlp_bias": True,
        "norms": 1,
        "qk_norm": lambda v: "head" if v.config.flag("qk_layernorm", False) else "",
        "norm_parts_qk": 2,
        "outer_other": lambda v: v["vocab_size"],
        "activation": key("hidden_act", default="gelu_new"),
    },
    "phi3": {"kv_heads": kv_heads_or_all, "bias": ATTENTION_BIAS, "windows": at.all_windowed},
    "falcon3": LLAMA,
    "persimmon": LAYER_NORM
    | PLAIN_BLOCK
    | {
        "kv_heads": lambda v: v["heads"],
        "bias": True,
        "output_bias": True,
        "mlp_bias": True,
        "qk_norm": lambda v: "head" if v.config.flag("qk_layernorm", True) else "",
        "norm_parts_qk": 2,
        "activation": key("hidden_act", default="relu2"),
    },
}


def _one_or_all_heads(values: Values) -> int:
    values.config.get("num_key_value_heads")
    return 1 if values.config.flag("multi_query", True) else int(values["heads"])


def _gpt_width(values: Values) -> int:
    return values.config.count("n_inner", 4 * int(values["hidden"]))


#: Networks of the GPT-2 lineage: LayerNorm, biases everywhere, blocks without a gate.
GPT: dict[str, Any] = LAYER_NORM | PLAIN_BLOCK | {
    "hidden": key("n_embd", "hidden_size"),
    "layers": lambda values: values.config.layers(values.config.first("n_layer", "num_hidden_layers")),
    "heads": key("n_head", "num_attention_heads"),
    "kv_heads": lambda values: values["heads"],
    "head_dim": lambda values: values["hidden"] // values["heads"],
    "bias": True,
    "output_bias": True,
    "mlp_bias": True,
    "tied": TIED,
    "width": _gpt_width,
    "activation": key("activation_function", default="gelu_new"),
}  # fmt: skip


def _learned(values: Values) -> int:
    config = values.config
    return config.count(config.first("n_positions", "n_ctx", "max_position_embeddings")) * int(values["hidden"])


def _falcon_norms(values: Values) -> int:
    config = values.config
    new, count = config.flag("new_decoder_architecture", False), config.get("num_ln_in_parallel_attn")
    if new and (count is None or count == 2):
        return 2
    return 1 if config.flag("parallel_attn", True) else 2


def _falcon_kv_heads(values: Values) -> int:
    config = values.config
    if config.flag("new_decoder_architecture", False):
        return config.count("num_kv_heads", values["heads"])
    many = config.flag("multi_query", True)
    config.get("num_kv_heads")
    return 1 if many else int(values["heads"])


def _bloom_hidden(values: Values) -> int:
    return values.config.count(values.config.first("hidden_size", "n_embed"))


def _mpt_kv_heads(values: Values) -> int:
    table = values.config.table("attn_config")
    kind = table.text("attn_type", "multihead_attention")
    if kind == "multiquery_attention":
        return 1
    return table.count("kv_n_heads", values["heads"]) if kind == "grouped_query_attention" else int(values["heads"])


def _opt_norms(values: Values) -> int:
    config = values.config
    removed = config.flag("_remove_final_layer_norm", False)
    return int(config.flag("do_layer_norm_before", True) and not removed)


def _opt_projection(values: Values) -> int:
    width = values.config.count("word_embed_proj_dim", values["hidden"])
    return 0 if width == values["hidden"] else 2 * width * int(values["hidden"])


DENSE |= {
    "gpt2": GPT | {"other_embeddings": _learned},
    "gpt_bigcode": GPT
    | {
        "other_embeddings": _learned,
        "kv_heads": _one_or_all_heads,
    },
    "gptj": GPT
    | {
        "bias": False,
        "output_bias": False,
        "norms": 1,
        "tied": key("tie_word_embeddings", default=False),
        "outer_other": lambda v: v["vocab_size"],
    },
    "gpt_neo": GPT
    | {
        "hidden": key("hidden_size"),
        "layers": lambda v: v.config.layers(v.config.first("num_layers", "num_hidden_layers")),
        "heads": key("num_heads", "num_attention_heads"),
        "bias": False,
        "other_embeddings": _learned,
        "width": lambda v: v.config.count("intermediate_size", 4 * v["hidden"]),
        "windows": lambda v: _gpt_neo_windows(v),
    },
    "codegen": GPT
    | {
        "bias": False,
        "output_bias": False,
        "norms": 1,
        "tied": key("tie_word_embeddings", default=False),
        "outer_other": lambda v: v["vocab_size"],
    },
    "gpt_neox": LAYER_NORM
    | PLAIN_BLOCK
    | {
        "kv_heads": lambda v: v["heads"],
        "bias": key("attention_bias", default=True),
        "output_bias": key("attention_bias", default=True),
        "mlp_bias": True,
        "activation": key("hidden_act", default="gelu"),
    },
    "falcon": LAYER_NORM
    | PLAIN_BLOCK
    | {
        "layers": lambda v: v.config.layers(v.config.first("num_hidden_layers", "n_layer")),
        "heads": key("num_attention_heads", "n_head"),
        "kv_heads": _falcon_kv_heads,
        "head_dim": lambda v: v["hidden"] // v["heads"],
        **_all_biased("bias", False),
        "norms": _falcon_norms,
        "tied": TIED,
        "width": lambda v: v.config.count("ffn_hidden_size", 4 * v["hidden"]),
        "activation": key("activation", default="gelu"),
    },
    "bloom": LAYER_NORM
    | PLAIN_BLOCK
    | {
        "hidden": _bloom_hidden,
        "layers": lambda v: v.config.layers(v.config.first("n_layer", "num_hidden_layers")),
        "heads": key("n_head", "num_attention_heads"),
        "kv_heads": lambda v: v["heads"],
        "bias": True,
        "output_bias": True,
        "mlp_bias": True,
        "outer_norms": 2,
        "tied": TIED,
        "width": lambda v: 4 * v["hidden"],
        "activation": "gelu",
    },
    "mpt": PLAIN_BLOCK
    | {
        "hidden": key("d_model"),
        "layers": lambda v: v.config.layers("n_layers"),
        "heads": key("n_heads"),
        "kv_heads": _mpt_kv_heads,
        "head_dim": lambda v: v["hidden"] // v["heads"],
        "norm_parts": lambda v: 1 if v.config.flag("no_bias", True) else 2,
        "bias": lambda v: not v.config.flag("no_bias", True),
        "output_bias": lambda v: not v.config.flag("no_bias", True),
        "mlp_bias": lambda v: not v.config.flag("no_bias", True),
        "tied": TIED,
        "width": lambda v: v["hidden"] * v.config.count("expansion_ratio", 4),
        "activation": "gelu",
    },
    "opt": LAYER_NORM
    | PLAIN_BLOCK
    | {
        "kv_heads": lambda v: v["heads"],
        **_all_biased("enable_bias", True),
        "tied": TIED,
        "width": key("ffn_dim"),
        # The first two rows of the table of positions are unused.
        "other_embeddings": lambda v: (v.config.count("max_position_embeddings") + 2) * v["hidden"],
        "outer_norms": _opt_norms,
        "outer_other": _opt_projection,
        "activation": key("activation_function", default="relu"),
    },
    "biogpt": LAYER_NORM
    | PLAIN_BLOCK
    | {
        "kv_heads": lambda v: v["heads"],
        "bias": True,
        "output_bias": True,
        "mlp_bias": True,
        "tied": TIED,
        "other_embeddings": lambda v: (v.config.count("max_position_embeddings") + 2) * v["hidden"],
        "activation": key("hidden_act", default="gelu"),
    },
}  # fmt: skip


def _gpt_neo_windows(values: Values) -> list[int]:
    config, layers = values.config, values["layers"]
    kinds: list[str] = []
    config.get("attention_layers")
    for pattern, times in config.items("attention_types") or [[["global", "local"], layers // 2]]:
        kinds += list(pattern) * times
    if len(kinds) != layers:
        raise config.error("attention_types", f"{len(kinds)} layers", f"num_layers = {layers} of them")
    return [config.count("window_size", 256) if kind == "local" else 0 for kind in kinds]


QWEN_EXPERTS: dict[str, Any] = MIXTURE | {
    "experts": key("num_experts"),
    "used": key("num_experts_per_tok"),
    "expert_width": key("moe_intermediate_size"),
    "dense": bl.stepped_dense,
}  # fmt: skip
QWEN_SHARED: dict[str, Any] = {
    "shared": 1,
    "shared_width": key("shared_expert_intermediate_size"),
    "shared_gate": True,
}
DEEPSEEK_EXPERTS: dict[str, Any] = MIXTURE | {
    "experts": key("n_routed_experts"),
    "used": key("num_experts_per_tok"),
    "expert_width": key("moe_intermediate_size"),
    "shared": key("n_shared_experts", default=0),
    "shared_width": key("moe_intermediate_size"),
    "dense": bl.first_dense("first_k_dense_replace"),
    "correction": lambda v: v.config.text("topk_method", "noaux_tc") == "noaux_tc",
}  # fmt: skip
LATENT: dict[str, Any] = BOTH_BIASES | {
    "mixers": lambda values: at.latent_layers,
    "q_rank": key("q_lora_rank", default=0),
    "kv_rank": key("kv_lora_rank"),
    "nope_dim": key("qk_nope_head_dim"),
    "rope_dim": key("qk_rope_head_dim"),
    "value_dim": key("v_head_dim"),
}
DEEPSEEK = LATENT | DEEPSEEK_EXPERTS
MIXTRAL: dict[str, Any] = MISTRAL | MIXTURE | {
    "experts": key("num_local_experts"),
    "used": key("num_experts_per_tok"),
    "expert_width": key("intermediate_size"),
}  # fmt: skip


def _gpt_oss_used(values: Values) -> int:
    values.config.get("experts_per_token")
    return values.config.count(values.config.first("num_experts_per_tok", "experts_per_token"))


def _granite_shared(values: Values) -> int:
    return values.config.whole("shared_intermediate_size", 0)


GRANITE_EXPERTS: dict[str, Any] = MIXTURE | {
    "experts": key("num_local_experts"),
    "used": key("num_experts_per_tok"),
    "expert_width": key("intermediate_size"),
    "shared": lambda v: 1 if _granite_shared(v) else 0,
    "shared_width": _granite_shared,
}  # fmt: skip

MIXTURES: dict[str, dict[str, Any]] = {
    "mixtral": MIXTRAL,
    "qwen2_moe": QWEN2 | QWEN_EXPERTS | QWEN_SHARED | {"bias": key("qkv_bias", default=True)},
    "qwen3_moe": QWEN3 | QWEN_EXPERTS | {"head_dim": head_dim},
    "olmoe": BOTH_BIASES
    | MIXTURE
    | {
        "qk_norm": "all",
        "experts": key("num_experts"),
        "used": key("num_experts_per_tok"),
        "expert_width": key("intermediate_size"),
    },
    "flex_olmo": BOTH_BIASES
    | MIXTURE
    | {
        "qk_norm": "all",
        "experts": key("num_experts"),
        "used": key("num_experts_per_tok"),
        "expert_width": key("intermediate_size"),
    },
    "phimoe": LAYER_NORM
    | MIXTRAL
    | {
        **BOTH_BIASES,
        "outer_other": lambda v: v["vocab_size"] if v.config.flag("lm_head_bias", False) else 0,
    },
    "granitemoe": BOTH_BIASES
    | MIXTURE
    | {
        "kv_heads": kv_heads_or_all,
        "experts": key("num_local_experts"),
        "used": key("num_experts_per_tok"),
        "expert_width": key("intermediate_size"),
    },
    "granitemoeshared": BOTH_BIASES | GRANITE_EXPERTS | {"kv_heads": kv_heads_or_all},
    "deepseek_v2": DEEPSEEK
    | {"correction": lambda v: v.config.text("topk_method", "greedy") == "noaux_tc"},
    "deepseek_v3": DEEPSEEK,
    "kimi_k2": DEEPSEEK,
    "glm4_moe_lite": DEEPSEEK,
    "glm4_moe": DEEPSEEK_EXPERTS
    | {
        "bias": key("attention_bias", default=False),
        "qk_norm": lambda v: "head" if v.config.flag("use_qk_norm", False) else "",
        "correction": True,
    },
    "dots1": BOTH_BIASES | DEEPSEEK_EXPERTS | {"qk_norm": "head", "correction": True},
    "minimax_m2": MIXTRAL
    | {
        "qk_norm": lambda v: minimax_norm(v, "per_layer"),
        "windows": lambda v: _all_attending(v),
        "correction": key("use_routing_bias", default=True),
        "mtp_layers": key("num_mtp_modules", default=0),
    },
    "gpt_oss": MIXTURE
    | {
        "bias": key("attention_bias", default=True),
        "output_bias": key("attention_bias", default=True),
        "head_dim": key("head_dim"),
        "sinks": True,
        "windows": at.first_windowed,
        "experts": key("num_local_experts"),
        "used": _gpt_oss_used,
        "expert_width": key("intermediate_size"),
        "router_bias": True,
        "expert_bias": True,
    },
    "ernie4_5_moe": MIXTURE
    | {
        "tied": TIED,
        **_all_biased("use_bias", False),
        "experts": key("moe_num_experts"),
        "used": key("moe_k"),
        "expert_width": key("moe_intermediate_size"),
        "shared": key("moe_num_shared_experts", default=0),
        "shared_width": key("moe_intermediate_size"),
        "dense": lambda v: _ernie_dense(v),
        "correction": True,
    },
    "hunyuan_v1_moe": LLAMA
    | MIXTURE
    | {
        "head_dim": _hunyuan_head,
        "qk_norm": "head",
        "experts": lambda v: _one_for_all(v, "num_experts"),
        "used": lambda v: _one_for_all(v, "moe_topk"),
        "expert_width": lambda v: _one_for_all(v, "moe_intermediate_size", "intermediate_size"),
        "shared": lambda v: _one_for_all(v, "num_shared_expert", default=1),
        "shared_width": key("intermediate_size"),
    },
    "exaone_moe": DEEPSEEK_EXPERTS
    | {
        "qk_norm": "head",
        "windows": at.alternating_windows(4),
        "experts": key("num_experts"),
        "shared": key("num_shared_experts", default=0),
        "correction": True,
    },
}  # fmt: skip


def same_count(values: Values, *keys: str) -> int:
    """Return the count that several keys give, all the same where they are there; raises `InputError`."""
    config = values.config
    counts = {name: config.count(name) for name in keys if config.has(name)}
    if len(set(counts.values())) > 1:
        raise config.error(", ".join(counts), list(counts.values()), "the same number")
    return next(iter(counts.values())) if counts else config.count(keys[0])


def minimax_norm(values: Values, default: str) -> str:
    """Return how wide the norms on queries and keys are."""
    config = values.config
    if not config.flag("use_qk_norm", True):
        return ""
    widths = {"per_layer": "all", "per_head": "head"}
    kind = config.text("qk_norm_type", default)
    if kind not in widths:
        raise config.error("qk_norm_type", kind, " or ".join(widths))
    return widths[kind]


def _all_attending(values: Values) -> list[int]:
    """Return no windows; raises `InputError` where `attn_type_list` has layers without attention."""
    config = values.config
    if 0 in config.whole_items("attn_type_list", values["layers"] if config.has("attn_type_list") else None):
        raise config.error("attn_type_list", 0, "1 for every layer")
    return at.no_windows(values)


def _ernie_dense(values: Values) -> set[int]:
    config, layers = values.config, values["layers"]
    start, end = config.whole("moe_layer_start_index", 1), config.get("moe_layer_end_index")
    last = layers - 1 if end in (None, -1) else config.whole("moe_layer_end_index")
    step = config.count("moe_layer_interval", 1)
    config.get("moe_layers")
    return {layer for layer in range(layers) if not (start <= layer <= last and (layer + 1) % step == 0)}


def _one_for_all(values: Values, *keys: str, default: int | None = None) -> int:
    """Return a count that may be written as a list with the same number for every layer."""
    config = values.config
    name = config.first(*keys)
    if isinstance(config.get(name), list):
        entries = set(config.whole_items(name))
        if len(entries) != 1:
            raise config.error(name, "different numbers", "one number for all layers")
        return entries.pop()
    return config.count(name, default)
