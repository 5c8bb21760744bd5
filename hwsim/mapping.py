"""The mapping of a transformer onto the grid: which matrices sit on a chip, and which vectors cross its links.

A machine is one grid or several, each with a stage of the layers (`hwsim.pipeline`). The columns of a grid share the
heads; the chips of a column split the hidden vector; all chips share the experts, and each has a copy of their router.
The chips of all grids share the unembedding. Section "mapping and dataflow" of the HNLPU paper (ASPLOS '26, doi
10.1145/3779212.3790169). Latent attention (MLA) and dense feed-forwards, which the paper does not treat, are split in
the same way.
"""

from dataclasses import dataclass

import numpy as np

from hwbase import Record, unknown_name
from hwbase.check import Number
from hwsim.distinct import on_distinct
from hwsim.fabric import CHEAPEST
from hwsim.loads import LOADS, grid_loads
from hwsim.pipeline import fullest_layers
from hwsim.topology import PAIRS
from models import LLMSpec, check_plain

#: Every chip has the whole hidden vector and repeats norms and residuals; or the chips share them, and sums end as
#: shares that are gathered where they are used.
NORMS = ("replicated", "sharded")


@dataclass(frozen=True)
class Matrix(Record):
    """One weight matrix on a chip: `inputs` x `outputs`, with `copies` in each of `layers` layers.

    `active` is the share of the copies that one token uses, `depth` the matrix's place in a layer's chain of
    projections.
    """

    name: str
    inputs: Number
    outputs: Number
    copies: Number
    layers: Number
    active: float
    depth: int

    @property
    def weights(self) -> Number:
        """Weights of all copies on one chip."""
        return self.inputs * self.outputs * self.copies * self.layers


@dataclass(frozen=True)
class Collective(Record):
    """One exchange of a layer: vectors of `elements` elements, along a "column" or a "row" of the grid."""

    name: str
    kind: str
    axis: str
    elements: Number


def matrices(model: LLMSpec, rows: Number, columns: Number, stages: Number = 1) -> list[Matrix]:
    """Return the matrices on each chip of the fullest of `stages` grids, of `rows` x `columns` chips each.

    Sizes are fractions where the heads do not divide. A stage has the layers with experts before dense ones.
    """
    check_plain(model, "the mapping onto hardwired chips")
    h, chips = model.hidden_size, rows * columns
    layers = fullest_layers(model.layers, stages)
    moe_layers = np.minimum(model.moe_layers, layers)[()]
    dense_layers = layers - moe_layers
    gates = 2 if model.gated else 1
    placed = [*_attention(model, rows, columns, layers)]
    if model.moe_layers:
        e = model.expert_intermediate_size
        used = model.experts_per_token / model.experts
        placed += [
            Matrix("router", h, model.experts, 1.0, moe_layers, 1.0, 4),
            Matrix("expert up and gate", h, gates * e, model.experts / chips, moe_layers, used, 5),
            Matrix("expert down", e, h, model.experts / chips, moe_layers, used, 6),
        ]
        if model.shared_experts:
            placed += _split("shared expert", h, _shared_width(model), gates, chips, moe_layers)
    if model.dense_ffn_layers:
        placed += _split("feed-forward", h, model.intermediate_size, gates, chips, dense_layers)
    return [*placed, Matrix("unembedding", h, model.vocab_size / (chips * stages), 1.0, 1, 1.0, 7)]


