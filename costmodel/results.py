"""Shared parts of this package's results: they carry the assumptions they were computed from."""

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hwbase import Quantity, Record, quantities_frame

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Costed(Record):
    """A result with the quantities of its book that it read."""

    assumptions: dict[str, Quantity] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if isinstance(value, (np.generic, np.ndarray)) and value.ndim == 0:
                object.__setattr__(self, item.name, value.item())

    def sources(self) -> "pd.DataFrame":
        """Return one row for each assumption read: name, low, nominal, high, unit, kind, year, source, note."""
        return quantities_frame(self.assumptions)

    def to_frame(self) -> "pd.DataFrame":
        """Return the figures without assumptions (see `sources`), one row for each element of arrays."""
        return Record.to_frame(dataclasses.replace(self, assumptions={}))
