"""The document of a serving simulation: latencies, busy resources and queues over time."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from explorer.documents.document import Document, Figure, Section, sections
from explorer.documents.sections import assumptions_section, reproduce_section
from explorer.documents.tables import Column, Table, frame_table, quantity_table
from explorer.documents.theme import machine_name
from explorer.serving.figures import (
    LATENCIES,
    PERCENTILES,
    chip_heat_map,
    latency_cdf,
    latency_frame,
    queues_over_time,
    timeline_frame,
    token_gantt,
    utilisation_frame,
    utilisation_over_time,
)
from hwbase.numbers import counted, percent, plain, sentence, si, words
from hwsim.events.recording import Recording
from hwsim.events.results import ServingResult
from hwsim.machine_books import KINDS

#: Kinds of resources whose busy share is drawn on the grid of chips.
DRAWN = ("links", "VEX")
#: Columns of a table of percentiles, after the names.
_RANKS = {"served": Column("served")} | {f"p{p}": Column(f"p{p}") for p in PERCENTILES}


def _reached(seconds: float) -> str:
    return "never" if seconds == float("inf") else si(seconds, "s")


_RANK_FORMATS: dict[str, Callable[[Any], str]] = {"served": percent} | dict.fromkeys(
    (f"p{p}" for p in PERCENTILES), _reached
)


def kind_of(resource: str) -> str:
    """Return the kind of a recorded resource: "links", "HN arrays", or its own name."""
    if resource.startswith("link to "):
        return "links"
    return resource.partition(",")[0]


def chip_frame(recording: Recording) -> pd.DataFrame:
    """Return a row for each chip and kind of resource: chip, kind, busy share of the recorded time (mean of resources).

    The frame is empty if nothing was recorded.
    """
    frame = recording.to_frame()
    if frame.empty:
        return pd.DataFrame({"chip": [], "kind": [], "busy": []})
    seconds = frame["end_s"].max() - frame["start_s"].min()
    frame = frame.assign(kind=frame["resource"].map(kind_of), busy_s=frame["end_s"] - frame["start_s"])
    # Every chip of the grid has as many resources of a kind as the recording shows for any chip.
    there = frame.groupby(["chip", "kind"])["resource"].nunique().groupby("kind").max()
    busy = frame.groupby(["kind", "chip"])["busy_s"].sum().reset_index()
    busy["busy"] = busy["busy_s"] / busy["kind"].map(there) / seconds
    return busy[["chip", "kind", "busy"]]


def token_way(recording: Recording, chip: int = 0) -> pd.DataFrame:
    """Return the recorded path of one token through one layer on one chip: stage, resource, start_s, end_s.

    The token is the first with the most spans, so that its whole layer lies inside the recording. The frame is empty if
    nothing was recorded.
    """
    frame = recording.to_frame()
    frame = frame[frame["chip"] == chip]
    if frame.empty:
        return pd.DataFrame({"stage": [], "resource": [], "start_s": [], "end_s": []})
    tokens = frame.groupby(["request", "position", "layer"], sort=False)["start_s"].agg(["size", "min"])
    fullest = tokens[tokens["size"] == tokens["size"].max()]["min"].idxmin()
    way = frame[(frame[["request", "position", "layer"]] == fullest).all(axis=1)]
    return pd.DataFrame(
        {
            "stage": way["what"].to_numpy(),
            "resource": way["resource"].map(kind_of).to_numpy(),
            "start_s": way["start_s"].to_numpy(),
            "end_s": way["end_s"].to_numpy(),
            "request": way["request"].to_numpy(),
            "position": way["position"].to_numpy(),
            "layer": way["layer"].to_numpy(),
        }
    )


def inside(recording: Recording, rows: int, columns: int) -> Section | None:
    """Return the section of a recording of a `rows` x `columns` grid; None if it is empty."""
    chips, way = chip_frame(recording), token_way(recording)
    if chips.empty or way.empty:
        return None
    frame = recording.to_frame()
    first, last = frame["start_s"].min(), frame["end_s"].max()
    figures = []
    for kind in DRAWN:
        busy = np.zeros(rows * columns)
        of_kind = chips[chips["kind"] == kind]
        busy[of_kind["chip"].to_numpy(dtype=int)] = of_kind["busy"]
        caption = f"Busy share of each chip's {words(kind)}"
        table = frame_table(caption, of_kind, {"chip": Column("chip"), "busy": Column("busy")}, {"busy": percent})
        draw = partial(chip_heat_map, busy.reshape(rows, columns), caption)
        figures.append(Figure(f"chips-{kind.lower()}", draw, caption, table, 1))
    token = way.iloc[0]
    caption = f"Token {token['position']} of request {token['request']} in layer {token['layer']}, on chip 0"
    steps = way.assign(
        begin=[si(s, "s") for s in way["start_s"] - way["start_s"].min()],
        takes=[si(s, "s") for s in way["end_s"] - way["start_s"]],
    )
    columns_of = {
        "stage": Column("stage", numeric=False),
        "resource": Column("resource", numeric=False),
        "begin": Column("begins after"),
        "takes": Column("takes"),
    }
    table = frame_table(caption, steps, columns_of, {"stage": words, "resource": words})
    figures.append(Figure("way", partial(token_gantt, way), caption, table, 3))
    text = (
        f"Recorded for {si(last - first, 's')}: {len(frame):,} visits of resources, from {first:.6g} s on. A gap "
        "between two bars is a message in transit, an array at work on the bits of a vector, or waiting; trace.json "
        "holds all spans, for Perfetto."
    )
    return Section("inside", "Inside the machine", (text, *figures), short=False)


#: Rows of a table over time; the folder's CSV has all rows.
_MOST_ROWS = 24


def serving_document(result: ServingResult, command: str, recording: Recording | None = None) -> Document:
    """Return the document of one simulation, with a section on the chips of a hardwired machine if recorded."""
    name = label(result)
    grid = () if recording is None else (int(result.assumptions[side].nominal) for side in ("rows", "columns"))
    latency = ("From a request's arrival to its first output token, and between two output tokens after that.",)
    drawn = (cdf_figure({name: result}, key) for key in ("time_to_first_token_s", "time_per_output_token_s"))
    return Document(
        f"{result.model} on {name}: {result.traffic}",
        f"{counted(result.state.size, 'request')} over {si(result.duration_s, 's')} on "
        f"{counted(result.chips, KINDS[result.kind])}, {result.grain} grain.",
        sections(
            Section(
                "brief", "In brief", (*notes(result), brief_table({name: result}), percentile_table({name: result}))
            ),
            Section("latency", "What users felt", (*latency, *drawn), short=False),
            Section("time", "Over time", (_utilisation(result), _queues(result)), short=False),
            Section("resources", "What was busy", (_resources(result),)),
            None if recording is None else inside(recording, *grid),
            assumptions_section({label(result): result.assumptions}),
            reproduce_section(command),
        ),
        data=result.summary,
        frame=result.to_frame,
        schema="serve",
    )


def label(result: ServingResult) -> str:
    """Return the label of a result's machine."""
    return result.label or machine_name(result.machine)


