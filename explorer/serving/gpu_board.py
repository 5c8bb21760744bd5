"""The scoreboard of GPUs: our times against measured ones, and repeated measurements against each other."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from explorer.documents.document import Document, Documented
from explorer.serving.fit_gpus import constants_of, left_out
from explorer.serving.gpu_points import as_points, read_points
from explorer.serving.measured_gpus import FITTED, POINT, TIMES, against_measured, errors, measured_points
from hwbase.record import plain

#: Columns that identify a row of the scoreboard.
CELL = ("network", "machine", "engine", "format")
#: Repeated measurements closer than this are one measurement published twice.
_SAME = 1e-3
#: The two times with their short names in columns.
SHORT = {"time_per_output_token_s": "tpot", "time_to_first_token_s": "ttft"}


@dataclass(frozen=True)
class GpuBoard(Documented):
    """Measured points with ours: `points` one by one, `rows` by `CELL` or, for a user's file, by point."""

    points: pd.DataFrame = field(repr=False)
    rows: tuple[dict[str, Any], ...]
    summary: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return {"rows": [...], "summary": {...}}."""
        return {"rows": list(self.rows), "summary": self.summary}

    def to_frame(self) -> pd.DataFrame:
        """Return `rows` as a table."""
        return pd.DataFrame(list(self.rows))

    def document(self, command: str = "") -> Document:
        """Return the result as a document."""
        from explorer.serving.gpu_document import gpu_document

        return gpu_document(self, command)


def gpu_board(set: Mapping[str, Any] | None = None) -> GpuBoard:
    """Return the scoreboard of all measured points of the package aiconfigurator-core.

    A row has, for "tpot" and "ttft", the median ratio of ours to measured, the median and 90th percentile of its
    distance from one, the same with constants fitted without that network, and the noise: the median distance of
    repeated measurements from their median. `set` overrides constants of every GPU. Raises `InputError`.
    """
    points = measured_points()
    compared = against_measured(points, set=set)
    for network, constants in left_out().items():
        same_network = compared.network == network
        apart = against_measured(points[same_network], set=set, adjust=constants_of(constants))
        for name in TIMES:
            compared.loc[same_network, f"left_out_{name}"] = apart[f"ratio_{name}"].to_numpy()
    rows = [
        {**dict(zip(CELL, cell, strict=True)), "evidence": group.evidence.iloc[0], **_figures(group)}
        for cell, group in compared.groupby(list(CELL))
    ]
    kinds = {kind: _figures(group) for kind, group in compared.groupby("evidence")}
    summary = {**kinds, "best_gpus": best_gpus(compared), "fitted_networks": list(FITTED)}
    return GpuBoard(compared, tuple(rows), plain(summary))


def board_of_points(
    path: str | Path, set: Mapping[str, Any] | None = None, defaults: Mapping[str, Any] | None = None
) -> GpuBoard:
    """Return a user's own measurements with ours, row by row in the file's order.

    Parameters
    ----------
    path
        A file that `read_points` reads.
    set
        Constants of every GPU to override.
    defaults
        Values for columns that the file lacks.

    Returns
    -------
    GpuBoard
        Each row has the file's columns, `evidence`, and either `ours_tpot_ms`, `ours_ttft_ms`, `ratio_tpot` and
        `ratio_ttft`, or `why`: the reason for a missing answer.

    Raises
    ------
    InputError
        For a file that cannot be read, and constants that no book has.
    """
    measured = read_points(path, defaults)
    points = as_points(measured)
    compared = against_measured(points.drop(columns="why"), set=set)
    compared["why"] = points.why.where(points.why != "", compared.why).to_numpy()
    rows = []
    for (_, point), (_, ours) in zip(measured.iterrows(), compared.iterrows(), strict=True):
        row = {name: plain(value) if value == value else None for name, value in point.items()}
        row["evidence"] = ours.evidence
        if ours.why:
            row["why"] = ours.why
        else:
            for name, short in SHORT.items():
                row[f"ours_{short}_ms"] = ours[f"ours_{name}"] * 1e3
            for name, short in SHORT.items():
                ratio = ours[f"ratio_{name}"]
                row[f"ratio_{short}"] = ratio if np.isfinite(ratio) else None
        rows.append(plain(row))
    answered = compared[compared.why == ""]
    figures = {"points": len(rows), "answered": len(answered), **_ratios(answered)}
    return GpuBoard(compared, tuple(rows), plain({"all": figures}))


def best_gpus(compared: pd.DataFrame) -> dict[str, int]:
    """Return in how many groups our best number of GPUs has the most measured output tokens/s per GPU.

    A group is one service measured on several numbers of GPUs, without expert parallelism.
    """
    known = compared[(compared.why == "") & (compared.expert_parallel == 1)]
    service = [name for name in POINT if name not in ("gpus", "expert_parallel")]
    for kind in ("", "ours_"):
        first, each = known[f"{kind}time_to_first_token_s"], known[f"{kind}time_per_output_token_s"]
        request_s = first + each * known.output_tokens
        known = known.assign(**{f"{kind}rate": known.users * known.output_tokens / request_s / known.gpus})
    groups = [group for _, group in known.groupby(service) if len(group) > 1]
    right = sum(group.rate.iloc[int(np.argmax(group.ours_rate))] == group.rate.max() for group in groups)
    return {"groups": len(groups), "right": int(right)}


def _figures(points: pd.DataFrame) -> dict[str, Any]:
    """Return the figures of a group of points: counts, ratios and errors, left-out errors, noise."""
    figures: dict[str, Any] = {"points": len(points), "answered": int((points.why == "").sum()), **_ratios(points)}
    for name, short in SHORT.items():
        apart = errors(points[f"left_out_{name}"]) if f"left_out_{name}" in points else errors(pd.Series(dtype=float))
        spread = points[f"spread_{name}"][points[f"spread_{name}"] > _SAME]
        figures |= {
            f"{short}_left_out_error": apart["error"],
            f"{short}_left_out_error_p90": apart["error_p90"],
            f"{short}_noise": spread.median(),
            f"{short}_repeated": int(spread.size),
        }
    return {name: plain(value) if value == value else None for name, value in figures.items()}


def _ratios(points: pd.DataFrame) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for name, short in SHORT.items():
        errors_ = errors(points[f"ratio_{name}"])
        for kind in ("ratio", "error", "error_p90"):
            figures[f"{short}_{kind}"] = errors_[kind] if np.isfinite(errors_[kind]) else None
    return figures
