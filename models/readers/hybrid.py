"""Families with states of fixed size: gated delta rules, Mamba, linear attention, alone or between attention layers."""

from collections.abc import Callable
from dataclasses import replace
from math import ceil
from typing import Any

from models.layers import FeedForward, Mixer, grouped_attention, latent_attention
from models.readers import attention as at
from models.readers import blocks as bl
from models.readers.families import (
    ATTENTION_BIAS,
    BOTH_BIASES,
    DEEPSEEK_EXPERTS,
    GRANITE_EXPERTS,
    MIXTRAL,
    MLP_BIAS,
    PLAIN_BLOCK,
    QWEN_EXPERTS,
    QWEN_SHARED,
    TIED,
    same_count,
)
from models.readers.table import Values, key, kv_heads_or_all
from models.states import (
    STATE_BITS,
    beside,
    delta_attention,
    gated_delta,
    lightning,
    mamba,
    mamba2,
    short_convolution,
)

Mixing = tuple[list[Mixer], dict[str, Any]]
Blocks = tuple[list[FeedForward], dict[str, Any]]


def _attention(values: Values) -> Mixer:
    """Return the attention layer that stands between the others."""
    heads, kv_heads, width = values["heads"], values["kv_heads"], values["head_dim"]
    return grouped_attention(
        values["hidden"],
        heads,
        kv_heads,
        width,
        bias=values["bias"],
        output_bias=values["output_bias"],
        gate=values["gate"],
        norms=at.layer_norms(values) + at.qk_norm_elements(values["qk_norm"], heads, kv_heads, width),
    )


def _normed(mixer: Mixer, values: Values) -> Mixer:
    return replace(mixer, norms=mixer.norms + at.layer_norms(values))


def _sizes(values: Values) -> dict[str, Any]:
    """Return the fields of a spec for the attention layers; they do not say what the other layers are."""
    return {"query_heads": values["heads"], "kv_heads": values["kv_heads"], "head_dim": values["head_dim"]}


def between(state: Callable[[Values], Mixer], kinds: Callable[[Values], list[bool]]) -> Callable[[Values], Mixing]:
    """Return the reader of layers that are attention where `kinds` says so, and what `state` returns elsewhere."""

    def mixing(values: Values) -> Mixing:
        other, attending = _normed(state(values), values), kinds(values)
        full = _attention(values) if any(attending) else other
        return [full if attends else other for attends in attending], _sizes(values)

    return mixing


def _listed(*attention: str) -> Callable[[Values], list[bool]]:
    """Return the rule that reads `layer_types`, in which `attention` are names of attention layers."""
    known = (*attention, "linear_attention", "mamba", "conv", "hybrid")

    def attending(values: Values) -> list[bool]:
        name = values.config.first("layer_types", "layers_block_type")
        return [kind in attention for kind in at.listed_kinds(values, known, name)]

    return attending


# Gated delta rule: Qwen3-Next, Qwen3.5.


