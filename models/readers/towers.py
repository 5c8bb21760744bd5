"""Towers: the parts of a network that read images, counted, with the tokens that an image of the usual size becomes.

A tower is a transformer over patches, and what brings its output into the layers' width (merger or projector).
"""

from collections.abc import Callable
from typing import Any

from hwbase import InputError, unknown_name
from models.layers import Tower
from models.readers.config import Config, shown

#: Query, key, value and output projections.
_PROJECTIONS = 4


def towers_of(outer: Config, text: Config, hidden: int) -> tuple[Tower, ...]:
    """Return the towers of a network whose layers have the width `hidden`; raises `InputError` for one not known."""
    for name in ("audio_config", "speech_config", "audio_processor", "talker_config"):
        if isinstance(outer.get(name), dict) and outer.get(name):
            raise InputError(f"{outer.where}: {name}: towers for sound are not read")
    vision = outer.table("vision_config")
    if outer.has("img_processor"):
        return (_phi3_vision(outer, hidden),)
    if not vision.data:
        return ()
    whole = outer.text("model_type", "")
    given = vision.text("model_type", whole)
    reader = TOWERS.get(whole) or TOWERS.get(given)
    if reader is None:
        raise unknown_name(f"tower in {vision.where}:", shown(given or whole), TOWERS)
    return (reader(outer, vision.with_defaults(given), hidden),)


def transformer(
    layers: int,
    width: int,
    mlp: int,
    *,
    gated: bool = False,
    qkv_bias: bool = True,
    output_bias: bool = True,
    mlp_bias: bool = True,
    norms: int = 2,
    norm_parts: int = 2,
    inner: int = 0,
    other: int = 0,
) -> int:
    """Return the parameters of a transformer's layers.

    Parameters
    ----------
    layers, width, mlp : int
        Layers, width of the residual stream and of the feed-forward block.
    gated : bool
        Three matrices in a block instead of two.
    qkv_bias, output_bias, mlp_bias : bool
        Biases on q, k and v; on the output projection; in the block.
    norms, norm_parts : int
        Norms in a layer, and arrays in each (2 with a bias).
    inner : int
        Width of all heads; 0 means `width`.
    other : int
        Elements of what else a layer has.

    Returns
    -------
    int
        Parameters of all layers.
    """
    inner = inner or width
    attention = _PROJECTIONS * width * inner + (3 * inner if qkv_bias else 0) + (width if output_bias else 0)
    block = (3 if gated else 2) * width * mlp
    if mlp_bias:
        block += (2 if gated else 1) * mlp + width
    return layers * (attention + block + norms * norm_parts * width + other)


def linear(inputs: int, outputs: int, biased: bool = True) -> int:
    """Return the parameters of a linear map."""
    return inputs * outputs + (outputs if biased else 0)


def _patch(vision: Config, width: int, *, biased: bool, frames: int = 1) -> int:
    channels = vision.count(vision.first("in_channels", "num_channels", "in_chans"), 3)
    size = _side(vision, "patch_size")
    return linear(channels * frames * size * size, width, biased)


def _side(vision: Config, name: str) -> int:
    if isinstance(vision.get(name), list):
        sides = set(vision.whole_items(name, low=1))
        if len(sides) != 1:
            raise vision.error(name, vision.get(name), "a square")
        return sides.pop()
    return vision.count(name)


