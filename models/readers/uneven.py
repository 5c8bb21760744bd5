"""Families whose layers differ from each other in their sizes."""

from dataclasses import replace
from typing import Any

from models.layers import FeedForward, Matrix, Mixer, grouped_attention
from models.readers import attention as at
from models.readers import blocks as bl
from models.readers.families import ATTENTION_BIAS, BOTH_BIASES, DEEPSEEK_EXPERTS, MIXTURE, TIED
from models.readers.table import Values, key

Mixing = tuple[list[Mixer], dict[str, Any]]
Blocks = tuple[list[FeedForward], dict[str, Any]]
_GELU = key("hidden_activation", "hidden_act", default="gelu_pytorch_tanh")


def _sizes(values: Values) -> dict[str, Any]:
    return {"query_heads": values["heads"], "kv_heads": values["kv_heads"], "head_dim": values["head_dim"]}


# Llama 4: chunks of positions in most layers, experts in every layer or every second.


def _llama4_windows(values: Values) -> list[int]:
    config, layers = values.config, values["layers"]
    listed = at.listed_windows(values)
    every, rotary = config.count("no_rope_layer_interval", 4), config.whole_items("no_rope_layers")
    if listed:
        return listed
    chunk = config.whole("attention_chunk_size", 8192)
    rotary = rotary or [int((layer + 1) % every != 0) for layer in range(layers)]
    return [chunk if rotates else 0 for rotates in rotary]


def _llama4_dense(values: Values) -> set[int]:
    config, layers = values.config, values["layers"]
    config.get("interleave_moe_layer_step")
    if config.has("moe_layers"):
        return set(range(layers)) - set(config.whole_items("moe_layers"))
    step = config.count("interleave_moe_layer_step", 1)
    return {layer for layer in range(layers) if (layer + 1) % step != 0}


# MiMo-V2: windowed layers have heads of their own.


def _mimo_mixing(values: Values) -> Mixing:
    config, layers = values.config, values["layers"]
    pattern = config.whole_items("hybrid_layer_pattern")
    kinds = at.listed_kinds(values, ("full_attention", "sliding_attention"))
    windowed = [bool(entry) for entry in pattern] or [kind == "sliding_attention" for kind in kinds]
    if len(windowed) != layers:
        raise config.error("hybrid_layer_pattern", f"{len(windowed)} entries", f"{layers}, one a layer")
    bias, norms = values["bias"], at.layer_norms(values)
    full = grouped_attention(
        values["hidden"],
        values["heads"],
        values["kv_heads"],
        values["head_dim"],
        values["value_dim"],
        bias=bias,
        norms=norms,
        other=values["heads"] if config.flag("add_full_attention_sink_bias", False) else 0,
    )
    heads = config.count("swa_num_attention_heads", values["heads"])
    kv_heads = config.count("swa_num_key_value_heads")
    local = grouped_attention(
        values["hidden"],
        heads,
        kv_heads,
        config.count("swa_head_dim", values["head_dim"]),
        config.count("swa_v_head_dim", values["value_dim"]),
        bias=bias,
        window=config.count("sliding_window"),
        norms=norms,
        other=heads if config.flag("add_swa_attention_sink_bias", True) else 0,
    )
    for name in ("sliding_window_size", "attention_chunk_size"):
        config.get(name)
    return [local if within else full for within in windowed], _sizes(values) | {"v_head_dim": values["value_dim"]}


# Step: windowed layers have more query heads; a gate for each head.


def _step_mixing(values: Values) -> Mixing:
    config = values.config
    table = config.table("attention_other_setting")
    heads, kv_heads, width = values["heads"], values["kv_heads"], values["head_dim"]
    norms = at.layer_norms(values) + at.qk_norm_elements("head", heads, kv_heads, width)
    gate = values["gate"]
    full = grouped_attention(values["hidden"], heads, kv_heads, width, gate=gate, norms=norms)
    windows = at.alternating_windows(1)(values)
    other_heads = table.count("num_attention_heads", config.count("num_sliding_attention_heads", heads))
    other_kv = table.count("num_attention_groups", kv_heads)
    table.get("attention_type")
    local = grouped_attention(
        values["hidden"], other_heads, other_kv, table.count("head_dim", width), gate=gate, norms=norms
    )
    table.unread("step3p7")
    return [_within(local, window) if window else full for window in windows], _sizes(values)


def _within(mixer: Mixer, window: int) -> Mixer:
    return replace(mixer, caches=tuple(replace(cache, window=window) for cache in mixer.caches))


