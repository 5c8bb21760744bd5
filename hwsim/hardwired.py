"""Closed-form speed, energy and checks of a hardwired machine, in two readings.

`as-published`: a token's time on every resource is summed, as the breakdown of the HNLPU paper's Figure 14 implies;
link time follows from the messages, the rest from three constants fitted to that figure. `pipelined`: resources
overlap, nothing is fitted, the slowest resource sets the pace and the token's path without load its latency.
All design, context and batch inputs broadcast.
"""

from dataclasses import dataclass

import numpy as np

from hwbase import Record, unknown_name
from hwbase.check import Number, count
from hwsim.chip import Chip, build_chip
from hwsim.circuits import neuron_levels, pipeline_cycles
from hwsim.design import HardwiredDesign
from hwsim.mapping import (
    attention_macs_per_position,
    collectives,
    link_elements,
    matrices,
    nonlinear_elements,
)
from hwsim.results import Check, SimResult
from hwsim.technology import Technology
from hwsim.weights import weight_format
from models import LLMSpec, attended_positions, kv_bytes_per_sequence, parameters

READINGS = ("as-published", "pipelined")
#: Longest context and largest batch taken as meant.
MOST_CONTEXT, MOST_BATCH = 1e8, 1e7


@dataclass(frozen=True)
class Occupancy(Record):
    """Seconds that one token takes of each resource, all layers together."""

    links: Number
    hn: Number
    vex_attention: Number
    vex_nonlinear: Number
    buffer: Number
    hbm: Number

    @property
    def vex(self) -> Number:
        """Seconds of the one VEX of a chip."""
        return self.vex_attention + self.vex_nonlinear


def simulate_hardwired(
    model: LLMSpec,
    design: HardwiredDesign,
    technology: Technology,
    *,
    context: Number = 2048,
    batch: Number | None = None,
    prompt: Number | None = None,
    reading: str = "as-published",
    sliding_window: bool | None = None,
) -> SimResult:
    """Return the speed, energy and size of `model` on `design` when `batch` sequences decode at `context` positions.

    `batch` defaults to the machine's token slots (stages per layer x layers), `prompt` (for the time to first token)
    to `context`. `sliding_window` defaults to off in `as-published` (as the paper's linear attention implies) and on
    in `pipelined`. Raises `InputError` for an unknown reading and for numbers out of range.
    """
    if reading not in READINGS:
        raise unknown_name("reading", reading, READINGS)
    context = count("context", context, high=MOST_CONTEXT)
    prompt = context if prompt is None else count("prompt", prompt, high=MOST_CONTEXT)
    slots = design.stages_per_layer * model.layers
    batch = slots if batch is None else count("batch", batch, high=MOST_BATCH)
    windows = reading == "pipelined" if sliding_window is None else sliding_window
    chip = build_chip(model, design, technology)
    held = _held_sequences(model, design, context, windows)
    in_flight = (
        np.minimum(np.minimum(batch, slots), np.maximum(held, 1.0))
        if reading == "pipelined"
        else (np.minimum(batch, slots))
    )
    per_token = (published if reading == "as-published" else occupancy)(model, design, context, in_flight, windows)
    path_s = unloaded_path(model, design, technology, context, windows)
    interval_s, bound = _interval(per_token, reading)
    stall_s = (
        _published_stall(model, design, context, slots * interval_s, windows) / slots
        if (reading == "as-published")
        else 0.0
    )
    interval_s = np.maximum(interval_s + stall_s, _total(path_s) / in_flight)
    # Sequences beyond the slots wait their turn, so each sees its next token later.
    latency_s = interval_s * np.maximum(in_flight, np.minimum(batch, np.maximum(held, 1.0)))
    tokens_per_s = 1.0 / interval_s
    bound = np.where(np.isclose(interval_s, _total(path_s) / in_flight), "latency", bound)[()]
    power_w = _power(chip, design, per_token, interval_s, reading)
    half = (published if reading == "as-published" else occupancy)(
        model, design, np.maximum(np.asarray(prompt) / 2.0, 1.0), np.minimum(in_flight, 1.0), windows
    )
    first_s = _total(unloaded_path(model, design, technology, prompt, windows)) + prompt * _interval(half, reading)[0]
    checks = resource_checks(model, design, chip, context, batch, windows, tokens_per_s)
    return SimResult(
        machine=design.name,
        model=model.name,
        reading=reading,
        context=context,
        batch=batch,
        chips=design.chips,
        tokens_per_s=tokens_per_s,
        latency_s=latency_s,
        interval_s=interval_s,
        time_to_first_token_s=first_s,
        energy_j_per_token=power_w / tokens_per_s,
        power_w=power_w,
        area_mm2=chip.area_mm2 * design.chips,
        bound_by=str(bound) if np.ndim(bound) == 0 else bound,
        breakdown=_breakdown(per_token, path_s, stall_s, interval_s, latency_s, reading),
        occupancy_s={
            "links": per_token.links,
            "hn": per_token.hn,
            "vex": per_token.vex,
            "buffer": per_token.buffer,
            "hbm": per_token.hbm,
        },
        kv_bytes_per_sequence=kv_bytes_per_sequence(model, context, design.kv_element_bytes, sliding_window=windows),
        checks=checks,
        notes=_notes(checks, reading),
    )


