"""The whole answer for one model: simulated, costed, weighed, and compared with what was published."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

import costmodel
import hwsim
import models
from explorer.documents.document import Method, Note
from explorer.documents.methods import (
    cost_methods,
    levels_method,
    override_methods,
    reading_methods,
    technology_method,
)
from explorer.documents.sources import BookUse, Reproduction, book_use, distinct, quality, reproduction
from explorer.documents.theme import machine_name
from explorer.papers.reproduce import reproduce
from explorer.papers.scoreboard import Scoreboard
from explorer.pricing.economics import PAPER_MODEL, CostAnswer, cost, costs_and_machine
from explorer.pricing.prices import cost_book
from explorer.report.figures.chip import density_frame
from explorer.report.figures.fleet import levels_of
from explorer.report.findings import findings
from explorer.report.headline import PAPER_CONTEXT, HeadlineRow, headline
from explorer.report.scopes import carbon_scopes
from hwbase import Book, Quantity, Record, load_book
from hwbase.check import integer
from hwsim.simulation import hardwired
from hwsim.technology import BOOKS as MACHINE_BOOKS
from hwsim.technology import DEFAULT_TECHNOLOGY

#: Contexts over which the report draws speed and execution time.
CONTEXTS = np.array([2048, 8192, 16384, 32768, 65536, 131072, 262144])
#: The sequences an H100 serves together in the paper's economics.
PAPER_CONCURRENCY = 50
#: The other convention, shown beside the one asked for.
_OTHER = {"as-published": "corrected", "corrected": "as-published"}


@dataclass(frozen=True)
class Answer(Record):
    """Everything the report shows; see the fields' own types for units."""

    model: models.LLMSpec
    context: int
    published: hwsim.SimResult
    pipelined: hwsim.SimResult
    accelerators: dict[str, hwsim.SimResult]
    chip: hwsim.Chip
    densities: pd.DataFrame
    relatives: pd.DataFrame
    contexts: np.ndarray
    published_by_context: hwsim.SimResult
    pipelined_by_context: hwsim.SimResult
    cost: CostAnswer
    other_cost: CostAnswer
    scoreboard: Scoreboard | None
    headline: tuple[HeadlineRow, ...]
    notes: tuple[Note, ...]
    command: str
    version: str
    technology: str = DEFAULT_TECHNOLOGY
    methods: tuple[Method, ...] = ()
    books: tuple[BookUse, ...] = ()
    overrides: dict[str, str] = field(default_factory=dict)
    date: str = ""
    """The day it was made, if whoever asked gave it."""
    assumptions: dict[str, Quantity] = field(default_factory=dict, repr=False)

    @property
    def constants(self) -> dict[str, dict[str, Quantity]]:
        """Constants that were read, by what read them."""
        machine = self.published.assumptions
        groups = {"machine": machine}
        groups |= {machine_name(name): run.assumptions for name, run in self.accelerators.items()}
        for costed in (self.cost, self.other_cost):
            read = {name: quantity for name, quantity in costed.assumptions.items() if name not in machine}
            groups[f"{costed.convention} costs"] = read
        return groups

    @property
    def reproduction(self) -> Reproduction:
        """What it takes to make this again."""
        return reproduction(self.command, self.books, overrides=self.overrides, date=self.date, version=self.version)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, with carbon by scope, the quality of the constants and what it takes to run again."""
        quantities = [quantity for _, quantity, _ in distinct(self.constants)]
        return super().to_dict() | {
            "scopes": [carbon_scopes(costed).to_dict() for costed in (self.cost, self.other_cost)],
            "quality": quality(quantities).to_dict(),
            "reproduce": self.reproduction.to_dict(),
        }

    def to_frame(self) -> pd.DataFrame:
        """Return a row a cell of the report's tables (see `explorer.documents.rows`)."""
        from explorer.documents import rows
        from explorer.report.document import report_document

        return rows.frame(report_document(self))

    def _repr_html_(self) -> str:
        from explorer.documents import notebook
        from explorer.report.document import report_document

        return notebook.render(report_document(self))