def _step_dense(values: Values) -> set[int]:
    config, layers = values.config, values["layers"]
    listed = config.get("moe_layers_enum")
    if listed is not None:
        texts = listed.split(",") if isinstance(listed, str) else listed
        chosen = {int(text) for text in texts if str(text).strip().isdigit()}
        return set(range(layers)) - chosen
    return bl.first_dense("first_k_dense_replace", default=0)(values)


# Gemma 3n and 4: windows, heads of another size in full layers, keys and values taken from other layers, embeddings of
# each layer, and beside them (3n) several residual streams, or (4) experts beside a dense block.


def _gemma4_mixing(values: Values) -> Mixing:
    config, hidden, layers = values.config, values["hidden"], values["layers"]
    heads, shared = values["heads"], config.whole("num_kv_shared_layers", 0)
    full_width = config.count("global_head_dim", values["head_dim"])
    same = config.flag("attention_k_eq_v", False)
    full_kv = config.count("num_global_key_value_heads", values["kv_heads"]) if same else values["kv_heads"]
    config.get("num_global_key_value_heads")
    norms = at.layer_norms(values) + _layer_input_norms(values)
    mixing = []
    for layer, window in enumerate(at.alternating_windows(6)(values)):
        borrowed = layer >= layers - shared
        width, kv_heads = (values["head_dim"], values["kv_heads"]) if window else (full_width, full_kv)
        mixing.append(
            grouped_attention(
                hidden,
                heads,
                kv_heads,
                width,
                bias=values["bias"],
                output_bias=values["output_bias"],
                window=window,
                shared_values=same and not window,
                borrowed=borrowed,
                norms=norms + width * (1 if borrowed else 2),
                other=1,
            )
        )
    return mixing, _sizes(values)


def _layer_input_norms(values: Values) -> int:
    return int(values["hidden"]) if values.config.whole("hidden_size_per_layer_input", 0) else 0


def _layer_inputs(values: Values) -> tuple[Matrix, ...]:
    """Return the matrices that bring an embedding of the layer into the residual stream."""
    hidden, width = values["hidden"], values.config.whole("hidden_size_per_layer_input", 0)
    if not width:
        return ()
    gate = Matrix(role="layer_gate", component="dense_ffn", inputs=hidden, outputs=width)
    return gate, replace(gate, role="layer_projection", inputs=width, outputs=hidden)


def _layer_embeddings(values: Values) -> int:
    config = values.config
    width = config.whole("hidden_size_per_layer_input", 0)
    rows = config.count("vocab_size_per_layer_input", values["vocab_size"])
    return rows * width * int(values["layers"])


def _layer_projections(values: Values) -> int:
    width = values.config.whole("hidden_size_per_layer_input", 0)
    return width * int(values["layers"]) * int(values["hidden"]) + width


def _gemma4_blocks(values: Values) -> Blocks:
    config, hidden, layers = values.config, values["hidden"], values["layers"]
    inputs = _layer_inputs(values)
    plain = bl.one_dense(values, values["width"])
    plain = replace(plain, matrices=plain.matrices + inputs)
    shared, double = config.whole("num_kv_shared_layers", 0), config.flag("use_double_wide_mlp", False)
    wide = bl.one_dense(values, 2 * values["width"] if double else values["width"])
    wide = replace(wide, matrices=wide.matrices + inputs)
    sizes = {"intermediate_size": values["width"]}
    if not config.flag("enable_moe_block", False):
        for name in ("num_experts", "top_k_experts", "moe_intermediate_size", "expert_intermediate_size"):
            config.get(name)
        return [wide if layer >= layers - shared else plain for layer in range(layers)], sizes
    mixture = bl.mixture_block(values)
    both = FeedForward(
        kind="dense and experts",
        matrices=bl.as_shared(plain) + mixture.matrices,
        norms=3 * hidden,
        # Scales of the router's input and of each expert.
        other=hidden + values["experts"],
    )
    sizes |= {"experts": values["experts"], "experts_per_token": values["used"]}
    return [both] * layers, sizes | {"expert_intermediate_size": values["expert_width"]}


def _gemma3n_mixing(values: Values) -> Mixing:
    config, layers, hidden = values.config, values["layers"], values["hidden"]
    shared, width = config.whole("num_kv_shared_layers", 0), values["head_dim"]
    streams, rank = config.count("altup_num_inputs"), config.count("laurel_rank")
    # Mixing of residual streams (AltUp), and a low-rank path beside attention (LAuReL).
    other = hidden + streams * streams + streams**3 + streams * hidden
    path = Matrix(role="laurel_left", component="attention", inputs=hidden, outputs=rank)
    paths = (path, replace(path, role="laurel_right", inputs=rank, outputs=hidden))
    mixing = []
    for layer, window in enumerate(at.alternating_windows(5)(values)):
        borrowed = layer >= layers - shared
        one = grouped_attention(
            hidden,
            values["heads"],
            values["kv_heads"],
            width,
            bias=values["bias"],
            output_bias=values["output_bias"],
            window=window,
            borrowed=borrowed,
            norms=at.layer_norms(values) + _layer_input_norms(values) + 2 * hidden + width * (1 if borrowed else 2),
            other=other,
        )
        mixing.append(replace(one, matrices=one.matrices + paths))
    return mixing, _sizes(values)