def published(model: LLMSpec, design: HardwiredDesign, context: Number, in_flight: Number, windows: bool) -> Occupancy:
    """Return the occupancies behind Figure 14: link time from the messages, the others scaled from fitted constants.

    Only the link of a column counts (of the row, where that is all there is), softmax statistics are not sent, and HBM
    never shows. The projection constant is in bit-serial passes a layer, the attention one the factor by which the VEX
    would have to exceed its stated rate.
    """
    exchanges = collectives(model, design.rows, design.columns, statistics=False)
    elements = link_elements(exchanges, design.rows, design.columns, design.collective)
    counted = np.where(np.greater(design.rows, 1), elements["column"], elements["row"])
    links = model.layers * counted * design.link_element_bytes / design.link_bandwidth_bytes_per_s
    projection = model.layers * design.published_projection_passes * design.activation_bits / design.clock_hz
    nonlinear = model.layers * model.hidden_size / design.published_nonlinear_lanes / design.clock_hz
    attention = _attention_s(model, design, context, windows) / design.published_vex_speedup
    return Occupancy(links, projection, attention, nonlinear, 0.0, 0.0)


def occupancy(model: LLMSpec, design: HardwiredDesign, context: Number, in_flight: Number, windows: bool) -> Occupancy:
    """Return what one token takes of each resource, nothing fitted.

    Links: elements over the busiest link of a row or column. HN: bit-serial passes of one array (each layer has its
    own). VEX: score and value products over its multipliers, element operations over its lanes; one VEX a chip serves
    all layers. Buffer and HBM: keys and values read, the share that does not fit the buffer from HBM.
    """
    exchanges = collectives(model, design.rows, design.columns)
    elements = link_elements(exchanges, design.rows, design.columns, design.collective)
    busiest = np.maximum(elements["column"], elements["row"])
    links = model.layers * busiest * design.link_element_bytes / design.link_bandwidth_bytes_per_s
    hn = design.activation_bits / design.clock_hz
    nonlinear = model.layers * np.ceil(nonlinear_elements(model, design.chips) / design.vex_lanes) / design.clock_hz
    kv = kv_bytes_per_sequence(model, context, design.kv_element_bytes, sliding_window=windows)
    spilled = np.maximum(1.0 - design.buffer_bytes * design.chips / (kv * in_flight), 0.0)
    per_chip = kv / design.chips
    return Occupancy(
        links=links,
        hn=hn,
        vex_attention=_attention_s(model, design, context, windows),
        vex_nonlinear=nonlinear,
        buffer=per_chip / design.buffer_bandwidth_bytes_per_s if np.all(design.buffer_banks) else 0.0 * per_chip,
        hbm=per_chip * spilled / np.maximum(design.hbm_bandwidth_bytes_per_s, 1.0),
    )


def unloaded_path(
    model: LLMSpec, design: HardwiredDesign, technology: Technology, context: Number, windows: bool
) -> dict[str, Number]:
    """Return the seconds of one token through an empty machine: communication, projection, nonlinear, attention.

    Collectives pay link latency a step plus their bytes; projections pay bits plus pipeline depth a pass.
    """
    exchanges = collectives(model, design.rows, design.columns)
    elements = link_elements(exchanges, design.rows, design.columns, design.collective)
    sent = (elements["column"] + elements["row"]) * design.link_element_bytes / design.link_bandwidth_bytes_per_s
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
    return {
        "communication": model.layers * (elements["steps"] * design.link_latency_s + sent),
        "projection": (model.layers * chain + passes[last]) / design.clock_hz,
        "nonlinear": model.layers * nonlinear / design.clock_hz,
        "attention": _attention_s(model, design, context, windows),
    }


