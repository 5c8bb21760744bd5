"""The whole answer for one model: simulated, costed, weighed, and compared with what was published."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

import costmodel
import hwsim
import models
from explorer.economics import BOOKS, PAPER_MODEL, CostAnswer, cost
from explorer.figures.density import density_frame
from explorer.findings import Note, findings
from explorer.options import split_overrides
from explorer.reproduce import reproduce
from explorer.scoreboard import Scoreboard
from hwbase import Quantity, Record
from hwbase.check import count
from hwsim.simulate import DEFAULT_TECHNOLOGY, hardwired

#: Contexts over which the report draws speed and execution time.
CONTEXTS = np.array([2048, 8192, 16384, 32768, 65536, 131072, 262144])
#: The context of the published tables, and the sequences an H100 serves together in the paper's economics.
PAPER_CONTEXT, PAPER_CONCURRENCY = 2048, 50
#: The other convention, shown beside the one asked for.
_OTHER = {"as-published": "corrected", "corrected": "as-published"}
_MILLION = 1e6


@dataclass(frozen=True)
class HeadlineRow(Record):
    """One line of the headline: our figure and the published one for each machine that has them."""

    what: str
    unit: str
    values: dict[str, float | None]
    published: dict[str, float | None]
    evidence: str


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
    assumptions: dict[str, Quantity] = field(default_factory=dict, repr=False)

    def _repr_html_(self) -> str:
        return "".join(part._repr_html_() for part in (self.published, self.pipelined, self.cost))


def answer(
    model: str | models.LLMSpec = PAPER_MODEL,
    *,
    context: int = PAPER_CONTEXT,
    volume: int = 50,
    convention: str = "as-published",
    technology: str = DEFAULT_TECHNOLOGY,
    set: Mapping[str, Any] | None = None,
    book: str | None = None,
    command: str = "",
) -> Answer:
    """Return the whole answer for `model`: both readings, both conventions, H100 and WSE-3, scoreboard, findings.

    `technology` names the book of the process, `set` overrides constants of the machine, technology or cost books by
    name, `book` is a user's cost book. The scoreboard is there for the paper's own model and process.
    Raises `InputError` for whatever cannot be used.
    """
    spec = models.load(model) if isinstance(model, str) else model
    context = int(count("context", context, high=hwsim.MOST_CONTEXT))
    costs_book = costmodel.load_book(book or BOOKS[costmodel.conventions.named(convention).name])
    for_costs, for_machine = split_overrides(set or {}, costs_book)
    design, process, used = hardwired(spec, technology=technology, set=for_machine)

    def run(at: Any, reading: str) -> hwsim.SimResult:
        return hwsim.simulate_hardwired(spec, design, process, context=at, reading=reading)

    published, pipelined = (replace(run(context, reading), assumptions=used) for reading in hwsim.READINGS)
    accelerators = {
        name: hwsim.simulate(spec, name, context=context, batch=PAPER_CONCURRENCY) for name in ("h100", "wse3")
    }
    costs = {
        name: cost(
            spec,
            volume=volume,
            convention=name,
            context=context,
            technology=technology,
            book=book,
            set=for_costs,
            machine_set=for_machine,
            effects=True,
        )
        for name in (convention, _OTHER[convention])
    }
    papers_own = spec.name == PAPER_MODEL and technology == DEFAULT_TECHNOLOGY
    board = reproduce(set=for_machine) if papers_own else None
    read = {**used, **accelerators["h100"].assumptions, **costs[convention].assumptions}
    return Answer(
        model=spec,
        context=context,
        published=published,
        pipelined=pipelined,
        accelerators=accelerators,
        chip=hwsim.build_chip(spec, design, process),
        densities=density_frame(spec.hidden_size, design, process),
        relatives=_with_ours(pipelined, hwsim.build_chip(spec, design, process), process),
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
        assumptions=read,
    )


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


def headline(
    spec: models.LLMSpec,
    context: int,
    published: hwsim.SimResult,
    pipelined: hwsim.SimResult,
    accelerators: Mapping[str, hwsim.SimResult],
    costs: Mapping[str, CostAnswer],
    board: Scoreboard | None,
) -> tuple[HeadlineRow, ...]:
    """Return the machines side by side; published figures only for the paper's own model and context."""
    paper: dict[str, float | None] = {}
    if board is not None and context == PAPER_CONTEXT:
        paper = {row.id: row.paper for row in board.rows}
    runs = {"hnlpu": published, "hnlpu-pipelined": pipelined, "h100": accelerators["h100"]}

    def line(what: str, unit: str, get: Any, key: str, evidence: str) -> HeadlineRow:
        ids = {"hnlpu": f"t2-hnlpu-{key}", "h100": f"t2-h100-{key}", "wse3": f"t2-wse3-{key}"}
        return HeadlineRow(
            what,
            unit,
            {name: float(get(run)) for name, run in runs.items()} | {"wse3": None},
            {name: paper.get(row_id) for name, row_id in ids.items()},
            evidence,
        )

    rows = [
        line("tokens/s", "token/s", lambda r: r.tokens_per_s, "tokens", "predicted"),
        line("tokens/s for one user", "token/s", lambda r: r.tokens_per_s_per_user, "-", "predicted"),
        line("time to first token", "ms", lambda r: r.time_to_first_token_s * 1e3, "-", "predicted"),
        line("silicon", "mm2", lambda r: r.area_mm2, "area", "fitted"),
        line("system power", "kW", lambda r: r.power_w / 1e3, "power", "fitted"),
        line("tokens per kilojoule", "token/kJ", lambda r: r.tokens_per_kj, "energy", "predicted"),
        line("tokens/s per mm2", "token/s/mm2", lambda r: r.tokens_per_s_mm2, "density", "predicted"),
    ]
    return (*rows, *_fleet_rows(costs, paper))