def collectives(
    model: LLMSpec, rows: Number, columns: Number, statistics: bool = True, norms: str = "replicated"
) -> list[Collective]:
    """Return the exchanges of one layer.

    Parameters
    ----------
    model : LLMSpec
    rows, columns : int or array
        Chips of a column and of a row of the grid.
    statistics : bool
        Whether to count the softmax maxima and sums, which the paper does not.
    norms : str
        One of `NORMS`. Where norms are sharded, the sum of squares of a share travels with it, and the factor of the
        norm is applied to what a projection gives.

    Returns
    -------
    list of Collective
        In the order in which a layer needs them.

    Raises
    ------
    InputError
        For unknown `norms`.
    """
    if norms not in NORMS:
        raise unknown_name("norms", norms, NORMS)
    h = model.hidden_size
    if model.attention == "mla":
        latent = model.kv_lora_rank + model.qk_rope_head_dim
        attended = model.query_heads * model.v_head_dim
        rank = model.q_lora_rank
        queries = rank or model.query_heads * model.qk_dim
        first = [
            Collective("query latent" if rank else "query", "all-reduce", "column", queries / columns),
            Collective("key-value latent", "all-reduce", "column", latent / columns),
            Collective("latents", "all-gather", "row", ((model.q_lora_rank or 0) + latent) / columns),
        ]
    else:
        attended = model.query_heads * model.value_dim
        cached = model.kv_heads * (model.qk_dim + model.value_dim)
        first = [
            Collective("query", "all-reduce", "column", model.query_heads * model.qk_dim / columns),
            Collective("key and value", "reduce", "column", cached / columns),
        ]
    softmax = [Collective("softmax statistics", "all-reduce", "column", 2 * model.query_heads / columns)]
    attention = [*first, *(softmax if statistics else [])]
    attention.append(Collective("attention output", "all-reduce", "column", attended / columns))
    if norms == "sharded":
        share = h / (rows * columns) + 1.0
        return [
            Collective("own hidden vector", "all-gather", "row", share),
            *attention,
            Collective("output projection", "reduce-scatter", "row", h / rows),
            Collective("hidden vector", "all-gather", "column", share),
            Collective("hidden vector", "all-gather", "row", share * rows),
            Collective("feed-forward sum", "reduce-scatter", "column", h),
            Collective("feed-forward sum", "reduce-scatter", "row", h / rows),
        ]
    return [
        *attention,
        Collective("output projection", "all-reduce", "row", h / rows),
        Collective("hidden vector", "all-gather", "column", h / rows),
        Collective("feed-forward sum", "all-reduce", "row", h),
        Collective("feed-forward sum", "all-reduce", "column", h),
    ]


def link_elements(
    exchanges: list[Collective],
    rows: Number,
    columns: Number,
    algorithm: str,
    rotating: bool = False,
    *,
    topology: str = PAIRS,
    step_elements: Number = 0.0,
) -> dict[str, Number]:
    """Return the load of one layer on the links of the grid.

    Parameters
    ----------
    exchanges : list of Collective
    rows, columns : int or array
        Chips of a column and of a row of the grid.
    algorithm : str
        One of `hwsim.fabric.COLLECTIVES`.
    rotating : bool
        A reduce ends on the chip that keeps the position, and each position has another one. Whether to count what a
        link carries on average over positions, instead of what it carries for a position of its own chip. Where chips
        are not joined pairwise, the average is counted always.
    topology : str
        One of `hwsim.topology.TOPOLOGIES`.
    step_elements : float or array
        Elements that a link carries in the latency of a step, for the algorithm with the least time.

    Returns
    -------
    dict of str to float or array
        Elements over the busiest link of a "column" and of a "row", dependent "steps", and the elements of their
        "path" (see `hwsim.fabric.LinkLoad`).
    """
    loads = grid_loads(exchanges, rows, columns, algorithm, topology, step_elements, rotating)
    return {name: loads[name] for name in ("column", "row", "steps", "path")}


