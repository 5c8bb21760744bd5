"""The report of a study as a file: HTML, Markdown, or its front as CSV, Parquet or JSON, as the name asks."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path

import pandas as pd

import hwsim
from explorer.documents import markdown
from explorer.documents.captioned import CaptionedFigure, captioned_figure
from explorer.documents.columns import column
from explorer.documents.files import write_as
from explorer.documents.methods import Method
from explorer.documents.numbers import MISSING, counted, mass, percent
from explorer.documents.page import Section, render_page
from explorer.documents.sources import (
    BookUse,
    Reproduction,
    book_use,
    books_table,
    quality,
    quality_table,
    reproduction,
    source_table,
    versions_said,
)
from explorer.documents.tables import Column, Table
from explorer.pricing.economics import BOOKS, CostAnswer
from explorer.pricing.prices import cost_book
from explorer.report.scopes import boundary_said, carbon_scopes
from explorer.study.figures import driver_bars, drivers, front_along, front_scatter
from explorer.study.methods import study_cost, study_methods
from explorer.study.result import StudyResult
from explorer.study.space import Choice, Integer
from hwbase import Quantity

#: Rows of the front in a report; the files have them all.
_ROWS = 25
#: Pairs of objectives that are drawn.
_PAIRS = 3


@dataclass(frozen=True)
class StudyReport:
    """What a report says of a study, whatever file it goes into."""

    result: StudyResult
    command: str
    date: str = ""

    @property
    def title(self) -> str:
        """The study's title."""
        return self.result.study.title or self.result.study.name

    @property
    def lead(self) -> str:
        """What was varied, in a sentence."""
        study = self.result.study
        return f"{counted(len(self.result.frame), 'point')}, varied in {', '.join(_labels(study.space))}."

    @cached_property
    def parts(self) -> tuple[Section, ...]:
        """The sections before assumptions, methods and how to make it again."""
        result = self.result
        trouble = result.trouble()
        brief = Section("brief", "In brief", (trouble + ".",) if trouble else (), tables=tuple(_brief(result, trouble)))
        space = Section("space", "What was varied", tables=(_space_table(result), *_fixed_table(result)))
        if trouble:
            return (brief, space)
        scopes = () if self.cost is None else (_scope_section(result, self.cost),)
        return (brief, _front_section(result), _driver_section(result), *scopes, space)

    @property
    def sections(self) -> list[tuple[str, str]]:
        """Anchors and titles."""
        sources = [("assumptions", "Assumptions")] if self.constants else []
        ends = [*sources, ("methods", "Methods"), ("reproduce", "Reproduce")]
        return [(part.id, part.title) for part in self.parts] + ends

    @cached_property
    def constants(self) -> dict[str, Quantity]:
        """Constants behind the points."""
        return self.cost.assumptions if self.cost else {}

    @cached_property
    def cost(self) -> CostAnswer | None:
        """What stands for the cost and carbon of the points."""
        return study_cost(self.result.study)

    @property
    def quality_said(self) -> str:
        """The quality of the constants in a sentence."""
        return quality(self.constants.values()).said()

    @property
    def quality(self) -> Table:
        """The quality of the constants by kind."""
        return quality_table(quality(self.constants.values()))

    @property
    def sources(self) -> Table:
        """Every constant with its source."""
        return source_table({"hardwired machines": self.constants})

    @cached_property
    def methods(self) -> list[Method]:
        """How the points came about."""
        return study_methods(self.result, self.cost)

    @property
    def digest(self) -> str:
        """The study's digest."""
        return self.result.digest

    @cached_property
    def reproduction(self) -> Reproduction:
        """Command, versions and books."""
        out = self.result.out
        again = f"hwsim study run {shlex.quote(out)} --out again && " if out else ""
        return reproduction(again + self.command, _books(self.result), date=self.date)

    @property
    def versions(self) -> str:
        """Versions in a sentence."""
        return versions_said(self.reproduction)

    @property
    def books(self) -> Table:
        """Books with their digests."""
        return books_table(self.reproduction)


def write_study_report(result: StudyResult, path: str | Path, command: str, date: str = "") -> Path:
    """Write the report of `result` to `path` in the form that its name ends in, and return the path.

    .html and .md hold the whole report, .csv and .parquet the front (all points where there is none), .json the study,
    its summary and the front. Raises `InputError` as `explorer.reporting.files.write_as` does.
    """
    report = StudyReport(result, command, date)
    return write_as(
        path,
        page=lambda: render_page("study.html.j2", page=report),
        markdown=lambda: render_study_markdown(report),
        table=lambda: result.frame if result.trouble() else result.front(),
        data=result.to_dict,
    )


def render_study_markdown(report: StudyReport) -> str:
    """Return the report as Markdown: the sections of the page without its figures."""
    parts = [
        markdown.section(part.title, *part.text, *_once(figure.table for figure in part.figures), *part.tables)
        for part in report.parts
    ]
    sources = [markdown.section("Assumptions", report.quality_said, report.quality, report.sources)]
    return markdown.document(
        report.title,
        [markdown.text(report.lead)],
        *parts,
        *(sources if report.constants else []),
        markdown.section("Methods", *markdown.methods(report.methods), plain_text=False),
        markdown.reproduce(report.reproduction, f"Study digest {report.digest}. {report.versions}", report.books),
    )


