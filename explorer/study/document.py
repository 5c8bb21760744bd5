"""The document of a study: the front, its drivers, and the parameters; its rows are the front."""

import shlex
from collections.abc import Iterable
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

import costmodel
import hwsim
from explorer.documents.document import Document, Figure, Section, sections
from explorer.documents.files import write_document
from explorer.documents.sections import assumptions_section, methods_section, reproduce_section
from explorer.documents.sources import BookUse, book_use, reproduction
from explorer.documents.tables import Column, Table, scaled_table
from explorer.pareto import Dominators
from explorer.pricing.economics import CostAnswer
from explorer.pricing.prices import cost_book
from explorer.report.scopes import boundary_text, carbon_scopes
from explorer.study.drivers import drivers
from explorer.study.figures import driver_bars, front_along, front_scatter
from explorer.study.methods import study_cost, study_methods
from explorer.study.result import StudyResult
from explorer.study.space import Choice, Integer
from explorer.study.spec import Study
from hwbase.columns import column
from hwbase.numbers import MISSING, counted, mass, percent

#: Rows of the front in a report; the files have all rows.
_ROWS = 25
#: Pairs of objectives to draw.
_PAIRS = 3


def study_document(result: StudyResult, command: str, date: str = "") -> Document:
    """Return the result of a study as a document."""
    study, trouble = result.study, result.trouble()
    costs = study_cost(study)
    findings: tuple[Section | None, ...] = ()
    if not trouble:
        findings = (
            _front_section(result),
            _driver_section(result),
            None if costs is None else _scope_section(result, costs),
        )
    again = f"hwsim study run {shlex.quote(result.out)} --out again && " if result.out else ""
    source = reproduction(again + command, _books(result), date=date)
    digest = f"Study digest {result.digest}: equal digests have equal results, point by point."
    return Document(
        study.title or study.name,
        f"{counted(len(result.frame), 'point')}, varied in {', '.join(_labels(study.space))}.",
        sections(
            Section("brief", "In brief", (*([f"{trouble}."] if trouble else []), *_brief(result, trouble))),
            *findings,
            Section("space", "What was varied", (_space_table(result), *_fixed_table(result)), short=False),
            assumptions_section({"hardwired machines": costs.assumptions if costs else {}}),
            methods_section(study_methods(result, costs)),
            reproduce_section(source, digest),
        ),
        data=result.to_dict,
        frame=lambda: result.frame if trouble else result.front(),
        schema="study",
    )


def dominators_document(beaten: Dominators, study: Study, command: str = "") -> Document:
    """Return the front points that beat a point of `study` as a document, with the differences from the best."""
    point, better = int(beaten.point["point"]), beaten.to_frame()
    broken = [name for name in study.constraints if not beaten.point[f"meets {name}"]]
    text = f"point {point} does not meet {', '.join(broken)}. " if broken else ""
    if better.empty:
        text += f"point {point}: {'no point of the front beats it' if broken else 'it is on the front'}."
        tables: tuple[Table, ...] = ()
    else:
        text += f"{counted(len(better), 'point')} of the front {'beats' if len(better) == 1 else 'beat'} point {point}."
        tables = (_gains_table(better, study), _differences_table(beaten, study))
    return Document(
        f"Point {point}",
        text[:1].upper() + text[1:],
        sections(Section("better", "What beats it", tables) if tables else None, reproduce_section(command)),
        schema="study-why",
        data=beaten.to_dict,
        frame=beaten.to_frame,
    )


def _gains_table(better: pd.DataFrame, study: Study) -> Table:
    def share(gain: float) -> str:
        return "from 0" if np.isinf(gain) else percent(gain)

    shown = better.head(_ROWS)
    gains = [map(share, shown[f"{name}_better_by"]) for name in study.objectives]
    heads = (Column("front point", numeric=False), *(Column(column(name).label) for name in study.objectives))
    return Table("How much better each is", heads, tuple(zip(map(str, shown["point"]), *gains, strict=True)))


def _differences_table(beaten: Dominators, study: Study) -> Table:
    best = beaten.better.iloc[0]
    names = [*study.objectives, *(name for name in study.space if name not in study.objectives)]
    rows = [(column(n).label, column(n).text(beaten.point[n]), column(n).text(best[n])) for n in names]
    # Equal values explain nothing.
    rows = [row for i, row in enumerate(rows) if row[1] != row[2] or i < len(study.objectives)]
    heads = ("", f"point {int(beaten.point['point'])}", f"front point {int(best['point'])}")
    return Table("What is different", tuple(Column(head, numeric=bool(head)) for head in heads), tuple(rows))


def write_study_report(result: StudyResult, path: str | Path, command: str, date: str = "") -> Path:
    """Write the report of `result` to `path` in the format of its suffix, and return the path.

    .html and .md hold the whole report, .csv and .parquet the front (all points if there is none), .json the study, its
    summary and the front. Raises `InputError` as `explorer.documents.files.write_document` does.
    """
    return write_document(study_document(result, command, date), path)


def _brief(result: StudyResult, trouble: str | None) -> Iterable[Table]:
    summary = result.summary()
    total = max(summary["points"], 1)
    counts = [("points", summary["points"]), ("failed", summary["failed"])]
    counts += [(f"meet {name}: {result.study.constraints[name]}", n) for name, n in summary["constraints"].items()]
    counts += [("feasible", summary["feasible"])]
    counts += [] if trouble else [("on the front", summary["front"])]
    rows = tuple((name, f"{n:,}", percent(n / total)) for name, n in counts)
    yield Table("Points", (Column("", numeric=False), Column("points"), Column("share")), rows)
    if not trouble:
        yield _best_table(result)
    if summary["failures"]:
        reasons = tuple((reason, f"{n:,}") for reason, n in list(summary["failures"].items())[:_ROWS])
        yield Table("Why points failed", (Column("reason", numeric=False), Column("points")), reasons)


