"""Hugging Face configurations give the zoo's specs, family by family, and bad ones one clear sentence."""

import dataclasses
import json
import math
from typing import Any

import pytest

import models
from hwbase import InputError

LLAMA_8B: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 128256,
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "tie_word_embeddings": False,
    "attention_bias": False,
    "torch_dtype": "bfloat16",
}
SMOLLM2: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 49152,
    "hidden_size": 576,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "intermediate_size": 1536,
    "tie_word_embeddings": True,
}
GPT_OSS: dict[str, Any] = {
    "model_type": "gpt_oss",
    "vocab_size": 201088,
    "hidden_size": 2880,
    "num_hidden_layers": 36,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "intermediate_size": 2880,
    "num_local_experts": 128,
    "num_experts_per_tok": 4,
    "experts_per_token": 4,
    "sliding_window": 128,
    "layer_types": ["sliding_attention", "full_attention"] * 18,
    "attention_bias": True,
    "quantization_config": {
        "quant_method": "mxfp4",
        "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router", "lm_head"],
    },
}
DEEPSEEK_V3: dict[str, Any] = {
    "model_type": "deepseek_v3",
    "vocab_size": 129280,
    "hidden_size": 7168,
    "num_hidden_layers": 61,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "q_lora_rank": 1536,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "intermediate_size": 18432,
    "moe_intermediate_size": 2048,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "num_experts_per_tok": 8,
    "first_k_dense_replace": 3,
    "moe_layer_freq": 1,
    "topk_method": "noaux_tc",
    "attention_bias": False,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "quantization_config": {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]},
}
KIMI_K2 = DEEPSEEK_V3 | {
    "model_type": "kimi_k2",
    "vocab_size": 163840,
    "num_attention_heads": 64,
    "n_routed_experts": 384,
    "first_k_dense_replace": 1,
}
QWQ: dict[str, Any] = {
    "model_type": "qwen2",
    "vocab_size": 152064,
    "hidden_size": 5120,
    "num_hidden_layers": 64,
    "num_attention_heads": 40,
    "num_key_value_heads": 8,
    "intermediate_size": 27648,
    "sliding_window": 32768,
    "use_sliding_window": False,
    "max_window_layers": 64,
    "tie_word_embeddings": False,
}
MISTRAL_7B: dict[str, Any] = {
    "model_type": "mistral",
    "vocab_size": 32000,
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "sliding_window": 4096,
}
MIXTRAL: dict[str, Any] = MISTRAL_7B | {
    "model_type": "mixtral",
    "sliding_window": None,
    "num_local_experts": 8,
    "num_experts_per_tok": 2,
}
QWEN3_8B: dict[str, Any] = {
    "model_type": "qwen3",
    "vocab_size": 151936,
    "hidden_size": 4096,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "intermediate_size": 12288,
    "attention_bias": False,
    "tie_word_embeddings": False,
}
QWEN3_30B: dict[str, Any] = {
    "model_type": "qwen3_moe",
    "vocab_size": 151936,
    "hidden_size": 2048,
    "num_hidden_layers": 48,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "intermediate_size": 6144,
    "moe_intermediate_size": 768,
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
    "attention_bias": False,
}
DEEPSEEK_V2_LITE: dict[str, Any] = {
    "model_type": "deepseek_v2",
    "vocab_size": 102400,
    "hidden_size": 2048,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "q_lora_rank": None,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "intermediate_size": 10944,
    "moe_intermediate_size": 1408,
    "n_routed_experts": 64,
    "n_shared_experts": 2,
    "num_experts_per_tok": 6,
    "first_k_dense_replace": 1,
    "moe_layer_freq": 1,
    "topk_method": "greedy",
}


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (LLAMA_8B, "llama-3-8b"),
        (SMOLLM2, "smollm2-135m"),
        (GPT_OSS, "gpt-oss-120b"),
        (DEEPSEEK_V3, "deepseek-v3"),
        (KIMI_K2, "kimi-k2"),
        (QWQ, "qwq-32b"),
        (GPT_OSS | {"num_hidden_layers": 24, "num_local_experts": 32, "layer_types": None}, "gpt-oss-20b"),
    ],
)
def test_configs_equal_the_zoo(config: dict[str, Any], name: str) -> None:
    zoo, read = models.load(name), models.spec_from_config(config, name)
    # The zoo leaves the scales of FP8 blocks out (0.02 %), a checkpoint's own settings count them.
    fields = [field for field in zoo.to_dict() if field.startswith(("published", "source")) or field.endswith("_bits")]
    for field in fields:
        if field.endswith("_weight_bits") and getattr(zoo, field):
            assert getattr(read, field) == pytest.approx(getattr(zoo, field), rel=3e-4)
    assert dataclasses.replace(read, **{field: getattr(zoo, field) for field in fields}) == zoo