def notes(result: ServingResult) -> tuple[str, ...]:
    """Return the notes of a result as sentences."""
    lines = [*map(sentence, result.notes)]
    if result.interrupted:
        lines.insert(0, "Interrupted: the figures are of the part that was simulated.")
    return tuple(lines)


def brief_table(results: dict[str, ServingResult]) -> Table:
    """Return rates, end states and energy, one column a result."""
    lines: tuple[tuple[str, Any], ...] = (
        ("chips or GPUs", lambda r: plain(r.chips)),
        ("output tokens/s", lambda r: plain(r.output_tokens_per_s)),
        ("tokens/s, prompts included", lambda r: plain(r.tokens_per_s)),
        ("requests served", lambda r: percent(r.served_share)),
        *((f"requests {state}", lambda r, state=state: plain(r.states[state])) for state in _states(results)),
        ("energy per output token", lambda r: si(r.energy_j_per_output_token, "J")),
    )
    return quantity_table("The simulation in brief", lines, results, style="brief")


def percentile_table(results: dict[str, ServingResult]) -> Table:
    """Return percentiles of every latency, one row a result and latency."""
    columns = {"latency": Column("latency", numeric=False), "name": Column("machine", numeric=False)}
    frame = latency_frame(results).sort_values("latency", kind="stable")
    return frame_table("Percentiles over all requests", frame, columns | _RANKS, _RANK_FORMATS)


def cdf_figure(results: dict[str, ServingResult], latency: str, place: str = "cdf") -> Figure:
    """Return the distribution of one latency with a table of its percentiles; `place` is the prefix of its anchor."""
    frame = latency_frame(results)
    axis = LATENCIES[latency]
    frame = frame[frame["latency"] == words(axis)]
    columns = {"name": Column("machine", numeric=False)} | _RANKS
    caption = f"Share of all requests against {axis}, log axis"
    table = frame_table(caption, frame, columns, _RANK_FORMATS)
    draw = partial(latency_cdf, results, latency)
    return Figure(f"{place}-{latency.replace('_', '-')}", draw, caption, table, 2)


def _utilisation(result: ServingResult) -> Figure:
    columns = {"time_s": Column("time", "s")}
    frame = _thinned(timeline_frame(result))
    shares = {f"utilisation.{name}": Column(words(name)) for name in result.timeline.utilisation}
    table = frame_table("Utilisation over time", frame, columns | shares, dict.fromkeys(shares, percent))
    return Figure("utilisation", partial(utilisation_over_time, result), "Busy share of each resource", table, 1)


def _queues(result: ServingResult) -> Figure:
    names = {"time_s": Column("time", "s"), "running": Column("running"), "waiting": Column("waiting")}
    names |= {"kv_bytes": Column("keys and values"), "tokens_per_s": Column("work", "tokens/s")}
    table = frame_table(
        "Requests over time", _thinned(timeline_frame(result)), names, {"kv_bytes": lambda b: si(b, "B")}
    )
    return Figure("queues", partial(queues_over_time, result), "Requests running and waiting", table, 2)


def _resources(result: ServingResult) -> Table:
    columns = {"resource": Column("resource", numeric=False), "busy": Column("busy"), "peak": Column("at most")}
    formats: dict[str, Callable[[Any], str]] = {"resource": words, "busy": percent, "peak": percent}
    return frame_table("Resources, busiest first", utilisation_frame(result), columns, formats)


def _thinned(frame: pd.DataFrame) -> pd.DataFrame:
    picked = np.unique(np.linspace(0, len(frame) - 1, min(len(frame), _MOST_ROWS)).astype(int))
    return frame.iloc[picked]


def _states(results: dict[str, ServingResult]) -> list[str]:
    """Return the end states of requests; "finished" always."""
    states = next(iter(results.values())).states
    return [name for name in states if name == "finished" or any(r.states[name] for r in results.values())]
