"""The scan engine's design space: lanes, channels and bits in one vectorised call, and its front."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

import costmodel
from explorer.pareto import front_mask
from explorer.scan.cost import engine_card
from hwbase import InputError, load_book
from hwbase.check import count, positive
from hwsim.retrieval import (
    MEMORIES,
    TECHNOLOGY,
    ScanEngine,
    ScanIndex,
    engine_device,
    load_engine,
    matching_lanes,
    simulate_scan,
)
from hwsim.retrieval.engine import ENGINE_BOOK
from hwsim.technology import BOOKS, load_technology

CHANNELS = (1, 2, 4, 6, 8, 12, 16, 24, 32)
#: Lanes relative to those that match the memory when every slot is taken.
LANE_RATIOS = (0.125, 0.25, 0.5, 1.0, 2.0)
BITS = (128, 256, 512, 1024)
#: Objectives of a design, all minimised.
OBJECTIVES = ("copy_usd", "energy_j_per_query", "latency_s")
#: More designs are taken as a mistake.
_MOST_DESIGNS = 5_000_000


def design_space(
    documents: float = 1e11,
    *,
    memories: Sequence[str] = MEMORIES,
    channels: Sequence[int] = CHANNELS,
    lane_ratios: Sequence[float] = LANE_RATIOS,
    bits: Sequence[int] = BITS,
    planes: int = 1,
    k: int = 100,
    technology: str = TECHNOLOGY,
) -> pd.DataFrame:
    """Return a row for each design.

    Columns: memory, channels, lanes, bits, shards, queries_per_s, latency_s (a batch that fills the slots),
    energy_j_per_query, power_w, card_mm2, card_usd, copy_usd (all cards that hold the index once, without masks and
    design), usd_per_query_per_s, bound_by, and `front`: whether no design of the same bits dominates it in
    `OBJECTIVES`. Codes of different lengths differ in quality, so they do not compete. Numbers of channels above the
    book's maximum for a memory are left out.

    Raises `InputError` for unknown memories and numbers out of range.
    """
    every = np.asarray(count("channels", channels, high=1e6))
    length = np.asarray(count("bits", bits, high=1e6))
    share = np.asarray(positive("lane_ratios", lane_ratios, high=1e6))[None, :]
    if every.size * length.size * share.size * len(memories) > _MOST_DESIGNS:
        raise InputError(f"more than {_MOST_DESIGNS:,} designs: expected shorter lists")
    process, read = load_technology(technology), costmodel.load_book().reader()
    frames = []
    book = load_book(ENGINE_BOOK, BOOKS)
    for memory in memories:
        base = load_engine(memory)
        wide = every[every <= book[f"{memory}.channels"].at("high")][:, None]
        for each in length:
            index = ScanIndex(documents, int(each), planes)
            one = _keeping_up(base, index)
            lanes = np.maximum(np.ceil(one * wide * share), 1.0)
            engine = replace(base, channels=wide, lanes=lanes)
            result = simulate_scan(index, engine_device(engine, index, process, k=k), batch=int(base.slots), k=k)
            area = result.area_mm2 / result.shards
            card = engine_card(read, engine, area, technology)
            columns: dict[str, Any] = {
                "memory": memory,
                "bits": int(each),
                "channels": wide,
                "lanes": lanes,
                "shards": result.shards,
                "queries_per_s": result.queries_per_s,
                "latency_s": result.latency_s,
                "energy_j_per_query": result.energy_j_per_query,
                "power_w": result.power_w,
                "card_mm2": area,
                "card_usd": card.usd,
                "copy_usd": card.usd * result.shards,
                "usd_per_query_per_s": card.usd * result.shards / result.queries_per_s,
                "bound_by": result.bound_by,
            }
            arrays = np.broadcast_arrays(*columns.values())
            frames.append(pd.DataFrame({n: a.ravel() for n, a in zip(columns, arrays, strict=True)}))
    table = pd.concat(frames, ignore_index=True)
    table["front"] = False
    for _, group in table.groupby("bits"):
        table.loc[group.index, "front"] = front_mask(group[list(OBJECTIVES)].to_numpy(float))
    return table


def _keeping_up(engine: ScanEngine, index: ScanIndex) -> float:
    """Return the lanes that match one channel when every slot holds a query."""
    return float(matching_lanes(replace(engine, channels=1), index))
