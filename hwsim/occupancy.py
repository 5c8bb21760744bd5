"""The time that one token occupies each resource of a hardwired machine, and its path through an empty machine.

There are two accounts: `published`, behind Figure 14 of the HNLPU paper (ASPLOS '26, doi 10.1145/3779212.3790169), and
`occupancy`, from the stated rates alone. Both broadcast over design and context.
"""

from dataclasses import dataclass

import numpy as np

from hwbase import InputError, Record
from hwbase.check import Number
from hwsim.arrays import array_format, interval_cycles, pass_cycles
from hwsim.design import HardwiredDesign
from hwsim.mapping import attention_macs_per_position, gating_elements, layer_links, matrices, norm_elements
from hwsim.pipeline import Handover, fullest_layers, handover, imbalance
from hwsim.technology import Technology
from hwsim.topology import PAIRS, mean_links
from hwsim.weight_fabrics.machine import METAL
from models import LLMSpec, attended_positions, kv_bytes_per_sequence

#: Settings of a mapping for which the account of the paper has no terms.
UNPUBLISHED = frozenset({"pipeline_stages", "norms", "grid_topology", "fabric"})


@dataclass(frozen=True)
class Occupancy(Record):
    """Seconds that one token occupies each resource: links, HN array, VEX, memories.

    `grid_links` and `stage_links` are the busiest within and between pipeline stages, `links_mean` the mean of all
    links; where the two are of different classes, that of the grid, beside `stage_links_mean`. VEX and memories are
    those of the fullest pipeline stage; `even` is the mean of all stages over it.
    """

    grid_links: Number
    links_mean: Number
    hn: Number
    vex_attention: Number
    vex_nonlinear: Number
    buffer: Number
    hbm: Number
    even: Number = 1.0
    stage_links: Number = 0.0
    stage_links_mean: Number = 0.0

    @property
    def links(self) -> Number:
        """Seconds of the busiest link."""
        return np.maximum(self.grid_links, self.stage_links)

    @property
    def vex(self) -> Number:
        """Seconds of the VEX of a chip."""
        return self.vex_attention + self.vex_nonlinear


def is_published(design: HardwiredDesign) -> bool:
    """Return whether the paper's account has `design`: one stage, replicated norms, pairwise links, metal."""
    one_stage = not np.any(np.greater(design.pipeline_stages, 1))
    joined = design.norms == "replicated" and design.grid_topology == PAIRS
    return one_stage and joined and design.fabric == METAL


def published(model: LLMSpec, design: HardwiredDesign, context: Number, sequences: Number, windows: bool) -> Occupancy:
    """Return the occupancies behind Figure 14: link time from the messages, the others from fitted constants.

    Only the links of a column count (of a row, where the grid has one row), softmax statistics are not sent, and buffer
    and HBM take no time. The projection constant is in bit-serial passes a layer; the attention constant is the factor
    by which the VEX would have to exceed its stated rate.

    Parameters
    ----------
    model : LLMSpec
    design : HardwiredDesign
    context : int or array
        Positions that a token attends to.
    sequences : int or array
        Sequences whose keys and values the machine holds. Not used: this account has no memory.
    windows : bool
        Whether windowed layers attend to their window alone.

    Returns
    -------
    Occupancy
        Seconds; broadcasts over design, context and sequences.

    Raises
    ------
    InputError
        For a mapping that the paper does not have: pipeline stages, sharded norms.
    """
    if not is_published(design):
        raise InputError(
            "reading = 'as-published': expected one pipeline stage, replicated norms, a row-column grid and "
            "Metal-Embedding, as the paper has; the pipelined reading takes any"
        )
    elements = grid_load(model, design, statistics=False)
    counted = np.where(np.greater(design.rows, 1), elements["column"], elements["row"])
    links = model.layers * counted * design.link_element_bytes / design.grid_bandwidth_bytes_per_s
    projection = model.layers * design.published_projection_passes * design.activation_bits / design.clock_hz
    nonlinear = model.layers * model.hidden_size / design.published_nonlinear_lanes / design.clock_hz
    attention = _attention_s(model, design, context, windows) / design.published_vex_speedup
    return Occupancy(links, links, projection, attention, nonlinear, 0.0, 0.0)


