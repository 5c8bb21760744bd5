"""The whole answer for one model: speed, cost, carbon, and the comparison with published figures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import costmodel
import hwsim
import models
from explorer.documents.document import Document, Documented, Method, Note
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
from explorer.pricing.prices import (
    Convention,
    Machine,
    cost_book,
    listed_machines,
    machines_of,
    own_book,
    without_foreign,
)
from explorer.pricing.rates import Workload, predicted_rate
from explorer.report.figures.chip import density_rows
from explorer.report.findings import findings
from explorer.report.headline import FIGURES, PAPER_CONTEXT, HeadlineRow, headline
from explorer.report.scopes import carbon_scopes
from hwbase import Book, Evidence, InputError, Quantity, evidence_by_figure
from hwbase.arguments import checked
from hwbase.books import split_overrides
from hwbase.values import read_integer
from hwsim.hardwired import reading_for
from hwsim.machine_books import COSTS
from hwsim.related_machines import relative_rows
from hwsim.simulation import VARIED, hardwired
from hwsim.technology import DEFAULT_TECHNOLOGY

if TYPE_CHECKING:
    import pandas as pd

#: Contexts at which the report draws speed and execution time.
CONTEXTS = np.array([2048, 8192, 16384, 32768, 65536, 131072, 262144])
#: Batch of a GPU in the paper's economics.
PAPER_CONCURRENCY = 50
#: The second set of conventions if one is given: the other of these two, or the first.
_BESIDE = ("corrected", "as-published")


@dataclass(frozen=True)
class Answer(Documented):
    """All results of the report; see the fields' own types for units."""

    model: models.LLMSpec
    context: int
    published: hwsim.SimResult
    pipelined: hwsim.SimResult
    accelerators: dict[str, hwsim.SimResult]
    chip: hwsim.Chip
    densities: tuple[dict[str, Any], ...]
    relatives: tuple[dict[str, Any], ...]
    contexts: np.ndarray
    gpu_rates: dict[str, np.ndarray]
    """Tokens/s of one GPU of the best server at each of `contexts`, by machine (`hwsim.gpu.rate`)."""
    published_by_context: hwsim.SimResult
    pipelined_by_context: hwsim.SimResult
    cost: CostAnswer
    """By the first set of conventions, beside the first machine that is bought under it."""
    other_cost: CostAnswer
    """By the second set of conventions, likewise."""
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
    """The date of the report, if given."""
    assumptions: dict[str, Quantity] = field(default_factory=dict, repr=False)
    more_costs: tuple[CostAnswer, ...] = ()
    """By further conventions, and against further bought machines."""

    @property
    def machine(self) -> str:
        """Name of the hardwired machine."""
        return self.published.machine

    @property
    def has_published(self) -> bool:
        """Whether the paper's account has the machine's mapping, so that the two readings differ."""
        return self.published.reading != self.pipelined.reading

    @property
    def costs(self) -> tuple[CostAnswer, ...]:
        """The first of each set of conventions, in the given order."""
        return tuple({each.convention: each for each in reversed(self._all_costs)}.values())[::-1]

    @property
    def costs_beside(self) -> tuple[CostAnswer, ...]:
        """Those beside further machines that are bought."""
        first = self.costs
        return tuple(each for each in self.more_costs if all(each is not one for one in first))

    @property
    def _all_costs(self) -> tuple[CostAnswer, ...]:
        return (self.cost, self.other_cost, *self.more_costs)

    @property
    def constants(self) -> dict[str, dict[str, Quantity]]:
        """Constants that were read, by group."""
        machine = self.published.assumptions
        groups = {"machine": machine}
        groups |= {machine_name(name): run.assumptions for name, run in self.accelerators.items()}
        for costed in self.costs:
            read = {name: quantity for name, quantity in costed.assumptions.items() if name not in machine}
            groups[f"{costed.convention} costs"] = read
        for costed in self.costs_beside:
            known = machine | groups[f"{costed.convention} costs"]
            own = {name: quantity for name, quantity in costed.assumptions.items() if known.get(name) != quantity}
            groups[f"{costed.convention} costs beside {machine_name(costed.device)}"] = own
        return groups

    @property
    def reproduction(self) -> Reproduction:
        """Versions, books and command needed to reproduce the answer."""
        return reproduction(self.command, self.books, overrides=self.overrides, date=self.date, version=self.version)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, with carbon by scope, the quality of the constants and the reproduction."""
        quantities = [quantity for _, quantity, _ in distinct(self.constants)]
        return super().to_dict() | {
            "scopes": [carbon_scopes(costed).to_dict() for costed in self.costs],
            "quality": quality(quantities).to_dict(),
            "reproduce": self.reproduction.to_dict(),
        }

    def to_frame(self) -> "pd.DataFrame":
        """Return a row for each cell of the report's tables (see `explorer.documents.rows`)."""
        from explorer.documents import rows
        from explorer.report.document import report_document

        return rows.frame(report_document(self))

    def document(self, command: str = "") -> Document:
        """Return the result as a document."""
        from explorer.report.document import report_document

        return report_document(self)


