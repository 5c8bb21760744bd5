"""Configurations of every family: totals as in the checkpoints, every key accounted for, kinds of layers told apart."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwsim
import models
from hwbase import InputError

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 256,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 512,
    "vocab_size": 1000,
}

#: Parameters of the 89 configurations of aiconfigurator-core 0.12.0, without layers that predict several tokens.
#: Counted on the classes of transformers 5.24 where it has them, correction offsets included; the others by hand.
COLLECTED = json.loads(Path(__file__).with_name("collected_totals.json").read_text())


def _collection() -> Path | None:
    found = importlib.util.find_spec("aiconfigurator_core")
    return Path(found.origin).parent / "model_configs" if found and found.origin else None


@pytest.mark.slow
@pytest.mark.skipif(_collection() is None, reason="needs the package aiconfigurator-core")
@pytest.mark.parametrize("name", COLLECTED)
def test_collected_configurations(name: str) -> None:
    folder = _collection()
    assert folder is not None
    path = folder / f"{name}_config.json"
    if not path.is_file():
        pytest.skip("not in this version of the package")
    spec = models.load(path)
    assert models.parameters(spec).total == COLLECTED[name]["parameters"]
    bits = float(models.weight_bytes(spec).total) * 8 / COLLECTED[name]["parameters"]
    assert bits == pytest.approx(COLLECTED[name]["bits_per_weight"], rel=1e-3)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"num_local_experts": 8}, "num_local_experts = 8: not read for llama"),
        ({"block_configs": [{"ffn": {"no_op": True}}]}, "block_configs"),
        ({"layer_types": ["linear_attention"] * 4}, "unknown layer type"),
        ({"hidden_act": "relu3"}, "unknown activation"),
        ({"intermediate_size": [512] * 4}, "intermediate_size"),
        ({"kv_lora_rank": 64}, "kv_lora_rank"),
        ({"cross_attention_layers": [1]}, "cross_attention_layers"),
    ],
)
def test_keys_that_may_change_the_network_are_refused(change: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        models.spec_from_config(LLAMA | change)


def test_keys_that_change_nothing_are_taken_and_others_noted() -> None:
    harmless = {"rope_theta": 1e4, "rope_scaling": {"factor": 2}, "bos_token_id": 1, "attention_dropout": 0.1}
    assert models.spec_from_config(LLAMA | harmless).notes == ()
    assert "favourite_colour" in models.spec_from_config(LLAMA | {"favourite_colour": "blue"}).notes[0]
    assert models.spec_from_config(LLAMA | {"num_local_experts": 0, "moe_layers": []}).notes == ()


def test_embedders_have_no_head(tmp_path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    with_head = models.parameters(models.load(tmp_path)).total
    (tmp_path / "modules.json").write_text("[]")
    assert with_head - models.parameters(models.load(tmp_path)).total == 1000 * 256
    bare = models.spec_from_config(LLAMA | {"architectures": ["LlamaModel"]})
    assert models.parameters(bare).total == with_head - 1000 * 256


def test_parts_take_their_class_sizes_where_they_state_none() -> None:
    """As google/gemma-3-4b-it and llava-hf/llava-1.5-7b-hf have them."""
    gemma = {
        "model_type": "gemma3",
        "mm_tokens_per_image": 256,
        "text_config": {
            "hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text", "num_hidden_layers": 34,
            "sliding_window": 1024,
        },
        "vision_config": {
            "hidden_size": 1152, "image_size": 896, "intermediate_size": 4304, "model_type": "siglip_vision_model",
            "num_attention_heads": 16, "num_hidden_layers": 27, "patch_size": 14, "vision_use_head": False,
        },
    }  # fmt: skip
    assert models.parameters(models.spec_from_config(gemma)).total == 4_300_079_472
    llava = {
        "model_type": "llava",
        "vocab_size": 32064,
        "text_config": {"model_type": "llama", "vocab_size": 32064},
        "vision_config": {
            "hidden_size": 1024, "image_size": 336, "intermediate_size": 4096, "model_type": "clip_vision_model",
            "num_attention_heads": 16, "num_hidden_layers": 24, "patch_size": 14,
        },
    }  # fmt: skip
    assert models.parameters(models.spec_from_config(llava)).total == 7_063_427_072
    with pytest.raises(InputError, match="vocab_size = 32000"):
        models.spec_from_config(llava | {"vocab_size": 32000})


def test_a_path_of_somebodys_machine_is_no_title() -> None:
    assert models.spec_from_config(LLAMA | {"_name_or_path": "/home/me/run7"}, "net").name == "net"
    assert models.spec_from_config(LLAMA | {"_name_or_path": "org/net"}, "other").name == "org/net"


def test_states_do_not_grow_with_the_context() -> None:
    spec = models.load("qwen3-next-80b-a3b")
    kinds = {mixer.kind: mixer.layers for mixer in models.mixers(spec)}
    assert kinds == {"gated-delta": 36, "attention": 12}
    assert models.kv_elements_per_token(spec) == 12 * 2 * 2 * 256
    held = models.kv_bytes_per_sequence(spec, np.array([1000.0, 2000.0]))
    assert held[1] - held[0] == 1000 * 12 * 2 * 2 * 256 * 2
    assert models.state_bytes_per_sequence(spec) == 36 * 32 * 128 * 128 * 4


def test_an_index_limits_what_is_read_not_what_is_held() -> None:
    spec = models.load("deepseek-v3.2")
    dense = models.load("deepseek-v3")
    latent, index = 61 * 576, 61 * 128
    assert models.kv_bytes_per_sequence(spec, 65536, 1) == 65536 * (latent + index)
    assert models.kv_bytes_read_per_token(spec, 65536, 1) == 2048 * latent + 65536 * index
    assert models.kv_bytes_read_per_token(dense, 65536, 1) == 65536 * latent
    assert models.attended_positions(spec, 65536) == 61 * 2048


def test_compressed_entries() -> None:
    spec = models.load("deepseek-v4-flash")
    # 2 layers with a window of 128 only, 21 with an entry for 4 positions and an index, 20 with one for 128.
    positions = 131_072
    held = 43 * 128 * 512 + positions / 4 * 21 * (512 + 128) + positions / 128 * 20 * 512
    assert models.kv_bytes_per_sequence(spec, positions, 1) == held


def test_borrowed_keys_are_read_but_not_held() -> None:
    config = {
        "model_type": "gemma3n_text", "vocab_size": 1000, "hidden_size": 64, "num_hidden_layers": 10,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 128,
        "sliding_window": 8, "num_kv_shared_layers": 5, "hidden_size_per_layer_input": 8, "altup_num_inputs": 4,
        "vocab_size_per_layer_input": 900, "laurel_rank": 4,
    }  # fmt: skip
    spec = models.spec_from_config(config)
    assert models.kv_elements_per_token(spec) == 5 * 2 * 2 * 16
    assert models.kv_bytes_read_per_token(spec, 8) == 2 * models.kv_bytes_per_sequence(spec, 8)


@pytest.mark.parametrize("name", ["bert-base", "modernbert-base"])
def test_encoders_have_neither_head_nor_cache(name: str) -> None:
    spec = models.load(name)
    assert not spec.head and not spec.causal
    assert models.kv_bytes_per_sequence(spec, 512) == 0
    assert models.parameters(spec).unembedding == 0
    assert float(models.macs_per_token(spec, 512).attention_scores) > 0


def test_an_encoders_output_is_kept_whatever_the_context() -> None:
    spec = models.load("whisper-tiny")
    heads, layers = 384, 4
    assert models.kv_bytes_per_sequence(spec, 0) == layers * 1500 * 2 * heads * 2
    assert models.parameters(spec).towers == 8_208_384


def test_images_become_tokens() -> None:
    (tower,) = models.load("gemma-3-4b").towers
    assert (tower.name, tower.tokens, tower.reduced_tokens) == ("vision", 4096, 256)
    assert models.load("llava-1.5-7b").towers[0].tokens == 576


def test_the_text_part_is_read_with_the_whole() -> None:
    config = {"model_type": "llava", "text_config": LLAMA, "tie_word_embeddings": True}
    spec = models.spec_from_config(config)
    assert spec.tied_embeddings and "no vision_config" in spec.notes[-1]
    with pytest.raises(InputError, match="towers for sound"):
        models.spec_from_config(config | {"audio_config": {"depth": 3}})
    with pytest.raises(InputError, match="unknown tower"):
        models.spec_from_config(config | {"vision_config": {"model_type": "mobilenet", "hidden_size": 8}})


@pytest.mark.parametrize("name", ["qwen3-next-80b-a3b", "deepseek-v3.2", "bert-base", "t5-base", "nemotron-h-56b"])
def test_machines_that_read_sizes_refuse_other_layers(name: str) -> None:
    with pytest.raises(InputError, match="does not model"):
        models.check_plain(models.load(name), "the machine")


@pytest.mark.parametrize("name", ["llama-3-8b", "gpt-oss-120b", "deepseek-v3", "gpt2", "olmo-2-7b", "gemma-2-9b"])
def test_sizes_describe_plain_networks(name: str) -> None:
    models.check_plain(models.load(name), "the machine")


@pytest.mark.parametrize("name", ["deepseek-v4-flash", "gemma-3-4b", "kimi-linear-48b-a3b", "nemotron-super-49b"])
def test_specs_of_layers_survive_json(name: str) -> None:
    spec = models.load(name)
    assert models.spec_from_fields(json.loads(spec.to_json()), "json") == spec


def test_a_summary_has_both_active_counts() -> None:
    summary = models.summarise(models.load("qwen3-30b-a3b"))
    assert summary.active_parameters_with_embedding - summary.active_parameters == 151936 * 2048
    assert summary.weight_bytes * 8 / summary.parameters == summary.bits_per_weight == 16


def test_what_was_not_read_and_contexts_beyond_the_networks_are_notes() -> None:
    spec = models.spec_from_config(LLAMA | {"favourite_colour": "blue", "max_position_embeddings": 4096})
    within = hwsim.simulate(spec, on="h100", context=4096).notes
    beyond = hwsim.simulate(spec, on="h100", context=8192).notes
    assert any("favourite_colour" in note for note in within)
    assert not any("4,096 positions" in note for note in within)
    assert any("made for 4,096 positions: 8,192 are beyond" in note for note in beyond)
