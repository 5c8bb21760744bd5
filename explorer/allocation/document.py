"""The documents of allocations: bits of each layer with the bound that proves them, and the front over budgets."""

from functools import partial

import numpy as np
import pandas as pd

from explorer.allocation.allocate import Allocation
from explorer.documents.document import Document, Facts, Section, sections
from explorer.documents.sections import reproduce_section
from explorer.documents.tables import Column, Table, frame_table, scaled_table
from hwbase.numbers import MISSING, counted, plain, si

#: Layers that a screen shows; files have all.
_SHOWN_LAYERS = 24
#: Digits of what a solver proves.
_DIGITS = 9
_precise = partial(plain, digits=_DIGITS)


def allocation_document(allocation: Allocation, command: str = "") -> Document:
    """Return an allocation as a document."""
    table = allocation.to_frame()
    shown = ("layer", "group", "bits", "act_bits", "size", allocation.objective_name)
    columns = {name: Column(name.replace("_", " "), numeric=name not in ("layer", "group")) for name in shown}
    columns = {name: entry for name, entry in columns.items() if name in table}
    some = f"{counted(len(table), 'layer')}" + (f", the first {_SHOWN_LAYERS}" if len(table) > _SHOWN_LAYERS else "")
    widths = table["bits"].value_counts().sort_index()
    facts = (
        ("status", allocation.status),
        (allocation.objective_name, _precise(allocation.objective)),
        ("no less than", _precise(allocation.bound)),
        ("gap", plain(allocation.gap)),
        ("time", si(allocation.seconds, "s")),
        ("bits", ", ".join(f"{count:,} at {bits:g}" for bits, count in widths.items())),
    )
    return Document(
        f"{allocation.status}: {allocation.objective_name} {_precise(allocation.objective)}",
        f"The least {allocation.objective_name} within the budgets, and the bound that proves it.",
        sections(
            Section("answer", "Answer", (Facts(facts), _limits_table(allocation), *allocation.notes)),
            Section("layers", "Layers", (frame_table(some, table.head(_SHOWN_LAYERS), columns),)),
            Section("all", "All layers", (scaled_table("All layers", table),), short=False),
            reproduce_section(command),
        ),
        schema="allocate",
        data=allocation.to_dict,
        frame=allocation.to_frame,
    )


def allocation_front_document(curve: pd.DataFrame, command: str = "") -> Document:
    """Return the least objective at each budget as a document."""
    return Document(
        "Least objective at each budget",
        f"{counted(len(curve), 'point')} of the front.",
        sections(Section("front", "The front", (scaled_table("Front", curve),)), reproduce_section(command)),
        schema="allocate-front",
        data=lambda: curve.to_dict(orient="records"),
        frame=lambda: curve,
    )


def _limits_table(allocation: Allocation) -> Table:
    def side(value: float) -> str:
        return _precise(value) if np.isfinite(value) else MISSING

    rows = tuple(
        (name, _precise(spent), *map(side, allocation.limits[name])) for name, spent in allocation.spent.items()
    )
    columns = (Column("limit", numeric=False), Column("spent"), Column("at least"), Column("at most"))
    return Table("Limits", columns, rows)