@checked
def answer(
    model: str | models.LLMSpec = PAPER_MODEL,
    *,
    on: Machine | Sequence[Machine] | None = None,
    context: int = PAPER_CONTEXT,
    prompt_tokens: int = 0,
    output_tokens: int = 0,
    volume: int = 50,
    convention: Convention | Sequence[Convention] = "as-published",
    technology: str = DEFAULT_TECHNOLOGY,
    weights: str = "fp4",
    reading: str | None = None,
    set: Mapping[str, Any] | None = None,
    book: str | None = None,
    events: bool = False,
    command: str = "",
    date: str = "",
) -> Answer:
    """Return the whole answer for `model`: speed, size, cost and carbon, scoreboard, findings.

    Parameters
    ----------
    model : str or LLMSpec
        A model, as in `hwsim.simulate`.
    on : str, Path or Book, or a sequence of them, optional
        Machines by name or book: one hardwired machine (by default the paper's), and others to compare with. By default
        the paper's GPU and wafer, and the GPU of each set of conventions, which then stands beside that set alone.
    context, volume : int
        Positions of a sequence, and systems built.
    prompt_tokens, output_tokens : int
        What the fleets serve, as in `explorer.cost`.
    convention : str, Path or Conventions, or a sequence of them
        Sets of conventions by name or file. One alone stands beside the corrected ones, or those beside the published.
    technology : str
        Process of the hardwired machine.
    weights : str
        Weight format of the hardwired machine, as in `hwsim.simulate`.
    reading : str, optional
        The reading that costs are counted with; that of each set of conventions unless given. Speeds are in both.
    set : mapping of str to number, array or str
        Constants of the machine, technology or cost books to override.
    book : str, optional
        A cost book in place of the conventions' own.
    events : bool
        Also simulate the paper's claims request by request, for a finding and the lines of the scoreboard.
    command, date : str
        The command and date that the report states.

    Returns
    -------
    Answer
        The scoreboard is present for the paper's own machine, model and process.

    Raises
    ------
    InputError
        For invalid input.
    """
    spec = models.spec_of(model)
    context = read_integer("context", context, high=hwsim.MOST_CONTEXT)
    sets = _conventions(convention)
    machine, others, beside_sets = _machines(on, sets)
    priced = list({other.name: other for books in beside_sets for other in books}.values())
    costs_book = cost_book(book or sets[0].book, priced, spec)
    for_costs, for_machine = costs_and_machine(set or {}, costs_book, machine, technology)
    design, process, used = hardwired(spec, weights=weights, technology=technology, book=machine, set=for_machine)

    def run(at: Any, reading: str) -> hwsim.SimResult:
        return hwsim.simulate_hardwired(spec, design, process, context=at, reading=reading)

    def costed(choices: costmodel.Conventions, beside: Book) -> CostAnswer:
        return cost(
            spec,
            volume=volume,
            convention=choices,
            context=context,
            prompt_tokens=prompt_tokens,
            output_tokens=output_tokens,
            on=machine,
            beside=beside,
            technology=technology,
            weights=weights,
            reading=reading,
            book=book,
            set=without_foreign(for_costs, [other for other in priced if other.name != beside.name]) | for_machine,
            # The report shows them for the conventions asked for.
            effects=choices is sets[0] and beside is beside_sets[0][0],
        )

    def labels(constants: Mapping[str, Quantity], changed: Callable[[dict[str, Any]], Any]) -> dict[str, Evidence]:
        def figures(values: dict[str, Any]) -> dict[str, Any]:
            result = changed(values)
            return {name: getattr(result, name) for name in FIGURES}

        return evidence_by_figure(constants, figures)

    def hardwired_at(reading: str, values: dict[str, Any]) -> hwsim.SimResult:
        made = hardwired(spec, weights=weights, technology=technology, book=machine, set=for_machine | values)
        return hwsim.simulate_hardwired(spec, *made[:2], context=context, reading=reading)

    # A mapping that the published account does not have is read as pipelined in both places.
    readings = [reading_for(design, each) for each in hwsim.READINGS]
    published, pipelined = (replace(run(context, each), assumptions=used) for each in readings)

    def bought_at(other: Book, values: dict[str, Any] | None = None) -> hwsim.SimResult:
        return hwsim.simulate(spec, other, context=context, batch=PAPER_CONCURRENCY, set=values)

    accelerators = {other.name: bought_at(other) for other in others}
    evidence = {
        name: labels(used, partial(hardwired_at, reading))
        for name, reading in zip((machine.name, f"{machine.name}-pipelined"), readings, strict=True)
    }
    evidence |= {
        other.name: labels(accelerators[other.name].assumptions, partial(bought_at, other)) for other in others
    }
    fleets = [[costed(choices, other) for other in books] for choices, books in zip(sets, beside_sets, strict=True)]
    costs = [first for first, *_ in fleets]
    believed = cost_book(book or costmodel.CORRECTED.book, priced, spec)
    believed = believed.override(split_overrides(for_costs, believed.settable())[0])
    own = (PAPER_MODEL, hwsim.DEFAULT_MACHINE, DEFAULT_TECHNOLOGY, "fp4")
    is_papers = (spec.name, machine.name, technology, weights) == own
    board = reproduce(set=for_machine, events=events) if is_papers else None
    chip = hwsim.build_chip(spec, design, process)
    process_book = hwsim.technology_book(technology)
    return Answer(
        model=spec,
        context=context,
        published=published,
        pipelined=pipelined,
        accelerators=accelerators,
        chip=chip,
        densities=tuple(density_rows(spec.hidden_size, design, process)),
        relatives=_with_ours(pipelined, chip, process),
        contexts=CONTEXTS,
        gpu_rates={
            other.name: predicted_rate(believed, other, spec, Workload(CONTEXTS))
            for other in priced
            if other.kind == "gpu"
        },
        published_by_context=run(CONTEXTS, readings[0]),
        pipelined_by_context=run(CONTEXTS, readings[1]),
        cost=costs[0],
        other_cost=costs[1],
        more_costs=(*costs[2:], *(each for _, *more in fleets for each in more)),
        scoreboard=board,
        headline=headline(context, published, pipelined, accelerators, fleets, board, evidence),
        notes=findings(spec, design, process, published, pipelined, {each.convention: each for each in costs}, events),
        command=command or f"hwsim report {spec.name}",
        version=hwsim.__version__,
        technology=technology,
        methods=(
            *reading_methods((published, pipelined, *accelerators.values())),
            technology_method(process_book, design.weight_format, chip),
            *cost_methods(sets[0], costs[0].assumptions, costs[0].node, costs[0].device),
            levels_method(sets[0].levels, published=sets[0].published_system and book is None),
            *override_methods({**used, **costs[0].assumptions}),
        ),
        books=_books(machine, process_book, others, costs, book),
        overrides={name: str(value) for name, value in (set or {}).items()},
        date=date,
        assumptions={**used, **_assumptions(accelerators, costs[0].device), **costs[0].assumptions},
    )