def occupancy(model: LLMSpec, design: HardwiredDesign, context: Number, sequences: Number, windows: bool) -> Occupancy:
    """Return the time that one token occupies each resource, from stated rates; nothing is fitted.

    Links: elements over the busiest link of a row or column, averaged over positions, which the chips keep in turn. HN:
    passes of one array (each layer has its own), bit-serial in metal. VEX: score and value products over its
    multipliers, element operations over its lanes; the one VEX of a chip serves all layers. Buffer and HBM: keys and
    values read, from HBM for the share of all sequences that the buffers do not hold.

    Parameters
    ----------
    model : LLMSpec
    design : HardwiredDesign
    context : int or array
        Positions that a token attends to.
    sequences : int or array
        Sequences whose keys and values the machine holds.
    windows : bool
        Whether windowed layers attend to their window alone.

    Returns
    -------
    Occupancy
        Seconds; broadcasts over design, context and sequences.
    """
    elements = grid_load(model, design, rotating=True)
    between = stage_handover(model, design)
    layers = fullest_layers(model.layers, design.pipeline_stages)
    grid_s, stage_s = (
        layers * design.link_element_bytes / bandwidth
        for bandwidth in (design.grid_bandwidth_bytes_per_s, design.stage_bandwidth_bytes_per_s)
    )
    on_column, on_row = (mean_links(design.grid_topology, side) for side in (design.rows, design.columns))
    in_stages = (on_column * elements["column_mean"] + on_row * elements["row_mean"]) * (
        model.layers / design.pipeline_stages / layers
    )
    between_mean = between.links * between.mean / layers
    if design.one_class:
        links = np.maximum(design.links_per_chip, 1.0)
        mean_s, stage_mean_s = (in_stages + between_mean) / links * grid_s, 0.0
    else:
        mean_s = in_stages / np.maximum(design.grid_links_per_chip, 1.0) * grid_s
        stage_mean_s = between_mean / np.maximum(between.links, 1.0) * stage_s
    hn = interval_cycles(design) / design.clock_hz
    uneven = imbalance(model, design.pipeline_stages, context, windows)
    kv = kv_bytes_per_sequence(model, context, design.kv_element_bytes, sliding_window=windows) * uneven
    spilled = spilled_share(model, design, context, sequences, windows)
    per_chip = kv / design.chips
    return Occupancy(
        grid_links=np.maximum(elements["column"], elements["row"]) * grid_s,
        stage_links=between.elements / layers * stage_s,
        links_mean=mean_s,
        stage_links_mean=stage_mean_s,
        hn=hn,
        vex_attention=_attention_s(model, design, context, windows) * uneven
        + layers * design.vex_startup_cycles / design.clock_hz,
        vex_nonlinear=layers * _nonlinear_cycles(model, design) / design.clock_hz,
        buffer=per_chip / design.buffer_bandwidth_bytes_per_s,
        hbm=per_chip * spilled / np.maximum(design.hbm_bandwidth_bytes_per_s, 1.0),
        even=1.0 / uneven,
    )


def stage_handover(model: LLMSpec, design: HardwiredDesign) -> Handover:
    """Return the load of the hidden vectors that cross between the pipeline stages of `design`."""
    shares = design.rows * design.columns if design.norms == "sharded" else 1.0
    return handover(design.pipeline_stages, model.hidden_size / shares, design.stage_topology)


def grid_load(
    model: LLMSpec, design: HardwiredDesign, *, statistics: bool = True, rotating: bool = False
) -> dict[str, Number]:
    """Return `layer_links` of a design, whose parameters `statistics` and `rotating` are."""
    return layer_links(
        model,
        design.rows,
        design.columns,
        design.collective,
        statistics=statistics,
        rotating=rotating,
        norms=design.norms,
        topology=design.grid_topology,
        step_elements=step_elements(design),
    )


def step_elements(design: HardwiredDesign) -> Number:
    """Return the elements that a link of the grid carries in the latency of a step."""
    return design.hop_s * design.grid_bandwidth_bytes_per_s / design.link_element_bytes


