"""Both fleets at the levels of a book: which levels are worth showing, and what agrees drawn once."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from costmodel.compare import Comparison, Pair

#: The levels of a book, and the two that a published case has.
LEVELS, PUBLISHED_LEVELS = ("low", "nominal", "high"), ("low", "high")


def levels_of(convention: str) -> tuple[str, ...]:
    """Return the levels to show: the paper states an optimistic and a pessimistic case and nothing between."""
    return PUBLISHED_LEVELS if convention == "as-published" else LEVELS


def pairs(comparison: "Comparison", levels: Sequence[str]) -> list[tuple[str, "Pair"]]:
    """Return (level, pair) for each of `levels`."""
    return [(level, getattr(comparison, level)) for level in levels]


def fleet_frame(rows: list[dict[str, object]]) -> pd.DataFrame:
    """Return rows with a fleet and a level as a frame, the hardwired fleet first."""
    return pd.DataFrame(rows).sort_values("fleet", ascending=False, kind="stable", ignore_index=True)


def drawn_once(frame: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return `frame` with a `label` per row, a fleet whose levels agree in all of `keys` kept as one row."""
    kept = []
    for fleet in frame["fleet"].unique():
        rows = frame[frame["fleet"] == fleet]
        values = rows[list(keys)].to_numpy(dtype=float)
        if np.allclose(values, values[0]):
            kept.append(rows.head(1).assign(label=fleet))
        else:
            kept.append(rows.assign(label=[f"{fleet}<br>{level}" for level in rows["level"]]))
    return pd.concat(kept, ignore_index=True)