def _conventions(convention: Convention | Sequence[Convention]) -> list[costmodel.Conventions]:
    """Return the given sets, and a second set if there is only one."""
    alone = isinstance(convention, (str, Path, costmodel.Conventions))
    listed: Sequence[Convention] = [convention] if alone else list(convention)  # type: ignore[list-item, arg-type]
    sets = [costmodel.conventions.named(each) for each in listed]
    if not sets:
        raise InputError("no convention given: expected at least one")
    if len(sets) == 1:
        sets.append(costmodel.conventions.named(next(name for name in _BESIDE if name != sets[0].name)))
    names = [each.name for each in sets]
    if twice := [name for at, name in enumerate(names) if name in names[:at]]:
        raise InputError(f"conventions {twice[0]!r} are given twice: expected once")
    return sets


def _machines(
    on: Machine | Sequence[Machine] | None, sets: Sequence[costmodel.Conventions]
) -> tuple[Book, list[Book], list[list[Book]]]:
    """Return (the hardwired machine, the others, those that stand beside each set of conventions, the first first)."""
    given = listed_machines(on)
    if any(hwsim.machine_book(each, VARIED).kind != "hardwired" for each in given):
        machine, others = machines_of(on, VARIED, sets[0])
        priced = [other for other in others if other.section(COSTS)]
        return machine, others, [priced or [hwsim.machine_book(choices.beside)] for choices in sets]
    own = [list(dict.fromkeys((choices.beside, hwsim.DEFAULT_GPU))) for choices in sets]
    bought = dict.fromkeys((hwsim.DEFAULT_GPU, *(name for names in own for name in names)))
    shown = [*given, *bought, *(hwsim.DEFAULT_OPPONENTS[1:] if on is None else ())]
    machine, others = machines_of(shown, VARIED, sets[0])
    return machine, others, [[hwsim.machine_book(name) for name in names] for names in own]