def _qwen_delta(fused: bool) -> Callable[[Values], Mixer]:
    def state(values: Values) -> Mixer:
        config = values.config
        bits = config.text("mamba_ssm_dtype", "float32")
        mixer = gated_delta(
            values["hidden"],
            config.count("linear_num_key_heads"),
            config.count("linear_num_value_heads"),
            config.count("linear_key_head_dim"),
            config.count("linear_value_head_dim"),
            config.count("linear_conv_kernel_dim"),
            fused=fused,
        )
        return replace(mixer, state_bits=STATE_BITS if bits == "float32" else STATE_BITS // 2)

    return state


def _qwen_kinds(values: Values) -> list[bool]:
    interval = values.config.count("full_attention_interval", 4)
    listed = _listed("full_attention")(values)
    return listed or [(layer + 1) % interval == 0 for layer in range(values["layers"])]


def _qwen_gate(values: Values) -> str:
    values.config.get("output_gate_type")
    return "element" if values.config.flag("attn_output_gate", True) else ""


def _qwen(fused: bool) -> dict[str, Any]:
    return BOTH_BIASES | {
        "mixers": lambda values: between(_qwen_delta(fused), _qwen_kinds),
        "head_dim": key("head_dim"),
        "qk_norm": "head",
        "gate": _qwen_gate,
        "mtp_layers": key("mtp_num_hidden_layers", default=0),
    }  # fmt: skip


# Kimi Linear and K3: delta attention between latent attention.


def _kimi_mixing(values: Values) -> Mixing:
    config, hidden, layers = values.config, values["hidden"], values["layers"]
    table = config.table("linear_attn_config")
    if table.data:
        attending = {index - 1 for index in table.whole_items("full_attn_layers")}
        delta = {index - 1 for index in table.whole_items("kda_layers")}
        if attending | delta != set(range(layers)) or attending & delta:
            raise table.error("full_attn_layers, kda_layers", "others", f"each layer from 1 to {layers} once")
        heads, dim, kernel = table.count("num_heads"), table.count("head_dim"), table.count("short_conv_kernel_size")
        table.get("gate_lower_bound")
        full_gate = table.flag("use_full_rank_gate", False)
    else:
        kinds = at.listed_kinds(values, ("linear_attention", "full_attention"))
        attending = {layer for layer, kind in enumerate(kinds) if kind == "full_attention"}
        heads, dim = config.count("linear_num_heads"), config.count("linear_head_dim")
        kernel, full_gate = config.count("linear_conv_kernel_dim"), False
    one = delta_attention(hidden, heads, dim, kernel, full_gate=full_gate)
    # Attention over the outputs of earlier blocks of layers: a vector and a norm for each sublayer.
    residual = 2 * 2 * hidden if config.whole("attn_res_block_size", 0) else 0
    table.unread("linear_attn_config")
    config.get("mla_use_nope")
    config.get("num_key_value_heads")
    config.get("head_dim")
    q_rank = config.whole("q_lora_rank", 0)
    sizes = {
        "q_lora_rank": q_rank,
        "kv_lora_rank": config.count("kv_lora_rank"),
        "qk_nope_head_dim": config.count("qk_nope_head_dim"),
        "qk_rope_head_dim": config.count("qk_rope_head_dim", 64),
        "v_head_dim": config.count("v_head_dim"),
    }
    full = latent_attention(
        hidden,
        values["heads"],
        q_rank=q_rank,
        kv_rank=sizes["kv_lora_rank"],
        nope_dim=sizes["qk_nope_head_dim"],
        rope_dim=sizes["qk_rope_head_dim"],
        value_dim=sizes["v_head_dim"],
        gate="element" if config.flag("mla_use_output_gate", False) else "",
        norms=at.layer_norms(values) + q_rank + sizes["kv_lora_rank"] + residual,
    )
    state = replace(_normed(one, values), norms=one.norms + at.layer_norms(values) + residual)
    mixing = [full if layer in attending else state for layer in range(layers)]
    return mixing, {"attention": "mla", "query_heads": values["heads"], **sizes}


def _kimi_dense(values: Values) -> set[int]:
    if values.config.has("mlp_layer_types"):
        return bl.typed_dense(values)
    return bl.first_dense("first_k_dense_replace")(values)


def _kimi_latent(values: Values) -> int:
    values.config.get("latent_moe_use_norm")
    return values.config.whole("routed_expert_hidden_size", 0)


KIMI = DEEPSEEK_EXPERTS | {
    "mixers": lambda values: _kimi_mixing,
    "experts": key("num_experts"),
    "used": key("num_experts_per_token", "num_experts_per_tok"),
    "shared": key("num_shared_experts", default=0),
    "dense": _kimi_dense,
    "correction": True,
    "latent": _kimi_latent,
}  # fmt: skip


# Mamba between attention layers.


def _state_bits(values: Values) -> int:
    name = values.config.text(values.config.first("mamba_ssm_cache_dtype", "mamba_ssm_dtype"), "float32")
    return STATE_BITS if name == "float32" else STATE_BITS // 2


def _bamba_state(values: Values) -> Mixer:
    config = values.config
    heads, width = config.count("mamba_n_heads"), config.get("mamba_d_head")
    inner = config.count("mamba_expand", 2) * values["hidden"]
    return mamba2(
        values["hidden"],
        heads,
        inner // heads if width in (None, "auto") else config.count("mamba_d_head"),
        config.count("mamba_d_state"),
        config.count("mamba_n_groups"),
        config.count("mamba_d_conv"),
        biased=config.flag("mamba_proj_bias", False),
        convolution_bias=config.flag("mamba_conv_bias", True),
        normed=config.flag("mamba_rms_norm", True),
    )


def _bamba_kinds(values: Values) -> list[bool]:
    config = values.config
    if config.has("layer_types") or config.has("layers_block_type"):
        return _listed("full_attention", "attention")(values)
    indices = config.whole_items("attn_layer_indices")
    return [layer in indices for layer in range(values["layers"])]


def _periodic(period: str, offset: str) -> Callable[[Values], list[bool]]:
    def kinds(values: Values) -> list[bool]:
        every, first = values.config.count(period), values.config.whole(offset)
        return [layer % every == first % every for layer in range(values["layers"])]

    return kinds


def _mamba_rank(values: Values, name: str) -> int:
    given = values.config.get(name)
    return ceil(values["hidden"] / 16) if given in (None, "auto") else values.config.count(name)


def _jamba_state(values: Values) -> Mixer:
    config = values.config
    return mamba(
        values["hidden"],
        config.count("mamba_expand", 2) * values["hidden"],
        config.count("mamba_d_state"),
        _mamba_rank(values, "mamba_dt_rank"),
        config.count("mamba_d_conv"),
        biased=config.flag("mamba_proj_bias", False),
        convolution_bias=config.flag("mamba_conv_bias", True),
        normed=True,
    )


def _jamba_dense(values: Values) -> set[int]:
    sparse = _periodic("expert_layer_period", "expert_layer_offset")(values)
    return {layer for layer, chosen in enumerate(sparse) if not chosen or values["experts"] == 1}


def _alone(state: Callable[[Values], Mixer]) -> Callable[[Values], Mixing]:
    def mixing(values: Values) -> Mixing:
        return [_normed(state(values), values)] * values["layers"], {"query_heads": 0}

    return mixing


def _no_blocks(values: Values) -> Blocks:
    return [FeedForward(kind="none")] * values["layers"], {}


def _mamba_state(values: Values) -> Mixer:
    config, hidden = values.config, values["hidden"]
    inner = config.count(config.first("d_inner", "intermediate_size"), config.count("expand", 2) * hidden)
    return mamba(
        hidden,
        inner,
        config.count("state_size"),
        _mamba_rank(values, "time_step_rank"),
        config.count("conv_kernel"),
        biased=config.flag("use_bias", False),
        convolution_bias=config.flag("use_conv_bias", True),
    )


def _mamba2_state(values: Values) -> Mixer:
    config = values.config
    inner, heads, width = config.count("expand", 2) * values["hidden"], config.count("num_heads"), "head_dim"
    if config.count(width) * heads != inner:
        raise config.error(width, config.count(width), f"expand x hidden_size / num_heads = {inner / heads:g}")
    return mamba2(
        values["hidden"],
        config.count("num_heads"),
        config.count("head_dim"),
        config.count("state_size"),
        config.count("n_groups"),
        config.count("conv_kernel"),
        biased=config.flag("use_bias", False),
        convolution_bias=config.flag("use_conv_bias", True),
    )


MAMBA: dict[str, Any] = {
    "layers": lambda values: values.config.layers(values.config.first("num_hidden_layers", "n_layer")),
    "hidden": key("hidden_size", "d_model"),
    "norms": 1,
    "tied": TIED,
    "blocks": lambda values: _no_blocks,
}


def _falcon_h1_mixing(values: Values) -> Mixing:
    config = values.config
    inner = config.count("mamba_d_ssm", config.count("mamba_expand", 2) * values["hidden"])
    heads = config.count("mamba_n_heads")
    width = config.get("mamba_d_head")
    state = mamba2(
        values["hidden"],
        heads,
        inner // heads if width in (None, "auto") else config.count("mamba_d_head"),
        config.count("mamba_d_state"),
        config.count("mamba_n_groups"),
        config.count("mamba_d_conv"),
        biased=config.flag("mamba_proj_bias", False),
        convolution_bias=config.flag("mamba_conv_bias", True),
        normed=config.flag("mamba_rms_norm", False),
    )
    one = beside(_attention(values), state)
    return [one] * values["layers"], _sizes(values)


# Nemotron-H: each layer is one thing only.

_NEMOTRON = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}
_NEMOTRON_NAMES = {"linear_attention": "mamba", "full_attention": "attention"}