def _once(tables: Iterable[Table]) -> list[Table]:
    return list({table.caption: table for table in tables}.values())


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
    """The knee and the best point of each objective."""
    best = result.front()
    chosen = {"the knee": result.knee()}
    for name, direction in result.study.objectives.items():
        place = best[name].idxmin() if direction == "min" else best[name].idxmax()
        chosen[f"best {column(name).label}"] = best.loc[place]  # type: ignore[call-overload]
    return chosen


def _scope_section(result: StudyResult, cost: CostAnswer) -> Section:
    """Carbon of the points to choose from by scope, with the boundary."""
    lines = (("scope2_t", "Scope 2: electricity"), ("scope3_t", "Scope 3: what was made, re-spins included"))
    rows = []
    for name, said in (*lines, ("carbon_t", "all scopes")):
        cells = [f"{mass(row[name])} ({percent(row[name] / row['carbon_t'])})" for row in _chosen(result).values()]
        rows.append((said, *cells))
    heads = (Column("scope", numeric=False), *(Column(head, "CO₂e") for head in _chosen(result)))
    table = Table("Carbon by scope over the life of the fleet", heads, tuple(rows))
    return Section("scopes", "Carbon by scope", boundary_said(carbon_scopes(cost)), tables=(table,))


def _best_table(result: StudyResult) -> Table:
    """The points to choose from, side by side."""
    chosen = _chosen(result)
    names = [*result.shown_columns(), *(name for name in result.study.derived if name not in result.study.objectives)]
    rows = tuple((column(name).label, *(column(name).text(row[name]) for row in chosen.values())) for name in names)
    return Table("Points to choose from", (Column("", numeric=False), *(Column(head) for head in chosen)), rows)


def _front_section(result: StudyResult) -> Section:
    study, best = result.study, result.front()
    table = _front_table(result)
    figures: list[CaptionedFigure] = []
    for i, (across, up) in enumerate(list(combinations(study.objectives, 2))[:_PAIRS]):
        caption = f"{column(up).label} over {column(across).label}: feasible points (a sample), the front, the knee"
        figures.append(captioned_figure(f"front-{i}", front_scatter(result, across, up), caption, table, 1))
    if len(best) > 1:
        caption = "The front along every objective and parameter, a line a point; its ends stand at the axes"
        figures.append(captioned_figure("front-along", front_along(result), caption, table, 1))
    text = (
        f"{counted(len(best), 'point')} that no other feasible point beats in all of "
        f"{', '.join(f'{column(name).label} ({direction})' for name, direction in study.objectives.items())}."
    )
    return Section("front", "The front", (text,), tuple(figures))


def _front_table(result: StudyResult) -> Table:
    best = result.front()
    step = -(-len(best) // _ROWS)
    rows_shown = best.iloc[::step]
    scaled = {name: column(name).scaled(best[name]) for name in result.shown_columns()}
    cells = {
        name: [entry.cell_of(value, scale) for value in rows_shown[name]] for name, (entry, scale) in scaled.items()
    }
    rows = tuple(zip(*cells.values(), strict=True))
    columns = tuple(entry for entry, _ in scaled.values())
    shown = f"{len(rows)} of {len(best):,} points" if step > 1 else "all its points"
    return Table(f"The front, {shown}", columns, rows)


def _driver_section(result: StudyResult) -> Section:
    table = drivers(result)
    objectives = list(result.study.objectives)
    rows = tuple(
        (column(str(name)).label, *(MISSING if row[o] != row[o] else percent(row[o]) for o in objectives))
        for name, row in table.iterrows()
    )
    columns = (Column("parameter", numeric=False), *(Column(column(name).label) for name in objectives))
    shares = Table("Share of the variance that a parameter explains alone", columns, rows)
    caption = "Share of each objective's variance over the feasible points that a parameter explains alone"
    text = (
        "What is missing to 100 % comes from parameters together. Where constraints cut the space, parameters go along "
        "with each other, and a share may be another's."
    )
    if result.study.drawn_by == "nsga2":
        text += " A search looks where it is good: the shares are of the points that it asked for."
    figures = (captioned_figure("drivers", driver_bars(table, objectives), caption, shares, 1),)
    return Section("drivers", "What drives it", (text,), figures)


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
    costs = cost_book(study.fixed.get("book") or BOOKS[convention])
    processes = study.space["technology"].grid("") if "technology" in study.space else [study.fixed.get("technology")]
    named = [hwsim.technology_book(name) if name else hwsim.technology_book() for name in processes]
    uses = [book_use("cost and carbon", costs), book_use("machine", hwsim.design_book())]
    return (*uses, *(book_use("technology", book) for book in named))
