"""Closed-form speed, energy and checks of a hardwired machine, in two readings.

`as-published`: the times of a token on all resources add up, as the breakdown in Figure 14 of the HNLPU paper implies;
link time follows from the messages, the rest from three constants fitted to that figure. `pipelined`: resources
overlap and nothing is fitted; the slowest resource sets the rate, and the path through an empty machine the latency.
Design, context and batch broadcast.
"""

from typing import Any

import numpy as np

from hwbase import FORMATS, unknown_name
from hwbase.check import Number, count, shapes
from hwsim.chip import Chip, build_chip
from hwsim.design import HardwiredDesign
from hwsim.occupancy import Occupancy, is_published, occupancy, published, unloaded_path
from hwsim.pipeline import imbalance
from hwsim.results import Check, SimResult
from hwsim.technology import Technology
from hwsim.topology import PAIRS, TORUS
from models import LLMSpec, embedding_table_elements, kv_bytes_per_sequence
from models.memory import BITS_PER_BYTE

_ACCOUNTS = {"as-published": published, "pipelined": occupancy}
READINGS = tuple(_ACCOUNTS)
#: Longest context and largest batch that are accepted.
MOST_CONTEXT, MOST_BATCH = 1e8, 1e7


def reading_for(design: HardwiredDesign, reading: str) -> str:
    """Return `reading`, or "pipelined" for a mapping that the published account does not have."""
    return reading if is_published(design) else READINGS[-1]


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

    Parameters
    ----------
    model : LLMSpec
    design : HardwiredDesign
    technology : Technology
    context : int or array
        Positions of each sequence.
    batch : int or array, optional
        Sequences that decode together; the machine's token slots (stages per layer x layers) unless given.
    prompt : int or array, optional
        Prompt tokens, for the time to first token; `context` unless given.
    reading : str
        One of `READINGS`.
    sliding_window : bool, optional
        Whether windowed layers attend to their window alone. Unless given: no in "as-published", as the paper's linear
        attention implies, yes in "pipelined".

    Returns
    -------
    SimResult
        Its numbers broadcast over the arrays among the inputs.

    Raises
    ------
    InputError
        For an unknown reading or a number out of range.
    """
    if reading not in READINGS:
        raise unknown_name("reading", reading, READINGS)
    context = count("context", context, high=MOST_CONTEXT)
    prompt = None if prompt is None else count("prompt", prompt, high=MOST_CONTEXT)
    slots = design.stages_per_layer * model.layers
    batch = slots if batch is None else count("batch", batch, high=MOST_BATCH)
    shapes(**vars(technology) | vars(design) | {"context": context, "batch": batch, "prompt": prompt})
    windows = reading == "pipelined" if sliding_window is None else sliding_window
    chip = build_chip(model, design, technology)
    account = _ACCOUNTS[reading]
    # The published reading does not limit sequences by memory.
    running = batch if reading == "as-published" else np.minimum(batch, held_sequences(model, design, context, windows))
    in_flight = np.minimum(running, slots)

    per_token = account(model, design, context, running, windows)
    # The published reading counts what waits for memory apart.
    held = None if reading == "as-published" else running
    path_s = unloaded_path(model, design, technology, context, windows, held)
    full_s, slowest = _interval(per_token, reading)
    stall_s: Number = 0.0
    if reading == "as-published":
        stall_s = _published_stall(model, design, context, slots * full_s, windows) / slots
    # With empty slots the path through the machine sets the rate.
    interval_s = np.maximum(full_s + stall_s, _total(path_s) / in_flight)
    bound = np.where(interval_s > full_s + stall_s, "latency", slowest)[()]
    # Sequences beyond the slots take turns, which lengthens the time between two tokens of each.
    latency_s = interval_s * running
    tokens_per_s = 1.0 / interval_s
    power_w = machine_power_w(chip, design, per_token, interval_s, reading)
    prompt_tokens = context if prompt is None else prompt
    alone_s = path_s if prompt is None else unloaded_path(model, design, technology, prompt, windows, held)
    # Served as they come, the last tokens drain together, so that the path is not added to the time of the slowest
    # resource. Where those ahead are served first, the last token has its path before it when the others are done.
    drain_s = 0.0 if design.service == "first-come" else _total(alone_s)
    first_s = np.maximum(
        _prefill_s(model, design, prompt_tokens, windows, reading) + drain_s,
        _total(alone_s) * np.maximum(prompt_tokens / slots, 1.0),
    )
    stated = per_token if reading == "pipelined" else None
    checks = resource_checks(model, design, chip, context, batch, windows, tokens_per_s, running=held, per_token=stated)
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
        breakdown=_breakdown(per_token, path_s, stall_s, latency_s, slowest, reading),
        occupancy_s={
            "links": per_token.links,
            "hn": per_token.hn,
            "vex": per_token.vex,
            "buffer": per_token.buffer,
            "hbm": per_token.hbm,
        },
        kv_bytes_per_sequence=kv_bytes_per_sequence(model, context, design.kv_element_bytes, sliding_window=windows),
        checks=checks,
        notes=(*_notes(checks, reading, running, batch), *_bunching(design)),
    )


def resource_checks(
    model: LLMSpec,
    design: HardwiredDesign,
    chip: Chip,
    context: Number,
    batch: Number,
    windows: bool,
    tokens_per_s: Number,
    *,
    running: Number | None = None,
    per_token: Occupancy | None = None,
) -> tuple[Check, ...]:
    """Return the demand of a workload on each resource beside its capacity.

    Parameters
    ----------
    model : LLMSpec
    design : HardwiredDesign
    chip : Chip
        The chip of `design` that holds its share of `model`.
    context : int or array
        Positions of each sequence.
    batch : int or array
        Sequences.
    windows : bool
        Whether windowed layers attend to their window alone.
    tokens_per_s : float or array
        Tokens per second of the machine.
    running : int or array, optional
        Sequences that memory holds; the others wait outside, so that only one has to fit. All of them unless given.
    per_token : Occupancy, optional
        The occupancies at stated rates of so many sequences, where they are known.

    Returns
    -------
    tuple of Check
    """
    slots = design.stages_per_layer * model.layers
    if per_token is None:
        per_token = occupancy(model, design, context, batch if running is None else running, windows)
    kv = _fullest_kv_bytes(model, design, context, windows)
    embedding = embedding_bytes(model)
    hbm_bytes = design.hbm_bytes * design.chips
    outside = np.logical_and(running is not None, kv + embedding <= hbm_bytes)[()]
    bandwidths = {
        **_link_demands(design, per_token),
        "buffer bandwidth": (per_token.buffer, design.buffer_bandwidth_bytes_per_s, "B/s per chip"),
        "HBM bandwidth": (per_token.hbm, design.hbm_bandwidth_bytes_per_s, "B/s per chip"),
    }
    return (
        Check("die area", chip.area_mm2, chip.reticle_area_mm2, "mm2", "one exposure"),
        Check("token slots", np.minimum(batch, MOST_BATCH), slots, "tokens", "stages per layer x layers"),
        Check(
            "KV in buffer", kv * batch, design.buffer_bytes * design.chips, "B", "the rest is streamed from HBM", True
        ),
        Check("KV in HBM", kv * batch + embedding, hbm_bytes, "B", "with the embedding table", outside),
        Check("VEX time", per_token.vex * tokens_per_s, 1.0, "busy share", "one VEX a chip at its stated rate"),
        *(Check(name, s * tokens_per_s * peak, peak * 1.0, unit) for name, (s, peak, unit) in bandwidths.items()),
        *_reaches(design, chip),
    )


def _link_demands(design: HardwiredDesign, per_token: Occupancy) -> dict[str, tuple[Number, Number, str]]:
    """Return (seconds of a token, bandwidth, unit) of the busiest link by check: of all, or of each of two classes."""
    unit = "B/s per link"
    grid, stage = design.grid_bandwidth_bytes_per_s, design.stage_bandwidth_bytes_per_s
    if design.one_class:
        return {"link bandwidth": (per_token.links, grid, unit)}
    return {
        "link bandwidth": (per_token.grid_links, grid, unit),
        "stage link bandwidth": (per_token.stage_links, stage, unit),
    }


def _reaches(design: HardwiredDesign, chip: Chip) -> list[Check]:
    """Return how far links have to reach, and the dies and memory that they join, where their class has a limit.

    Dies are squares side by side, and the grids of pipeline stages one behind the other.
    """
    die_mm2 = chip.area_mm2
    side_mm = np.sqrt(die_mm2)
    longest, shortest = np.maximum(design.rows, design.columns), np.minimum(design.rows, design.columns)
    # Dies between the two that a link joins; a ring is folded, or lies around a line of two dies.
    folded = np.where(np.greater(longest, 2) & np.greater(shortest, 1), 1.0, 0.0)
    between = {PAIRS: np.maximum(longest - 2.0, 0.0), TORUS: folded}.get(design.grid_topology, 0.0)
    apart = np.minimum(design.pipeline_stages - 1.0, np.inf if design.stage_topology == "full" else 2.0)
    uses = (
        ("link", design.grid_link, design.stage_chips, between, np.greater(longest, 1)),
        ("stage link", design.stage_link, design.chips, apart * shortest - 1.0, np.greater(apart, 0)),
    )
    checks = []
    for name, link, joined, dies, used in uses:
        if np.any(np.isfinite(link.reach_mm)):
            reach_mm = np.where(used, np.maximum(dies, 0.0) * side_mm, 0.0)[()]
            checks.append(Check(f"{name} reach", reach_mm, link.reach_mm, "mm", "past the dies between"))
        if np.any(np.isfinite(link.package_mm2)):
            area_mm2 = np.where(used, joined * (die_mm2 + design.hbm_stacks * link.stack_mm2), 0.0)[()]
            checks.append(Check(f"{name} package", area_mm2, link.package_mm2, "mm2", "dies and memory that it joins"))
    return checks


def held_sequences(model: LLMSpec, design: HardwiredDesign, context: Number, windows: bool) -> Number:
    """Return how many sequences' keys and values fit HBM and buffers beside the embedding table.

    At least one; the checks report if even one does not fit.
    """
    kv = _fullest_kv_bytes(model, design, context, windows)
    room = (design.hbm_bytes + design.buffer_bytes) * design.chips - embedding_bytes(model)
    return np.maximum(np.floor(room / kv), 1.0)


def _fullest_kv_bytes(model: LLMSpec, design: HardwiredDesign, context: Number, windows: bool) -> Number:
    """Return the bytes of a sequence's keys and values, if every pipeline stage had as many as the fullest one."""
    kv = kv_bytes_per_sequence(model, context, design.kv_element_bytes, sliding_window=windows)
    return kv * imbalance(model, design.pipeline_stages, context, windows)


