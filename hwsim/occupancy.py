"""The time that one token occupies each resource of a hardwired machine, and its path through an empty machine.

There are two accounts: `published`, behind Figure 14 of the HNLPU paper (ASPLOS '26, doi 10.1145/3779212.3790169), and
`occupancy`, from the stated rates alone. Both broadcast over design and context.
"""

from dataclasses import dataclass

import numpy as np

from hwbase import Record
from hwbase.check import Number
from hwsim.circuits import neuron_levels, pipeline_cycles
from hwsim.design import HardwiredDesign
from hwsim.mapping import attention_macs_per_position, layer_links, matrices, nonlinear_elements
from hwsim.technology import Technology
from hwsim.weights import weight_format
from models import LLMSpec, attended_positions, kv_bytes_per_sequence


@dataclass(frozen=True)
class Occupancy(Record):
    """Seconds that one token occupies each resource in all layers: links (busiest, mean), HN array, VEX, memories."""

    links: Number
    links_mean: Number
    hn: Number
    vex_attention: Number
    vex_nonlinear: Number
    buffer: Number
    hbm: Number

    @property
    def vex(self) -> Number:
        """Seconds of the VEX of a chip."""
        return self.vex_attention + self.vex_nonlinear


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
    """
    elements = layer_links(model, design.rows, design.columns, design.collective, statistics=False)
    counted = np.where(np.greater(design.rows, 1), elements["column"], elements["row"])
    links = model.layers * counted * design.link_element_bytes / design.link_bandwidth_bytes_per_s
    projection = model.layers * design.published_projection_passes * design.activation_bits / design.clock_hz
    nonlinear = model.layers * model.hidden_size / design.published_nonlinear_lanes / design.clock_hz
    attention = _attention_s(model, design, context, windows) / design.published_vex_speedup
    return Occupancy(links, links, projection, attention, nonlinear, 0.0, 0.0)


def occupancy(model: LLMSpec, design: HardwiredDesign, context: Number, sequences: Number, windows: bool) -> Occupancy:
    """Return the time that one token occupies each resource, from stated rates; nothing is fitted.

    Links: elements over the busiest link of a row or column, averaged over positions, which the chips keep in turn. HN:
    bit-serial passes of one array (each layer has its own). VEX: score and value products over its multipliers, element
    operations over its lanes; the one VEX of a chip serves all layers. Buffer and HBM: keys and values read, from HBM
    for the share of all sequences that the buffers do not hold.

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
    elements = layer_links(model, design.rows, design.columns, design.collective, rotating=True)
    busiest = np.maximum(elements["column"], elements["row"])
    # A chip has a link to every other chip of its column and of its row.
    on_column, on_row = np.subtract(design.rows, 1.0), np.subtract(design.columns, 1.0)
    links = np.maximum(on_column + on_row, 1.0)
    mean = (on_column * elements["column"] + on_row * elements["row"]) / links
    element_s = model.layers * design.link_element_bytes / design.link_bandwidth_bytes_per_s
    hn = design.activation_bits / design.clock_hz
    nonlinear = model.layers * np.ceil(nonlinear_elements(model, design.chips) / design.vex_lanes) / design.clock_hz
    kv = kv_bytes_per_sequence(model, context, design.kv_element_bytes, sliding_window=windows)
    spilled = np.maximum(1.0 - design.buffer_bytes * design.chips / (kv * sequences), 0.0)
    per_chip = kv / design.chips
    return Occupancy(
        links=busiest * element_s,
        links_mean=mean * element_s,
        hn=hn,
        vex_attention=_attention_s(model, design, context, windows),
        vex_nonlinear=nonlinear,
        buffer=per_chip / design.buffer_bandwidth_bytes_per_s,
        hbm=per_chip * spilled / np.maximum(design.hbm_bandwidth_bytes_per_s, 1.0),
    )


def unloaded_path(
    model: LLMSpec, design: HardwiredDesign, technology: Technology, context: Number, windows: bool
) -> dict[str, Number]:
    """Return the seconds that one token takes through an empty machine.

    Each step of a collective takes the link latency and the time of its bytes; each pass of a projection takes the
    activation bits and the depth of the pipeline; attention computes while it reads the buffers and takes the longer of
    the two.

    Parameters
    ----------
    model : LLMSpec
    design : HardwiredDesign
    technology : Technology
    context : int or array
        Positions that the token attends to.
    windows : bool
        Whether windowed layers attend to their window alone.

    Returns
    -------
    dict of str to float or array
        Seconds of "communication", "projection", "nonlinear" and "attention", all layers together.
    """
    elements = layer_links(model, design.rows, design.columns, design.collective)
    transfer_s = elements["path"] * design.link_element_bytes / design.link_bandwidth_bytes_per_s
    placed = matrices(model, design.rows, design.columns)
    fmt = weight_format(design.weight_format, technology)
    passes: dict[int, Number] = {}
    for matrix in placed:
        levels = neuron_levels(matrix.inputs, fmt, design.popcnt_slack)
        cycles = design.activation_bits + pipeline_cycles(levels, technology, design.clock_hz)
        passes[matrix.depth] = np.maximum(passes.get(matrix.depth, 0.0), cycles)
    last = max(passes)
    chain = sum(cycles for depth, cycles in passes.items() if depth != last)
    nonlinear = np.ceil(nonlinear_elements(model, design.chips) / design.vex_lanes)
    kv = kv_bytes_per_sequence(model, context, design.kv_element_bytes, sliding_window=windows)
    read_s = kv / design.chips / design.buffer_bandwidth_bytes_per_s
    return {
        "communication": model.layers * (elements["steps"] * design.link_latency_s + transfer_s),
        "projection": (model.layers * chain + passes[last]) / design.clock_hz,
        "nonlinear": model.layers * nonlinear / design.clock_hz,
        "attention": np.maximum(_attention_s(model, design, context, windows), read_s),
    }


def _attention_s(model: LLMSpec, design: HardwiredDesign, context: Number, windows: bool) -> Number:
    macs = attention_macs_per_position(model) * attended_positions(model, context, windows)
    return macs / design.chips / design.vex_macs / design.clock_hz