def _chosen(result: StudyResult) -> dict[str, pd.Series]:
    """Return the knee and the best point of each objective."""
    best = result.front()
    chosen = {"the knee": result.knee()}
    for name, direction in result.study.objectives.items():
        place = best[name].idxmin() if direction == "min" else best[name].idxmax()
        chosen[f"best {column(name).label}"] = best.loc[place]  # type: ignore[call-overload]
    return chosen


def _scope_section(result: StudyResult, cost: CostAnswer) -> Section:
    """Return the section on the carbon of the chosen points by scope, with the boundary."""
    lines = (("scope2_t", "Scope 2: electricity"), ("scope3_t", "Scope 3: manufacturing, re-spins included"))
    rows = []
    for name, label in (*lines, ("carbon_t", "all scopes")):
        cells = [f"{mass(row[name])} ({percent(row[name] / row['carbon_t'])})" for row in _chosen(result).values()]
        rows.append((label, *cells))
    heads = (Column("scope", numeric=False), *(Column(head, "CO₂e") for head in _chosen(result)))
    table = Table("Carbon by scope over the life of the fleet", heads, tuple(rows))
    return Section("scopes", "Carbon by scope", (*boundary_text(carbon_scopes(cost)), table), short=False)


def _best_table(result: StudyResult) -> Table:
    """Return the table of the chosen points, side by side."""
    chosen = _chosen(result)
    names = [*result.shown_columns(), *(name for name in result.study.derived if name not in result.study.objectives)]
    rows = tuple((column(name).label, *(column(name).text(row[name]) for row in chosen.values())) for name in names)
    return Table("Points to choose from", (Column("", numeric=False), *(Column(head) for head in chosen)), rows)


def _front_section(result: StudyResult) -> Section:
    study, best = result.study, result.front()
    table = _front_table(result)
    figures: list[Figure] = []
    for i, (across, up) in enumerate(list(combinations(study.objectives, 2))[:_PAIRS]):
        caption = f"{column(up).label} against {column(across).label}: feasible points (a sample), the front, the knee"
        figures.append(Figure(f"front-{i}", partial(front_scatter, result, across, up), caption, table, 1))
    if len(best) > 1:
        caption = "The front along every objective and parameter, one line a point; ranges are given at the axes"
        figures.append(Figure("front-along", partial(front_along, result), caption, table, 1))
    text = (
        f"{counted(len(best), 'point')} that no other feasible point beats in all of "
        f"{', '.join(f'{column(name).label} ({direction})' for name, direction in study.objectives.items())}."
    )
    return Section("front", "The front", (text, *figures, table))


def _front_table(result: StudyResult) -> Table:
    best = result.front()
    step = -(-len(best) // _ROWS)
    rows_shown = best.iloc[::step]
    shown = f"{len(rows_shown)} of {len(best):,} points" if step > 1 else "all its points"
    return scaled_table(f"The front, {shown}", rows_shown[result.shown_columns()])


def _driver_section(result: StudyResult) -> Section:
    table = drivers(result)
    objectives = list(result.study.objectives)
    rows = tuple(
        (column(str(name)).label, *(MISSING if row[o] != row[o] else percent(row[o]) for o in objectives))
        for name, row in table.iterrows()
    )
    columns = (Column("parameter", numeric=False), *(Column(column(name).label) for name in objectives))
    shares = Table("Share of the variance explained by one parameter alone", columns, rows)
    caption = "Share of each objective's variance over the feasible points, explained by one parameter alone"
    text = (
        "The rest to 100 % comes from interactions. Where constraints cut the space, parameters are correlated, "
        "and a share may belong to another parameter."
    )
    if result.study.drawn_by == "nsga2":
        text += " A search samples good regions more densely; the shares are those of its points."
    figure = Figure("drivers", partial(driver_bars, table, objectives), caption, shares, 1)
    return Section("drivers", "What drives it", (text, figure), short=False)


def _space_table(result: StudyResult) -> Table:
    rows = []
    for name, each in result.study.space.items():
        text = column(name).text
        if isinstance(each, Choice):
            kind, values = "choice", ", ".join(text(value) for value in each.choices)
        else:
            kind = "whole number" if isinstance(each, Integer) else "number"
            values = f"{text(each.low)} to {text(each.high)}{', logarithmic' if each.log else ''}"
        when = " and ".join(f"{other} = {value}" for other, value in each.when.items())
        rows.append((column(name).label, name, kind, values, when or "always"))
    heads = ("parameter", "name", "kind", "values", "counts when")
    return Table("Parameters", tuple(Column(head, numeric=False) for head in heads), tuple(rows))


def _fixed_table(result: StudyResult) -> Iterable[Table]:
    if result.study.fixed:
        rows = tuple((column(name).label, name, column(name).text(value)) for name, value in result.study.fixed.items())
        heads = ("parameter", "name", "value")
        yield Table("Fixed", tuple(Column(head, numeric=False) for head in heads), rows)


def _labels(names: Iterable[str]) -> list[str]:
    return [column(name).label for name in names]


def _books(result: StudyResult) -> tuple[BookUse, ...]:
    study = result.study
    if study.target.name != "hardwired":
        return ()
    convention = study.fixed.get("convention", "corrected")
    costs = cost_book(study.fixed.get("book") or costmodel.conventions.named(convention).book)
    processes = study.space["technology"].grid("") if "technology" in study.space else [study.fixed.get("technology")]
    named = [hwsim.technology_book(name) if name else hwsim.technology_book() for name in processes]
    uses = [book_use("cost and carbon", costs), book_use("machine", hwsim.design_book())]
    return (*uses, *(book_use("technology", book) for book in named))