def _gemma3n_blocks(values: Values) -> Blocks:
    blocks, sizes = bl.dense_blocks(values)
    inputs = _layer_inputs(values)
    return [replace(block, matrices=block.matrices + inputs) for block in blocks], {
        "intermediate_size": sizes["intermediate_size"]
    }


def _gemma3n_width(values: Values) -> Any:
    name = "intermediate_size"
    if isinstance(values.config.get(name), list):
        return values.config.whole_items(name, values["layers"], low=1)
    return values.config.count(name)


def _gemma3n_outer(values: Values) -> int:
    hidden = int(values["hidden"])
    streams = values.config.count("altup_num_inputs")
    return _layer_projections(values) + 2 * (streams - 1) * hidden * hidden


# Nemotron-NAS (Llama-Nemotron): each layer's attention and block sized by a search, or left out.


def _block_configs(values: Values, part: str) -> list[Any]:
    configs = values.config.items("block_configs")
    if len(configs) != values["layers"] or not all(isinstance(entry, dict) for entry in configs):
        raise values.config.error("block_configs", f"{len(configs)} entries", f"{values['layers']}, one a layer")
    where = f"{values.config.where}: block_configs"
    tables = []
    for layer, entry in enumerate(configs):
        table = type(values.config)(entry, f"{where}: {layer}")
        tables.append(table.table(part))
    return tables


def _linear(values: Values) -> Matrix:
    return Matrix(role="linear", component="attention", inputs=values["hidden"], outputs=values["hidden"])