def embedding_bytes(model: LLMSpec) -> float:
    """Return the bytes of the embedding table, which stays in memory in bfloat16."""
    return embedding_table_elements(model) * FORMATS["bf16"].bits_per_weight / BITS_PER_BYTE


def _prefill_s(model: LLMSpec, design: HardwiredDesign, prompt: Number, windows: bool, reading: str) -> Number:
    """Return the seconds that the slowest resource takes for a prompt in an otherwise empty machine.

    The tokens of the prompt follow each other through the slots. Attention grows along the prompt; its middle is used.
    """
    middle = np.maximum(np.asarray(prompt) / 2.0, 1.0)
    return prompt * _interval(_ACCOUNTS[reading](model, design, middle, 1.0, windows), reading)[0]


def _interval(per_token: Occupancy, reading: str) -> tuple[Number, Number]:
    """Return the seconds between tokens when every slot is full, and the resource that sets them."""
    parts = {"links": per_token.links, "hn": per_token.hn, "vex": per_token.vex}
    if reading == "pipelined":
        parts |= {"buffer": per_token.buffer, "hbm": per_token.hbm}
    stacked = np.stack(np.broadcast_arrays(*parts.values()))
    slowest = np.take(np.asarray(list(parts)), np.argmax(stacked, axis=0))
    return (stacked.sum(axis=0) if reading == "as-published" else stacked.max(axis=0))[()], slowest


