"""The headline of an answer: machines side by side, our figures and published ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import hwsim
from explorer.papers.scoreboard import Scoreboard
from explorer.pricing.economics import CostAnswer
from hwbase import Evidence, Record, evidence_of

#: The context of the published tables.
PAPER_CONTEXT = 2048
_MILLION = 1e6
#: Figures of a machine in the headline.
FIGURES = (
    "tokens_per_s",
    "tokens_per_s_per_user",
    "time_to_first_token_s",
    "area_mm2",
    "power_w",
    "tokens_per_kj",
    "tokens_per_s_mm2",
)


@dataclass(frozen=True)
class HeadlineRow(Record):
    """One line of the headline: our figure and the published one of each machine, where available."""

    what: str
    unit: str
    values: dict[str, float | None]
    published: dict[str, float | None]
    evidence: Evidence
    """Fitted where any of our figures is."""
    evidence_of: dict[str, Evidence]
    """By machine, as `values`, where there is a figure."""
    fleet: bool = False
    """Whether it is of fleets that generate as much, by machine or "machine:conventions"; otherwise of machines."""


def headline(
    context: int,
    published: hwsim.SimResult,
    pipelined: hwsim.SimResult,
    accelerators: Mapping[str, hwsim.SimResult],
    fleets: Sequence[Sequence[CostAnswer]],
    board: Scoreboard | None,
    labels: Mapping[str, Mapping[str, Evidence]],
) -> tuple[HeadlineRow, ...]:
    """Return the machines side by side; published figures only for the paper's own machine, model and context.

    Parameters
    ----------
    context : int
        Positions of a sequence.
    published, pipelined : SimResult
        The hardwired machine in both readings.
    accelerators : mapping of str to SimResult
        The other machines, by name.
    fleets : sequence of sequences of CostAnswer
        By each set of conventions, the hardwired fleet beside that of each machine that is bought under it.
    board : Scoreboard, optional
        The published figures.
    labels : mapping of str to mapping of str to str
        The evidence of `FIGURES`, by the columns of `HeadlineRow.values`.
    """
    machine = published.machine
    paper: dict[str, float | None] = {}
    if board is not None and context == PAPER_CONTEXT:
        paper = {row.id: row.paper for row in board.rows}
    runs = {machine: published, f"{machine}-pipelined": pipelined} | dict(accelerators)
    named = (machine, *accelerators)

    def line(what: str, unit: str, figure: str, key: str, scale: float = 1.0) -> HeadlineRow:
        # The closed form of a wafer is only a bound, so its published record stands alone.
        values = {n: None if run.kind == "wafer" else float(getattr(run, figure)) * scale for n, run in runs.items()}
        evidence = {name: labels[name][figure] for name, value in values.items() if value is not None}
        published = {name: paper.get(f"t2-{name}-{key}") for name in named}
        return HeadlineRow(what, unit, values, published, evidence_of(evidence.values()), evidence)

    rows = [
        line("tokens/s", "token/s", "tokens_per_s", "tokens"),
        line("tokens/s for one user", "token/s", "tokens_per_s_per_user", "-"),
        line("time to first token", "ms", "time_to_first_token_s", "-", 1e3),
        line("silicon", "mm2", "area_mm2", "area"),
        line("system power", "kW", "power_w", "power", 1e-3),
        line("tokens per kilojoule", "token/kJ", "tokens_per_kj", "energy"),
        line("tokens/s per mm2", "token/s/mm2", "tokens_per_s_mm2", "density"),
    ]
    return (*rows, *_fleet_rows(machine, accelerators, fleets, paper))


def _fleet_rows(
    machine: str,
    accelerators: Mapping[str, hwsim.SimResult],
    fleets: Sequence[Sequence[CostAnswer]],
    paper: Mapping[str, float | None],
) -> list[HeadlineRow]:
    """Return both fleets by the conventions of each reading: a column of the bought ones for each that differs."""
    by_reading = {first.conventions.reading: at for at, (first, *_) in reversed(list(enumerate(fleets)))}
    sets = [by_reading.get(reading, 0) for reading in hwsim.READINGS]
    costs = [fleets[at][0] for at in sets]
    beside = [{each.device: each for each in fleets[at]} for at in sets]
    first, second = (each.pair for each in costs)
    volume = costs[0].volume
    volume_name = {1: "low", 50: "high"}.get(volume, "")

    def line(what: str, unit: str, hardwired_get: Any, gpu_get: Any, keys: tuple[str, str]) -> HeadlineRow:
        ours: dict[str, float | None] = {
            machine: float(hardwired_get(first)),
            f"{machine}-pipelined": float(hardwired_get(second)),
        }
        evidence = {name: each.evidence["hardwired"] for name, each in zip(ours, costs, strict=True)}
        bought: dict[str, float | None] = {}
        for name in accelerators:
            bought[name] = None
            for at, answers in enumerate(beside if sets[0] != sets[1] else beside[:1]):
                if name in answers:
                    column = name if at == 0 else f"{name}:{answers[name].convention}"
                    bought[column] = float(gpu_get(answers[name].pair))
                    evidence[column] = answers[name].evidence["gpu"]
        published = {name: paper.get(keys[1].format(name)) for name in accelerators}
        return HeadlineRow(
            f"{what}, {volume} system{'s' if volume > 1 else ''}",
            unit,
            ours | bought,
            {machine: paper.get(keys[0].format(machine))} | published,
            evidence_of(evidence.values()),
            evidence,
            fleet=True,
        )

    return [
        line(
            "capital",
            "MUSD",
            lambda p: p.hardwired.capex_usd / _MILLION,
            lambda p: p.gpu.capex_usd / _MILLION,
            (f"t3-capex-{{}}-{volume_name}-low", f"t3-capex-{{}}-{volume_name}"),
        ),
        line(
            "TCO with re-spins",
            "MUSD",
            lambda p: p.hardwired.total_usd / _MILLION,
            lambda p: p.gpu.total_usd / _MILLION,
            (f"t3-tco-dynamic-{{}}-{volume_name}-low", f"t3-tco-static-{{}}-{volume_name}"),
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
            (f"t3-tco2e-{{}}-{volume_name}-dynamic", f"t3-tco2e-{{}}-{volume_name}"),
        ),
    ]
