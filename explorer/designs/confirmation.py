"""The best machines of a search, token by token: what detailed events make of the closed form's figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from explorer.designs.completion import constants_of
from explorer.designs.constraints import Constraint
from explorer.designs.evaluation import ALONE, BUSY, Case
from explorer.pareto import Direction
from explorer.progress import Report
from hwbase import Record
from hwsim.design import CHOICES
from hwsim.events.decode import decode_in_detail

#: Tokens that every sequence makes: the rate is that of a middle stretch.
TOKENS = 16
#: Designs that are tried until the limits hold for one, beyond the finalists.
_MOST_TRIED = 8
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
    holds: bool = True
    """Whether the limits of the search hold for what the events say too."""

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


def ranked(
    case: Case,
    front: pd.DataFrame,
    objectives: Mapping[str, Direction],
    limits: Sequence[Constraint],
    finalists: int,
    report: Report,
) -> tuple[pd.DataFrame, tuple[Confirmation, ...]]:
    """Return a front with its best designs in the order of detailed events, and the confirmations of those.

    Parameters
    ----------
    case : Case
    front : pandas.DataFrame
        A row a design, the best by the first objective first.
    objectives : mapping of str to "min" or "max"
    limits : sequence of Constraint
        What must hold, also for what events say.
    finalists : int
        How many of the best are simulated token by token. Where no limit holds for any of them, more are tried, up to
        `_MOST_TRIED`.
    report : callable
        Called with (what, done, in all).

    Returns
    -------
    tuple of (pandas.DataFrame, tuple of Confirmation)
        Designs whose limits do not hold stand behind the other finalists. Objectives that events do not measure keep
        their order.
    """
    tried = min(finalists, len(front))
    confirmations: list[Confirmation] = []
    while len(confirmations) < tried:
        report("machines, token by token", len(confirmations), tried)
        confirmations.append(_confirmed(case, front.iloc[len(confirmations)], len(confirmations), limits))
        if len(confirmations) == tried and not any(each.holds for each in confirmations):
            tried = min(tried + 1, len(front), max(finalists, _MOST_TRIED))
    report("machines, token by token", tried, tried)
    first, direction = next(iter(objectives.items()))
    sign = -1.0 if direction == "max" else 1.0

    def order(each: Confirmation) -> tuple[bool, float, int]:
        measured = {"tokens_per_s": each.events_tokens_per_s, "latency_alone_s": each.events_latency_alone_s}
        return not each.holds, sign * measured.get(first, 0.0), each.place

    best = sorted(confirmations, key=order)
    places = [each.place for each in best]
    whole = front.iloc[[*places, *range(len(best), len(front))]].reset_index(drop=True)
    return whole, tuple(replace(each, place=place) for place, each in enumerate(best))


def _confirmed(case: Case, row: pd.Series, place: int, limits: Sequence[Constraint]) -> Confirmation:
    """Return the confirmation of a design, a row of a front.

    Sequences decode at the mean context of the workload, as many as slots and memory hold; then one alone.
    """
    choices = {name: str(row[name]) for name in CHOICES}
    constants = {name: int(value) if float(value).is_integer() else float(value) for name, value in _one(row).items()}
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
    confirmation = Confirmation(
        place, sequences, float(loaded.tokens_per_s), busy.tokens_per_s, float(alone.latency_s), single.latency_s
    )
    figures = case.figures(constants, choices, (*ALONE, *BUSY)) | constants | choices
    # Requests make as much less as decoding does.
    figures["tokens_per_s"] = figures["tokens_per_s"] * (1.0 + confirmation.difference)
    figures["latency_alone_s"] = single.latency_s
    columns = {name: np.atleast_1d(value) for name, value in figures.items()}
    measured = [each for each in limits if each.columns & {"tokens_per_s", "latency_alone_s"}]
    known = [each for each in measured if each.columns <= columns.keys()]
    return replace(confirmation, holds=all(bool(each.holds(columns, 1)[0]) for each in known))


def _one(row: pd.Series) -> dict[str, float]:
    return {name: values[0] for name, values in constants_of(row.to_frame().T).items()}