def _nemotron_layers(values: Values) -> int:
    config = values.config
    listed = config.get("hybrid_override_pattern") or config.get("layers_block_type") or ()
    return config.layers() if config.has("num_hidden_layers") or not listed else len(listed)


def _nemotron_kinds(values: Values) -> list[str]:
    config = values.config
    pattern = config.get("hybrid_override_pattern")
    if pattern is not None:
        pattern = config.text("hybrid_override_pattern")
        strange = sorted(set(pattern) - set(_NEMOTRON))
        if strange:
            raise config.error("hybrid_override_pattern", strange[0], f"one of {' '.join(_NEMOTRON)} for each layer")
        kinds = [_NEMOTRON[letter] for letter in pattern]
    else:
        kinds = [_NEMOTRON_NAMES.get(kind, kind) for kind in config.items("layers_block_type")]
    if len(kinds) != values["layers"] or set(kinds) - set(_NEMOTRON.values()):
        raise config.error("layers_block_type", f"{len(kinds)} entries", f"num_hidden_layers = {values['layers']}")
    return kinds


def _nemotron_mixing(values: Values) -> Mixing:
    config = values.config
    state = mamba2(
        values["hidden"],
        config.count("mamba_num_heads"),
        config.count("mamba_head_dim"),
        config.count("ssm_state_size"),
        config.count("n_groups"),
        config.count("conv_kernel"),
        biased=config.flag("mamba_proj_bias", False),
        convolution_bias=config.flag("use_conv_bias", True),
        bits=_state_bits(values),
    )
    nothing = Mixer(kind="none", norms=at.layer_norms(values))
    layer = {"mamba": _normed(state, values), "attention": _attention(values), "mlp": nothing, "moe": nothing}
    for flag in ("use_bias", "expand"):
        config.get(flag)
    return [layer[kind] for kind in _nemotron_kinds(values)], _sizes(values)


