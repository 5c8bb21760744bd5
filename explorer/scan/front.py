"""Recall against dollars: the cost to hold an index of each codec in servers' memory, and to scan it exactly."""

from typing import Any

import numpy as np
import pandas as pd

from explorer.pareto import front_mask
from explorer.scan.cost import scan_fleet
from hwbase import InputError
from hwsim.retrieval import ScanIndex, load_server
from models.binarize import parse_codec

#: Machines that scan codes, as (name in `scan_fleet`, memory).
_SCANNERS = (("engine", "hbm3"), ("cpu", "hbm3"), ("gpu", "hbm3"))
_ID_BYTES, _BYTE_BITS = 8, 8
_NEEDED = ("codec", "bits", "bytes", "rescore", "asymmetric")
_METRIC = "recall@10"


def holding_cost(quality: pd.DataFrame, documents: float = 1e9, *, metric: str = _METRIC, **how: Any) -> pd.DataFrame:
    """Return `quality` (rows of `Study.to_frame`) with `usd`, dollars a year, and `front`, in order of dollars.

    Dollars are those of servers bought for the memory of codes, ids and the data for rescoring; `how` are arguments of
    `scan_fleet`. Raises `InputError` for missing columns and numbers out of range.
    """
    rows = _checked(quality, metric)
    fleet = scan_fleet(ScanIndex(documents, 1), "cpu", **how)
    server = load_server()
    usd_per_byte = fleet.usd_per_year / fleet.devices / float(server.memory_bytes * server.memory_share)
    return _with_front(rows.assign(usd=documents * (rows["bytes"] + _ID_BYTES) * usd_per_byte), metric)


def scanning_cost(
    quality: pd.DataFrame,
    documents: float = 1e11,
    *,
    queries_per_s: float = 100_000.0,
    metric: str = _METRIC,
    **how: Any,
) -> pd.DataFrame:
    """Return the rows of `quality` with codes of bits, for each machine in order of dollars.

    Added columns are `machine`, `usd` per million queries of an exact scan, all costs included, and `front`.

    Queries in floats are left out, since population counts cannot score them. `how` are arguments of `scan_fleet`.
    Raises `InputError` for missing columns and numbers out of range.
    """
    rows = _checked(quality, metric)
    planes = np.array([_planes(name) for name in rows["codec"]], int)
    coded = rows.assign(planes=planes)[(planes > 0) & ~rows["asymmetric"].to_numpy(bool)]
    frames = []
    for machine, memory in _SCANNERS:
        usd, name = [], machine
        for row in coded.to_dict(orient="records"):
            code_bytes = int(np.ceil(row["bits"] / _BYTE_BITS))
            index = ScanIndex(
                documents, row["bits"], row["planes"], vector_bytes=max(int(row["bytes"]) - code_bytes, 0)
            )
            fleet = scan_fleet(
                index, machine, memory=memory, queries_per_s=queries_per_s, candidates=int(row["rescore"]), **how
            )
            usd.append(fleet.usd_per_million_queries)
            name = fleet.machine
        frames.append(_with_front(coded.assign(machine=name, usd=usd), metric))
    return pd.concat(frames, ignore_index=True)


def _with_front(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    costs = np.stack([rows["usd"], -rows[metric]], axis=1).astype(float)
    return rows.assign(front=front_mask(costs)).sort_values("usd", kind="stable", ignore_index=True)


def _planes(codec: str) -> int:
    _, _, store, sizes = parse_codec(codec)
    return {"sign": 1, "recurrent": sizes[0] if sizes else 0, "bebr": sizes[0] if sizes else 0}.get(store, 0)


def _checked(quality: pd.DataFrame, metric: str) -> pd.DataFrame:
    for name in (*_NEEDED, metric):
        if name not in quality:
            raise InputError(f"the table of quality has no column {name!r}: expected the table of a study")
    if quality.empty:
        raise InputError("the table of quality is empty: expected a row for each codec")
    return quality