def unloaded_path(
    model: LLMSpec,
    design: HardwiredDesign,
    technology: Technology,
    context: Number,
    windows: bool,
    sequences: Number | None = None,
) -> dict[str, Number]:
    """Return the seconds that one token takes through an empty machine.

    Each step of a collective takes the link latency and the time of its bytes; each pass of a projection takes the
    activation bits and the depth of the pipeline; attention computes while it reads the buffers and takes the longer of
    the two, after the keys and values that come from HBM have arrived.

    Parameters
    ----------
    model : LLMSpec
    design : HardwiredDesign
    technology : Technology
    context : int or array
        Positions that the token attends to.
    windows : bool
        Whether windowed layers attend to their window alone.
    sequences : int or array, optional
        Sequences whose keys and values the machine holds, which decides what comes from HBM; nothing does without it.

    Returns
    -------
    dict of str to float or array
        Seconds of "communication", "projection", "nonlinear" and "attention", all layers together.
    """
    elements = grid_load(model, design)
    between = stage_handover(model, design)
    payload = design.link_element_bytes
    layer_s = elements["steps"] * design.hop_s + elements["path"] * payload / design.grid_bandwidth_bytes_per_s
    stage_s = between.steps * design.stage_link.latency_s + between.path * payload / design.stage_bandwidth_bytes_per_s
    placed = matrices(model, design.rows, design.columns, design.pipeline_stages)
    fmt = array_format(design, technology)
    passes: dict[int, Number] = {}
    for matrix in placed:
        cycles = pass_cycles(matrix, design, technology, fmt)
        passes[matrix.depth] = np.maximum(passes.get(matrix.depth, 0.0), cycles)
    last = max(passes)
    chain = sum(cycles for depth, cycles in passes.items() if depth != last)
    kv = kv_bytes_per_sequence(model, context, design.kv_element_bytes, sliding_window=windows)
    read_s = kv / design.stage_chips / design.buffer_bandwidth_bytes_per_s
    # The chips of the other stages do not help with the attention of a layer.
    attention_s = _attention_s(model, design, context, windows) * design.pipeline_stages
    path_s = {
        "communication": model.layers * layer_s + stage_s,
        "projection": (model.layers * chain + passes[last]) / design.clock_hz,
        "nonlinear": model.layers * _nonlinear_cycles(model, design) / design.clock_hz,
        "attention": np.maximum(attention_s + model.layers * design.vex_startup_cycles / design.clock_hz, read_s),
    }
    if sequences is not None:
        other_s = (path_s["communication"] + path_s["projection"] + path_s["nonlinear"]) / model.layers
        waits_s = _memory_waits_s(model, design, context, sequences, windows, other_s, path_s["attention"])
        path_s["attention"] = path_s["attention"] + waits_s
    return path_s


def _memory_waits_s(
    model: LLMSpec,
    design: HardwiredDesign,
    context: Number,
    sequences: Number,
    windows: bool,
    other_s: Number,
    attention_s: Number,
) -> Number:
    """Return the seconds for which the attention of a lone token waits for HBM.

    The keys and values of a layer are requested when the layer before it begins, and take up to that layer's time
    unnoticed: `other_s` a layer, and its share of `attention_s`. Windowed layers, which stand between the others, hide
    less.
    """
    windowed = model.windowed_layers if windows else 0
    whole = model.layers - windowed
    if not whole:
        return 0.0
    reached = np.minimum(context, model.sliding_window) if windowed else 0.0
    share = context / (whole * context + windowed * reached)
    in_window = 1.0 / windowed - whole * share / windowed if windowed else 0.0
    kv = kv_bytes_per_sequence(model, context, design.kv_element_bytes, sliding_window=windows)
    read_s = kv * share / design.stage_chips / np.maximum(design.hbm_bandwidth_bytes_per_s, 1.0)
    from_hbm_s = read_s * spilled_share(model, design, context, sequences, windows)
    after_window = min(windowed, whole)
    return after_window * np.maximum(from_hbm_s - other_s - in_window * attention_s, 0.0) + (
        whole - after_window
    ) * np.maximum(from_hbm_s - other_s - share * attention_s, 0.0)


def spilled_share(model: LLMSpec, design: HardwiredDesign, context: Number, sequences: Number, windows: bool) -> Number:
    """Return the share of the keys and values of so many sequences that the buffers do not hold."""
    uneven = imbalance(model, design.pipeline_stages, context, windows)
    kv = kv_bytes_per_sequence(model, context, design.kv_element_bytes, sliding_window=windows) * uneven
    return np.maximum(1.0 - design.buffer_bytes * design.chips / (kv * sequences), 0.0)


def _attention_s(model: LLMSpec, design: HardwiredDesign, context: Number, windows: bool) -> Number:
    """Return the seconds of a chip's VEX for the attention of all layers, if all chips share it evenly."""
    positions = attended_positions(model, context, windows)
    macs = attention_macs_per_position(model) * positions
    # Operations on the lanes for the exponentials of the softmax; none where the VEX hides them.
    exponentials = model.query_heads * positions * design.vex_operations_per_exponential
    return (
        macs / design.chips / design.vex_macs / design.clock_hz
        + exponentials / design.chips / design.vex_lanes / design.clock_hz
    )


def _nonlinear_cycles(model: LLMSpec, design: HardwiredDesign) -> Number:
    """Return the cycles of a chip's VEX for norms, residuals and gating of one layer, in two visits."""
    elements = norm_elements(model, design.stage_chips, design.norms)
    elements = elements + gating_elements(model, design.stage_chips, design.expert_skew)
    return np.ceil(elements / design.vex_lanes) + 2.0 * design.vex_startup_cycles
