"""Specs refuse what cannot be a network."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

import models
from hwbase import InputError

DENSE: dict[str, Any] = {
    "name": "dense",
    "vocab_size": 100,
    "hidden_size": 16,
    "layers": 4,
    "query_heads": 4,
    "kv_heads": 2,
    "head_dim": 4,
    "intermediate_size": 32,
}
MOE = DENSE | {"experts": 8, "experts_per_token": 2, "expert_intermediate_size": 8, "dense_layers": 1}
MLA = {k: v for k, v in DENSE.items() if k not in ("kv_heads", "head_dim")} | {
    "attention": "mla",
    "kv_lora_rank": 8,
    "qk_nope_head_dim": 4,
    "qk_rope_head_dim": 2,
    "v_head_dim": 4,
}


@pytest.mark.parametrize("fields", [DENSE, MOE, MLA])
def test_sound_specs_are_taken(fields: dict[str, Any]) -> None:
    spec = models.LLMSpec(**fields)
    assert models.spec_from_fields(fields, "here") == spec
    assert hash(spec) == hash(models.LLMSpec(**fields))


@pytest.mark.parametrize(
    "value",
    [
        0,
        -1,
        1.5,
        math.nan,
        math.inf,
        10**9,
        10**400,
        -(10**400),
        "4",
        None,
        True,
        [4],
        [[1], [1, 2]],
        (4,),
        np.array([4, 5]),
        {"a": 1},
        1j,
    ],
)
@pytest.mark.parametrize("name", ["vocab_size", "hidden_size", "layers", "query_heads"])
def test_counts_refuse(name: str, value: object) -> None:
    with pytest.raises(InputError, match=name):
        models.LLMSpec(**DENSE | {name: value})


@pytest.mark.parametrize("value", [0, -4, math.nan, math.inf, 65, 10**400, "fp8", None, True, [8.0]])
def test_bits_refuse(value: object) -> None:
    with pytest.raises(InputError, match="expert_weight_bits"):
        models.LLMSpec(**DENSE | {"expert_weight_bits": value})


def test_numpy_scalars_become_plain() -> None:
    spec = models.LLMSpec(**DENSE | {"layers": np.int32(4)})
    assert type(spec.layers) is int


@pytest.mark.parametrize(
    ("base", "change", "match"),
    [
        (DENSE, {"name": " "}, "name is empty"),
        (DENSE, {"name": 3}, "name = 3"),
        (DENSE, {"tied_embeddings": 1}, "tied_embeddings = 1: expected true or false"),
        (DENSE, {"attention": "mqa"}, "unknown attention 'mqa'"),
        (DENSE, {"attention": []}, "unknown attention"),
        (DENSE, {"kv_heads": 3}, "expected a divisor of query_heads = 4"),
        (DENSE, {"kv_heads": 0}, "kv_heads = 0: expected a number >= 1"),
        (DENSE, {"kv_lora_rank": 8}, "not used by gqa attention"),
        (DENSE, {"intermediate_size": 0}, "intermediate_size = 0"),
        (DENSE, {"experts_per_token": 2}, "not used by a dense network"),
        (DENSE, {"expert_bias": True}, "not used by a dense network"),
        (DENSE, {"windowed_layers": 5, "sliding_window": 8}, "expected at most layers = 4"),
        (DENSE, {"windowed_layers": 2}, "expected both above 0 or both 0"),
        (DENSE, {"sliding_window": 2}, "expected both above 0 or both 0"),
        (DENSE, {"published_total": 1e9}, "expected both or neither"),
        (DENSE, {"published_total": 1e9, "published_total_digits": 2}, "published_source is empty"),
        (DENSE, {"published_total": math.nan, "published_total_digits": 2}, "published_total"),
        (DENSE, {"published_total": 1e9, "published_total_digits": 0}, "published_total_digits"),
        (MOE, {"experts_per_token": 9}, "expected at most experts = 8"),
        (MOE, {"experts_per_token": 0}, "expected a number >= 1 for a mixture"),
        (MOE, {"dense_layers": 4}, "expected fewer than layers"),
        (MOE, {"intermediate_size": 0}, "a network with dense_layers"),
        (MOE, {"shared_experts": 1}, "expected both above 0 or both 0"),
        (MLA, {"kv_heads": 2}, "not used by mla attention"),
        (MLA, {"kv_lora_rank": 0}, "kv_lora_rank = 0"),
        (MLA, {"v_head_dim": 0}, "v_head_dim = 0"),
        (MLA, {"qk_norm": True}, "qk_norm"),
    ],
)
def test_fields_at_odds(base: dict[str, Any], change: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        models.LLMSpec(**base | change)
    if "name" not in change:
        with pytest.raises(InputError):
            dataclasses.replace(models.LLMSpec(**base), **change)


def test_messages_name_the_file() -> None:
    with pytest.raises(InputError, match=r"^here: layers = -4: expected a whole number >= 1"):
        models.spec_from_fields(DENSE | {"layers": -4}, "here")
    with pytest.raises(InputError, match="did you mean 'kv_heads'"):
        models.spec_from_fields(DENSE | {"kv_head": 4}, "here")
