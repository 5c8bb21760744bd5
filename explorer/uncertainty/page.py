"""The page of an uncertainty analysis: the answer, its distribution, what decides it, and where it turns."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from explorer.documents.captioned import CaptionedFigure, captioned_figure
from explorer.documents.numbers import MISSING, compact, percent, plain, pretty_unit, times
from explorer.documents.page import Page, Section, render_page
from explorer.documents.tables import Column, Table, assumption_table, frame_table
from explorer.pricing.economics import PAPER_MODEL
from explorer.uncertainty.analyse import RATIOS, VERSUS_RATIOS
from explorer.uncertainty.breakeven import BreakEven, Curve
from explorer.uncertainty.distributions import Distribution
from explorer.uncertainty.figures import (
    break_even_curves,
    convergence_lines,
    exceedance,
    label,
    sobol_bars,
    titled,
    tornado_bars,
)
from explorer.uncertainty.results import Probability, Uncertainty

#: Points of a curve that its table shows.
_ROWS = 11
_HEADS = ("over", "ratio", "nominal", "5 %", "50 %", "95 %", "unit", "pays", "always", "never")
_WORDS = ("over", "ratio", "unit", "pays")


def render_break_even(found: BreakEven, command: str) -> str:
    """Return break-even curves as one HTML page."""
    return uncertainty_page("Where hardwiring breaks even", (turning(found),), found, command)


def uncertainty_page(title: str, parts: tuple[Section, ...], found: Uncertainty | BreakEven, command: str) -> str:
    """Return a page of `parts` with the constants that `found` read."""
    lead = _lead(found.subject) if found.subject else ""
    table = assumption_table(found.quantities)
    return render_page(
        "serving.html.j2", page=Page(title=title, lead=lead, parts=parts, assumptions=table, command=command)
    )


def turning(found: BreakEven) -> Section:
    """Return the section of break-even curves."""
    figures = []
    for name in dict.fromkeys(curve.axis.name for curve in found.curves):
        curves = [curve for curve in found.curves if curve.axis.name == name]
        caption = f"Over {curves[0].axis.label}: median, 5 to 95 % of draws (band), nominal (dotted)"
        figures.append(captioned_figure(f"over-{name}", break_even_curves(curves), caption, _points(found, name), 2))
    text = (
        f"{found.samples:,} draws of all other constants, the same at every point of an axis, so that each draw has a "
        "break-even of its own. Always and never: shares of draws that pay everywhere or nowhere on the axis."
    )
    columns = tuple(Column(head, numeric=head not in _WORDS) for head in _HEADS)
    rows = tuple(_crossing(curve) for curve in found.curves)
    return Section("break-even", "Break-even", (text,), tuple(figures), (Table("Where a ratio is 1", columns, rows),))


def _crossing(curve: Curve) -> tuple[str, ...]:
    axis, crossing = curve.axis, curve.crossing

    def place(value: float) -> str:
        if not crossing.pays:
            return MISSING
        if value == float("-inf"):
            return f"< {plain(axis.low)}"
        return f"> {plain(axis.high)}" if value == float("inf") else plain(value, 3)

    ranks = [place(value) for value in (crossing.nominal, crossing.p5, crossing.p50, crossing.p95)]
    shares = (percent(crossing.always), percent(crossing.never))
    return (axis.label, label(curve.output), *ranks, pretty_unit(axis.unit), crossing.pays or "alike", *shares)


def _points(found: BreakEven, axis: str) -> Table:
    frame = found.to_frame()
    rows = frame[frame["axis"] == axis]
    parts = [part.iloc[:: max((len(part) - 1) // (_ROWS - 1), 1)] for _, part in rows.groupby("output", sort=False)]
    columns = {"output": Column("ratio", numeric=False), "x": Column(axis)}
    columns |= {name: Column(name) for name in ("p50", "p5", "p95", "nominal")} | {"probability": Column("above 1 in")}
    return frame_table("Ratios along the axis", pd.concat(parts), columns, {"output": label, "probability": percent})


def _lead(subject: Mapping[str, Any]) -> str:
    pins = ", ".join(f"{key} = {value}" for key, value in subject["set"].items())
    return (
        f"{subject['model']}: {subject['volume']:,} systems, context {subject['context']:,}, technology "
        f"{subject['technology']}, conventions {subject['convention']}, {subject['reading']} reading"
        f"{f'; pinned: {pins}' if pins else ''}."
    )


_MOST_FACTORS = 12
_ROUNDED = 0.9995
_ROUND = {
    "triangular": "most likely at nominal, falling linearly to both ends of its range",
    "pert": "most likely at nominal, with little weight at the ends of its range",
    "uniform": "anywhere in its range alike",
    "levels": "at the low, the nominal or the high end of its range",
}


def render_uncertainty(
    found: Uncertainty, command: str, turns: BreakEven | None = None, outputs: tuple[str, ...] = ()
) -> str:
    """Return the analysis as one HTML page, with break-even curves where there are; `outputs` are shown in detail."""
    shown = outputs or ratios_of(found)
    on_log = [name for name in shown if name in found.logs]
    brief = Section(
        "brief",
        "In brief",
        (*(said(chance, found) for chance in probabilities(found)), *notes(found)),
        tables=(percentile_table("The answer over the draws", found, shown),),
    )
    spread = Section(
        "spread",
        "How likely",
        (_drawn(found),),
        (captioned_figure("spread", exceedance(found, on_log), "Share of draws above", _ranks(found, on_log), 2),)
        if on_log
        else (),
    )
    decides = Section("decides", "What decides", _why(found), tuple(_decides(found, shown)))
    ends = Section(
        "ends",
        "One factor at a time",
        ("Each factor at both ends of its range, everything else nominal; correlated constants go together.",),
        tuple(_ends(found, output) for output in shown),
    )
    every = percentile_table("Every output over the draws", found, found.names)
    last = Section("method", "Convergence and constants", (), _converges(found, shown), (every, *_constants(found)))
    parts = (brief, spread, decides, ends, *((turning(turns),) if turns else ()), last)
    return uncertainty_page(f"How sure is it? {found.subject.get('model', '')}".rstrip(), parts, found, command)


def ratios_of(found: Uncertainty) -> tuple[str, ...]:
    """Return the ratios among the outputs: those against GPUs, then those against a second machine."""
    return tuple(name for name in (*RATIOS, *VERSUS_RATIOS) if name in found.names)


def probabilities(found: Uncertainty) -> list[Probability]:
    """Return the probability that each ratio is above 1, and that both against GPUs are."""
    ratios = ratios_of(found)
    chances = [found.probability(name) for name in ratios]
    if set(RATIOS) <= set(ratios):
        chances.insert(len(RATIOS), found.all_above(RATIOS))
    return chances


def said(chance: Probability, found: Uncertainty) -> str:
    """Return a probability as a sentence."""
    asked = {
        "tco_ratio > 1": "Hardwiring costs less than the GPUs that generate as many tokens",
        "carbon_ratio > 1": "Hardwiring emits less",
        "tco_ratio and carbon_ratio > 1": "Both at once",
        "versus_usd_per_token_ratio > 1": f"A token costs less than with {_other(found)}",
        "versus_carbon_per_token_ratio > 1": f"A token emits less than with {_other(found)}",
    }
    interval = f"{percent(chance.confidence, 0)} interval {_nearly(chance.low)} to {_nearly(chance.high)}"
    return f"{asked.get(chance.what, chance.what)} in {_nearly(chance.probability)} of draws ({interval})."


def _nearly(share: float) -> str:
    """Return a share in percent that is not rounded to all or to none where it is neither."""
    if _ROUNDED <= share < 1.0:
        return f"more than {percent(_ROUNDED, 2)}"
    return f"less than {percent(1.0 - _ROUNDED, 2)}" if 0.0 < share <= 1.0 - _ROUNDED else percent(share)


def notes(found: Uncertainty) -> tuple[str, ...]:
    """Return what a reader has to know of this scenario."""
    asked = {found.subject.get("model"), found.subject.get("versus", {}).get("model", PAPER_MODEL)}
    speed = f"{found.subject.get('beside')}.tokens_per_s"
    if asked <= {PAPER_MODEL, None} or speed not in found.distributions:
        return ()
    return (f"{speed} is of {PAPER_MODEL} in our books, whatever the model here: set what yours reaches on a GPU.",)


def percentile_table(caption: str, found: Uncertainty, outputs: Sequence[str]) -> Table:
    """Return nominal values and percentiles of `outputs`."""
    frame = found.percentiles().drop(columns="mean").set_index("output").loc[list(outputs)].reset_index()
    columns = {str(name): Column(str(name), numeric=name != "output") for name in frame.columns}
    return frame_table(caption, frame, columns, dict.fromkeys(columns, compact) | {"output": titled})


def _decides(found: Uncertainty, outputs: tuple[str, ...]) -> list[CaptionedFigure]:
    columns = {
        "name": Column("factor", numeric=False),
        "first": Column("first order"),
        "first_low": Column("from"),
        "first_high": Column("to"),
        "total": Column("total order"),
        "total_low": Column("from"),
        "total_high": Column("to"),
    }
    shares = {name: percent for name in columns if name != "name"}
    figures = []
    for output in outputs:
        indices = found.sobol(output)
        if not len(indices) or indices["total"].isna().all():
            continue
        scale = ", on a logarithmic scale" if output in found.logs else ""
        caption = f"{titled(output)}: shares of the variance{scale}"
        table = frame_table(caption, indices.head(_MOST_FACTORS), columns, shares)
        figures.append(
            captioned_figure(f"sobol-{output.replace('_', '-')}", sobol_bars(indices, output), caption, table, 4)
        )
    return figures


def _ends(found: Uncertainty, output: str) -> CaptionedFigure:
    table, nominal = found.tornado(output), found.nominal[output]
    columns = {"name": Column("factor", numeric=False), "low": Column("at its low"), "high": Column("at its high")}
    caption = f"{titled(output)}, one factor at a time (nominal {plain(nominal)})"
    behind = frame_table(caption, table.head(_MOST_FACTORS), columns, {})
    return captioned_figure(
        f"ends-{output.replace('_', '-')}", tornado_bars(table, nominal, output), caption, behind, 2
    )


def _converges(found: Uncertainty, outputs: tuple[str, ...]) -> tuple[CaptionedFigure, ...]:
    figures = []
    for output in outputs:
        table = found.convergence(output)
        columns = {name: Column(name) for name in table.columns}
        behind = frame_table("Percentiles over draws", table, columns, {"samples": lambda n: f"{n:,}"})
        caption = f"{titled(output)}: percentiles over the number of draws"
        figures.append(
            captioned_figure(f"draws-{output.replace('_', '-')}", convergence_lines(table, output), caption, behind, 2)
        )
    return tuple(figures)


def _constants(found: Uncertainty) -> list[Table]:
    columns = {
        "name": Column("constant", numeric=False),
        "low": Column("low"),
        "nominal": Column("nominal"),
        "high": Column("high"),
        "unit": Column("unit", numeric=False),
        "shape": Column("shape", numeric=False),
        "kind": Column("kind", numeric=False),
    }
    ranges = found.ranges()
    ranges["shape"] = [_shape(found.distributions[name]) for name in ranges["name"]]
    tables = [frame_table("Constants drawn", ranges, columns, {"unit": pretty_unit})]
    stated = found.stated_correlations()
    if len(stated):
        heads = {"between": Column("between", numeric=False), "rho": Column("rho")}
        heads |= {"kind": Column("kind", numeric=False), "source": Column("source", numeric=False)}
        tables.append(frame_table("What moves with what", stated, heads, {}))
    if len(found.reasons):
        heads = {"reason": Column("why", numeric=False), "samples": Column("draws"), "points": Column("of all points")}
        tables.append(frame_table("Draws that cannot be", found.reasons, heads, {}))
    return tables


def _shape(spread: Distribution) -> str:
    return " ".join([spread.shape, *(["in logarithms"] if spread.log else []), *(["whole"] if spread.whole else [])])


def _ranks(found: Uncertainty, outputs: list[str]) -> Table:
    frame = found.percentiles((5, 25, 50, 75, 95))
    rows = frame[frame["output"].isin(outputs)]
    columns = {"output": Column("ratio", numeric=False)}
    columns |= {name: Column(name) for name in ("p5", "p50", "p95", "p25", "p75")}
    formats = dict.fromkeys(("p5", "p25", "p50", "p75", "p95"), times) | {"output": label}
    return frame_table("Percentiles of the ratios", rows, columns, formats)


def _why(found: Uncertainty) -> tuple[str, ...]:
    log = " Ratios are taken in logarithms." if found.logs else ""
    return (
        "First order: the share of the variance that goes if a factor becomes known. Total order: what stays if all "
        f"others become known; the difference is interaction.{log} Whiskers are 95 % intervals from a bootstrap.",
    )


def _drawn(found: Uncertainty) -> str:
    out = f" {found.infeasible:,} draws cannot be and are left out." if found.infeasible else ""
    shapes = {spread.shape for spread in found.distributions.values()}
    usual = next((s for s in ("triangular", "pert", "uniform", "levels") if s in shapes), "triangular")
    return (
        f"{len(found.distributions)} constants in {len(found.factors)} independent factors, {found.samples:,} draws. "
        f"A constant is {_ROUND[usual]}; ranges over a decade are taken in logarithms. The books give ranges, "
        f"not distributions: these are assumed.{out}"
    )


def _other(found: Uncertainty) -> str:
    return ", ".join(f"{key} {value}" for key, value in found.subject.get("versus", {}).items())
