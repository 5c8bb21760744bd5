"""Feed-forward blocks of layers: dense, or mixtures of experts with some layers dense."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from models.layers import FeedForward, Matrix, block_matrices, dense_block
from models.readers.table import Values


def dense_blocks(values: Values) -> tuple[list[FeedForward], dict[str, Any]]:
    """Return the dense blocks, layer by layer, and the fields of a spec that say the same."""
    widths = values["width"]
    widths = widths if isinstance(widths, list) else [widths] * values["layers"]
    blocks = [
        dense_block(values["hidden"], width, gated=values["gated"], biased=values["mlp_bias"]) for width in widths
    ]
    sizes = {"gated": values["gated"], "intermediate_size": widths[0], "mlp_bias": values["mlp_bias"]}
    return blocks, sizes


def mixtures(values: Values) -> tuple[list[FeedForward], dict[str, Any]]:
    """Return the blocks, layer by layer, of a network with experts, and the fields of a spec that say the same."""
    layers, dense = values["layers"], values["dense"]
    # Without dense layers their width says nothing.
    for name in ("intermediate_size", "intermediate_size_mlp", "dense_intermediate_size"):
        values.config.get(name)
    shared, shared_width = values["shared"], values["shared_width"]
    mixture = mixture_block(values)
    width = values["dense_width"] if dense else 0
    plain = dense_block(values["hidden"], width, gated=values["gated"], biased=values["mlp_bias"])
    sizes = {
        "gated": values["gated"],
        "intermediate_size": width,
        "mlp_bias": values["mlp_bias"],
        "experts": values["experts"],
        "experts_per_token": values["used"],
        "expert_intermediate_size": values["expert_width"],
        "dense_layers": len(dense),
        "shared_experts": shared if shared_width else 0,
        "shared_expert_intermediate_size": shared_width if shared else 0,
        "router_bias": values["router_bias"],
        "router_correction_bias": values["correction"],
        "expert_bias": values["expert_bias"],
    }
    return [plain if layer in dense else mixture for layer in range(layers)], sizes


def mixture_block(values: Values) -> FeedForward:
    """Return the mixture of experts of a layer."""
    hidden, experts = values["hidden"], values["experts"]
    latent = values["latent"]
    matrices = [Matrix(role="router", component="router", inputs=hidden, outputs=experts, biased=values["router_bias"])]
    if latent:
        matrices.append(Matrix(role="latent_in", component="shared_experts", inputs=hidden, outputs=latent))
        matrices.append(Matrix(role="latent_out", component="shared_experts", inputs=latent, outputs=hidden))
    matrices += block_matrices(
        latent or hidden,
        values["expert_width"],
        gated=values["gated"],
        biased=values["expert_bias"],
        component="experts",
        copies=experts,
        used=values["used"],
    )
    shared, width = values["shared"], values["shared_width"]
    if shared and width:
        matrices += block_matrices(
            hidden,
            width,
            gated=values["gated"],
            biased=values["mlp_bias"],
            component="shared_experts",
            copies=shared,
            used=shared,
        )
    if values["shared_gate"]:
        gate = Matrix(role="shared_gate", component="shared_experts", inputs=hidden, outputs=1)
        matrices.append(gate)
    other = values["expert_other"] + (experts if values["correction"] else 0)
    return FeedForward(kind="experts", matrices=tuple(matrices), other=other)


def one_dense(values: Values, width: int) -> FeedForward:
    """Return a dense block of that width."""
    return dense_block(values["hidden"], width, gated=values["gated"], biased=values["mlp_bias"])


def as_shared(block: FeedForward) -> tuple[Matrix, ...]:
    """Return a dense block's matrices as those of an expert that every token uses."""
    return tuple(replace(matrix, component="shared_experts") for matrix in block.matrices)


# Which layers of a mixture of experts have a dense block instead.


def none_dense(values: Values) -> set[int]:
    """Return no layers."""
    return set()


def first_dense(*keys: str, default: int | None = None) -> Callable[[Values], set[int]]:
    """Return the rule that the first layers are dense, and of the rest all but every `moe_layer_freq`-th."""

    def dense(values: Values) -> set[int]:
        config, layers = values.config, values["layers"]
        if config.has("mlp_layer_types"):
            config.get(config.first(*keys))
            config.get("moe_layer_freq")
            return typed_dense(values)
        if isinstance(config.get("moe_layer_freq"), list):
            config.get(config.first(*keys))
            return listed_dense(values)
        first = config.whole(config.first(*keys), default)
        step = config.count("moe_layer_freq", 1)
        return {layer for layer in range(layers) if layer < first or layer % step != 0}

    return dense


def listed_dense(values: Values) -> set[int]:
    """Return the layers whose entry in `moe_layer_freq` is 0."""
    entries = values.config.whole_items("moe_layer_freq", values["layers"])
    return {layer for layer, entry in enumerate(entries) if not entry}


def typed_dense(values: Values) -> set[int]:
    """Return the layers that `mlp_layer_types` calls dense."""
    config, kinds = values.config, values.config.items("mlp_layer_types")
    if len(kinds) != values["layers"] or set(kinds) - {"dense", "sparse"}:
        raise config.error("mlp_layer_types", f"{len(kinds)} entries", f"dense or sparse, {values['layers']} of them")
    return {layer for layer, kind in enumerate(kinds) if kind == "dense"}


def stepped_dense(values: Values) -> set[int]:
    """Return all but every `decoder_sparse_step`-th layer, and those of `mlp_only_layers`."""
    config = values.config
    step, only = config.count("decoder_sparse_step", 1), config.items("mlp_only_layers")
    return {layer for layer in range(values["layers"]) if layer in only or (layer + 1) % step != 0}
