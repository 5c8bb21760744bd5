"""The best machines of a search, token by token: what detailed events make of the closed form's figures."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from explorer.designs.completion import constants_of
from explorer.designs.evaluation import Case
from explorer.progress import Report
from hwbase import Record
from hwsim.design import CHOICES
from hwsim.events.decode import decode_in_detail

#: Tokens that every sequence makes: the rate is that of a middle stretch.
TOKENS = 16
#: Most designs that are simulated token by token.
MOST_CONFIRMED = 1000


@dataclass(frozen=True)
class Confirmation(Record):
    """A design, by its place in the front, in closed form and in detailed events, at as many sequences."""

    place: int
    sequences: int
    tokens_per_s: float
    events_tokens_per_s: float
    latency_alone_s: float
    events_latency_alone_s: float

    @property
    def difference(self) -> float:
        """The events' tokens per second over the closed form's, less 1."""
        return self.events_tokens_per_s / self.tokens_per_s - 1.0

    @property
    def difference_alone(self) -> float:
        """The events' latency for one user alone over the closed form's, less 1."""
        return self.events_latency_alone_s / self.latency_alone_s - 1.0

    def to_dict(self) -> dict[str, Any]:
        """Return the fields and both differences."""
        return super().to_dict() | {"difference": self.difference, "difference_alone": self.difference_alone}


def confirmed(case: Case, designs: pd.DataFrame, report: Report) -> tuple[Confirmation, ...]:
    """Return the confirmations of `designs`, rows of a front.

    Sequences decode at the mean context of the workload, as many as slots and memory hold; then one alone.
    """
    confirmations: list[Confirmation] = []
    for done, (place, row) in enumerate(designs.iterrows()):
        report("machines, token by token", done, len(designs))
        choices = {name: str(row[name]) for name in CHOICES}
        constants = {
            name: int(value) if float(value).is_integer() else float(value) for name, value in _one(row).items()
        }
        design = case.designs(constants, choices)
        context = int(case.workload.mean_context)
        # Sequences grow while they decode.
        held = case.run(design, context + TOKENS)
        sequences = int(np.rint(float(held.latency_s / held.interval_s)))
        loaded, alone = (case.run(design, context, each) for each in (sequences, 1))
        busy, single = (
            decode_in_detail(case.spec, design, case.technology, context=context, sequences=each, tokens=TOKENS)
            for each in (sequences, 1)
        )
        confirmations.append(
            Confirmation(
                int(place),  # type: ignore[call-overload]
                sequences,
                float(loaded.tokens_per_s),
                busy.tokens_per_s,
                float(alone.latency_s),
                single.latency_s,
            )
        )
    report("machines, token by token", len(designs), len(designs))
    return tuple(confirmations)


def _one(row: pd.Series) -> dict[str, float]:
    return {name: values[0] for name, values in constants_of(row.to_frame().T).items()}