def answer(
    model: str | models.LLMSpec = PAPER_MODEL,
    *,
    context: int = PAPER_CONTEXT,
    volume: int = 50,
    convention: str = "as-published",
    technology: str = DEFAULT_TECHNOLOGY,
    weights: str = "fp4",
    set: Mapping[str, Any] | None = None,
    book: str | None = None,
    command: str = "",
    date: str = "",
) -> Answer:
    """Return the whole answer for `model`: both readings, both conventions, H100 and WSE-3, scoreboard, findings.

    `technology` names the book of the process, `weights` the format in metal; `set` overrides constants of the machine,
    the technology or the cost book by name, `book` is a user's cost book; `command` and `date` are what a report says
    of how and when it was made. The scoreboard is there for the paper's own model and process.
    Raises `InputError` for whatever cannot be used.
    """
    spec = models.load(model) if isinstance(model, str) else model
    context = integer("context", context, high=hwsim.MOST_CONTEXT)
    costs_book = cost_book(book or costmodel.conventions.named(convention).book)
    for_costs, for_machine = costs_and_machine(set or {}, costs_book, hwsim.DEFAULT_MACHINE, technology)
    design, process, used = hardwired(spec, weights=weights, technology=technology, set=for_machine)

    def run(at: Any, reading: str) -> hwsim.SimResult:
        return hwsim.simulate_hardwired(spec, design, process, context=at, reading=reading)

    published, pipelined = (replace(run(context, reading), assumptions=used) for reading in hwsim.READINGS)
    accelerators = {
        name: hwsim.simulate(spec, name, context=context, batch=PAPER_CONCURRENCY) for name in hwsim.DEFAULT_OPPONENTS
    }
    costs = {
        name: cost(
            spec,
            volume=volume,
            convention=name,
            context=context,
            technology=technology,
            book=book,
            weights=weights,
            set={**for_costs, **for_machine},
            effects=True,
        )
        for name in (convention, _OTHER[convention])
    }
    papers_own = (spec.name, technology, weights) == (PAPER_MODEL, DEFAULT_TECHNOLOGY, "fp4")
    board = reproduce(set=for_machine) if papers_own else None
    read = {**used, **accelerators[hwsim.DEFAULT_GPU].assumptions, **costs[convention].assumptions}
    chip = hwsim.build_chip(spec, design, process)
    process_book = hwsim.technology_book(technology)
    methods = [
        *reading_methods((published, pipelined, *accelerators.values())),
        technology_method(process_book, design.weight_format, chip),
        *cost_methods(
            costmodel.conventions.named(convention),
            costs[convention].assumptions,
            costs[convention].node,
            costs[convention].device,
        ),
        levels_method(levels_of(convention), published=convention == "as-published" and book is None),
        *override_methods({**used, **costs[convention].assumptions}),
    ]
    return Answer(
        model=spec,
        context=context,
        published=published,
        pipelined=pipelined,
        accelerators=accelerators,
        chip=chip,
        densities=density_frame(spec.hidden_size, design, process),
        relatives=_with_ours(pipelined, chip, process),
        contexts=CONTEXTS,
        published_by_context=run(CONTEXTS, "as-published"),
        pipelined_by_context=run(CONTEXTS, "pipelined"),
        cost=costs[convention],
        other_cost=costs[_OTHER[convention]],
        scoreboard=board,
        headline=headline(spec, context, published, pipelined, accelerators, costs, board),
        notes=findings(spec, design, process, published, pipelined, costs),
        command=command or f"hwsim report {spec.name}",
        version=hwsim.__version__,
        technology=technology,
        methods=tuple(methods),
        books=_books(
            process_book,
            tuple(accelerators),
            {f"{name} costs": costmodel.load_book(book or each.conventions.book) for name, each in costs.items()},
        ),
        overrides={name: str(value) for name, value in (set or {}).items()},
        date=date,
        assumptions=read,
    )


def _books(process: Book, accelerators: tuple[str, ...], costs: Mapping[str, Book]) -> tuple[BookUse, ...]:
    """The books behind an answer, each with a digest of its constants as they are in its file."""
    machines = {machine_name(name): load_book(name, MACHINE_BOOKS) for name in accelerators}
    books = {"machine": hwsim.design_book(), "process": process, **machines, **costs}
    return tuple(book_use(role, book) for role, book in books.items())


def _with_ours(run: hwsim.SimResult, chip: hwsim.Chip, technology: hwsim.Technology) -> pd.DataFrame:
    """Published hardwired machines under ours, for one user; ours counts the HN array, theirs the die."""
    array = chip.block("HN array").area_mm2
    transistors = array * technology.logic_density_mtr_per_mm2 * 1e6
    ours = {
        "machine": f"{run.model} on HNLPU, {run.chips} chips",
        "area_mm2": float(run.area_mm2),
        "weights_per_mm2": float(chip.hn_weights / array),
        "transistors_per_weight": float(transistors / chip.hn_weights),
        "tokens_per_s_per_user": float(run.tokens_per_s_per_user),
        "power_w": float(run.power_w),
        "source": "ours, pipelined reading; weights per mm2 of HN array at the density of the technology book",
    }
    return pd.concat([pd.DataFrame([ours]), hwsim.relatives()], ignore_index=True)
