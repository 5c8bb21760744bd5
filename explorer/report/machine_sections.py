"""Sections of a report on the machine: binding resources, the chip, parts of a token's time, speed over context."""

from functools import partial

from explorer.documents.document import Beside, Figure, Section
from explorer.documents.tables import Column, Table, flag, frame_table
from explorer.documents.theme import machine_name
from explorer.report.answer import Answer
from explorer.report.figures.chip import block_rows, density_over_bits, floorplan
from explorer.report.figures.time import (
    breakdown_over_context,
    breakdown_rows,
    occupancy_bars,
    occupancy_rows,
    speed_over_context,
    speed_rows,
)
from hwbase.columns import column
from hwbase.numbers import context_label, percent, plain, si, times, with_unit, words
from hwsim.results import Check, SimResult

#: Columns of the relatives.
_RELATIVES = {
    name: column(name)
    for name in (
        *("machine", "area_mm2", "weights_per_mm2", "transistors_per_weight", "tokens_per_s_per_user", "power_w"),
        *("energy_efficiency_ops_per_j", "source"),
    )
}
_OCCUPANCY = {
    "resource": Column("resource", numeric=False),
    "seconds_per_token": Column("time per token"),
    "busy_share": Column("busy"),
    "binds": Column("binds", numeric=False),
}
_BLOCKS = {
    "block": Column("block", numeric=False),
    "area_mm2": Column("area", "mm²"),
    "share": Column("share of the die"),
    "power_w": Column("power when busy", "W"),
    "w_per_mm2": Column("power density", "W/mm²"),
}
_DENSITIES = {
    "format": Column("format", numeric=False),
    "me_transistors": Column("Metal-Embedding"),
    "ce_transistors": Column("Cell-Embedding"),
    "gain": Column("ME denser by"),
}
_SPEEDS = {
    "context": column("context"),
    "as_published_tokens_per_s": Column("as published", "tokens/s"),
    "pipelined_tokens_per_s": Column("pipelined", "tokens/s"),
    "pipelined_bound_by": Column("pipelined is bound by", numeric=False),
}


def binds(answer: Answer) -> Section:
    """Return the load of every resource and the binding one."""
    table = frame_table(
        "Occupancy per token",
        occupancy_rows(answer.pipelined),
        _OCCUPANCY,
        {"seconds_per_token": lambda s: si(s, "s"), "busy_share": percent, "resource": words},
    )
    caption = f"Time of each resource per token, pipelined reading: bound by {words(answer.pipelined.bound_by)}"
    parts = (
        "In the pipelined reading every resource works on another token at the same time, so the resource that a token "
        "needs longest sets the rate.",
        Figure("occupancy", partial(occupancy_bars, answer.pipelined), caption, table),
        "The table compares each machine's load with its capacity. If a check fails, the speed above cannot be "
        "sustained as stated.",
        checks_table(answer),
    )
    return Section("binds", "What binds", parts, short=False)


def chip(answer: Answer) -> Section:
    """Return one chip, block by block, and transistors per weight by format."""
    one, chips = answer.chip, answer.published.chips
    which = f"One of {plain(chips)} chips" if chips > 1 else "The one chip"
    blocks = frame_table("Blocks of one chip", block_rows(one), _BLOCKS, {"share": percent})
    densities = frame_table("Transistors per weight by weight format", answer.densities, _DENSITIES, {"gain": times})
    caption = f"Transistors per weight by weight format, {answer.model.hidden_size:,} inputs"
    parts = (
        f"{which}, {plain(one.area_mm2)} mm² and {plain(one.power_w)} W when every block is busy. Areas are to scale; "
        "the placement of blocks is for display only. The dashed outline is the largest field of one exposure "
        f"({plain(one.reticle_area_mm2)} mm²). The HN array holds {plain(one.hn_weights / 1e9)} billion weights.",
        Beside(
            (
                Figure("floorplan", partial(floorplan, one), "The die to scale, areas in mm²", blocks, open=True),
                blocks,
            )
        ),
        "The area of a weight depends on its format: a Hardwired-Neuron has a counter for each of up to 2ᵇ values, "
        "so the gain over Cell-Embedding falls at both ends. Gate counts only, independent of a process.",
        Figure("density", partial(density_over_bits, answer.densities), caption, densities),
        frame_table("Published hardwired machines and ours", answer.relatives, _RELATIVES),
    )
    return Section("chip", "The chip", parts, short=False)


