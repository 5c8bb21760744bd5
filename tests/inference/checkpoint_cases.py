"""Tiny random checkpoints of each family as transformers saves them, and what they compute, written out plainly.

The reference works on the stored tensors in float64: rotary pairs half a head apart, masks as matrices, keys repeated
for every query head.
"""

import json
import math
from pathlib import Path

import ml_dtypes
import numpy as np

SIZES = {
    "vocab_size": 67, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "rms_norm_eps": 1e-6,
}  # fmt: skip
LLAMA = SIZES | {"model_type": "llama", "rope_theta": 1e4}
CASES: dict[str, dict] = {
    "llama": LLAMA,
    "llama biases": LLAMA | {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True},
    "llama linear": LLAMA | {"rope_scaling": {"type": "linear", "factor": 4.0}},
    "llama dynamic": LLAMA | {"rope_scaling": {"type": "dynamic", "factor": 4.0}},
    "llama llama3": LLAMA
    | {
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 32,
        }
    },
    "llama yarn": LLAMA
    | {
        "rope_parameters": {
            "rope_type": "yarn",
            "rope_theta": 1e4,
            "factor": 4.0,
            "original_max_position_embeddings": 32,
        }
    },
    "qwen2": SIZES | {"model_type": "qwen2", "rope_theta": 1e6},
    "qwen2 window": SIZES
    | {"model_type": "qwen2", "use_sliding_window": True, "sliding_window": 5, "max_window_layers": 2},
    "qwen3": SIZES | {"model_type": "qwen3", "head_dim": 8, "tie_word_embeddings": True},
    "mistral": SIZES | {"model_type": "mistral", "sliding_window": 5},
    "gemma": SIZES | {"model_type": "gemma", "head_dim": 8, "hidden_act": "gelu", "hidden_activation": None},
    "gemma2": SIZES | {"model_type": "gemma2", "head_dim": 8, "query_pre_attn_scalar": 12, "sliding_window": 5},
    "gemma3": SIZES
    | {
        "model_type": "gemma3_text",
        "head_dim": 8,
        "num_hidden_layers": 7,
        "query_pre_attn_scalar": 12,
        "sliding_window": 5,
        "rope_scaling": {"rope_type": "linear", "factor": 8.0},
    },
    "gpt2": {"model_type": "gpt2", "vocab_size": 67, "n_positions": 64, "n_embd": 24, "n_layer": 3, "n_head": 4},
}


def tensors_of(case: dict, seed: int = 0) -> dict[str, np.ndarray]:
    """Return random tensors under the names that transformers gives them."""
    random, kind = np.random.default_rng(seed), case["model_type"]
    shapes: dict[str, tuple[int, ...]] = {}
    if kind == "gpt2":
        h = case["n_embd"]
        shapes |= {"wte.weight": (case["vocab_size"], h), "wpe.weight": (case["n_positions"], h)}
        norms = ["ln_f"]
        for i in range(case["n_layer"]):
            for name, (a, b) in {
                "attn.c_attn": (h, 3 * h), "attn.c_proj": (h, h), "mlp.c_fc": (h, 4 * h), "mlp.c_proj": (4 * h, h)
            }.items():  # fmt: skip
                shapes |= {f"h.{i}.{name}.weight": (a, b), f"h.{i}.{name}.bias": (b,)}
            norms += [f"h.{i}.ln_1", f"h.{i}.ln_2"]
        for name in norms:
            shapes |= {f"{name}.weight": (h,), f"{name}.bias": (h,)}
        shapes = {f"transformer.{name}": shape for name, shape in shapes.items()}
    else:
        h, inner = case["hidden_size"], case["intermediate_size"]
        width = case.get("head_dim", h // case["num_attention_heads"])
        q, k = case["num_attention_heads"] * width, case["num_key_value_heads"] * width
        shapes["model.embed_tokens.weight"] = (case["vocab_size"], h)
        shapes["model.norm.weight"] = (h,)
        if not _tied(case):
            shapes["lm_head.weight"] = (case["vocab_size"], h)
        for i in range(case["num_hidden_layers"]):
            layer = f"model.layers.{i}."
            for name, shape in {
                "self_attn.q_proj": (q, h), "self_attn.k_proj": (k, h), "self_attn.v_proj": (k, h),
                "self_attn.o_proj": (h, q), "mlp.gate_proj": (inner, h), "mlp.up_proj": (inner, h),
                "mlp.down_proj": (h, inner),
            }.items():  # fmt: skip
                shapes[f"{layer}{name}.weight"] = shape
                biased = case.get("mlp_bias" if "mlp" in name else "attention_bias", False)
                if biased or (kind == "qwen2" and name[10] in "qkv"):
                    shapes[f"{layer}{name}.bias"] = shape[:1]
            norms = ["input_layernorm", "post_attention_layernorm"]
            if kind in ("gemma2", "gemma3_text"):
                norms += ["pre_feedforward_layernorm", "post_feedforward_layernorm"]
            shapes |= {f"{layer}{name}.weight": (h,) for name in norms}
            if kind in ("qwen3", "gemma3_text"):
                shapes |= {f"{layer}self_attn.{name}_norm.weight": (width,) for name in "qk"}
    made = {}
    for name, shape in shapes.items():
        noise = random.standard_normal(shape) * (0.3 if len(shape) > 1 else 0.2)
        gain = len(shape) == 1 and not name.endswith("bias") and "gemma" not in kind
        made[name] = (noise + gain).astype(np.float32)
    return made


def write_checkpoint(folder: Path, case: dict, tensors: dict[str, np.ndarray], dtype: type = np.float32) -> Path:
    """Write a folder as transformers does, in two files with an index where the type is bfloat16."""
    from safetensors.numpy import save_file

    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(case))
    stored = {name: tensor.astype(dtype) for name, tensor in tensors.items()}
    if dtype is not ml_dtypes.bfloat16:
        save_file(stored, folder / "model.safetensors")
        return folder
    names = list(stored)
    parts = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, own in parts.items():
        save_file({name: stored[name] for name in own}, folder / file)
    places = {name: file for file, own in parts.items() for name in own}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    return folder