@pytest.mark.parametrize(
    ("config", "total"),
    [
        (MISTRAL_7B, 7_241_732_096),
        (MIXTRAL, 46_702_792_704),
        (QWEN3_8B, 8_190_735_360),
        (QWEN3_30B, 30_532_122_624),
        (DEEPSEEK_V2_LITE, 15_706_484_224),
    ],
)
def test_other_families_have_their_checkpoints_counts(config: dict[str, Any], total: int) -> None:
    assert models.parameters(models.spec_from_config(config)).total == total


def test_windows() -> None:
    def windows(config: dict[str, Any]) -> tuple[int, int]:
        spec = models.spec_from_config(config)
        return spec.sliding_window, spec.windowed_layers

    assert windows(MISTRAL_7B) == (4096, 32)
    assert windows(MIXTRAL) == (0, 0)
    assert windows(QWQ) == (0, 0)
    assert windows(QWQ | {"use_sliding_window": True, "max_window_layers": 60}) == (32768, 4)
    assert windows(QWEN3_8B | {"layer_types": ["full_attention"] * 36}) == (0, 0)


def test_sparse_steps_and_dense_layers() -> None:
    spec = models.spec_from_config(QWEN3_30B | {"decoder_sparse_step": 2, "mlp_only_layers": [1]})
    assert (spec.dense_layers, spec.intermediate_size) == (25, 6144)
    assert models.spec_from_config(DEEPSEEK_V3 | {"moe_layer_freq": 2}).moe_layers == 29


@pytest.mark.parametrize(
    ("settings", "attention", "ffn"),
    [
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, 4.125, 4.125),
        # A scale and a zero point for each row.
        ({"quant_method": "awq", "bits": 4, "group_size": -1}, 4 + 20 / 4096, 4 + 20 / (3 / (2 / 4096 + 1 / 14336))),
        # One of 32 layers keeps its attention.
        ({"quant_method": "fp8", "modules_to_not_convert": ["lm_head", "model.layers.0.self_attn"]}, 8.25, 8),
        (
            {
                "quant_method": "compressed-tensors",
                "ignore": ["lm_head"],
                "config_groups": {"group_0": {"weights": {"num_bits": 8, "group_size": None}}},
            },
            8 + 16 / 4096,
            8 + 16 / (3 / (2 / 4096 + 1 / 14336)),
        ),
    ],
)
def test_quantised_dense_checkpoints(settings: dict[str, Any], attention: float, ffn: float) -> None:
    spec = models.spec_from_config(LLAMA_8B | {"quantization_config": settings})
    assert spec.attention_weight_bits == pytest.approx(attention, rel=1e-6)
    assert spec.ffn_weight_bits == pytest.approx(ffn, rel=1e-6)
    assert spec.embedding_weight_bits == 16


def test_int4_experts_only() -> None:
    settings = {
        "quant_method": "compressed-tensors",
        "config_groups": {"group_0": {"weights": {"num_bits": 4, "group_size": 32}}},
        "ignore": ["lm_head", "re:.*self_attn.*", "re:.*shared_experts.*"],
    }
    spec = models.spec_from_config(KIMI_K2 | {"quantization_config": settings})
    # The dense layer is not left out, the shared experts are.
    assert (spec.expert_weight_bits, spec.attention_weight_bits) == (4.5, 16)
    assert (spec.ffn_weight_bits, spec.shared_expert_weight_bits) == (4.5, 16)


