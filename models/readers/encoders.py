"""Encoders, embedders, and decoders that read an encoder's output: BERT and its kin, T5, Whisper, CLIP's text side."""

from dataclasses import replace
from typing import Any

from models.layers import Cache, Mixer, Tower, grouped_attention
from models.readers import attention as at
from models.readers.config import Config
from models.readers.families import LAYER_NORM, PLAIN_BLOCK
from models.readers.table import Values, key
from models.readers.towers import linear, transformer

Mixing = tuple[list[Mixer], dict[str, Any]]


def _both_ways(values: Values) -> Mixing:
    """Return layers that attend to earlier and later positions: nothing is kept for the next token."""
    mixing, sizes = at.attention_layers(values)
    caches = [tuple(replace(cache, elements=0) for cache in mixer.caches) for mixer in mixing]
    layers = [replace(mixer, caches=each) for mixer, each in zip(mixing, caches, strict=True)]
    del sizes["attention"]  # The sizes do not say that nothing is cached.
    return layers, sizes


def _bert_embeddings(values: Values) -> int:
    config = values.config
    rows = config.count("max_position_embeddings") if values["positions"] else 0
    return (rows + config.whole("type_vocab_size", values["segments"])) * int(values["hidden"])


def _bert_pooler(values: Values) -> int:
    return linear(values["hidden"], values["hidden"])


ENCODER: dict[str, Any] = {
    "mixers": lambda values: _both_ways,
    "kv_heads": lambda values: values["heads"],
    "causal": False,
    "head": False,
    "outer_norms": 1,
    "positions": True,
    "segments": 0,
}
BERT: dict[str, Any] = ENCODER | LAYER_NORM | PLAIN_BLOCK | {
    "bias": True,
    "output_bias": True,
    "mlp_bias": True,
    "other_embeddings": _bert_embeddings,
    "pooler": _bert_pooler,
    "activation": key("hidden_act", "hidden_activation", default="gelu"),
}  # fmt: skip


def _relative(values: Values) -> int:
    return values.config.count("relative_attention_num_buckets", 32) * int(values["heads"])


# ModernBERT: windows in two layers of three, blocks with a gate, no norm before the first layer's attention.


def _modern_windows(values: Values) -> list[int]:
    config, layers = values.config, values["layers"]
    every, window = config.count("global_attn_every_n_layers", 3), config.count("local_attention", 128)
    kinds = at.listed_kinds(values, ("full_attention", "sliding_attention"))
    kinds = kinds or ["sliding_attention" if layer % every else "full_attention" for layer in range(layers)]
    return [0 if kind == "full_attention" else window for kind in kinds]


def _modern_mixing(values: Values) -> Mixing:
    mixing, sizes = _both_ways(values)
    first = replace(mixing[0], norms=mixing[0].norms - values["hidden"] * values["norm_parts"])
    return [first, *mixing[1:]], sizes


def _parts(name: str) -> Any:
    return lambda values: 2 if values.config.flag(name, False) else 1


# Encoder and decoder: the decoder's layers, with attention to the encoder's output; the encoder as a tower.


def _cross(mixer: Mixer, heads: int, width: int, entries: int) -> Mixer:
    """Return a layer with a second attention, to an encoder's output of `entries` positions."""
    second = tuple(replace(matrix, role=f"cross_{matrix.role}") for matrix in mixer.matrices)
    output = Cache(elements=2 * heads * width, score_macs=heads * width, value_macs=heads * width, fixed=entries)
    return replace(mixer, kind="cross", matrices=mixer.matrices + second, caches=(*mixer.caches, output))


def _t5_mixing(values: Values) -> Mixing:
    config, heads, width = values.config, values["heads"], values["head_dim"]
    one = grouped_attention(values["hidden"], heads, heads, width, norms=at.layer_norms(values))
    layer = _cross(one, heads, width, config.count("n_positions", 512))
    each = replace(layer, other=_relative(values) if config.text("model_type") == "umt5" else 0)
    first = replace(layer, other=_relative(values))
    return [first] + [each] * (values["layers"] - 1), {"query_heads": heads, "kv_heads": heads, "head_dim": width}


def _t5_gated(values: Values) -> bool:
    return values.config.text("feed_forward_proj", "relu").startswith("gated-")


def _t5_activation(values: Values) -> str:
    config = values.config
    for name in ("dense_act_fn", "is_gated_act"):
        config.get(name)
    return config.text("feed_forward_proj", "relu").removeprefix("gated-")


def t5_encoder(config: Config) -> tuple[Tower, ...]:
    """Return T5's encoder."""
    width, heads, inner = config.count("d_model"), config.count("num_heads"), config.count("d_kv")
    layers = config.count("num_layers")
    gated = config.text("feed_forward_proj", "relu").startswith("gated-")
    bias = config.count("relative_attention_num_buckets", 32) * heads
    parameters = width + transformer(
        layers,
        width,
        config.count("d_ff"),
        gated=gated,
        qkv_bias=False,
        output_bias=False,
        mlp_bias=False,
        norm_parts=1,
        inner=heads * inner,
    )
    parameters += bias * (layers if config.text("model_type") == "umt5" else 1)
    return (Tower(name="encoder", parameters=parameters, tokens=config.count("n_positions", 512)),)


