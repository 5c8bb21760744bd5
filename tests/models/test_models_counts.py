"""Counts of small networks worked out by hand, and what must hold for any network."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import models
from hwbase import InputError

COMPONENTS = (
    "embedding",
    "unembedding",
    "attention",
    "router",
    "experts",
    "shared_experts",
    "dense_ffn",
    "norms",
    "biases",
    "other",
)
DENSE = models.LLMSpec(
    name="dense", vocab_size=10, hidden_size=4, layers=2, query_heads=2, kv_heads=1, head_dim=3, intermediate_size=5
)
MOE = models.LLMSpec(
    name="moe",
    vocab_size=10,
    hidden_size=4,
    layers=3,
    query_heads=2,
    kv_heads=1,
    head_dim=3,
    intermediate_size=5,
    dense_layers=1,
    experts=6,
    experts_per_token=2,
    expert_intermediate_size=2,
    shared_experts=1,
    shared_expert_intermediate_size=3,
    router_bias=True,
    expert_bias=True,
    attention_bias=True,
    output_bias=True,
    attention_sinks=True,
    qk_norm=True,
    router_correction_bias=True,
)
MLA = models.LLMSpec(
    name="mla",
    vocab_size=10,
    hidden_size=8,
    layers=2,
    attention="mla",
    query_heads=2,
    q_lora_rank=5,
    kv_lora_rank=3,
    qk_nope_head_dim=4,
    qk_rope_head_dim=2,
    v_head_dim=6,
    intermediate_size=7,
)


def test_dense_by_hand() -> None:
    counts = models.parameters(DENSE)
    assert counts.attention_per_layer == {"q": 4 * 6, "k": 4 * 3, "v": 4 * 3, "o": 6 * 4}
    assert (counts.embedding, counts.unembedding) == (40, 40)
    assert counts.attention == 2 * 72
    assert counts.dense_ffn == 2 * 3 * 4 * 5
    assert counts.norms == 2 * 2 * 4 + 4
    assert counts.total == 40 + 40 + 144 + 120 + 20
    assert counts.active == counts.total - 40
    assert models.hardwired_parameters(DENSE) == counts.total - 40


def test_two_matrices_without_a_gate() -> None:
    plain = models.parameters(dataclasses.replace(DENSE, gated=False, mlp_bias=True))
    assert plain.dense_ffn == 2 * 2 * 4 * 5
    assert plain.biases == 2 * (5 + 4)
    assert models.parameters(dataclasses.replace(DENSE, mlp_bias=True)).biases == 2 * (5 + 5 + 4)


def test_moe_by_hand() -> None:
    counts = models.parameters(MOE)
    assert counts.router == 2 * 4 * 6
    assert counts.experts == 2 * 6 * (3 * 4 * 2)
    assert counts.shared_experts == 2 * (3 * 4 * 3)
    assert counts.dense_ffn == 3 * 4 * 5
    assert counts.norms == 3 * (2 * 4 + 2 * 3) + 4
    attention_biases = 3 * (6 + 3 + 3 + 4)
    assert counts.biases == attention_biases + 2 * 6 + 2 * 6 * (2 + 2 + 4)
    assert counts.other == 3 * 2 + 2 * 6
    assert counts.total - counts.active == 40 + 2 * (6 - 2) * (24 + 8)


def test_mla_by_hand() -> None:
    counts = models.parameters(MLA)
    assert counts.attention_per_layer == {
        "q_a": 8 * 5,
        "q_b": 5 * 2 * 6,
        "kv_a": 8 * (3 + 2),
        "kv_b": 3 * 2 * (4 + 6),
        "o": 2 * 6 * 8,
    }
    assert counts.norms == 2 * (2 * 8 + 5 + 3) + 8
    assert models.parameters(dataclasses.replace(MLA, q_lora_rank=0)).attention_per_layer["q"] == 8 * 2 * 6
    biased = dataclasses.replace(MLA, attention_bias=True, output_bias=True)
    assert models.parameters(biased).biases == 2 * (5 + 5 + 8)
    assert models.kv_elements_per_token_per_layer(MLA) == 5
    assert models.kv_elements_per_token(MLA) == 10


def test_tied_table_counts_once_and_is_hardwired() -> None:
    tied, untied = dataclasses.replace(DENSE, tied_embeddings=True), models.parameters(DENSE)
    counts = models.parameters(tied)
    assert counts.total == untied.total - 40
    assert counts.active == untied.active == counts.total
    assert models.hardwired_parameters(tied) == models.hardwired_parameters(DENSE)
    assert models.embedding_table_elements(tied) == 40


def test_macs_by_hand() -> None:
    macs = models.macs_per_token(DENSE, 7)
    assert (macs.attention_projections, macs.feed_forward, macs.unembedding) == (144, 120, 40)
    assert macs.attention_scores == macs.attention_values == 2 * 2 * 3 * 7
    assert macs.total == 144 + 120 + 40 + 2 * 84
    assert macs.projections == 144 + 120
    moe = models.macs_per_token(MOE, 0)
    assert moe.feed_forward == 2 * (2 * 24 + 36) + 60
    assert moe.attention_scores == 0


def test_mla_attends_to_the_latent_when_absorbed() -> None:
    absorbed = models.macs_per_token(MLA, 10)
    assert absorbed.attention_scores == 2 * 2 * (3 + 2) * 10
    assert absorbed.attention_values == 2 * 2 * 3 * 10
    expanded = models.macs_per_token(MLA, 10, mla_absorbed=False)
    assert expanded.attention_scores == 2 * 2 * 6 * 10
    assert expanded.attention_values == 2 * 2 * 6 * 10


def test_windows_by_hand() -> None:
    spec = dataclasses.replace(DENSE, sliding_window=4, windowed_layers=1)
    assert models.attended_positions(spec, 10) == 10 + 4
    assert models.attended_positions(spec, 10, sliding_window=False) == 20
    assert models.macs_per_token(spec, 10).attention_scores == 2 * 3 * 14
    assert models.kv_bytes_per_sequence(spec, 10) == 14 * 6 * 2
    assert models.kv_bytes_per_sequence(spec, 10, sliding_window=False) == 20 * 6 * 2
    assert models.kv_bytes_per_sequence(spec, 3) == 3 * models.kv_bytes_per_token(spec)


def test_weight_formats() -> None:
    total = models.parameters(MOE).total
    assert models.weight_bytes(MOE).total == models.weight_bytes(MOE, "NATIVE").total == total * 2
    assert models.weight_bytes(MOE, "fp8").total == total
    assert models.weight_bytes(MOE, "mxfp4").total == total * 4.25 / 8
    assert models.weight_bytes(MOE, 4).total == models.weight_bytes(MOE, "fp4").total
    native = models.weight_bytes(dataclasses.replace(MOE, expert_weight_bits=4.25))
    assert native.experts == 2 * 6 * 24 * 4.25 / 8
    assert native.shared_experts == 2 * 36 * 2
    assert models.weight_bytes(MOE, np.array([4.0, 8.0])).total == pytest.approx([total / 2, total])


def specs() -> st.SearchStrategy[models.LLMSpec]:
    small = st.integers(1, 9)
    flag = st.booleans()
    shared = {
        "vocab_size": small,
        "hidden_size": small,
        "layers": small,
        "tied_embeddings": flag,
        "gated": flag,
        "attention_bias": flag,
        "output_bias": flag,
        "attention_sinks": flag,
        "mlp_bias": flag,
        "intermediate_size": small,
    }
    gqa = st.fixed_dictionaries(
        {
            "kv_heads": st.sampled_from([1, 2, 4]),
            "query_heads": st.sampled_from([4, 8]),
            "head_dim": small,
            "v_head_dim": st.integers(0, 5),
            "qk_norm": flag,
        }
    )
    mla = st.fixed_dictionaries(
        {
            "attention": st.just("mla"),
            "query_heads": small,
            "q_lora_rank": st.integers(0, 5),
            "kv_lora_rank": small,
            "qk_nope_head_dim": small,
            "qk_rope_head_dim": small,
            "v_head_dim": small,
        }
    )
    moe = st.fixed_dictionaries(
        {
            "experts": st.integers(3, 9),
            "experts_per_token": st.integers(1, 3),
            "expert_intermediate_size": small,
            "router_bias": flag,
            "expert_bias": flag,
            "router_correction_bias": flag,
        }
    )
    return st.builds(
        lambda base, attention, ffn, window: models.LLMSpec(
            name="any",
            **base,
            **attention,
            **ffn,
            **({"sliding_window": window, "windowed_layers": (base["layers"] + 1) // 2} if window else {}),
        ),
        st.fixed_dictionaries(shared),
        gqa | mla,
        st.just({}) | moe,
        st.integers(0, 20),
    )


@settings(max_examples=60, deadline=None)
@given(spec=specs())
@pytest.mark.slow
def test_parts_make_the_whole(spec: models.LLMSpec) -> None:
    counts, macs, stored = models.parameters(spec), models.macs_per_token(spec, 9), models.weight_bytes(spec, "int8")
    assert counts.total == sum(getattr(counts, name) for name in COMPONENTS)
    assert 0 < counts.active <= counts.total
    assert counts.total <= models.hardwired_parameters(spec) + models.embedding_table_elements(spec)
    assert stored.total == sum(getattr(stored, name) for name in COMPONENTS) == counts.total
    assert macs.total == macs.projections + macs.attention_scores + macs.attention_values + macs.unembedding
    assert macs.projections + macs.unembedding <= counts.active


@settings(max_examples=60, deadline=None)
@given(spec=specs(), more=st.integers(1, 5))
@pytest.mark.slow
def test_more_of_anything_is_never_less(spec: models.LLMSpec, more: int) -> None:
    grown = ["layers", "vocab_size", "hidden_size", *(["experts"] if spec.experts else [])]
    for name in grown:
        larger = models.parameters(dataclasses.replace(spec, **{name: getattr(spec, name) + more}))
        assert larger.total > models.parameters(spec).total


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(spec=specs(), contexts=st.lists(st.integers(0, 100), min_size=1, max_size=6))
def test_cache_and_macs_over_arrays(spec: models.LLMSpec, contexts: list[int]) -> None:
    line = np.sort(np.array(contexts))
    batch = np.array([[1], [3]])
    kept = models.kv_bytes_per_sequence(spec, line, batch=batch)
    assert kept.shape == (2, len(contexts))
    assert np.all(np.diff(kept, axis=1) >= 0)
    assert np.all(kept <= models.kv_bytes_per_sequence(spec, line, sliding_window=False, batch=batch))
    for row, sequences in enumerate((1, 3)):
        looped = [models.kv_bytes_per_sequence(spec, int(c), batch=sequences) for c in line]
        assert kept[row] == pytest.approx(looped)
    macs = models.macs_per_token(spec, line)
    assert macs.total == pytest.approx([models.macs_per_token(spec, int(c)).total for c in line])
    assert isinstance(models.macs_per_token(spec, 3).total, float)


@pytest.mark.parametrize(
    "value", [-1, float("nan"), float("inf"), 1e13, 10**400, [10**400], "2K", None, [], [[1], [1, 2]]]
)
def test_bad_contexts(value: object) -> None:
    for function in (models.macs_per_token, models.kv_bytes_per_sequence, models.attended_positions):
        with pytest.raises(InputError, match="context"):
            function(DENSE, value)


@pytest.mark.parametrize("value", [0, -1, float("nan"), 9, "fp16", 10**400])
def test_bad_element_bytes(value: object) -> None:
    with pytest.raises(InputError, match="bytes_per_element"):
        models.kv_bytes_per_token(DENSE, value)
    with pytest.raises(InputError, match="batch"):
        models.kv_bytes_per_sequence(DENSE, 1, batch=-1)


@pytest.mark.parametrize(
    ("value", "match"),
    [
        ("mxfp", "did you mean 'mxfp4'"),
        ("", "unknown weight format"),
        (0, "weight_bits"),
        (-4, "weight_bits"),
        (65, "weight_bits"),
        (float("nan"), "weight_bits"),
        ([4, -1], "weight_bits"),
        (10**400, "weight_bits"),
    ],
)
def test_bad_weight_bits(value: object, match: str) -> None:
    with pytest.raises(InputError, match=match):
        models.weight_bytes(DENSE, value)