def layer_links(
    model: LLMSpec,
    rows: Number,
    columns: Number,
    algorithm: str,
    *,
    statistics: bool = True,
    rotating: bool = False,
    norms: str = "replicated",
    topology: str = PAIRS,
    step_elements: Number = 0.0,
) -> dict[str, Number]:
    """Return `link_elements` of a model's `collectives`; each distinct grid of a sweep is computed once.

    Parameters
    ----------
    model : LLMSpec
    rows, columns : int or array
        Chips of a column and of a row of the grid.
    algorithm, rotating, topology, step_elements
        As in `link_elements`.
    statistics, norms
        As in `collectives`.

    Returns
    -------
    dict of str to float or array
        As `link_elements` returns, and elements over the mean link of each axis: "column_mean", "row_mean".
    """
    # The latency of a step matters to the choice of an algorithm alone.
    step = step_elements if algorithm == CHEAPEST else 0.0

    def loads(rows: Number, columns: Number, step: Number) -> tuple[Number, ...]:
        exchanges = collectives(model, rows, columns, statistics, norms)
        totals = grid_loads(exchanges, rows, columns, algorithm, topology, step, rotating)
        return tuple(totals[name] for name in LOADS)

    return dict(zip(LOADS, on_distinct(loads, rows, columns, step), strict=True))


def attention_macs_per_position(model: LLMSpec) -> int:
    """Return multiply-accumulates per cached position, layer and token: each query head with its keys and values."""
    if model.attention == "mla":
        return model.query_heads * (2 * model.kv_lora_rank + model.qk_rope_head_dim)
    return model.query_heads * (model.qk_dim + model.value_dim)


def norm_elements(model: LLMSpec, chips: Number, norms: str = "replicated") -> Number:
    """Return element operations of one layer on one of `chips` chips: two norms (two passes each), two residuals."""
    return (2 * 2 + 2) * model.hidden_size / (chips if norms == "sharded" else 1)


def gating_elements(model: LLMSpec, chips: Number, skew: Number = 1.0) -> Number:
    """Return element operations of the gating of one layer on one of `chips` chips, which share it.

    `skew` is the work of the chip with most active experts over the mean.
    """
    if model.experts:
        gated = model.experts_per_token * model.expert_intermediate_size + _shared_width(model)
    else:
        gated = model.intermediate_size
    return 2.0 * gated * skew / chips


def _attention(model: LLMSpec, rows: Number, columns: Number, layers: Number) -> list[Matrix]:
    h, chips = model.hidden_size, rows * columns
    if model.attention == "mla":
        latent = model.kv_lora_rank + model.qk_rope_head_dim
        queries = model.query_heads * (model.qk_nope_head_dim + model.qk_rope_head_dim)
        expanded = model.query_heads * (model.qk_nope_head_dim + model.v_head_dim)
        value = model.query_heads * model.v_head_dim
        rank = model.q_lora_rank
        query = (
            [
                Matrix("query down", h / rows, rank / columns, 1.0, layers, 1.0, 1),
                Matrix("query up", rank, queries / chips, 1.0, layers, 1.0, 2),
            ]
            if rank
            else [Matrix("query", h / rows, queries / columns, 1.0, layers, 1.0, 1)]
        )
        return [
            *query,
            Matrix("key-value down", h / rows, latent / columns, 1.0, layers, 1.0, 1),
            Matrix("key-value up", model.kv_lora_rank, expanded / chips, 1.0, layers, 1.0, 2),
            Matrix("attention output", value / columns, h / rows, 1.0, layers, 1.0, 3),
        ]
    attended, cached = model.query_heads * model.value_dim, model.kv_heads * (model.qk_dim + model.value_dim)
    own = h / rows
    return [
        Matrix("query", own, model.query_heads * model.qk_dim / columns, 1.0, layers, 1.0, 1),
        Matrix("key and value", own, cached / columns, 1.0, layers, 1.0, 1),
        Matrix("attention output", attended / columns, own, 1.0, layers, 1.0, 2),
    ]


def _shared_width(model: LLMSpec) -> int:
    """Inner width of all shared experts of a layer together."""
    return model.shared_experts * model.shared_expert_intermediate_size


def _split(name: str, hidden: int, width: int, gates: int, chips: Number, layers: Number) -> list[Matrix]:
    """Return a dense feed-forward whose inner vector is split over the chips."""
    return [
        Matrix(f"{name} up", hidden, gates * width / chips, 1.0, layers, 1.0, 5),
        Matrix(f"{name} down", width / chips, hidden, 1.0, layers, 1.0, 6),
    ]