T5: dict[str, Any] = {
    "hidden": key("d_model"),
    "layers": lambda values: values.config.layers(values.config.first("num_decoder_layers", "num_layers")),
    "heads": key("num_heads"),
    "kv_heads": lambda values: values["heads"],
    "head_dim": key("d_kv"),
    "norms": 3,
    "tied": key("tie_word_embeddings", default=True),
    "mixers": lambda values: _t5_mixing,
    "gated": _t5_gated,
    "width": key("d_ff"),
    "activation": _t5_activation,
}


def _whisper_mixing(values: Values) -> Mixing:
    config, heads = values.config, values["heads"]
    config.get("num_hidden_layers")
    width = values["hidden"] // heads
    one = grouped_attention(
        values["hidden"], heads, heads, width, bias=True, output_bias=True, norms=at.layer_norms(values)
    )
    # Keys have no biases.
    matrices = tuple(replace(matrix, biased=matrix.role != "k") for matrix in one.matrices)
    layer = _cross(replace(one, matrices=matrices), heads, width, config.count("max_source_positions"))
    return [layer] * values["layers"], {"query_heads": heads, "kv_heads": heads, "head_dim": width}


def whisper_encoder(config: Config) -> tuple[Tower, ...]:
    """Return Whisper's encoder: two convolutions over the spectrum, then a transformer."""
    width, layers, mlp = config.count("d_model"), config.count("encoder_layers"), config.count("encoder_ffn_dim")
    positions, kernel = config.count("max_source_positions"), 3
    config.get("encoder_attention_heads")
    parameters = linear(config.count("num_mel_bins") * kernel, width) + linear(width * kernel, width)
    # Keys have no biases.
    parameters += positions * width + 2 * width + transformer(layers, width, mlp, other=-width)
    return (Tower(name="encoder", parameters=parameters, tokens=positions, reduced_tokens=positions),)


WHISPER: dict[str, Any] = LAYER_NORM | PLAIN_BLOCK | {
    "hidden": key("d_model"),
    "layers": lambda values: values.config.layers("decoder_layers"),
    "heads": key("decoder_attention_heads"),
    "norms": 3,
    "mlp_bias": True,
    "tied": key("tie_word_embeddings", default=True),
    "mixers": lambda values: _whisper_mixing,
    "other_embeddings": lambda values: values.config.count("max_target_positions") * values["hidden"],
    "width": key("decoder_ffn_dim"),
    "activation": key("activation_function", default="gelu"),
}  # fmt: skip

#: Encoders of networks of two stacks, by `model_type`.
STACKS = {"t5": t5_encoder, "umt5": t5_encoder, "mt5": t5_encoder, "whisper": whisper_encoder}


def _clip_embeddings(values: Values) -> int:
    values.config.get("projection_dim")
    return values.config.count("max_position_embeddings") * int(values["hidden"])


ENCODERS: dict[str, dict[str, Any]] = {
    "bert": BERT | {"segments": 2},
    "roberta": BERT | {"segments": 2},
    "xlm-roberta": BERT | {"segments": 2},
    "camembert": BERT | {"segments": 2},
    "mpnet": BERT | {"outer_other": _relative},
    "distilbert": BERT
    | {
        "hidden": key("dim"),
        "layers": lambda values: values.config.layers("n_layers"),
        "heads": key("n_heads"),
        "width": key("hidden_dim"),
        "pooler": 0,
        "activation": key("activation", default="gelu"),
    },
    "nomic_bert": ENCODER
    | LAYER_NORM
    | {
        "hidden": key("hidden_size", "n_embd"),
        "layers": lambda values: values.config.layers(values.config.first("num_hidden_layers", "n_layer")),
        "heads": key("num_attention_heads", "n_head"),
        "width": key("intermediate_size", "n_inner"),
        "bias": key("qkv_proj_bias", default=False),
        "output_bias": key("qkv_proj_bias", default=False),
        "mlp_bias": key("mlp_fc1_bias", default=False),
        "positions": False,
        "segments": 2,
        "other_embeddings": _bert_embeddings,
        "activation": key("hidden_act", "activation_function", default="silu"),
    },
    "modernbert": ENCODER
    | {
        "mixers": lambda values: _modern_mixing,
        "norm_parts": _parts("norm_bias"),
        "outer_norms": 2,
        "bias": key("attention_bias", default=False),
        "output_bias": key("attention_bias", default=False),
        "mlp_bias": key("mlp_bias", default=False),
        "windows": _modern_windows,
        "activation": key("hidden_activation", default="gelu"),
    },
    "clip_text_model": BERT
    | {
        "outer_norms": 1,
        "pooler": 0,
        "other_embeddings": _clip_embeddings,
        "activation": key("hidden_act", default="quick_gelu"),
    },
    "siglip_text_model": BERT
    | {
        "outer_norms": 1,
        "pooler": 0,
        "other_embeddings": _clip_embeddings,
        "outer_other": lambda values: linear(
            values["hidden"], values.config.count("projection_size", values["hidden"])
        ),
        "activation": key("hidden_act", default="gelu_pytorch_tanh"),
    },
    "t5": T5,
    "mt5": T5,
    "umt5": T5,
    "whisper": WHISPER,
}  # fmt: skip