def _nemotron_blocks(values: Values) -> Blocks:
    kinds, nothing = _nemotron_kinds(values), FeedForward(kind="none")
    layer = {"mamba": nothing, "attention": nothing}
    sizes: dict[str, Any] = {}
    values.config.get("intermediate_size")
    if "mlp" in kinds:
        layer["mlp"] = bl.one_dense(values, values["width"])
        sizes["intermediate_size"] = values["width"]
    if "moe" in kinds:
        layer["moe"] = bl.mixture_block(values)
        sizes |= {"experts": values["experts"], "experts_per_token": values["used"]}
        sizes |= {"expert_intermediate_size": values["expert_width"], "dense_layers": len(kinds) - kinds.count("moe")}
    return [layer[kind] for kind in kinds], sizes


def _nemotron_shared(values: Values) -> int:
    count = values.config.whole("n_shared_experts", 0)
    return 1 if count else 0


def _lfm2_width(values: Values) -> int:
    config = values.config
    width = config.count(config.first("block_ff_dim", "intermediate_size"))
    config.get("intermediate_size")
    multiple = config.count("block_multiple_of", 256)
    factor = config.number("block_ffn_dim_multiplier", 1.0)
    if not config.flag("block_auto_adjust_ff_dim", True):
        return width
    return multiple * ceil(int(factor * int(2 * width / 3)) / multiple)


def _lfm2_state(values: Values) -> Mixer:
    config = values.config
    return short_convolution(values["hidden"], config.count("conv_L_cache"), biased=config.flag("conv_bias", False))


def _lfm2_kinds(values: Values) -> list[bool]:
    config = values.config
    indices = config.whole_items("full_attn_idxs")
    if config.has("layer_types"):
        return _listed("full_attention")(values)
    return [layer in indices for layer in range(values["layers"])]


