"""The headline of an answer: machines side by side, ours and published."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import hwsim
import models
from explorer.papers.scoreboard import Scoreboard
from explorer.pricing.economics import CostAnswer
from hwbase import Record

#: The context of the published tables.
PAPER_CONTEXT = 2048
_MILLION = 1e6


@dataclass(frozen=True)
class HeadlineRow(Record):
    """One line of the headline: our figure and the published one for each machine that has them."""

    what: str
    unit: str
    values: dict[str, float | None]
    published: dict[str, float | None]
    evidence: str


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