def _nas_mixing(values: Values) -> Mixing:
    hidden, heads, width = values["hidden"], values["heads"], values["head_dim"]
    mixing = []
    for table in _block_configs(values, "attention"):
        sparse = [name for name in ("window_length", "num_sink_tokens", "sparsify") if table.has(name)]
        if sparse:
            raise table.error(sparse[0], table.get(sparse[0]), "null: positions left out are not read")
        # A layer without attention has no norm before it.
        if table.flag("no_op", False):
            mixing.append(Mixer(kind="none", norms=hidden))
        elif table.flag("replace_with_linear", False):
            mixing.append(Mixer(kind="linear", matrices=(_linear(values),), norms=2 * hidden))
        else:
            group = table.count("n_heads_in_group")
            if heads % group:
                raise table.error("n_heads_in_group", group, f"a divisor of num_attention_heads = {heads}")
            mixing.append(
                grouped_attention(hidden, heads, heads // group, width, bias=values["bias"], norms=2 * hidden)
            )
    return mixing, {"query_heads": heads, "head_dim": width}


def _nas_blocks(values: Values) -> Blocks:
    hidden = values["hidden"]
    blocks = []
    for table in _block_configs(values, "ffn"):
        if table.flag("no_op", False):
            blocks.append(FeedForward(kind="none"))
        elif table.flag("replace_with_linear", False):
            blocks.append(FeedForward(kind="dense", matrices=(replace(_linear(values), component="dense_ffn"),)))
        else:
            share = table.number("ffn_mult")
            width = -(-int(2 * share * hidden / 3) // 256) * 256
            blocks.append(bl.one_dense(values, width))
    return blocks, {}


# OpenELM: heads and widths grow with depth.


def _elm_mixing(values: Values) -> Mixing:
    config, layers, width = values.config, values["layers"], values["head_dim"]
    heads = config.whole_items("num_query_heads", layers, low=1)
    kv_heads = config.whole_items("num_kv_heads", layers, low=1)
    normed = "head" if config.flag("normalize_qk_projections", False) else ""
    config.get("num_gqa_groups")
    mixing = [
        grouped_attention(
            values["hidden"],
            query,
            held,
            width,
            norms=at.layer_norms(values) + at.qk_norm_elements(normed, query, held, width),
        )
        for query, held in zip(heads, kv_heads, strict=True)
    ]
    return mixing, {"query_heads": heads[0], "kv_heads": kv_heads[0], "head_dim": width}


def _elm_width(values: Values) -> list[int]:
    config, layers, hidden = values.config, values["layers"], values["hidden"]
    divisor = config.count("ffn_dim_divisor", 256)
    shares = config.items("ffn_multipliers")
    if len(shares) != layers:
        raise config.error("ffn_multipliers", f"{len(shares)} entries", f"{layers}, one a layer")
    return [_divisible(share * hidden, divisor) for share in shares]


def _divisible(value: float, divisor: int) -> int:
    """Return the multiple of `divisor` nearest to `value`, or the next where that is more than a tenth less."""
    nearest = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * value else nearest


# DBRX: sizes of attention and experts in tables of their own.


def _dbrx(table: str, name: str, default: int | None = None) -> Any:
    return lambda values: values.config.table(table).count(name, default)


UNEVEN: dict[str, dict[str, Any]] = {
    "llama4": BOTH_BIASES
    | MIXTURE
    | {
        "windows": _llama4_windows,
        "experts": key("num_local_experts"),
        "used": key("num_experts_per_tok"),
        "expert_width": key("intermediate_size"),
        "shared": 1,
        "shared_width": key("intermediate_size"),
        "dense": _llama4_dense,
        "dense_width": key("intermediate_size_mlp"),
    },
    "mimo_v2_flash": DEEPSEEK_EXPERTS
    | {
        "mixers": lambda values: _mimo_mixing,
        "bias": ATTENTION_BIAS,
        "value_dim": key("v_head_dim"),
        "correction": True,
    },
    "step3p7": DEEPSEEK_EXPERTS
    | {
        "mixers": lambda values: _step_mixing,
        "kv_heads": key("num_key_value_heads", "num_attention_groups"),
        "gate": lambda values: "head" if values.config.flag("use_head_wise_attn_gate", True) else "",
        "experts": key("num_experts", "moe_num_experts", "n_routed_experts"),
        "used": key("num_experts_per_tok", "moe_top_k"),
        "shared": key("n_shared_experts", default=1),
        "shared_width": key("share_expert_dim", "share_expert_dims", "moe_intermediate_size"),
        "dense": _step_dense,
        "correction": key("use_moe_router_bias", default=True),
    },
    "gemma4": BOTH_BIASES
    | {
        "mixers": lambda values: _gemma4_mixing,
        "blocks": lambda values: _gemma4_blocks,
        "head_dim": key("head_dim"),
        "norms": 4,
        "tied": TIED,
        "activation": _GELU,
        "experts": key("num_experts"),
        "used": key("top_k_experts"),
        "expert_width": key("moe_intermediate_size", "expert_intermediate_size"),
        "other_embeddings": _layer_embeddings,
        "outer_other": _layer_projections,
    },
    "gemma3n": BOTH_BIASES
    | {
        "mixers": lambda values: _gemma3n_mixing,
        "blocks": lambda values: _gemma3n_blocks,
        "head_dim": key("head_dim"),
        "norms": 4,
        "tied": TIED,
        "activation": _GELU,
        "width": _gemma3n_width,
        "other_embeddings": _layer_embeddings,
        "outer_other": _gemma3n_outer,
    },
    "nemotron-nas": {
        "mixers": lambda values: _nas_mixing,
        "blocks": lambda values: _nas_blocks,
        "bias": ATTENTION_BIAS,
        "mlp_bias": key("mlp_bias", default=False),
    },
    "openelm": {
        "mixers": lambda values: _elm_mixing,
        "hidden": key("model_dim"),
        "layers": lambda values: values.config.layers("num_transformer_layers"),
        "head_dim": key("head_dim"),
        "gated": key("ffn_with_glu", default=True),
        "width": _elm_width,
        "tied": key("share_input_output_layers", default=True),
        "activation": key("activation_fn_name", default="swish"),
    },
    "dbrx": MIXTURE
    | {
        "hidden": key("d_model"),
        "layers": lambda values: values.config.layers("n_layers"),
        "heads": key("n_heads"),
        "kv_heads": _dbrx("attn_config", "kv_n_heads", 1),
        "head_dim": lambda values: values["hidden"] // values["heads"],
        "experts": _dbrx("ffn_config", "moe_num_experts"),
        "used": _dbrx("ffn_config", "moe_top_k"),
        "expert_width": _dbrx("ffn_config", "ffn_hidden_size"),
    },
    "afmoe": DEEPSEEK_EXPERTS
    | {
        "norms": 4,
        "qk_norm": "head",
        "gate": "element",
        "windows": at.alternating_windows(4, "global_attn_every_n_layers"),
        "experts": key("num_experts"),
        "shared": key("num_shared_experts", default=0),
        "dense": bl.first_dense("num_dense_layers"),
        "correction": True,
    },
}  # fmt: skip