def _assumptions(accelerators: Mapping[str, hwsim.SimResult], bought: str) -> dict[str, Quantity]:
    return dict(accelerators[bought].assumptions) if bought in accelerators else {}


def _books(
    machine: Book, process: Book, others: Sequence[Book], costs: Sequence[CostAnswer], book: str | None
) -> tuple[BookUse, ...]:
    """Return the books behind an answer, each with a digest of its constants in the file."""
    uses = {"machine": machine, "process": process, **{machine_name(other.name): other for other in others}}
    uses |= {f"{each.convention} costs": own_book(book or each.conventions.book) for each in costs}
    return tuple(book_use(role, used) for role, used in uses.items())


def _with_ours(run: hwsim.SimResult, chip: hwsim.Chip, technology: hwsim.Technology) -> tuple[dict[str, Any], ...]:
    """Return published hardwired machines and ours, for one user; our area is the HN array, theirs the die."""
    array = chip.block("HN array").area_mm2
    transistors = array * technology.logic_density_mtr_per_mm2 * 1e6
    ours = {
        "machine": f"{run.model} on {machine_name(run.machine)}, {run.chips} chips",
        "area_mm2": float(run.area_mm2),
        "weights_per_mm2": float(chip.hn_weights / array),
        "transistors_per_weight": float(transistors / chip.hn_weights),
        "tokens_per_s_per_user": float(run.tokens_per_s_per_user),
        "power_w": float(run.power_w),
        "source": "ours, pipelined reading; weights per mm2 of HN array at the density of the technology book",
    }
    relatives = relative_rows()
    return ({key: ours.get(key) for key in relatives[0]}, *relatives)
