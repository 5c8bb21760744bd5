"""The result of a simulation, one type for all machines and simulators."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hwbase import Quantity, Record
from hwbase.check import Number
from hwbase.record import flatten, plain

if TYPE_CHECKING:
    import pandas as pd

#: A resource that binds is full to within rounding.
_ROUNDING = 1e-9
#: Parts of the execution time of a token, as in Figure 14 of the HNLPU paper.
PARTS = ("communication", "projection", "nonlinear", "attention", "stall")


@dataclass(frozen=True)
class Check(Record):
    """The demand of a workload on one resource, and the resource's capacity. `ok` is `demand <= capacity`.

    Of a resource that `spills` more may be asked: the rest goes elsewhere, at a price that the simulator counts.
    """

    name: str
    demand: Number
    capacity: Number
    unit: str
    note: str = ""
    spills: Any = False

    @property
    def bears(self) -> Any:
        """Whether the machine works nevertheless: the demand fits to within rounding, or may spill."""
        return np.less_equal(self.demand, np.asarray(self.capacity) * (1.0 + _ROUNDING)) | self.spills

    @property
    def ok(self) -> Any:
        """Whether the demand fits (an array where the inputs are arrays)."""
        return self.demand <= self.capacity

    def to_dict(self) -> dict[str, Any]:
        """Return the fields and `ok`."""
        ok = self.ok
        return super().to_dict() | {"ok": ok.tolist() if hasattr(ok, "tolist") else bool(ok)}


@dataclass(frozen=True)
class SimResult(Record):
    """Speed, energy and size of one machine on one workload; numbers broadcast over the arrays among the inputs.

    `latency_s` is the time between two tokens of one sequence (time per output token), `interval_s` the time between
    two tokens of the whole machine. `occupancy_s` has the seconds that one token occupies each resource, `breakdown`
    the shares of a token's time, which sum to 1. `kind` and `label` are those of the machine's book; `assumptions` are
    the sourced constants that were read.
    """

    machine: str
    model: str
    reading: str
    context: Number
    batch: Number
    chips: Number
    tokens_per_s: Number
    latency_s: Number
    interval_s: Number
    time_to_first_token_s: Number
    energy_j_per_token: Number
    power_w: Number
    area_mm2: Number
    bound_by: Any
    breakdown: dict[str, Number]
    occupancy_s: dict[str, Number]
    kv_bytes_per_sequence: Number
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()
    kind: str = ""
    label: str = ""
    assumptions: dict[str, Quantity] = field(default_factory=dict, repr=False)
    bands: dict[str, tuple[Number, Number]] = field(default_factory=dict, repr=False)
    """Figures that lie between these two numbers with 90 % confidence, by name; for machines that were measured."""

    @property
    def feasible(self) -> Any:
        """Whether every resource bears its load (an array where the inputs are arrays)."""
        borne = [check.bears for check in self.checks]
        return np.logical_and.reduce(np.broadcast_arrays(*borne))[()] if borne else True

    @property
    def short_of(self) -> tuple[str, ...]:
        """Names of the resources that do not bear their load, at any point."""
        return tuple(check.name for check in self.checks if not np.all(check.bears))

    @property
    def tokens_per_s_per_user(self) -> Number:
        """Tokens per second that one sequence sees."""
        return 1.0 / self.latency_s

    @property
    def tokens_per_kj(self) -> Number:
        """Tokens per kilojoule of the whole system."""
        return 1e3 / self.energy_j_per_token

    @property
    def tokens_per_s_mm2(self) -> Number:
        """Tokens per second and mm2 of silicon."""
        return self.tokens_per_s / self.area_mm2

    @property
    def fitted_constants(self) -> tuple[str, ...]:
        """Names of the constants behind this result that were fitted to a published figure."""
        return tuple(name for name, quantity in self.assumptions.items() if quantity.kind == "fitted")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, whether it is feasible, the derived rates and the fitted constants."""
        extra = (
            "feasible",
            "short_of",
            "tokens_per_s_per_user",
            "tokens_per_kj",
            "tokens_per_s_mm2",
            "fitted_constants",
        )
        values = super().to_dict()
        assumptions = values.pop("assumptions")
        rates = {name: plain(getattr(self, name)) for name in extra}
        return values | rates | {"assumptions": assumptions}

    def to_frame(self) -> "pd.DataFrame":
        """Return the figures without checks and notes, a row for each point; arrays of several axes are flattened."""
        import pandas as pd

        apart = ("checks", "notes", "short_of", "fitted_constants", "assumptions", "bands")
        figures = flatten({name: value for name, value in self.to_dict().items() if name not in apart})
        shape = np.broadcast_shapes(*(np.shape(value) for value in figures.values()))
        return pd.DataFrame({name: np.broadcast_to(value, shape).ravel() for name, value in figures.items()})