def _fleet_rows(costs: Mapping[str, CostAnswer], paper: Mapping[str, float | None]) -> list[HeadlineRow]:
    """Fleet lines: as published (optimistic level) beside corrected (nominal), and the GPUs of the published case."""
    first, second = costs["as-published"].comparison.low, costs["corrected"].comparison.nominal
    volume = costs["as-published"].volume
    volume_name = {1: "low", 50: "high"}.get(volume, "")

    def line(what: str, unit: str, hardwired_get: Any, gpu_get: Any, keys: tuple[str, str]) -> HeadlineRow:
        return HeadlineRow(
            f"{what}, {volume} system{'s' if volume > 1 else ''}",
            unit,
            {
                "hnlpu": float(hardwired_get(first)),
                "hnlpu-pipelined": float(hardwired_get(second)),
                "h100": float(gpu_get(first)),
                "wse3": None,
            },
            {"hnlpu": paper.get(keys[0]), "h100": paper.get(keys[1]), "wse3": None},
            "predicted",
        )

    return [
        line(
            "capital",
            "MUSD",
            lambda p: p.hardwired.capex_usd / _MILLION,
            lambda p: p.gpu.capex_usd / _MILLION,
            (f"t3-capex-hnlpu-{volume_name}-low", f"t3-capex-h100-{volume_name}"),
        ),
        line(
            "TCO with re-spins",
            "MUSD",
            lambda p: p.hardwired.total_usd / _MILLION,
            lambda p: p.gpu.total_usd / _MILLION,
            (f"t3-tco-dynamic-hnlpu-{volume_name}-low", f"t3-tco-static-h100-{volume_name}"),
        ),
        line(
            "dollars per million tokens",
            "USD",
            lambda p: p.hardwired.usd_per_million_tokens,
            lambda p: p.gpu.usd_per_million_tokens,
            ("-", "-"),
        ),
        line(
            "carbon with re-spins",
            "tCO2e",
            lambda p: p.hardwired_carbon.total_t,
            lambda p: p.gpu_carbon.total_t,
            (f"t3-tco2e-hnlpu-{volume_name}-dynamic", f"t3-tco2e-h100-{volume_name}"),
        ),
    ]
