"""What a recording shows of the inside of a hardwired machine: how busy its chips are, and one token's way."""

import numpy as np
import pandas as pd

from explorer.figures.captioned import captioned_figure
from explorer.figures.numbers import percent, si, words
from explorer.figures.serving import chip_heat_map, token_gantt
from explorer.figures.tables import Column, frame_table
from explorer.serving_page import Section
from hwsim.events.recording import Recording

#: Kinds of resources whose busy share is drawn on the grid of chips.
DRAWN = ("links", "VEX")


def kind_of(resource: str) -> str:
    """Return the kind of a recorded resource: "links", "HN arrays", or its own name."""
    if resource.startswith("link to "):
        return "links"
    return resource.partition(",")[0]


def chip_frame(recording: Recording) -> pd.DataFrame:
    """Return a row a chip and kind of resource: chip, kind, busy share of the recorded time (mean over its resources).

    Empty where nothing was recorded.
    """
    frame = recording.to_frame()
    if frame.empty:
        return pd.DataFrame({"chip": [], "kind": [], "busy": []})
    seconds = frame["end_s"].max() - frame["start_s"].min()
    frame = frame.assign(kind=frame["resource"].map(kind_of), busy_s=frame["end_s"] - frame["start_s"])
    # A chip of the grid has as many resources of a kind as any of them shows.
    there = frame.groupby(["chip", "kind"])["resource"].nunique().groupby("kind").max()
    busy = frame.groupby(["kind", "chip"])["busy_s"].sum().reset_index()
    busy["busy"] = busy["busy_s"] / busy["kind"].map(there) / seconds
    return busy[["chip", "kind", "busy"]]


def token_way(recording: Recording, chip: int = 0) -> pd.DataFrame:
    """Return the recorded way of one token through one layer on one chip: stage, resource, start_s, end_s.

    The first token with as many spans as any has: its whole layer lies inside the recording. Empty if nothing was
    recorded.
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


def inside(recording: Recording, rows: int, columns: int) -> tuple[Section, ...]:
    """Return the section of a page that shows a recording of a `rows` x `columns` grid; none if it is empty."""
    chips, way = chip_frame(recording), token_way(recording)
    if chips.empty or way.empty:
        return ()
    frame = recording.to_frame()
    first, last = frame["start_s"].min(), frame["end_s"].max()
    figures = []
    for kind in DRAWN:
        busy = np.zeros(rows * columns)
        mine = chips[chips["kind"] == kind]
        busy[mine["chip"].to_numpy(dtype=int)] = mine["busy"]
        caption = f"Busy share of each chip's {words(kind)}"
        table = frame_table(caption, mine, {"chip": Column("chip"), "busy": Column("busy")}, {"busy": percent})
        drawn = chip_heat_map(busy.reshape(rows, columns), caption)
        figures.append(captioned_figure(f"chips-{kind.lower()}", drawn, caption, table, 1))
    token = way.iloc[0]
    caption = f"Token {token['position']} of request {token['request']} in layer {token['layer']}, as chip 0 sees it"
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
    figures.append(captioned_figure("way", token_gantt(way), caption, table, 3))
    text = (
        f"Recorded from {first:.6g} s on for {si(last - first, 's')}: {len(frame):,} visits of resources. What lies "
        "between two bars is a message on its way, an array at work on the bits of a vector, or waiting; trace.json "
        "holds it all, for Perfetto."
    )
    return (Section("inside", "Inside the machine", (text,), tuple(figures)),)
