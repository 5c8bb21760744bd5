"""How checkpoints call the matrices of a layer: the names that rules of quantisation speak of.

A name is a path of modules without what stands before "layers" (model., language_model., backbone. ...), which differs
between files of one network. A matrix may have several names: fused and single, old and new.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from models.layers import Matrix

#: Modules of attention projections, and of other mixers, by role.
ATTENTION: dict[str, tuple[str, ...]] = {
    "q": ("q_proj", "qkv_proj", "wq"),
    "k": ("k_proj", "qkv_proj", "wk"),
    "v": ("v_proj", "qkv_proj", "wv"),
    "o": ("o_proj", "wo", "out_proj"),
    "gate": ("gate_proj", "g_proj", "output_gate"),
    "q_a": ("q_a_proj", "wq_a", "fused_qkv_a_proj"),
    "q_b": ("q_b_proj", "wq_b"),
    "kv_a": ("kv_a_proj_with_mqa", "wkv_a", "fused_qkv_a_proj"),
    "kv_b": ("kv_b_proj", "wkv_b"),
    "kv": ("kv_proj", "wkv"),
    "o_a": ("o_a_proj", "wo_a"),
    "o_b": ("o_b_proj", "wo_b"),
    "index_q": ("indexer.wq_b", "indexer.q_proj", "index_q_proj", "indexer.q_b_proj"),
    "index_k": ("indexer.wk", "indexer.k_proj", "index_k_proj"),
    "index_weights": ("indexer.weights_proj", "indexers_proj"),
    "compress_kv": ("compressor.kv_proj", "compressor.wkv"),
    "compress_gate": ("compressor.gate_proj", "compressor.wgate"),
    "index_compress_kv": ("compressor.indexer.kv_proj", "indexer.compressor.wkv"),
    "index_compress_gate": ("compressor.indexer.gate_proj", "indexer.compressor.wgate"),
    "qkvz": ("in_proj_qkvz",),
    "ba": ("in_proj_ba",),
    "qkv": ("in_proj_qkv", "qkv_proj"),
    "z": ("in_proj_z",),
    "b": ("in_proj_b", "b_proj"),
    "a": ("in_proj_a",),
    "in": ("in_proj",),
    "out": ("out_proj",),
    "x": ("x_proj",),
    "dt": ("dt_proj",),
    "linear": ("linear_attn",),
}
#: Modules of a feed-forward block.
BLOCK: dict[str, tuple[str, ...]] = {
    "gate": ("gate_proj", "gate_up_proj", "w1", "input_linear", "fc_in", "dense_h_to_4h", "fc1", "c_fc"),
    "up": ("up_proj", "gate_up_proj", "w3", "input_linear", "fc_in", "dense_h_to_4h", "fc1", "c_fc"),
    "down": ("down_proj", "w2", "output_linear", "fc_out", "dense_4h_to_h", "fc2", "c_proj"),
}


@dataclass(frozen=True)
class Naming:
    """Modules of a family's layers; each may have several names."""

    attention: tuple[str, ...] = ("self_attn", "attn")
    state: tuple[str, ...] = ("linear_attn", "mamba", "conv", "self_attn")
    block: tuple[str, ...] = ("mlp", "ffn")
    experts: tuple[str, ...] = ("mlp.experts", "ffn.experts", "experts")
    shared: tuple[str, ...] = ("mlp.shared_experts", "mlp.shared_expert", "ffn.shared_experts", "shared_mlp")
    router: tuple[str, ...] = ("mlp.gate", "mlp.router", "ffn.gate", "router.proj", "router")
    latent: tuple[str, ...] = ("mlp.fc1_latent_proj", "mlp.fc2_latent_proj")


#: What a matrix of experts needs to be named one by one.
EXPERT = "{expert}"
USUAL = Naming()
NAMINGS: Mapping[str, Naming] = {
    **dict.fromkeys(
        (
            "mixtral", "minimax_m2", "minimax_m3", "phimoe", "granitemoe", "granitemoeshared", "granitemoehybrid",
            "kimi_linear", "kimi_k3",
        ),
        Naming(
            experts=("block_sparse_moe.experts", "block_sparse_moe"),
            shared=("block_sparse_moe.shared_experts", "mlp.shared_experts", "shared_mlp"),
            router=("block_sparse_moe.gate", "mlp.gate", "block_sparse_moe.router"),
            latent=("block_sparse_moe.routed_expert_down_proj", "block_sparse_moe.routed_expert_up_proj"),
        ),
    ),
    # The dense block stands beside the experts, not among them.
    "gemma4": Naming(experts=("experts",), shared=("mlp",), router=("router.proj", "router")),
    **dict.fromkeys(
        ("llama4", "jamba", "bamba", "falcon_h1", "lfm2", "lfm2_moe"),
        Naming(
            block=("feed_forward",),
            experts=("feed_forward.experts",),
            shared=("feed_forward.shared_expert", "feed_forward.shared_experts"),
            router=("feed_forward.router", "feed_forward.gate"),
        ),
    ),
    "nemotron_h": Naming(
        attention=("mixer",),
        state=("mixer",),
        block=("mixer",),
        experts=("mixer.experts",),
        shared=("mixer.shared_experts",),
        router=("mixer.gate",),
        latent=("mixer.fc1_latent_proj", "mixer.fc2_latent_proj"),
    ),
}  # fmt: skip
#: Mixers whose projections are those of a state, not of attention.
_STATES = ("gated-delta", "mamba", "mamba2", "conv", "lightning", "attention and mamba2")
#: Names of the unembedding and of the embedding.
HEAD = ("lm_head", "head", "output", "embed_out")
EMBEDDING = ("embed_tokens", "embeddings", "embed", "wte", "tok_embeddings")


def matrix_names(family: str, mixer: str, matrix: Matrix) -> tuple[str, ...]:
    """Return the names of a matrix below its layer; those of experts hold a place for the expert's number."""
    naming = NAMINGS.get(family, USUAL)
    if matrix.component == "attention":
        modules = naming.state if mixer in _STATES else naming.attention
        return _paths(modules, ATTENTION.get(matrix.role, (matrix.role,)))
    if matrix.component == "router":
        return naming.router
    if matrix.component == "experts":
        roles = BLOCK[matrix.role]
        fused = [f"{module}.{role}" for module in naming.experts for role in roles]
        return (*(f"{module}.{EXPERT}.{role}" for module in naming.experts for role in roles), *fused)
    if matrix.role in ("latent_in", "latent_out"):
        return (naming.latent[matrix.role == "latent_out"],)
    if matrix.role == "shared_gate":
        return ("mlp.shared_expert_gate",)
    if matrix.role not in BLOCK:
        return (matrix.role,)
    modules = naming.shared if matrix.component == "shared_experts" else naming.block
    return _paths(modules, BLOCK[matrix.role])


def _paths(modules: Iterable[str], roles: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{module}.{role}" for module in modules for role in roles)


def is_named_only(matrix: Matrix) -> bool:
    """Return whether rules for all linear layers leave a matrix out: routers and gates of shared experts."""
    return matrix.component == "router" or matrix.role == "shared_gate"


def numbered(names: Iterable[str], layer: int, expert: int) -> list[str]:
    """Return names with the numbers of the layer and of the expert."""
    return [f"layers.{layer}.{name}".replace(EXPERT, str(expert)) for name in names]


def settings_name(value: Any) -> str:
    """Return a setting's name as it is compared: lower case, without underscores and dashes."""
    return str(value).lower().replace("_", "").replace("-", "")