def _published_stall(
    model: LLMSpec, design: HardwiredDesign, context: Number, latency_s: Number, windows: bool
) -> Number:
    """Return the seconds per token that prefetch cannot hide.

    The keys and values of one sequence that exceed the buffer come from HBM. Prefetch starts a layer ahead, so the time
    of a layer hides that much of the transfer.
    """
    kv = kv_bytes_per_sequence(model, context, design.kv_element_bytes, sliding_window=windows)
    spilled = np.maximum(kv / design.chips - design.buffer_bytes, 0.0)
    return np.maximum(spilled / np.maximum(design.hbm_bandwidth_bytes_per_s, 1.0) - latency_s, 0.0)


def _breakdown(
    per_token: Occupancy,
    path_s: dict[str, Number],
    stall_s: Number,
    latency_s: Number,
    bound: Any,
    reading: str,
) -> dict[str, Number]:
    """Return the shares of a token's time, which sum to 1.

    As published: shares of the summed occupancies. Pipelined: shares of the latency. The time spent waiting for the
    binding resource counts as the work of that resource: links as communication, HN as projection, the VEX as attention
    and nonlinear in proportion, buffer and HBM as stall.
    """
    if reading == "as-published":
        parts: dict[str, Number] = {
            "communication": per_token.links,
            "projection": per_token.hn,
            "nonlinear": per_token.vex_nonlinear,
            "attention": per_token.vex_attention,
            "stall": stall_s,
        }
        total = _total(parts)
        return {name: seconds / total for name, seconds in parts.items()}
    waiting = np.maximum(latency_s - _total(path_s), 0.0)
    attention_share = per_token.vex_attention / per_token.vex
    waits = {
        "communication": waiting * (bound == "links"),
        "projection": waiting * (bound == "hn"),
        "nonlinear": waiting * (bound == "vex") * (1.0 - attention_share),
        "attention": waiting * (bound == "vex") * attention_share,
        "stall": waiting * ((bound == "buffer") | (bound == "hbm")),
    }
    total = _total(path_s) + _total(waits)
    return {name: (path_s.get(name, 0.0) + wait) / total for name, wait in waits.items()}


