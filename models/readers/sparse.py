"""Families whose attention chooses positions by an index, or keeps one entry for several positions."""

from dataclasses import replace
from typing import Any

from models.layers import Cache, FeedForward, Matrix, Mixer, grouped_attention
from models.readers import attention as at
from models.readers import blocks as bl
from models.readers.families import BOTH_BIASES, DEEPSEEK_EXPERTS, LATENT, minimax_norm, same_count
from models.readers.table import Values, key

#: DeepSeek-V4 keeps one entry for so many positions where it also has an index; each entry sees two such stretches.
_INDEXED_STRIDE, _OVERLAP = 4, 2


def _matrix(role: str, inputs: int, outputs: int) -> Matrix:
    return Matrix(role=role, component="attention", inputs=inputs, outputs=outputs)


def _index_cache(heads: int, dim: int, stride: int = 1) -> Cache:
    """Return the keys of an index: every query scores them all."""
    return Cache(elements=dim, score_macs=heads * dim, stride=stride)


# DeepSeek sparse attention (DeepSeek-V3.2, arXiv 2512.02556): latent attention to the best positions of an index.


def _sparse_latent(values: Values) -> tuple[list[Mixer], dict[str, Any]]:
    config, hidden, layers = values.config, values["hidden"], values["layers"]
    plain, sizes = at.latent_layers(values)
    heads, dim, top_k = (config.count(name) for name in ("index_n_heads", "index_head_dim", "index_topk"))
    q_rank = config.count("q_lora_rank")
    index = (
        _matrix("index_q", q_rank, heads * dim),
        _matrix("index_k", hidden, dim),
        _matrix("index_weights", hidden, heads),
    )
    one = plain[0]
    (held,) = one.caches
    chosen = replace(one, kind="sparse", caches=(replace(held, top_k=top_k),))
    indexing = replace(
        chosen,
        matrices=one.matrices + index,
        caches=(*chosen.caches, _index_cache(heads, dim)),
        norms=one.norms + 2 * dim,
    )
    own = _own_index(values)
    sizes["query_heads"] = values["heads"]
    return [indexing if layer in own else chosen for layer in range(layers)], sizes


def _own_index(values: Values) -> set[int]:
    """Return the layers with an index of their own; the others take the positions that the last one chose."""
    config, layers = values.config, values["layers"]
    at.listed_kinds(values, ("deepseek_sparse_attention", "indexed_attention", "full_attention"))
    kinds = config.items("indexer_types")
    every, first = config.count("index_topk_freq", 1), config.whole("index_skip_topk_offset", 0)
    if config.has("index_topk_pattern"):
        raise config.error("index_topk_pattern", config.get("index_topk_pattern"), "null: patterns are not read")
    if not kinds:
        return {layer for layer in range(layers) if layer < first or (layer - first + 1) % every == 0}
    if len(kinds) != layers or set(kinds) - {"full", "shared"}:
        raise config.error("indexer_types", f"{len(kinds)} entries", f"full or shared, {layers} of them")
    return {layer for layer, kind in enumerate(kinds) if kind == "full"}


# MiniMax-M3: grouped queries to the best blocks of positions.


def _block_sparse(values: Values) -> tuple[list[Mixer], dict[str, Any]]:
    config, hidden, layers = values.config, values["hidden"], values["layers"]
    heads, kv_heads, width = values["heads"], values["kv_heads"], values["head_dim"]
    norms = at.layer_norms(values) + at.qk_norm_elements(values["qk_norm"], heads, kv_heads, width)
    full = grouped_attention(hidden, heads, kv_heads, width, gate=values["gate"], norms=norms)
    table = config.table("sparse_attention_config")
    sizes = {"query_heads": heads, "kv_heads": kv_heads, "head_dim": width}
    if table.data and table.flag("use_sparse_attention", True):
        index_heads, dim = table.count("sparse_num_index_heads"), table.count("sparse_index_dim")
        block = table.count("sparse_block_size")
        local = table.whole("sparse_local_block", 0) + table.whole("sparse_init_block", 0)
        top_k = block * (table.count("sparse_topk_blocks") + local)
        where = table.whole_items("sparse_attention_freq", layers)
        valued = table.whole_items("sparse_disable_index_value") or [1] * layers
        table.get("sparse_score_type")
        table.unread("minimax_m3")
    else:
        listed = at.listed_kinds(values, ("full_attention", "minimax_m3_sparse"))
        index_heads, dim = config.count("index_n_heads"), config.count("index_head_dim")
        top_k = config.count("index_block_size") * (
            config.count("index_topk_blocks") + config.whole("index_local_blocks", 0)
        )
        where, valued = [int(kind != "full_attention") for kind in listed] or [0] * layers, [1] * layers
    if not all(valued[layer] for layer in range(layers) if where[layer]):
        raise table.error("sparse_disable_index_value", 0, "1 for every sparse layer: values of the index are not read")
    index = (_matrix("index_q", hidden, index_heads * dim), _matrix("index_k", hidden, dim))
    (held,) = full.caches
    sparse = replace(
        full,
        kind="sparse",
        matrices=full.matrices + index,
        caches=(replace(held, top_k=top_k), _index_cache(index_heads, dim)),
        norms=norms + 2 * dim,
    )
    return [sparse if chosen else full for chosen in where], sizes


def _m3_gate(values: Values) -> str:
    return "element" if values.config.flag("attention_output_gate", False) else ""


def _m3_shared_width(values: Values) -> int:
    config = values.config
    return config.whole(config.first("shared_intermediate_size", "moe_intermediate_size", "intermediate_size"))


