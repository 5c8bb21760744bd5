"""The page of a serving simulation: latencies, what was busy when, where requests queued."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

import hwsim
from explorer.figures.captioned import CaptionedFigure, captioned_figure
from explorer.figures.numbers import counted, percent, plain, si, words
from explorer.figures.serving import (
    PERCENTILES,
    latency_cdf,
    latency_frame,
    queues_over_time,
    timeline_frame,
    utilisation_frame,
    utilisation_over_time,
)
from explorer.figures.tables import Column, Table, assumption_table, frame_table
from explorer.figures.theme import machine_name
from explorer.report import render_page
from hwsim.events.results import ServingResult

#: Rows of a table over time; the folder's CSV has them all.
_MOST_ROWS = 24


@dataclass(frozen=True)
class Section:
    """A part of a page: paragraphs, then figures, then tables."""

    id: str
    title: str
    text: tuple[str, ...] = ()
    figures: tuple[CaptionedFigure, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True)
class Page:
    """What `serving.html.j2` shows; a page that read no constants has no `assumptions`."""

    title: str
    lead: str
    parts: tuple[Section, ...]
    assumptions: Table | None
    command: str
    version: str = field(default_factory=lambda: hwsim.__version__)

    @property
    def sections(self) -> list[tuple[str, str]]:
        """Anchors and titles of the sections."""
        last = [("assumptions", "Assumptions")] if self.assumptions else []
        return [(part.id, part.title) for part in self.parts] + last


def render_serving(result: ServingResult, command: str, extra: tuple[Section, ...] = ()) -> str:
    """Return the page of one simulation; `extra` sections come before the assumptions."""
    name = label(result)
    parts = (
        Section("brief", "In brief", notes(result), tables=(brief_table({name: result}),)),
        Section(
            "latency",
            "What users felt",
            ("From a request's arrival to its first output token, and between two output tokens after that.",),
            tuple(cdf_figure({name: result}, key) for key in ("time_to_first_token_s", "time_per_output_token_s")),
            (percentile_table({name: result}),),
        ),
        Section("time", "Over time", (), (_utilisation(result), _queues(result)), (_resources(result),)),
        *extra,
    )
    page = Page(
        title=f"{result.model} on {name}: {result.traffic}",
        lead=(
            f"{counted(result.state.size, 'request')} over {si(result.duration_s, 's')} on "
            f"{counted(result.chips, 'GPU' if result.machine == 'h100' else 'chip')}, {result.grain} grain."
        ),
        parts=parts,
        assumptions=assumption_table(result.assumptions),
        command=command,
    )
    return render_page("serving.html.j2", page=page)


def label(result: ServingResult) -> str:
    """Return what a result's machine is called."""
    return {"hnlpu": "HNLPU"}.get(result.machine, machine_name(result.machine))


def notes(result: ServingResult) -> tuple[str, ...]:
    """Return the notes of a result as sentences."""
    said = [f"{note[:1].upper()}{note[1:]}." for note in result.notes]
    if result.interrupted:
        said.insert(0, "Interrupted: what follows is the part that was simulated.")
    return tuple(said)


def brief_table(results: dict[str, ServingResult]) -> Table:
    """Return rates, ends and energy, a column a result."""
    lines: tuple[tuple[str, Any], ...] = (
        ("chips or GPUs", lambda r: plain(r.chips)),
        ("output tokens/s", lambda r: plain(r.output_tokens_per_s)),
        ("tokens/s, prompts included", lambda r: plain(r.tokens_per_s)),
        *((f"requests {state}", lambda r, state=state: plain(r.states[state])) for state in _states(results)),
        ("energy per output token", lambda r: si(r.energy_j_per_output_token, "J")),
    )
    rows = tuple((what, *(get(result) for result in results.values())) for what, get in lines)
    heads = (Column(name, numeric=False) for name in results)
    return Table("The simulation in brief", (Column("figure", numeric=False), *heads), rows)


def percentile_table(results: dict[str, ServingResult]) -> Table:
    """Return percentiles of every latency, a row a result and latency."""
    columns = {"latency": Column("latency", numeric=False), "name": Column("machine", numeric=False)}
    columns |= {f"p{p}": Column(f"p{p}") for p in PERCENTILES}
    frame = latency_frame(results).sort_values("latency", kind="stable")
    formats = dict.fromkeys((f"p{p}" for p in PERCENTILES), lambda seconds: si(seconds, "s"))
    return frame_table("Percentiles over requests", frame, columns, formats)


def cdf_figure(results: dict[str, ServingResult], latency: str, place: str = "cdf") -> CaptionedFigure:
    """Return the distribution of one latency, with its percentiles as the table; `place` begins its anchor."""
    drawn = latency_cdf(results, latency)
    frame = latency_frame(results)
    frame = frame[frame["latency"] == words(drawn.layout.xaxis.title.text)]
    columns = {"name": Column("machine", numeric=False)} | {f"p{p}": Column(f"p{p}") for p in PERCENTILES}
    formats = dict.fromkeys((f"p{p}" for p in PERCENTILES), lambda seconds: si(seconds, "s"))
    caption = f"Share of requests over {drawn.layout.xaxis.title.text}, log axis"
    table = frame_table(caption, frame, columns, formats)
    return captioned_figure(f"{place}-{latency.replace('_', '-')}", drawn, caption, table, 2)


def _utilisation(result: ServingResult) -> CaptionedFigure:
    columns = {"time_s": Column("time", "s")}
    frame = _thinned(timeline_frame(result))
    shares = {f"utilisation.{name}": Column(words(name)) for name in result.timeline.utilisation}
    table = frame_table("Utilisation over time", frame, columns | shares, dict.fromkeys(shares, percent))
    return captioned_figure("utilisation", utilisation_over_time(result), "Busy share of each resource", table, 1)


def _queues(result: ServingResult) -> CaptionedFigure:
    names = {"time_s": Column("time", "s"), "running": Column("running"), "waiting": Column("waiting")}
    names |= {"kv_bytes": Column("keys and values"), "tokens_per_s": Column("work", "tokens/s")}
    table = frame_table(
        "Requests over time", _thinned(timeline_frame(result)), names, {"kv_bytes": lambda b: si(b, "B")}
    )
    return captioned_figure("queues", queues_over_time(result), "Requests running and waiting", table, 2)


def _resources(result: ServingResult) -> Table:
    columns = {"resource": Column("resource", numeric=False), "busy": Column("busy"), "peak": Column("at most")}
    formats: dict[str, Callable[[Any], str]] = {"resource": words, "busy": percent, "peak": percent}
    return frame_table("Resources, busiest first", utilisation_frame(result), columns, formats)


def _thinned(frame: pd.DataFrame) -> pd.DataFrame:
    picked = np.unique(np.linspace(0, len(frame) - 1, min(len(frame), _MOST_ROWS)).astype(int))
    return frame.iloc[picked]


def _states(results: dict[str, ServingResult]) -> list[str]:
    """States that some request ended in; finished always."""
    found = next(iter(results.values())).states
    return [name for name in found if name == "finished" or any(r.states[name] for r in results.values())]