def _patches(vision: Config) -> int:
    return (_side(vision, "image_size") // _side(vision, "patch_size")) ** 2


def _tower(parameters: int, tokens: int = 0, reduced: int = 0) -> Tower:
    return Tower(name="vision", parameters=parameters, tokens=tokens, reduced_tokens=reduced or tokens)


def _qwen2_vision(outer: Config, vision: Config, hidden: int) -> Tower:
    width = vision.count("embed_dim")
    merged = width * vision.count("spatial_merge_size", 2) ** 2
    parameters = _patch(vision, width, biased=False, frames=vision.count("temporal_patch_size", 2))
    parameters += transformer(vision.count("depth"), width, int(width * vision.number("mlp_ratio", 4.0)))
    parameters += 2 * width + linear(merged, merged) + linear(merged, vision.count("hidden_size", hidden))
    return _tower(parameters)


def _qwen25_vision(outer: Config, vision: Config, hidden: int) -> Tower:
    width = vision.count("hidden_size")
    merged = width * vision.count("spatial_merge_size", 2) ** 2
    parameters = _patch(vision, width, biased=False, frames=vision.count("temporal_patch_size", 2))
    layers, mlp = vision.count("depth"), vision.count("intermediate_size")
    parameters += transformer(layers, width, mlp, gated=True, norm_parts=1)
    parameters += width + linear(merged, merged) + linear(merged, vision.count("out_hidden_size", hidden))
    return _tower(parameters)


def _qwen3_vision(outer: Config, vision: Config, hidden: int) -> Tower:
    width = vision.count("hidden_size")
    merged = width * vision.count("spatial_merge_size", 2) ** 2
    parameters = _patch(vision, width, biased=True, frames=vision.count("temporal_patch_size", 2))
    parameters += vision.count("num_position_embeddings") * width
    parameters += transformer(vision.count("depth"), width, vision.count("intermediate_size"))
    merger = linear(merged, merged) + linear(merged, vision.count("out_hidden_size", hidden))
    deep = len(vision.items("deepstack_visual_indexes"))
    parameters += 2 * width + merger + deep * (2 * merged + merger)
    return _tower(parameters)


def _siglip(vision: Config) -> int:
    width, mlp = vision.count("hidden_size"), vision.count("intermediate_size")
    parameters = _patch(vision, width, biased=True) + _patches(vision) * width
    parameters += transformer(vision.count("num_hidden_layers"), width, mlp) + 2 * width
    if vision.flag("vision_use_head", True):
        attention, block = linear(width, _PROJECTIONS * width), linear(width, mlp) + linear(mlp, width)
        parameters += width + attention + block + 2 * width
    return parameters


def _clip(vision: Config) -> int:
    width = vision.count("hidden_size")
    parameters = _patch(vision, width, biased=False) + (_patches(vision) + 2) * width
    parameters += transformer(vision.count("num_hidden_layers"), width, vision.count("intermediate_size"))
    return parameters + 2 * 2 * width


def _pixtral(vision: Config) -> int:
    width = vision.count("hidden_size")
    parameters = _patch(vision, width, biased=False) + width
    return parameters + transformer(
        vision.count("num_hidden_layers"),
        width,
        vision.count("intermediate_size"),
        gated=True,
        qkv_bias=False,
        output_bias=False,
        mlp_bias=False,
        norm_parts=1,
    )


#: Towers that LLaVA and its kin take, by their own model_type.
_PLUGGED: dict[str, Callable[[Config], int]] = {
    "siglip_vision_model": _siglip,
    "clip_vision_model": _clip,
    "pixtral": _pixtral,
}


def _plugged(vision: Config) -> int:
    kind = vision.text("model_type", "clip_vision_model")
    if kind not in _PLUGGED:
        raise unknown_name(f"tower in {vision.where}:", kind, _PLUGGED)
    return _PLUGGED[kind](vision)


def _llava(outer: Config, vision: Config, hidden: int) -> Tower:
    biased, layers = outer.flag("multimodal_projector_bias", True), outer.get("vision_feature_layer")
    width = vision.count("hidden_size") * (len(layers) if isinstance(layers, list) else 1)
    parameters = _plugged(vision) + linear(width, hidden, biased) + linear(hidden, hidden, biased)
    if outer.text("model_type") == "llava_next":
        parameters += hidden
    patches = _patches(vision)
    return _tower(parameters, patches, outer.count("image_seq_length", patches))


def _gemma3(outer: Config, vision: Config, hidden: int) -> Tower:
    width = vision.count("hidden_size")
    parameters = _plugged(vision) + linear(width, hidden, False) + width
    return _tower(parameters, _patches(vision), outer.count("mm_tokens_per_image", 256))


def _mistral3(outer: Config, vision: Config, hidden: int) -> Tower:
    width, biased = vision.count("hidden_size"), outer.flag("multimodal_projector_bias", False)
    merged = width * outer.count("spatial_merge_size", 2) ** 2
    parameters = _plugged(vision) + width + linear(merged, width, False)
    return _tower(parameters + linear(width, hidden, biased) + linear(hidden, hidden, biased))


def _llama4(outer: Config, vision: Config, hidden: int) -> Tower:
    width, mlp = vision.count("hidden_size"), vision.count("intermediate_size")
    patches = _patches(vision)
    parameters = _patch(vision, width, biased=False) + (patches + 2) * width + 2 * 2 * width
    parameters += transformer(vision.count("num_hidden_layers"), width, mlp)
    ratio, inner = vision.number("pixel_shuffle_ratio", 0.5), vision.count("projector_input_dim")
    shuffled, out = int(width / ratio**2), vision.count("projector_output_dim")
    parameters += linear(shuffled, inner, False) + linear(inner, out, False)
    parameters += linear(vision.count("vision_output_dim"), hidden, False)
    return _tower(parameters, patches, int(patches * ratio**2))


def _kimi(outer: Config, vision: Config, hidden: int) -> Tower:
    width = vision.count(vision.first("vt_hidden_size", "hidden_size"))
    layers = vision.count(vision.first("vt_num_hidden_layers", "num_hidden_layers"))
    mlp = vision.count(vision.first("vt_intermediate_size", "intermediate_size"))
    inner = vision.count("qkv_hidden_size", width)
    qkv, biased = vision.flag("attn_bias", True), vision.flag("linear_bias", True)
    parts = 1 if vision.text("norm_type", "layernorm") == "rmsnorm" else 2
    height = vision.count(vision.first("init_pos_emb_height", "pos_emb_height"))
    breadth = vision.count(vision.first("init_pos_emb_width", "pos_emb_width"))
    parameters = _patch(vision, width, biased=vision.flag("patch_embed_proj_bias", True)) + height * breadth * width
    parameters += parts * width
    parameters += transformer(
        layers, width, mlp, qkv_bias=qkv, output_bias=qkv, mlp_bias=biased, norm_parts=parts, inner=inner
    )
    kernel = vision.whole_items("merge_kernel_size", 2, low=1)
    merged = width * kernel[0] * kernel[1]
    vision.get("mm_hidden_size")
    vision.get("text_hidden_size")
    return _tower(parameters + 2 * width + linear(merged, merged) + linear(merged, hidden))


def _minimax_m3(outer: Config, vision: Config, hidden: int) -> Tower:
    width = vision.count("hidden_size")
    table = vision.table("img_token_compression_config")
    frames, merge = table.count("temporal_patch_size", 2), table.count("spatial_merge_size", 2) ** 2
    between, biased = outer.count("projector_hidden_size", hidden), outer.flag("multimodal_projector_bias", True)
    parameters = _patch(vision, width, biased=False, frames=frames) + 2 * width
    parameters += transformer(vision.count("num_hidden_layers"), width, vision.count("intermediate_size"))
    parameters += linear(width, between, biased) + linear(between, hidden, biased)
    parameters += linear(merge * hidden, between, biased) + linear(between, hidden, biased)
    vision.get("projection_dim")
    return _tower(parameters)


def _gemma4(outer: Config, vision: Config, hidden: int) -> Tower:
    width, layers = vision.count("hidden_size"), vision.count("num_hidden_layers")
    head, rows = vision.count("head_dim"), vision.count("position_embedding_size")
    parameters = _patch(vision, width, biased=False) + 2 * rows * width + linear(width, hidden, False)
    parameters += transformer(
        layers,
        width,
        vision.count("intermediate_size"),
        gated=True,
        qkv_bias=False,
        output_bias=False,
        mlp_bias=False,
        norms=4,
        norm_parts=1,
        other=2 * head,
    )
    reduced = vision.count("default_output_length", outer.count("vision_soft_tokens_per_image", 280))
    return _tower(parameters, reduced * vision.count("pooling_kernel_size", 3) ** 2, reduced)


def _clip_both(outer: Config, vision: Config, hidden: int) -> Tower:
    """Return CLIP's side for images, and the projections of both sides into the shared space."""
    shared = outer.count("projection_dim", 512)
    projections = linear(vision.count("hidden_size"), shared, False) + linear(hidden, shared, False) + 1
    return _tower(_clip(vision) + projections, _patches(vision), 1)


def _siglip_both(outer: Config, vision: Config, hidden: int) -> Tower:
    """Return SigLIP's side for images, with the scale and offset of its logits."""
    return _tower(_siglip(vision) + 2, _patches(vision), 1)


def _internvl(outer: Config, vision: Config, hidden: int) -> Tower:
    width = vision.count("hidden_size")
    patches = _patches(vision)
    bias = vision.flag("attention_bias", False)
    parameters = _patch(vision, width, biased=True) + (patches + 2) * width
    parameters += transformer(
        vision.count("num_hidden_layers"), width, vision.count("intermediate_size"), qkv_bias=bias, other=2 * width
    )
    share = outer.number("downsample_ratio", 0.5)
    merged = int(width / share**2)
    parameters += 2 * merged + linear(merged, hidden) + linear(hidden, hidden)
    return _tower(parameters, patches, int(patches * share**2))


def _phi3_vision(outer: Config, hidden: int) -> Tower:
    """Return the tower of Phi-3-vision: OpenAI's CLIP ViT-L/14 at 336 pixels, which its configuration only names."""
    table = outer.table("img_processor")
    name = table.text("name", "")
    if name != "clip_vision_model":
        raise unknown_name(f"tower in {table.where}:", name, ("clip_vision_model",))
    sizes: dict[str, Any] = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24}
    clip = _clip(Config(sizes | {"patch_size": 14, "image_size": 336}, table.where))
    merged = 4 * table.count("image_dim_out", 1024)
    outer.get("embd_layer")
    parameters = clip + 2 * merged + linear(merged, hidden) + linear(hidden, hidden)
    return _tower(parameters, 576, table.count("num_img_tokens", 144))


#: Towers by the network's `model_type` or by their own.
TOWERS: dict[str, Callable[[Config, Config, int], Tower]] = {
    "qwen2_vl": _qwen2_vision,
    "qwen2_5_vl": _qwen25_vision,
    "qwen3_vl": _qwen3_vision,
    "qwen3_vl_moe": _qwen3_vision,
    "qwen3_5": _qwen3_vision,
    "qwen3_5_moe": _qwen3_vision,
    "gemma3": _gemma3,
    "gemma4": _gemma4,
    "llama4": _llama4,
    "llava": _llava,
    "llava_next": _llava,
    "mistral3": _mistral3,
    "kimi_k25": _kimi,
    "kimi_k3": _kimi,
    "minimax_m3_vl": _minimax_m3,
    "internvl": _internvl,
    "clip": _clip_both,
    "siglip": _siglip_both,
}