def machine_power_w(
    chip: Chip, design: HardwiredDesign, per_token: Occupancy, interval_s: Number, reading: str
) -> Number:
    """Return the power of the system, overhead included.

    As published every block is always busy; otherwise each is busy as long as the resource it serves.
    """
    if reading == "as-published":
        return chip.power_w * design.chips * design.power_overhead
    even = per_token.even
    busy = {
        "hn": per_token.hn,
        "links": per_token.links_mean,
        "stage links": per_token.stage_links_mean,
        "vex": per_token.vex * even,
        "buffer": per_token.buffer * even,
        "hbm": per_token.hbm * even,
    }
    watts = sum(
        block.static_w + block.dynamic_w * np.minimum(busy.get(block.resource, 0.0) / interval_s, 1.0)
        for block in chip.blocks
    )
    return watts * design.chips * design.power_overhead


def _total(parts: dict[str, Number]) -> Number:
    return sum(parts.values())


def _notes(checks: tuple[Check, ...], reading: str, running: Number, batch: Number) -> tuple[str, ...]:
    short = [check.name for check in checks if not np.all(check.bears)]
    if short and reading == "as-published":
        return (f"these figures cannot be reached, for want of {', '.join(short)}: see the pipelined reading",)
    if np.any(running < batch):
        return (f"memory holds {np.min(running):,.0f} of the sequences asked for; the others wait outside",)
    return ()


def _bunching(design: HardwiredDesign) -> tuple[str, ...]:
    if np.any(np.greater(design.pipeline_stages, 1)) and design.service == "first-come":
        return (
            "tokens served as they come bunch between pipeline stages, which detailed events show: "
            "service = furthest-first keeps this pace",
        )
    return ()
