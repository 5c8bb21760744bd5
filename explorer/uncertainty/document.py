"""The document of an uncertainty analysis: the answer, its distribution, its drivers, and the break-even points."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

import costmodel
from explorer.documents.document import Document, Figure, Part, Section, sections
from explorer.documents.sections import assumptions_section, reproduce_section
from explorer.documents.tables import Column, Table, frame_table
from explorer.documents.theme import machine_name
from explorer.pricing.prices import replaced_book
from explorer.pricing.rates import RATE, Workload
from explorer.uncertainty.analyse import RATIOS, VERSUS_RATIOS
from explorer.uncertainty.breakeven import BreakEven, Curve
from explorer.uncertainty.distributions import Distribution
from explorer.uncertainty.figures import (
    break_even_curves,
    convergence_lines,
    exceedance,
    factor_label,
    label,
    promise_heat,
    sobol_bars,
    titled,
    tornado_bars,
    value_text,
)
from explorer.uncertainty.promises import PromiseMap
from explorer.uncertainty.results import Probability, Uncertainty
from hwbase.arguments import checked
from hwbase.columns import column
from hwbase.numbers import MISSING, percent, plain, pretty_unit, sentence, times

#: Points of a curve in its table.
_ROWS = 11
#: Hardwiring pays where it costs less in more than this share of draws.
_LIKELY = 0.95
_HEADS = ("over", "ratio", "nominal", "5 %", "50 %", "95 %", "unit", "pays", "always", "never", "more than once")
_WORDS = ("over", "ratio", "unit", "pays")


@checked
def break_even_document(result: BreakEven, command: str, promises: PromiseMap | None = None) -> Document:
    """Return break-even curves, and the map of users and promises if there is one, as a document."""
    parts = (turning(result),) if promises is None else (where_it_pays(promises), turning(result))
    return _document("Where hardwiring breaks even", parts, result, command, "break-even")


def where_it_pays(result: PromiseMap) -> Section:
    """Return the section that says for which users and promises a hardwired fleet costs less."""
    machine = machine_name(str(result.subject["beside"]))
    text = (
        f"What {machine} fleets cost over what hardwired ones cost that serve as many users at as many tokens/s each. "
        "Above 1 hardwiring costs less. Systems are as many as generate the tokens and hold the keys and values; the "
        f"{machine} servers are the best that keep the promise, and an empty cell is a promise that none keeps."
    )
    cells = result.to_frame()
    names = ("users", "tokens_per_s_per_user", "systems", "gpus", "tco_ratio", "p5", "p95", "probability")
    columns = {name: Column(column(name).label, column(name).unit) for name in names[:5]}
    columns |= {"p5": Column("5 %"), "p95": Column("95 %"), "probability": Column("above 1 in")}
    shown = cells[cells["tco_ratio"].notna()]
    formats: dict[str, Callable[[Any], str]] = {"probability": percent, "tco_ratio": times, "p5": times, "p95": times}
    table = frame_table("Ratio of cost by users and promise", shown[list(names)], columns, formats)
    draw = partial(promise_heat, result)
    caption = "Cost of bought machines over that of hardwired ones; above 1 hardwiring costs less"
    return Section("promises", "Who it pays for", (text, *pays_from(result), Figure("promises", draw, caption, table)))


def pays_from(result: PromiseMap) -> tuple[str, ...]:
    """Return, for each promise, from how many users hardwiring costs less in most draws."""
    likely = result.probability > _LIKELY
    sentences = []
    for at, speed in enumerate(result.speeds):
        if np.isnan(result.systems[:, at]).all():
            sentences.append(f"{speed:g} tokens/s: the hardwired machine does not keep it.")
        elif np.isnan(result.gpus[:, at]).all():
            sentences.append(f"{speed:g} tokens/s: no bought server keeps it.")
        elif likely[:, at].any():
            sentences.append(f"{speed:g} tokens/s: from {result.users[np.argmax(likely[:, at])]:,.0f} users.")
        else:
            sentences.append(f"{speed:g} tokens/s: for none of these numbers of users.")
    return ("Hardwiring costs less in at least 95 % of draws, by what each user is promised: " + " ".join(sentences),)


def _document(
    title: str,
    parts: tuple[Section, ...],
    result: Uncertainty | BreakEven,
    command: str,
    schema: str,
    data: Callable[[], Any] | None = None,
) -> Document:
    """Return a document of `parts` with the constants that `result` read."""
    lead = _lead(result.subject) if result.subject else ""
    ends = (assumptions_section({"": result.quantities}), reproduce_section(command))
    return Document(
        title, lead, sections(*parts, *ends), data=data or result.to_dict, frame=result.to_frame, schema=schema
    )


def turning(result: BreakEven) -> Section:
    """Return the section of break-even curves."""
    figures = []
    for name in dict.fromkeys(curve.axis.name for curve in result.curves):
        curves = [curve for curve in result.curves if curve.axis.name == name]
        caption = f"Against {curves[0].axis.label}: median, 5 to 95 % of draws (band), nominal (dotted)"
        figures.append(Figure(f"over-{name}", partial(break_even_curves, curves), caption, _points(result, name), 2))
    text = (
        f"{result.samples:,} draws of all other constants, the same at every point of an axis, so that each draw has a "
        "break-even of its own; the first, if it crosses more than once. Always and never: the shares of draws that "
        "pay everywhere or nowhere on the axis."
    )
    columns = tuple(Column(head, numeric=head not in _WORDS) for head in _HEADS)
    rows = tuple(_crossing(curve) for curve in result.curves)
    return Section("break-even", "Break-even", (text, Table("Where a ratio is 1", columns, rows), *figures))


def _crossing(curve: Curve) -> tuple[str, ...]:
    axis, crossing = curve.axis, curve.crossing

    def place(value: float) -> str:
        if not crossing.pays:
            return MISSING
        if value == float("-inf"):
            return f"< {plain(axis.low)}"
        return f"> {plain(axis.high)}" if value == float("inf") else plain(value, 3)

    ranks = [place(value) for value in (crossing.nominal, crossing.p5, crossing.p50, crossing.p95)]
    shares = (percent(crossing.always), percent(crossing.never), percent(crossing.several))
    inner = [f"{place(low)} to {place(high)}" for low, high in crossing.intervals]
    between = [ends for ends in crossing.intervals if np.isfinite(ends).all()]
    # Between two crossings neither "above" nor "below" is true of the nominal ratio.
    pays = ", ".join(inner) if between else crossing.pays or "alike"
    return (axis.label, label(curve.output), *ranks, pretty_unit(axis.unit), pays, *shares)


def _points(result: BreakEven, axis: str) -> Table:
    frame = result.to_frame()
    rows = frame[frame["axis"] == axis]
    parts = [part.iloc[:: max((len(part) - 1) // (_ROWS - 1), 1)] for _, part in rows.groupby("output", sort=False)]
    along = next(curve.axis for curve in result.curves if curve.axis.name == axis)
    columns = {"output": Column("ratio", numeric=False), "x": Column(along.label, along.unit)}
    columns |= _ranked(("p50", "p5", "p95", "nominal")) | {"probability": Column("above 1 in")}
    return frame_table("Ratios along the axis", pd.concat(parts), columns, {"output": label, "probability": percent})


def _lead(subject: Mapping[str, Any]) -> str:
    replaced = replaced_book(costmodel.conventions.named(subject["convention"]), subject["book"], [subject["beside"]])
    book = "".join(f" {sentence(note)}" for note in replaced)
    pins = ", ".join(f"{key} = {value}" for key, value in subject["set"].items())
    workload = Workload(*(subject[name] for name in ("context", "prompt_tokens", "output_tokens")))
    return (
        f"{subject['model']}: {subject['volume']:,} systems, {workload.describe()}, technology "
        f"{subject['technology']}, conventions {subject['convention']}, {subject['reading']} reading"
        f"{f'; pinned: {pins}' if pins else ''}.{book}"
    )


_MOST_FACTORS, _FEW_FACTORS = 12, 8
_ORDERS = ("first", "total")
_ROUNDED = 0.9995
_ROUND = {
    "triangular": "most likely at nominal, falling linearly to both ends of its range",
    "pert": "most likely at nominal, with little weight at the ends of its range",
    "uniform": "equally likely anywhere in its range",
    "levels": "at the low, the nominal or the high end of its range",
}


@checked
def uncertainty_document(
    result: Uncertainty, command: str, turns: BreakEven | None = None, outputs: tuple[str, ...] = ()
) -> Document:
    """Return the analysis as a document, with break-even curves if given; `outputs` are shown in detail."""
    shown = outputs or ratios_of(result)
    on_log = [name for name in shown if name in result.logs]
    chances = (probability_text(chance, result) for chance in probabilities(result))
    answer = percentile_table("The answer over the draws", result, shown)
    spread: list[Part] = [_drawn(result)]
    if on_log:
        draw = partial(exceedance, result, on_log)
        spread.append(Figure("spread", draw, "Share of draws above", _ranks(result, on_log), 2))
    ends = "Each factor at both ends of its range, everything else nominal; correlated constants move together."
    every = percentile_table("Every output over the draws", result, result.names)
    parts = (
        Section("brief", "In brief", (*chances, *notes(result), answer)),
        Section("spread", "How likely", tuple(spread), short=False),
        Section("decides", "What decides", (*_why(result), *_decides(result, shown))),
        Section("ends", "One factor at a time", (ends, *(_ends(result, output) for output in shown)), short=False),
        *((turning(turns),) if turns else ()),
        Section(
            "method",
            "Convergence and constants",
            (*_converges(result, shown), every, *_constants(result)),
            short=False,
        ),
    )
    title = f"How sure is it? {result.subject.get('model', '')}".rstrip()
    return _document(title, parts, result, command, "uncertainty", lambda: explained(result, shown))


def explained(result: Uncertainty, outputs: tuple[str, ...]) -> dict[str, Any]:
    """Return the findings with probabilities, and indices and ends of `outputs`."""
    return result.to_dict() | {
        "probabilities": [chance.to_dict() for chance in probabilities(result)],
        "notes": list(notes(result)),
        "sobol": {name: result.sobol(name).to_dict(orient="records") for name in outputs},
        "tornado": {name: result.tornado(name).to_dict(orient="records") for name in outputs},
    }


def ratios_of(result: Uncertainty) -> tuple[str, ...]:
    """Return the ratios among the outputs: those against GPUs, then those against a second machine."""
    return tuple(name for name in (*RATIOS, *VERSUS_RATIOS) if name in result.names)


def probabilities(result: Uncertainty) -> list[Probability]:
    """Return the probability that each ratio is above 1, and that both ratios to GPUs are."""
    ratios = ratios_of(result)
    chances = [result.probability(name) for name in ratios]
    if set(RATIOS) <= set(ratios):
        chances.insert(len(RATIOS), result.all_above(RATIOS))
    return chances


def probability_text(chance: Probability, result: Uncertainty) -> str:
    """Return a probability as a sentence."""
    questions = {
        "tco_ratio > 1": "Hardwiring costs less than the GPUs that generate as many tokens",
        "carbon_ratio > 1": "Hardwiring emits less",
        "tco_ratio and carbon_ratio > 1": "Both at once",
        "versus_usd_per_token_ratio > 1": f"A token costs less than with {_other(result)}",
        "versus_carbon_per_token_ratio > 1": f"A token emits less than with {_other(result)}",
    }
    interval = f"{percent(chance.confidence, 0)} interval {_nearly(chance.low)} to {_nearly(chance.high)}"
    return f"{questions.get(chance.what, chance.what)} in {_nearly(chance.probability)} of draws ({interval})."


def _nearly(share: float) -> str:
    """Return a share in percent, never rounded to 0 or 100 unless it is exact."""
    if _ROUNDED <= share < 1.0:
        return f"more than {percent(_ROUNDED, 2)}"
    return f"less than {percent(1.0 - _ROUNDED, 2)}" if 0.0 < share <= 1.0 - _ROUNDED else percent(share)


def notes(result: Uncertainty) -> tuple[str, ...]:
    """Return how fast each bought machine is where that was predicted."""
    rates = ((n, q) for n, q in result.quantities.items() if n.endswith(f".{RATE}") and q.kind == "derived")
    return tuple(f"{name} = {plain(quantity.nominal)}: {quantity.source}." for name, quantity in rates)


def percentile_table(caption: str, result: Uncertainty, outputs: Sequence[str]) -> Table:
    """Return nominal values and percentiles of `outputs`."""
    frame = result.percentiles().drop(columns="mean").set_index("output").loc[list(outputs)]
    labels = [result.evidence.get(str(output), "") for output in outputs]
    rows = tuple(
        (
            titled(str(output), unit=False),
            *(value_text(str(output), value) for value in row),
            *([label] if label else []),
        )
        for (output, row), label in zip(frame.iterrows(), labels, strict=True)
    )
    columns = [Column("output", numeric=False), *_ranked(map(str, frame.columns)).values()]
    columns += [Column("evidence", numeric=False)] if any(labels) else []
    return Table(caption, tuple(columns), rows)


def _ranked(names: Iterable[str]) -> dict[str, Column]:
    """Return the columns of percentiles: p5 is "5 %"."""
    return {name: Column(f"{name[1:]} %" if name[:1] == "p" and name[1:].isdigit() else name) for name in names}


def _decides(result: Uncertainty, outputs: tuple[str, ...]) -> list[Part]:
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
    figures: list[Part] = []
    for output in outputs:
        indices = result.sobol(output)
        if not len(indices) or indices["total"].isna().all():
            continue
        scale = ", on a logarithmic scale" if output in result.logs else ""
        caption = f"{titled(output)}: shares of the variance{scale}"
        table = frame_table(caption, indices.head(_MOST_FACTORS), columns, shares | {"name": factor_label})
        draw = partial(sobol_bars, indices, output)
        figures += [Figure(f"sobol-{output.replace('_', '-')}", draw, caption, table, 4), _factors(result, output)]
    return figures


def _ends(result: Uncertainty, output: str) -> Figure:
    table, nominal = result.tornado(output), result.nominal[output]
    columns = {"name": Column("factor", numeric=False), "low": Column("at its low"), "high": Column("at its high")}
    caption = f"{titled(output, unit=False)}, one factor at a time (nominal {value_text(output, nominal)})"
    write = partial(value_text, output)
    formats: dict[str, Callable[[Any], str]] = {"name": factor_label, "low": write, "high": write}
    behind = frame_table(caption, table.head(_MOST_FACTORS), columns, formats)
    draw = partial(tornado_bars, table, nominal, output)
    return Figure(f"ends-{output.replace('_', '-')}", draw, caption, behind, 2)


def _factors(result: Uncertainty, output: str) -> Table:
    """Return the most important factors: shares of the variance, and the output at both ends of each."""
    top = result.sobol(output).head(_FEW_FACTORS)
    ends = result.tornado(output).set_index("name")
    rows = tuple(
        (
            factor_label(row["name"]),
            str(row["name"]),
            *(f"{percent(row[o])} ({percent(row[f'{o}_low'])} to {percent(row[f'{o}_high'])})" for o in _ORDERS),
            *(value_text(output, ends.loc[row["name"], end]) for end in ("low", "high")),
        )
        for _, row in top.iterrows()
    )
    columns = (
        Column("factor", numeric=False),
        Column("name", numeric=False),
        *(Column(f"{order} order") for order in _ORDERS),
        Column("at its low"),
        Column("at its high"),
    )
    return Table(
        f"Factors of {label(output, unit=False)} (nominal {value_text(output, result.nominal[output])})",
        columns,
        rows,
    )


def _converges(result: Uncertainty, outputs: tuple[str, ...]) -> tuple[Figure, ...]:
    figures = []
    for output in outputs:
        table = result.convergence(output)
        columns = {"samples": Column("draws")} | _ranked(name for name in map(str, table.columns) if name != "samples")
        formats: dict[str, Callable[[Any], str]] = {name: partial(value_text, output) for name in columns}
        formats["samples"] = "{:,}".format
        behind = frame_table("Percentiles over draws", table, columns, formats)
        caption = f"{titled(output)}: percentiles against the number of draws"
        draw = partial(convergence_lines, table, output)
        figures.append(Figure(f"draws-{output.replace('_', '-')}", draw, caption, behind, 2))
    return tuple(figures)


def _constants(result: Uncertainty) -> list[Table]:
    columns = {
        "label": Column("constant", numeric=False),
        "name": column("name"),
        "low": Column("low"),
        "nominal": Column("nominal"),
        "high": Column("high"),
        "unit": Column("unit", numeric=False),
        "shape": Column("shape", numeric=False),
        "kind": column("kind"),
    }
    ranges = result.ranges()
    ranges["label"] = [column(name).label for name in ranges["name"]]
    ranges["shape"] = [_shape(result.distributions[name]) for name in ranges["name"]]
    tables = [frame_table("Constants drawn", ranges, columns, {"unit": pretty_unit})]
    stated = result.stated_correlations()
    if len(stated):
        heads = {"between": Column("between", numeric=False), "rho": Column("rho")}
        heads |= {"kind": column("kind"), "source": column("source")}
        tables.append(frame_table("What moves with what", stated, heads, {}))
    if len(result.reasons):
        heads = {"reason": Column("why", numeric=False), "samples": Column("draws"), "points": Column("of all points")}
        tables.append(frame_table("Draws that cannot be", result.reasons, heads, {}))
    return tables


def _shape(spread: Distribution) -> str:
    return " ".join([spread.shape, *(["in logarithms"] if spread.log else []), *(["whole"] if spread.whole else [])])


def _ranks(result: Uncertainty, outputs: list[str]) -> Table:
    frame = result.percentiles((5, 25, 50, 75, 95))
    rows = frame[frame["output"].isin(outputs)]
    columns = {"output": Column("ratio", numeric=False)}
    columns |= _ranked(("p5", "p50", "p95", "p25", "p75"))
    formats = dict.fromkeys(("p5", "p25", "p50", "p75", "p95"), times) | {"output": label}
    return frame_table("Percentiles of the ratios", rows, columns, formats)


def _why(result: Uncertainty) -> tuple[str, ...]:
    log = " Ratios are taken in logarithms." if result.logs else ""
    return (
        "First order: the share of the variance that vanishes if a factor becomes known. Total order: the rest if all "
        f"others become known; the difference is interaction.{log} Whiskers are 95 % intervals from a bootstrap.",
    )


def _drawn(result: Uncertainty) -> str:
    out = f" {result.infeasible:,} draws are infeasible and left out." if result.infeasible else ""
    shapes = {spread.shape for spread in result.distributions.values()}
    usual = next((s for s in ("triangular", "pert", "uniform", "levels") if s in shapes), "triangular")
    return (
        f"{len(result.distributions)} constants in {len(result.factors)} independent factors, {result.samples:,} "
        f"draws. A constant is {_ROUND[usual]}; ranges of more than a decade are taken in logarithms. The books give "
        f"ranges, not distributions; these are assumed.{out}"
    )


def _other(result: Uncertainty) -> str:
    return ", ".join(f"{key} {value}" for key, value in result.subject.get("versus", {}).items())
