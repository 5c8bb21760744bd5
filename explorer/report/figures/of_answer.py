"""explorer/report/figures/of_answer.py."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from explorer.documents.captioned import CaptionedFigure, captioned_figure
from explorer.documents.numbers import context_label, money, percent, si, times, words
from explorer.documents.tables import Column, frame_table
from explorer.documents.theme import machine_name
from explorer.report.figures.chip import block_frame, density_over_bits, floorplan
from explorer.report.figures.fleet import (
    carbon_bars,
    carbon_frame,
    cost_waterfall,
    levels_of,
    pairs,
    tco_bars,
    tco_frame,
    waterfall_frame,
)
from explorer.report.figures.time import (
    breakdown_frame,
    breakdown_over_context,
    occupancy_bars,
    occupancy_frame,
    speed_frame,
    speed_over_context,
)

if TYPE_CHECKING:
    from explorer.report.answer import Answer


def machine_figures(answer: "Answer") -> Iterator[CaptionedFigure]:
    """Yield the figures of the machine: floorplan, occupancy, both breakdowns, speed."""
    floor = frame_table(
        "Blocks of one chip",
        block_frame(answer.chip),
        {
            "block": Column("block", numeric=False),
            "area_mm2": Column("area", "mm²"),
            "share": Column("share of the die"),
            "power_w": Column("power when busy", "W"),
            "w_per_mm2": Column("power density", "W/mm²"),
        },
        {"share": percent},
    )
    yield captioned_figure("floorplan", floorplan(answer.chip), "The die to scale, areas in mm²", floor, 1)

    table = frame_table(
        "Transistors per weight over weight format",
        answer.densities,
        {
            "format": Column("format", numeric=False),
            "me_transistors": Column("Metal-Embedding"),
            "ce_transistors": Column("Cell-Embedding"),
            "gain": Column("ME denser by"),
        },
        {"gain": times},
    )
    caption = f"Transistors per weight over weight format, {answer.model.hidden_size:,} inputs"
    yield captioned_figure("density", density_over_bits(answer.densities), caption, table, 1)

    occupancy = occupancy_frame(answer.pipelined)
    table = frame_table(
        "Occupancy per token",
        occupancy,
        {
            "resource": Column("resource", numeric=False),
            "seconds_per_token": Column("time per token"),
            "busy_share": Column("busy"),
            "binds": Column("binds", numeric=False),
        },
        {"seconds_per_token": lambda s: si(s, "s"), "busy_share": percent, "resource": words},
    )
    caption = f"Time of each resource per token, pipelined reading: bound by {words(answer.pipelined.bound_by)}"
    yield captioned_figure("occupancy", occupancy_bars(answer.pipelined), caption, table, 1)

    for key, result in (("published", answer.published_by_context), ("pipelined", answer.pipelined_by_context)):
        frame = breakdown_frame(result)
        columns = {"context": Column("context", numeric=False)}
        columns |= {part: Column(words(part)) for part in frame.columns if part != "context"}
        formats = dict.fromkeys(columns, percent) | {"context": context_label}
        caption = f"Where a token's time goes over context, {machine_name(result.reading)}"
        table = frame_table(caption, frame, columns, formats)
        yield captioned_figure(f"breakdown-{key}", breakdown_over_context(result), caption, table, 1)

    speed = speed_frame(answer.published_by_context, answer.pipelined_by_context)
    table = frame_table(
        "Tokens per second over context",
        speed,
        {
            "context": Column("context", numeric=False),
            "as_published_tokens_per_s": Column("as published", "tokens/s"),
            "pipelined_tokens_per_s": Column("pipelined", "tokens/s"),
            "pipelined_bound_by": Column("pipelined is bound by", numeric=False),
        },
        {"context": context_label, "pipelined_bound_by": words},
    )
    # A machine whose own figure the headline leaves out (a roofline that says nothing) is left out here too.
    shown = {key for row in answer.headline for key, value in row.values.items() if value is not None}
    rooflines = {key: run for key, run in answer.accelerators.items() if key in shown}
    drawn = speed_over_context(
        answer.published_by_context, answer.pipelined_by_context, rooflines, published_speeds(answer)
    )
    yield captioned_figure("speed", drawn, "System tokens per second over context, log axes", table, 1)


def fleet_figures(answer: "Answer") -> Iterator[CaptionedFigure]:
    """Yield the figures of the fleet: both waterfalls, TCO, carbon."""
    comparison, levels = answer.cost.comparison, levels_of(answer.cost.convention)
    cases = pairs(comparison, levels)
    most = max(float(pair.hardwired.total_usd) for _, pair in cases)
    for level, pair in cases:
        frame = waterfall_frame(pair.bill, pair.hardwired)
        columns = {"step": Column("step", numeric=False), "kind": Column("kind", numeric=False), "usd": Column("cost")}
        caption = f"From masks to TCO, {level} case"
        table = frame_table(caption, frame, columns, {"usd": money})
        drawn = cost_waterfall(pair.bill, pair.hardwired, most_usd=most)
        yield captioned_figure(f"waterfall-{level}", drawn, caption, table, 2)

    tco = tco_frame(comparison, levels)
    columns = {
        "fleet": Column("fleet", numeric=False),
        "level": Column("case", numeric=False),
        "capex_usd": Column("capital"),
        "opex_usd": Column("operation"),
        "respins_usd": Column("re-spins"),
        "total_usd": Column("TCO"),
        "ratio": Column("GPU TCO over it"),
    }
    formats = {key: money for key in columns if key.endswith("usd")} | {"ratio": times}
    table = frame_table("Total cost of ownership", tco, columns, formats)
    yield captioned_figure("tco", tco_bars(comparison, levels), "Total cost of ownership of both fleets, M$", table, 5)

    carbon = carbon_frame(comparison, levels)
    columns = {
        "fleet": Column("fleet", numeric=False),
        "level": Column("case", numeric=False),
        "scope2_t": Column("Scope 2", "t CO₂e"),
        "scope3_t": Column("Scope 3", "t CO₂e"),
        "total_t": Column("total", "t CO₂e"),
    }
    table = frame_table("Carbon over the life", carbon, columns)
    yield captioned_figure(
        "carbon", carbon_bars(comparison, levels), "Carbon of both fleets by scope, log axis", table, 4
    )


def published_speeds(answer: "Answer") -> dict[str, float]:
    """Published tokens/s of the other machines, where the headline has them."""
    for row in answer.headline:
        if row.unit in ("tokens/s", "token/s"):
            return {key: value for key, value in row.published.items() if value and key in answer.accelerators}
    return {}