def reference(case: dict, tensors: dict[str, np.ndarray], tokens: np.ndarray) -> np.ndarray:
    """Return the logits (tokens, vocabulary) of a checkpoint, float64."""
    t = {name.removeprefix("transformer."): value.astype(float) for name, value in tensors.items()}
    return _gpt2(case, t, tokens) if case["model_type"] == "gpt2" else _others(case, t, tokens)


def _tied(case: dict) -> bool:
    return bool(case.get("tie_word_embeddings", "gemma" in case["model_type"]))


def _attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, scale: float, cap: float = 0, window: int = 0):
    scores = np.einsum("qhd,khd->hqk", q, k) * scale
    if cap:
        scores = cap * np.tanh(scores / cap)
    behind = np.subtract.outer(np.arange(len(q)), np.arange(len(k)))
    seen = (behind >= 0) & (behind < (window or len(k)))
    shares = np.where(seen, np.exp(scores - scores.max()), 0.0)
    return np.einsum("hqk,khd->qhd", shares / shares.sum(-1, keepdims=True), v).reshape(len(q), -1)


def _gelu(x: np.ndarray) -> np.ndarray:
    return x / (1.0 + np.exp(-2.0 * math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


def _gpt2(case: dict, t: dict[str, np.ndarray], tokens: np.ndarray) -> np.ndarray:
    def norm(x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * t[f"{name}.weight"] + t[f"{name}.bias"]

    def conv(x: np.ndarray, name: str) -> np.ndarray:
        return np.einsum("ti,io->to", x, t[f"{name}.weight"]) + t[f"{name}.bias"]

    x = t["wte.weight"][tokens] + t["wpe.weight"][: len(tokens)]
    heads = case["n_head"]
    for i in range(case["n_layer"]):
        parts = conv(norm(x, f"h.{i}.ln_1"), f"h.{i}.attn.c_attn").reshape(len(x), 3, heads, -1)
        mixed = _attention(parts[:, 0], parts[:, 1], parts[:, 2], parts.shape[-1] ** -0.5)
        x = x + conv(mixed, f"h.{i}.attn.c_proj")
        x = x + conv(_gelu(conv(norm(x, f"h.{i}.ln_2"), f"h.{i}.mlp.c_fc")), f"h.{i}.mlp.c_proj")
    return norm(x, "ln_f") @ t["wte.weight"].T


def _others(case: dict, t: dict[str, np.ndarray], tokens: np.ndarray) -> np.ndarray:
    kind, heads, kv = case["model_type"], case["num_attention_heads"], case["num_key_value_heads"]
    gemma = "gemma" in kind
    width = case.get("head_dim", case["hidden_size"] // heads)

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        gain = t[f"{name}.weight"] + (1.0 if gemma else 0.0)
        return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + case["rms_norm_eps"]) * gain

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return np.einsum("ti,oi->to", x, t[f"{name}.weight"]) + t.get(f"{name}.bias", 0.0)

    def turned(x: np.ndarray, local: bool) -> np.ndarray:
        inverse, magnitude = _rotary(case, width, local)
        angles = np.outer(np.arange(len(x)), np.concatenate([inverse, inverse]))[:, None]
        half = np.concatenate([-x[..., width // 2 :], x[..., : width // 2]], axis=-1)
        return magnitude * (x * np.cos(angles) + half * np.sin(angles))

    x = t["model.embed_tokens.weight"][tokens] * (math.sqrt(case["hidden_size"]) if gemma else 1.0)
    for i in range(case["num_hidden_layers"]):
        layer, local = f"model.layers.{i}.", _is_local(case, i)
        y = norm(x, layer + "input_layernorm")
        q, k, v = (
            linear(y, f"{layer}self_attn.{name}_proj").reshape(len(x), n, width)
            for name, n in (("q", heads), ("k", kv), ("v", kv))
        )
        if kind in ("qwen3", "gemma3_text"):
            q, k = norm(q, layer + "self_attn.q_norm"), norm(k, layer + "self_attn.k_norm")
        q, k = turned(q, local), turned(k, local)
        k, v = np.repeat(k, heads // kv, axis=1), np.repeat(v, heads // kv, axis=1)
        scale = case.get("query_pre_attn_scalar", width) ** -0.5
        cap = 50.0 if kind == "gemma2" else 0.0
        y = linear(_attention(q, k, v, scale, cap, case["sliding_window"] if local else 0), layer + "self_attn.o_proj")
        post = "post_attention_layernorm"
        if kind in ("gemma2", "gemma3_text"):
            x = x + norm(y, layer + post)
            y = norm(x, layer + "pre_feedforward_layernorm")
        else:
            x = x + y
            y = norm(x, layer + post)
        gate = linear(y, layer + "mlp.gate_proj")
        inner = (_gelu(gate) if gemma else gate / (1.0 + np.exp(-gate))) * linear(y, layer + "mlp.up_proj")
        y = linear(inner, layer + "mlp.down_proj")
        x = x + (norm(y, layer + "post_feedforward_layernorm") if kind in ("gemma2", "gemma3_text") else y)
    head = t["model.embed_tokens.weight" if _tied(case) else "lm_head.weight"]
    logits = norm(x, "model.norm") @ head.T
    return 30.0 * np.tanh(logits / 30.0) if kind == "gemma2" else logits


def _is_local(case: dict, i: int) -> bool:
    kind = case["model_type"]
    if kind == "gemma2":
        return i % 2 == 0
    if kind == "gemma3_text":
        return (i + 1) % 6 != 0
    if kind == "qwen2":
        return bool(case.get("use_sliding_window")) and i >= case["max_window_layers"]
    return kind == "mistral"


def _rotary(case: dict, width: int, local: bool) -> tuple[np.ndarray, float]:
    gemma3 = case["model_type"] == "gemma3_text"
    scaling = case.get("rope_scaling") or case.get("rope_parameters") or {}
    base = case.get("rope_theta", scaling.get("rope_theta", 1e6 if gemma3 else 1e4))
    if gemma3 and local:
        base, scaling = 1e4, {}
    pairs = np.array([base ** (2 * j / width) for j in range(width // 2)])
    kind, factor = scaling.get("rope_type", scaling.get("type", "default")), scaling.get("factor", 1.0)
    if kind == "linear":
        return 1.0 / (factor * pairs), 1.0
    if kind == "llama3":
        inverse = []
        for pair in pairs:
            length = 2 * math.pi * pair
            smooth = (32 / length - 1.0) / (4.0 - 1.0)
            plain, slow = 1.0 / pair, 1.0 / (pair * factor)
            inverse.append(plain if length < 8 else slow if length > 32 else (1 - smooth) * slow + smooth * plain)
        return np.array(inverse), 1.0
    if kind == "yarn":
        bounds = [width * math.log(32 / (turns * 2 * math.pi)) / (2 * math.log(base)) for turns in (32, 1)]
        low, high = max(math.floor(bounds[0]), 0), min(math.ceil(bounds[1]), width - 1)
        ramp = np.array([min(max((j - low) / ((high - low) or 0.001), 0.0), 1.0) for j in range(width // 2)])
        return ramp / (factor * pairs) + (1 - ramp) / pairs, 0.1 * math.log(factor) + 1.0
    return 1.0 / pairs, 1.0