def time(answer: Answer) -> Section:
    """Return the parts of a token's time over context, in both readings."""
    published = (
        "In the as-published reading resources take turns; diamonds mark the boundaries in the paper's Figure 14 "
        "between communication, projection, non-linear and attention. "
    )
    text = (
        f"Shares of a token's time. {published if answer.has_published else ''}In the pipelined reading the time is a "
        "token's latency; waiting counts as the part of the awaited resource, and as stall for memory."
    )
    runs = {"pipelined": answer.pipelined_by_context}
    if answer.has_published:
        runs = {"published": answer.published_by_context, **runs}
    figures = tuple(_breakdown(key, run) for key, run in runs.items())
    return Section("time", "Where the time goes", (text, Beside(figures)), short=False)


def speed(answer: Answer) -> Section:
    """Return the speed of all machines over context."""
    text = (
        "Tokens per second of the whole hardwired machine with every token slot taken. Lines of other machines: one "
        "GPU of the best server that keeps the promise of the cost book. Level lines with open marks: a published "
        "figure."
    )
    runs = answer.published_by_context, answer.pipelined_by_context
    formats = {"context": context_label, "pipelined_bound_by": words}
    rows = speed_rows(*runs)
    columns = {name: head for name, head in _SPEEDS.items() if name in rows[0]}
    table = frame_table("Tokens per second over context", rows, columns, formats)
    draw = partial(speed_over_context, *runs, answer.gpu_rates, published_speeds(answer))
    drawn = Figure("speed", draw, "System tokens per second over context, log axes", table)
    return Section("speed", "Speed over context", (text, drawn), short=False)


def checks_table(answer: Answer) -> Table:
    """Return demand and capacity of resources, in both readings of the hardwired machine and on the other machines."""
    rows = []
    results = {"as published": answer.published} if answer.has_published else {}
    results["pipelined"] = answer.pipelined
    results |= {machine_name(key): result for key, result in answer.accelerators.items()}
    for name, result in results.items():
        for check in result.checks:
            state = flag("spills" if check.spills and not check.ok else "pass" if check.bears else "FAIL")
            need, have = (with_unit(value, check.unit) for value in (check.demand, check.capacity))
            rows.append((name, check.name, need, have, percent(_share(check)), state, check.note))
    columns = (
        Column("machine or reading", numeric=False),
        Column("resource", numeric=False),
        Column("asked for"),
        Column("there is"),
        Column("share"),
        Column("result", numeric=False),
        Column("note", numeric=False),
    )
    return Table("Demand and capacity of every resource", columns, tuple(rows))


def published_speeds(answer: Answer) -> dict[str, float]:
    """Return the published tokens/s of the other machines in the headline."""
    for row in answer.headline:
        if row.unit in ("tokens/s", "token/s"):
            return {key: value for key, value in row.published.items() if value and key in answer.accelerators}
    return {}


def _breakdown(key: str, result: SimResult) -> Figure:
    rows = breakdown_rows(result)
    columns = {"context": Column("context", numeric=False)}
    columns |= {part: Column(words(part)) for part in rows[0] if part != "context"}
    formats = dict.fromkeys(columns, percent) | {"context": context_label}
    caption = f"Parts of a token's time over context, {machine_name(result.reading)}"
    table = frame_table(caption, rows, columns, formats)
    return Figure(f"breakdown-{key}", partial(breakdown_over_context, result), caption, table)


def _share(check: Check) -> float:
    return float(check.demand) / float(check.capacity) if float(check.capacity) else float("inf")