LFM2: dict[str, Any] = {
    "heads": lambda values: same_count(values, "num_attention_heads", "num_heads"),
    "mixers": lambda values: between(_lfm2_state, _lfm2_kinds),
    "qk_norm": "head",
    "tied": key("tie_embedding", "tie_word_embeddings", default=True),
}


def _lightning_state(values: Values) -> Mixer:
    return lightning(values["hidden"], values["heads"], values["head_dim"])


def _minimax_kinds(values: Values) -> list[bool]:
    config = values.config
    if config.has("layer_types"):
        return _listed("full_attention")(values)
    return [bool(kind) for kind in config.whole_items("attn_type_list", values["layers"])]


HYBRID: dict[str, dict[str, Any]] = {
    "qwen3_next": _qwen(True) | QWEN_EXPERTS | QWEN_SHARED,
    "qwen3_5": _qwen(False),
    "qwen3_5_moe": _qwen(False) | QWEN_EXPERTS | QWEN_SHARED | {"dense": bl.none_dense},
    "kimi_linear": KIMI,
    "kimi_k3": KIMI,
    "jamba": QWEN_EXPERTS
    | {
        "mixers": lambda values: between(_jamba_state, _periodic("attn_layer_period", "attn_layer_offset")),
        "expert_width": key("intermediate_size"),
        "dense": _jamba_dense,
    },
    "bamba": BOTH_BIASES
    | {
        "mixers": lambda values: between(_bamba_state, _bamba_kinds),
        "kv_heads": kv_heads_or_all,
        "mlp_bias": MLP_BIAS,
    },
    "granitemoehybrid": BOTH_BIASES
    | GRANITE_EXPERTS
    | {
        "mixers": lambda values: between(_bamba_state, _bamba_kinds),
        "kv_heads": kv_heads_or_all,
        "blocks": lambda values: _granite_blocks,
        "experts": key("num_local_experts", default=0),
        "used": key("num_experts_per_tok", default=0),
    },
    "falcon_h1": BOTH_BIASES | {"mixers": lambda values: _falcon_h1_mixing, "mlp_bias": MLP_BIAS},
    "mamba": MAMBA | {"mixers": lambda values: _alone(_mamba_state)},
    "falcon_mamba": MAMBA | {"mixers": lambda values: _alone(_mamba_state)},
    "mamba2": MAMBA
    | {"mixers": lambda values: _alone(_mamba2_state), "tied": key("tie_word_embeddings", default=False)},
    "nemotron_h": PLAIN_BLOCK
    | {
        "mixers": lambda values: _nemotron_mixing,
        "blocks": lambda values: _nemotron_blocks,
        "layers": _nemotron_layers,
        "norms": 1,
        "bias": ATTENTION_BIAS,
        "output_bias": ATTENTION_BIAS,
        "mlp_bias": MLP_BIAS,
        "head_dim": key("head_dim", "attention_head_dim"),
        "activation": key("mlp_hidden_act", default="relu2"),
        "experts": key("n_routed_experts"),
        "used": key("num_experts_per_tok"),
        "expert_width": key("moe_intermediate_size"),
        "shared": _nemotron_shared,
        "shared_width": key("moe_shared_expert_intermediate_size"),
        "correction": True,
        "latent": key("moe_latent_size", default=0),
    },
    "lfm2": LFM2 | {"width": _lfm2_width},
    "lfm2_moe": LFM2
    | DEEPSEEK_EXPERTS
    | {
        "experts": key("num_experts"),
        "shared": 0,
        "dense": bl.first_dense("num_dense_layers"),
        "correction": key("use_expert_bias", default=True),
    },
    "minimax": MIXTRAL
    | {"windows": at.no_windows, "mixers": lambda values: between(_lightning_state, _minimax_kinds)},
    "minimax_text_01": MIXTRAL
    | {"windows": at.no_windows, "mixers": lambda values: between(_lightning_state, _minimax_kinds)},
}  # fmt: skip


def _granite_blocks(values: Values) -> Blocks:
    """Return mixtures beside a shared block, or the shared block alone where there are no experts."""
    if values["experts"]:
        return bl.mixtures(values)
    width = values["shared_width"]
    values.config.get("intermediate_size")
    return [bl.one_dense(values, width)] * values["layers"], {"intermediate_size": width}
