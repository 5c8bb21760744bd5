"""The document of `hwsim adapt`: ways to keep a hardwired model useful, side by side."""

from functools import partial
from typing import Any

import pandas as pd

from explorer.change.adapt import Adaptations
from explorer.documents.document import Document, Figure, Part, Section, sections
from explorer.documents.plot import Plot
from explorer.documents.sections import assumptions_section, reproduce_section
from explorer.documents.tables import scaled_table
from explorer.documents.theme import figure, style
from hwbase.numbers import percent

_HEIGHT_PX, _MARKER_PX = 420, 14
_LIMITS = (
    "Closed form, machines with every token slot full; dollars and carbon without re-spins. A cascade has a machine of "
    "each model, in balance, and the large one works for the share that is deferred. Detailed events have none of it."
)


def adapt_document(result: Adaptations, command: str) -> Document:
    """Return the ways as a document."""
    ways = scaled_table("Ways to live with change", pd.DataFrame(list(result.rows)))
    served = scaled_table(
        f"Prompts of {result.prompt_tokens:,} and answers of {result.output_tokens:,} tokens",
        pd.DataFrame(list(result.services)),
    )
    parts: list[Part] = [ways]
    if result.break_even_share is not None:
        share = max(result.break_even_share, 0.0)
        limit = f"less than {percent(share)} of its answers"
        words = f"A cascade costs less than the large model alone where it defers {limit}."
        parts = [ways, words]
    drawn = Figure("ways", partial(dollars_over_latency, result), "Dollars over latency", ways, 3)
    beside = f" with {result.small}" if result.small else ""
    return Document(
        f"What keeps a hardwired {result.model} useful{beside}",
        _LIMITS,
        sections(
            Section("brief", "In brief", (_brief(result),)),
            Section("ways", "Ways", tuple(parts)),
            Section("services", "Prompts on GPUs", (served,)),
            Section("figure", "Dollars over latency", (drawn,), short=False),
            Section("notes", "Notes", tuple(result.notes), short=False) if result.notes else None,
            assumptions_section({"": result.assumptions}),
            reproduce_section(command),
        ),
        data=result.to_dict,
        frame=result.to_frame,
        schema="adapt",
    )


def _brief(result: Adaptations) -> str:
    """Return what each way does to the plain machine, in a sentence each."""
    plain, *others = result.rows

    def change(row: dict[str, Any], name: str) -> str:
        share = row[name] / plain[name] - 1.0
        return f"{percent(abs(share))} {'more' if share > 0 else 'less'}"

    changes = [
        f"{row['way'].capitalize()}: {change(row, 'usd_per_million_tokens')} dollars a token and "
        f"{change(row, 'latency_alone_s')} time for one user alone."
        for row in others
    ]
    return f"Beside the plain machine. {' '.join(changes)}"


def dollars_over_latency(result: Adaptations) -> Plot:
    """Return a point for each way, dollars of a million tokens over the time between two tokens of one user."""
    drawn = figure(f"Ways to keep {result.model} useful", _HEIGHT_PX)
    for index, row in enumerate(result.rows):
        colour, symbol, _ = style(index)
        drawn.add_scatter(
            x=[row["latency_alone_s"] * 1e6],
            y=[row["usd_per_million_tokens"]],
            mode="markers",
            name=row["way"],
            marker={"color": colour, "symbol": symbol, "size": _MARKER_PX},
        )
    drawn.update_xaxes(title_text="time between two tokens of one user alone [µs]", rangemode="tozero")
    drawn.update_yaxes(title_text="dollars of a million tokens [USD]", rangemode="tozero")
    return drawn