def resource_checks(
    model: LLMSpec,
    design: HardwiredDesign,
    chip: Chip,
    context: Number,
    batch: Number,
    windows: bool,
    tokens_per_s: Number,
) -> tuple[Check, ...]:
    """Return what `batch` sequences at `context` and `tokens_per_s` ask of each resource, against what there is."""
    slots = design.stages_per_layer * model.layers
    per_token = occupancy(model, design, context, np.minimum(batch, slots), windows)
    kv = kv_bytes_per_sequence(model, context, design.kv_element_bytes, sliding_window=windows)
    embedding = parameters(model).embedding * 2.0
    bandwidths = {
        "link bandwidth": (per_token.links, design.link_bandwidth_bytes_per_s, "B/s per link"),
        "buffer bandwidth": (per_token.buffer, design.buffer_bandwidth_bytes_per_s, "B/s per chip"),
        "HBM bandwidth": (per_token.hbm, design.hbm_bandwidth_bytes_per_s, "B/s per chip"),
    }
    return (
        Check("die area", chip.area_mm2, chip.reticle_area_mm2, "mm2", "one exposure"),
        Check("token slots", np.minimum(batch, MOST_BATCH), slots, "tokens", "stages per layer x layers"),
        Check("KV in buffer", kv * batch, design.buffer_bytes * design.chips, "B", "the rest is streamed from HBM"),
        Check("KV in HBM", kv * batch + embedding, design.hbm_bytes * design.chips, "B", "with the embedding table"),
        Check("VEX time", per_token.vex * tokens_per_s, 1.0, "busy share", "one VEX a chip at its stated rate"),
        *(Check(name, s * tokens_per_s * peak, peak * 1.0, unit) for name, (s, peak, unit) in bandwidths.items()),
    )


def _attention_s(model: LLMSpec, design: HardwiredDesign, context: Number, windows: bool) -> Number:
    macs = attention_macs_per_position(model) * attended_positions(model, context, windows)
    return macs / design.chips / design.vex_macs / design.clock_hz


def _held_sequences(model: LLMSpec, design: HardwiredDesign, context: Number, windows: bool) -> Number:
    kv = kv_bytes_per_sequence(model, context, design.kv_element_bytes, sliding_window=windows)
    return np.floor((design.hbm_bytes + design.buffer_bytes) * design.chips / kv)


def _interval(per_token: Occupancy, reading: str) -> tuple[Number, Number]:
    """Seconds between tokens when every slot is full, and the resource that sets them."""
    parts = {"links": per_token.links, "hn": per_token.hn, "vex": per_token.vex}
    if reading == "pipelined":
        parts |= {"buffer": per_token.buffer, "hbm": per_token.hbm}
    stacked = np.stack(np.broadcast_arrays(*parts.values()))
    slowest = np.take(np.asarray(list(parts)), np.argmax(stacked, axis=0))
    return (stacked.sum(axis=0) if reading == "as-published" else stacked.max(axis=0))[()], slowest


def _published_stall(
    model: LLMSpec, design: HardwiredDesign, context: Number, latency_s: Number, windows: bool
) -> Number:
    """Seconds per token that prefetch cannot hide: one sequence's keys and values beyond the buffer, from HBM.

    With prefetch a layer ahead there is a whole layer's stay to bring them in.
    """
    kv = kv_bytes_per_sequence(model, context, design.kv_element_bytes, sliding_window=windows)
    spilled = np.maximum(kv / design.chips - design.buffer_bytes, 0.0)
    return np.maximum(spilled / np.maximum(design.hbm_bandwidth_bytes_per_s, 1.0) - latency_s, 0.0)


def _breakdown(
    per_token: Occupancy,
    path_s: dict[str, Number],
    stall_s: Number,
    interval_s: Number,
    latency_s: Number,
    reading: str,
) -> dict[str, Number]:
    """Shares of a token's time: of the summed occupancies, or of its latency with waiting as the stall."""
    if reading == "as-published":
        parts = {
            "communication": per_token.links,
            "projection": per_token.hn,
            "nonlinear": per_token.vex_nonlinear,
            "attention": per_token.vex_attention,
        }
        total = _total(parts) + stall_s
        return {name: seconds / total for name, seconds in parts.items()} | {"stall": stall_s / total}
    shares = {name: seconds / latency_s for name, seconds in path_s.items()}
    return shares | {"stall": np.maximum(1.0 - _total(shares), 0.0)}


def _power(chip: Chip, design: HardwiredDesign, per_token: Occupancy, interval_s: Number, reading: str) -> Number:
    """System power: blocks always busy (as published), or busy as much as their resource is, times the overhead."""
    if reading == "as-published":
        return chip.power_w * design.chips * design.power_overhead
    busy = {"links": per_token.links, "vex": per_token.vex, "buffer": per_token.buffer, "hbm": per_token.hbm}
    watts = sum(
        block.static_w + block.dynamic_w * np.minimum(busy.get(block.resource, 0.0) / interval_s, 1.0)
        for block in chip.blocks
    )
    return watts * design.chips * design.power_overhead


def _total(parts: dict[str, Number]) -> Number:
    return sum(parts.values())


def _notes(checks: tuple[Check, ...], reading: str) -> tuple[str, ...]:
    broken = [c.name for c in checks if c.name != "KV in buffer" and not np.all(c.ok)]
    if broken and reading == "as-published":
        return (f"this reading does not hold up to: {', '.join(broken)}; see the pipelined reading",)
    return ()
