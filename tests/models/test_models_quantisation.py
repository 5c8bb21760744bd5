"""A checkpoint's quantisation counts matrix by matrix, wherever it is kept; what cannot be read is refused by name."""

import json
from typing import Any

import pytest

import models
from hwbase import InputError

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
}
QWEN_MOE: dict[str, Any] = LLAMA | {
    "model_type": "qwen3_moe",
    "hidden_size": 2048,
    "num_hidden_layers": 48,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "intermediate_size": 6144,
    "moe_intermediate_size": 768,
    "vocab_size": 151936,
    "num_experts": 128,
    "num_experts_per_tok": 8,
}
INT4 = {"num_bits": 4, "group_size": 128}


def compressed(*groups: dict[str, Any], **more: Any) -> dict[str, Any]:
    named = {f"group_{number}": group for number, group in enumerate(groups)}
    return {"quant_method": "compressed-tensors", "config_groups": named, "ignore": ["lm_head"], **more}


def gigabytes(config: dict[str, Any], settings: dict[str, Any], key: str = "quantization_config") -> float:
    return float(models.weight_bytes(models.spec_from_config(config | {key: settings})).total) / 1e9


ATTENTION_8 = {"targets": ["re:.*self_attn.*"], "weights": {"num_bits": 8, "group_size": None}}
MLP_4 = {"targets": ["re:.*mlp.*"], "weights": INT4}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        # One matrix of a layer that is left out leaves the others quantised.
        ({"quant_method": "fp8", "modules_to_not_convert": ["lm_head", "model.layers.0.mlp.down_proj"]}, 9.140),
        ({"quant_method": "fp8", "ignored_layers": ["lm_head", "model.layers.0.self_attn.q_proj"]}, 9.098),
        # Each group has its own targets, in any order.
        (compressed(ATTENTION_8, MLP_4), 6.351),
        (compressed(MLP_4, ATTENTION_8), 6.351),
        (compressed(MLP_4), 7.693),
        # Rules of single matrices.
        ({"quant_method": "gptq", "bits": 4, "group_size": 128, "dynamic": {"-:.*down.*": {}}}, 8.489),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128, "dynamic": {"+:.*o_proj.*": {"bits": 8}}}, 5.970),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128, "lm_head": True}, 4.921),
        # Scales of eight bits, by the format's name or by what it says of itself.
        (compressed({"targets": ["Linear"], "weights": {"num_bits": 4, "group_size": 16, "type": "float"}}), 6.028),
        (
            compressed(
                {"targets": ["Linear"], "weights": {"num_bits": 4, "group_size": 32, "type": "float"}},
                format="mxfp4-pack-quantized",
            ),
            5.810,
        ),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4", "ignore": ["lm_head"]}, 6.028),
        # Zero points.
        ({"quant_method": "awq", "bits": 4, "q_group_size": 128, "zero_point": True}, 5.728),
        ({"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": False}, 5.701),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": False}, 5.728),
        ({"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}, 6.028),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, 9.087),
        ({"quant_method": "fbgemm_fp8", "modules_to_not_convert": ["lm_head"]}, 9.087),
        ({"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "fp8_e4m3"}}, "exclude": []}, 9.081),
        (compressed({"targets": ["Linear"], "weights": None}), 16.061),
    ],
)
def test_bytes(settings: dict[str, Any], expected: float) -> None:
    assert gigabytes(LLAMA, settings) == pytest.approx(expected, rel=4e-4)


def test_one_expert_left_out() -> None:
    settings = {"quant_method": "fp8", "modules_to_not_convert": ["lm_head"]}
    one = "model.layers.47.mlp.experts.3.down_proj"
    without, with_one = (
        gigabytes(QWEN_MOE, settings | {"modules_to_not_convert": ["lm_head", *each]}) for each in ((), (one,))
    )
    assert with_one - without == pytest.approx(768 * 2048 / 1e9, abs=1e-8)
    assert without == pytest.approx(31.167, rel=1e-4)


def test_names_with_and_without_what_stands_before_the_layers() -> None:
    for before in ("", "model.", "model.language_model.", "language_model.model."):
        settings = {"quant_method": "modelopt", "quant_algo": "FP8", "ignore": [f"{before}layers.*.self_attn*"]}
        spec = models.spec_from_config(LLAMA | {"quantization_config": settings})
        assert (spec.attention_weight_bits, round(spec.ffn_weight_bits)) == (16, 8)


def test_a_group_begun_counts_whole() -> None:
    small = LLAMA | {
        "vocab_size": 1000, "hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4,
        "num_key_value_heads": 2, "intermediate_size": 200,
    }  # fmt: skip
    settings = {"quant_method": "gptq", "bits": 4, "group_size": 96, "sym": True}
    assert gigabytes(small, settings) * 1e9 == pytest.approx(364_800, abs=1)


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": True}, "desc_act = True"),
        (compressed({"targets": ["Linear"], "weights": INT4 | {"actorder": "group"}}), "actorder = "),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False}, ""),
        (compressed({"targets": ["Linear"], "weights": INT4 | {"actorder": "weight"}}), ""),
    ],
)
def test_an_index_of_reordered_inputs_is_listed_as_not_counted(settings: dict[str, Any], key: str) -> None:
    notes = models.spec_from_config(LLAMA | {"quantization_config": settings}).notes
    assert [key in note for note in notes if "g_idx" in note] == ([True] if key else [])