def test_names_of_files(tmp_path) -> None:
    folder = tmp_path / "My-8B"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(LLAMA_8B))
    (tmp_path / "other.json").write_text(json.dumps(LLAMA_8B))
    assert models.load(folder / "config.json").name == "My-8B"
    assert models.load(folder).name == "My-8B"
    assert models.load(tmp_path / "other.json").name == "other"
    assert models.spec_from_config(LLAMA_8B | {"_name_or_path": "a/b"}, "c").name == "a/b"


def test_null_and_absent_kv_heads_mean_one_per_query_head() -> None:
    assert models.spec_from_config(LLAMA_8B | {"num_key_value_heads": None}).kv_heads == 32
    absent = {key: value for key, value in LLAMA_8B.items() if key != "num_key_value_heads"}
    assert models.spec_from_config(absent).kv_heads == 32


@pytest.mark.parametrize("config", [LLAMA_8B, GPT_OSS, DEEPSEEK_V3, QWQ, MIXTRAL, QWEN3_30B])
def test_a_missing_key_is_named(config: dict[str, Any]) -> None:
    required = {
        "model_type",
        "vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "kv_lora_rank",
        "num_local_experts",
        "n_routed_experts",
        "num_experts",
        "moe_intermediate_size",
        "v_head_dim",
    }
    for key in required & set(config):
        rest = {name: value for name, value in config.items() if name != key}
        with pytest.raises(InputError, match=f"{key} is missing"):
            models.spec_from_config(rest)


@pytest.mark.parametrize("value", ["32", 0, -1, 1.5, math.nan, math.inf, True, [32], {}, 10**400, 10**7])
def test_bad_values_are_named(value: object) -> None:
    with pytest.raises(InputError, match="num_hidden_layers"):
        models.spec_from_config(LLAMA_8B | {"num_hidden_layers": value})
    with pytest.raises(InputError, match="num_hidden_layers"):
        models.spec_from_config(QWEN3_30B | {"num_hidden_layers": value})


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"model_type": "lama"}, "did you mean 'llama'"),
        ({"model_type": 3}, "model_type = 3: expected a text"),
        ({"attention_bias": "yes"}, "attention_bias = 'yes': expected true or false"),
        ({"num_attention_heads": 33}, "a divisor of hidden_size"),
        ({"num_key_value_heads": 5}, "kv_heads = 5: expected a divisor"),
        ({"torch_dtype": "bfloat61"}, "did you mean 'bfloat16'"),
        ({"quantization_config": []}, "expected an object"),
        ({"quantization_config": {"quant_method": "gptp"}}, "did you mean 'gptq'"),
        ({"quantization_config": {"quant_method": "gptq"}}, "bits is missing"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 0}}, "group_size"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 999}}, "weight_bits"),
        ({"layer_types": ["full_attention"], "model_type": "mistral"}, "layer_types = 1 entries"),
        ({"layer_types": ["full_atention"] * 32, "model_type": "mistral"}, "did you mean 'full_attention'"),
        ({"layer_types": "full", "model_type": "mistral"}, "expected a list"),
        ({"layer_types": ["sliding_attention"] * 32, "model_type": "mistral"}, "sliding_window is missing"),
    ],
)
def test_bad_configs(change: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        models.spec_from_config(LLAMA_8B | change)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("{", "not valid JSON"),
        ("[1]", "expected a JSON object"),
        ("3", "expected a JSON object"),
        ("{}", "model_type is missing"),
        ("", "not valid JSON"),
        ('{"model_type": "llama", "vocab_size": NaN}', "vocab_size"),
        ('{"a": ' + "9" * 5000 + "}", "is not valid"),
        ("[" * 100_000, "is not valid|not valid"),
    ],
)
def test_broken_json(tmp_path, text: str, match: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(InputError, match=match):
        models.load(path)


def test_not_an_object() -> None:
    with pytest.raises(InputError, match="expected a JSON object, found list"):
        models.spec_from_config([])  # type: ignore[arg-type]
