"""Layers of attention: grouped queries or latents, every layer alike but for its window."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hwbase import InputError, unknown_name
from models.layers import Mixer, grouped_attention, latent_attention
from models.readers.table import Values

#: Kinds of attention that a `layer_types` list may name here, and the key with their window.
WINDOW_KEYS = {
    "full_attention": None,
    "sliding_attention": "sliding_window",
    "chunked_attention": "attention_chunk_size",
}


def attention_layers(values: Values) -> tuple[list[Mixer], dict[str, Any]]:
    """Return the mixers, layer by layer, and the fields of a spec that say the same, of grouped queries."""
    heads, kv_heads, width, value = values["heads"], values["kv_heads"], values["head_dim"], values["value_dim"]
    if heads % kv_heads:
        raise InputError(f"{values.config.where}: kv_heads = {kv_heads}: expected a divisor of query_heads = {heads}")
    qk_norm = values["qk_norm"]
    one = grouped_attention(
        values["hidden"],
        heads,
        kv_heads,
        width,
        value,
        bias=values["bias"],
        output_bias=values["output_bias"],
        gate=values["gate"],
        norms=layer_norms(values) + qk_norm_elements(qk_norm, heads, kv_heads, width) * values["norm_parts_qk"],
        other=heads if values["sinks"] else 0,
    )
    windows = values["windows"]
    sizes = {
        "attention": "gqa",
        "query_heads": heads,
        "kv_heads": kv_heads,
        "head_dim": width,
        "v_head_dim": value,
        "attention_bias": values["bias"],
        "output_bias": values["output_bias"],
        "attention_sinks": values["sinks"],
        "qk_norm": qk_norm == "head",
        **window_fields(windows),
    }
    return [_within(one, window) for window in windows], sizes


def latent_layers(values: Values) -> tuple[list[Mixer], dict[str, Any]]:
    """Return the mixers, layer by layer, and the fields of a spec that say the same, of latent attention."""
    sizes = {
        "q_lora_rank": values["q_rank"] or 0,
        "kv_lora_rank": values["kv_rank"],
        "qk_nope_head_dim": values["nope_dim"],
        "qk_rope_head_dim": values["rope_dim"],
        "v_head_dim": values["value_dim"],
    }
    one = latent_attention(
        values["hidden"],
        values["heads"],
        q_rank=sizes["q_lora_rank"],
        kv_rank=sizes["kv_lora_rank"],
        nope_dim=sizes["qk_nope_head_dim"],
        rope_dim=sizes["qk_rope_head_dim"],
        value_dim=sizes["v_head_dim"],
        bias=values["bias"],
        output_bias=values["output_bias"],
        gate=values["gate"],
        norms=layer_norms(values) + sizes["q_lora_rank"] + sizes["kv_lora_rank"],
    )
    values.config.get("num_key_value_heads")
    values.config.get("head_dim")
    values.config.get("qk_head_dim")
    fields = {"attention": "mla", "query_heads": values["heads"], **sizes}
    fields |= {"attention_bias": values["bias"], "output_bias": values["output_bias"]}
    return [one] * values["layers"], fields


def layer_norms(values: Values) -> int:
    """Return the elements of the norms of a layer."""
    return int(values["norms"] * values["hidden"] * values["norm_parts"])


def qk_norm_elements(kind: str, heads: int, kv_heads: int, width: int) -> int:
    """Return the elements of the norms on queries and keys: of one head's width, or of all heads' ("all")."""
    if kind == "all":
        return (heads + kv_heads) * width
    return 2 * width if kind == "head" else 0


def _within(mixer: Mixer, window: int) -> Mixer:
    caches = tuple(replace(cache, window=window) for cache in mixer.caches)
    return replace(mixer, caches=caches) if window else mixer


def window_fields(windows: list[int]) -> dict[str, int]:
    """Return the fields of a spec for the windows of the layers (where several differ, those of the first)."""
    used = [window for window in windows if window]
    return {"sliding_window": used[0], "windowed_layers": len(used)} if used else {}


# Windows, layer by layer: what `layer_types` says, or else a family's own rule.


def no_windows(values: Values) -> list[int]:
    """Return no windows, unless `layer_types` says otherwise."""
    return listed_windows(values) or [0] * values["layers"]


def all_windowed(values: Values) -> list[int]:
    """Return `sliding_window` for every layer, where it is set."""
    return listed_windows(values) or [values.config.whole("sliding_window", 0)] * values["layers"]


def qwen_windows(values: Values) -> list[int]:
    """Return windows for the layers from `max_window_layers` on, if they are switched on at all."""
    config, layers = values.config, values["layers"]
    used = config.flag("use_sliding_window", False)
    window = config.whole("sliding_window", 0)
    first = config.whole("max_window_layers", layers)
    if not used:
        # Windows are off, whatever `layer_types` calls the layers.
        listed_kinds(values, WINDOW_KEYS)
        return [0] * layers
    if not window and first < layers:
        config.count("sliding_window")
    return listed_windows(values) or [window if layer >= first else 0 for layer in range(layers)]


def alternating_windows(every: int, key: str = "sliding_window_pattern") -> Callable[[Values], list[int]]:
    """Return the rule that leaves every `every`-th layer (or as many as `key` says) without a window."""

    def windows(values: Values) -> list[int]:
        config, layers = values.config, values["layers"]
        listed = listed_windows(values)
        pattern = config.get(key)
        if isinstance(pattern, str):  # as in "LLLG": local and global layers in turn
            kinds = [pattern[layer % len(pattern)] for layer in range(layers)] if pattern else []
            step = 0
        else:
            kinds, step = [], config.count(key, every)
        if listed:
            return listed
        window = config.whole("sliding_window", 0)
        if kinds:
            return [window if kind == "L" else 0 for kind in kinds]
        return [window if (layer + 1) % step else 0 for layer in range(layers)]

    return windows


def first_windowed(values: Values) -> list[int]:
    """Return windows for every second layer, the first included."""
    window = values.config.whole("sliding_window", 0)
    return listed_windows(values) or [0 if layer % 2 else window for layer in range(values["layers"])]


def listed_windows(values: Values) -> list[int]:
    """Return the windows that `layer_types` says, empty without it; raises `InputError` for other kinds of layers."""
    config = values.config
    return [config.count(key) if key else 0 for key in map(WINDOW_KEYS.get, listed_kinds(values, WINDOW_KEYS))]


def listed_kinds(values: Values, known: Any, key: str = "layer_types") -> list[str]:
    """Return `layer_types`, one of `known` for each layer, empty without it; raises `InputError`."""
    config = values.config
    kinds = config.items(key)
    for kind in kinds:
        if kind not in known:
            raise unknown_name(f"layer type in {config.where}:", kind, known)
    if kinds and len(kinds) != values["layers"]:
        raise config.error(key, f"{len(kinds)} entries", f"num_hidden_layers = {values['layers']} of them")
    return kinds