def test_the_older_key() -> None:
    assert gigabytes(
        LLAMA, compressed({"targets": ["Linear"], "weights": INT4}), "compression_config"
    ) == pytest.approx(5.701, rel=4e-4)


@pytest.mark.parametrize(
    ("name", "data", "expected", "kv_bits"),
    [
        (
            "hf_quant_config.json",
            {
                "producer": {"name": "modelopt"},
                "quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8", "exclude_modules": ["lm_head"]},
            },
            9.081,
            8,
        ),
        ("quantize_config.json", {"bits": 4, "group_size": 128, "desc_act": True}, 5.701, 16),
        ("quant_config.json", {"w_bit": 4, "q_group_size": 128, "zero_point": False, "version": "GEMM"}, 5.701, 16),
    ],
)
@pytest.mark.parametrize("prefix", ["", "org--Net_"])
def test_files_beside(tmp_path, name: str, data: dict[str, Any], expected: float, kv_bits: int, prefix: str) -> None:
    config = tmp_path / f"{prefix}config.json"
    config.write_text(json.dumps(LLAMA))
    (tmp_path / f"{prefix}{name}").write_text(json.dumps(data))
    spec = models.load(config)
    assert float(models.weight_bytes(spec).total) / 1e9 == pytest.approx(expected, rel=4e-4)
    assert spec.kv_cache_bits == kv_bits
    assert models.kv_bytes_per_token(spec) == 32 * 2 * 8 * 128 * kv_bits / 8


def test_the_cache_scheme() -> None:
    settings = compressed({"targets": ["Linear"], "weights": INT4}, kv_cache_scheme={"num_bits": 8, "type": "float"})
    assert models.kv_bytes_per_token(models.spec_from_config(LLAMA | {"quantization_config": settings})) == 65_536


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"quant_method": "hqq"}, "quant_method"),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128, "new_rule": {"a": 1}}, "new_rule .* not read"),
        ({"quant_method": "fp8", "modules_to_not_convert": ["model.layers.0.mlp.dwn_proj"]}, "names no matrix"),
        ({"quant_method": "fp8", "modules_to_not_convert": ["re:("]}, "no regular expression"),
        (
            compressed({"targets": ["Linear"], "weights": INT4}, sparsity_config={"format": "sparse-24-bitmask"}),
            "dense",
        ),
        ({"quant_method": "modelopt", "quant_algo": "NVFP5"}, "did you mean 'NVFP4'"),
        ({"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION"}, "quantized_layers is missing"),
        ({"quant_method": "bitsandbytes"}, "load_in_4bit"),
        ({"quant_method": "gptq", "bits": 9, "group_size": 128}, "weight_bits"),
    ],
)
def test_refused_by_name(settings: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        models.spec_from_config(LLAMA | {"quantization_config": settings})


def test_gptq_of_some_matrices_of_a_layer_leaves_the_others():
    """Only attention is quantised: 41.94 M of the 218.1 M weights of a layer."""
    gptq = {"quant_method": "gptq", "bits": 4, "group_size": 128}
    names = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"]
    some = gigabytes(LLAMA, gptq | {"modules_in_block_to_quantize": [[name] for name in names]})
    attention = 32 * (2 * 4096 * 4096 + 2 * 4096 * 1024)
    plain = float(models.weight_bytes(models.spec_from_config(LLAMA)).total) / 1e9
    assert some == pytest.approx(plain - attention * (16 - 4.125) / 8e9, rel=1e-6)
    every = [*names, "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]
    assert gigabytes(LLAMA, gptq | {"modules_in_block_to_quantize": [every]}) == gigabytes(LLAMA, gptq)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"quant_method": "mxfp4"}, "the quantisation is of experts, which the network has not"),
        (compressed(MLP_4, transform_config={"config_groups": {"a": {"type": "hadamard"}}}), "transform_config"),
        ({"quant_method": "auto-round", "bits": 4, "group_size": 32, "super_bits": 6}, "super_bits"),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128, "modules_in_block_to_quantize": [["mlp.w9"]]}, "w9"),
    ],
)
def test_settings_that_change_bytes_or_meaning_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        gigabytes(LLAMA, settings)


def test_zero_points_of_awq_count():
    """AWQ keeps 4 bits of zero point a group of 128 beside the 16 of its scale: 4.15625 bits a weight."""
    awq = {"quant_method": "awq", "bits": 4, "group_size": 128, "modules_to_not_convert": ["model.layers.0.self_attn"]}
    quantised = 31 * 41_943_040 + 32 * 3 * 4096 * 14336
    plain = float(models.weight_bytes(models.spec_from_config(LLAMA)).total)
    for zero_point, bits in ((True, 4.15625), (False, 4.125)):
        expected = (plain - quantised * (16 - bits) / 8) / 1e9
        assert gigabytes(LLAMA, awq | {"zero_point": zero_point}) == pytest.approx(expected, rel=1e-6)