# DeepSeek-V4: one head of keys that are also the values, kept for a window and, compressed, for the rest.


def _strides(values: Values) -> list[int]:
    """Return the positions that share a compressed entry, layer by layer; 0 for a window alone."""
    config, layers = values.config, values["layers"]
    listed = config.whole_items("compress_ratios")
    if listed:
        # The list goes on with the layers that predict several tokens.
        if len(listed) < layers:
            raise config.error("compress_ratios", f"{len(listed)} entries", f"at least {layers}, one a layer")
        return listed[:layers]
    table = config.table("compress_rates")
    rates = {kind: table.whole(kind) for kind in table.data}
    kinds = at.listed_kinds(values, {"sliding_attention": 0, **rates})
    if not kinds:
        raise config.error("compress_ratios", None, "a list with an entry for each layer")
    return [rates.get(kind, 0) for kind in kinds]


def _compressed(values: Values, stride: int) -> Mixer:
    config, hidden, heads, dim = values.config, values["hidden"], values["heads"], values["head_dim"]
    q_rank, groups, o_rank = config.count("q_lora_rank"), config.count("o_groups"), config.count("o_lora_rank")
    streams = config.count("hc_mult")
    mix = (2 + streams) * streams
    matrices = [
        _matrix("q_a", hidden, q_rank),
        _matrix("q_b", q_rank, heads * dim),
        _matrix("kv", hidden, dim),
        _matrix("o_a", heads * dim // groups, groups * o_rank),
        _matrix("o_b", groups * o_rank, hidden),
    ]
    window = Cache(elements=dim, score_macs=heads * dim, value_macs=heads * dim, window=config.count("sliding_window"))
    caches = [window]
    norms = at.layer_norms(values) + q_rank + dim
    # Sinks, and the mixing of residual streams before attention and before the feed-forward block.
    other = heads + 2 * (mix * streams * hidden + mix + 3)
    if stride:
        indexed = stride == _INDEXED_STRIDE
        width = dim * (_OVERLAP if indexed else 1)
        matrices += [_matrix("compress_kv", hidden, width), _matrix("compress_gate", hidden, width)]
        norms, other = norms + dim, other + stride * width
        entries = replace(window, window=0, stride=stride)
        if indexed:
            index_heads, index_dim = config.count("index_n_heads"), config.count("index_head_dim")
            entries = replace(entries, top_k=config.count("index_topk"))
            caches.append(_index_cache(index_heads, index_dim, stride))
            wide = _OVERLAP * index_dim
            matrices += [
                _matrix("index_compress_kv", hidden, wide),
                _matrix("index_compress_gate", hidden, wide),
                _matrix("index_q", q_rank, index_heads * index_dim),
                _matrix("index_weights", hidden, index_heads),
            ]
            norms, other = norms + index_dim, other + stride * wide
        caches.append(entries)
    return Mixer(kind="compressed", matrices=tuple(matrices), caches=tuple(caches), norms=norms, other=other)


def _compressed_layers(values: Values) -> tuple[list[Mixer], dict[str, Any]]:
    strides = _strides(values)
    kinds = {stride: _compressed(values, stride) for stride in set(strides)}
    for name in ("qk_rope_head_dim", "index_topk", "index_n_heads", "index_head_dim", "num_key_value_heads"):
        values.config.get(name)
    return [kinds[stride] for stride in strides], {"query_heads": values["heads"]}


def _hashed_mixtures(values: Values) -> tuple[list[FeedForward], dict[str, Any]]:
    """Return mixtures of which the first choose experts by the token, so that no offsets steer the choice."""
    blocks, sizes = bl.mixtures(values)
    kinds = values.config.items("mlp_layer_types")
    hashed = values.config.whole("num_hash_layers", kinds.count("hash_moe"))
    experts = values["experts"]
    without = [replace(block, other=block.other - experts) for block in blocks[:hashed]]
    return without + blocks[hashed:], sizes


def _stream_outputs(values: Values) -> int:
    streams = values.config.count("hc_mult")
    return streams * streams * int(values["hidden"]) + streams + 1


SPARSE: dict[str, dict[str, Any]] = {
    "deepseek_v32": LATENT | DEEPSEEK_EXPERTS | {"mixers": lambda values: _sparse_latent},
    "glm_moe_dsa": LATENT
    | DEEPSEEK_EXPERTS
    | {
        "mixers": lambda values: _sparse_latent,
        "experts": lambda values: same_count(values, "n_routed_experts", "num_experts"),
    },
    "minimax_m3": DEEPSEEK_EXPERTS
    | {
        "mixers": lambda values: _block_sparse,
        "head_dim": key("head_dim"),
        "qk_norm": lambda values: minimax_norm(values, "per_head"),
        "gate": _m3_gate,
        "experts": key("num_local_experts"),
        "expert_width": key("moe_intermediate_size", "intermediate_size"),
        "shared_width": _m3_shared_width,
        "shared": key("n_shared_experts", default=1),
        "dense": bl.first_dense("first_k_dense_replace", default=0),
        "dense_width": key("dense_intermediate_size"),
        "correction": key("use_routing_bias", default=True),
        "mtp_layers": key("num_nextn_predict_layers", "num_mtp_modules", default=0),
    },
    "deepseek_v4": DEEPSEEK_EXPERTS
    | BOTH_BIASES
    | {
        "mixers": lambda values: _compressed_layers,
        "blocks": lambda values: _hashed_mixtures,
        "head_dim": key("head_dim"),
        "dense": bl.none_dense,
        "outer_other": _stream_outputs,
    },
}  # fmt: skip
