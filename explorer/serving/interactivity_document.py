"""The document of machines over the tokens per second that each user is promised: fronts and their numbers."""

from functools import partial

import numpy as np

from explorer.documents.document import Document, Figure, Section, sections
from explorer.documents.plot import Plot
from explorer.documents.sections import assumptions_section, reproduce_section
from explorer.documents.tables import Column, Table
from explorer.documents.theme import figure, machine_name, machine_style, text
from explorer.serving.interactivity import Interactivity
from hwbase.columns import column
from hwbase.numbers import MISSING, plain, sentence

#: What is drawn over the speed of a user, each on a figure of its own.
MEASURES = ("tokens_per_s_per_chip", "usd_per_million_tokens", "tokens_per_s_per_mw", "g_per_million_tokens")
_HEIGHT_PX, _LINE_PX = 380, 2.5
#: Rows of a table, at most twice as many.
_ROWS = 9


def interactivity_document(result: Interactivity, command: str) -> Document:
    """Return a comparison over tokens per second of a user as a document."""
    names = [machine_name(front.machine) for front in result.fronts]
    frame = result.to_frame()
    notes = (
        "Output tokens alone are counted, for every machine alike. A GPU is one of the best server within the promise; "
        "a hardwired machine's slots are shared in time by users who are promised less than a slot generates.",
        *map(sentence, result.notes),
        *_limits(result),
    )
    figures = (
        Figure(
            measure.replace("_", "-"),
            partial(front_lines, result, measure),
            _title(measure),
            measure_table(result, measure),
        )
        for measure in MEASURES
    )
    first, *others = figures
    return Document(
        f"{result.model} over tokens per second of a user",
        f"{', '.join(names)}: {result.workload.describe()}, {result.volume:,} hardwired systems, conventions "
        f"{result.convention}.",
        sections(
            Section("fronts", "Fronts", (*notes, first)),
            Section("more", "Dollars, power and carbon", tuple(others), short=False),
            assumptions_section({"": result.quantities}),
            reproduce_section(command),
        ),
        schema="interactivity",
        data=lambda: {**result.to_dict(), "rows": frame.to_dict(orient="records")},
        frame=result.to_frame,
    )


def measure_table(result: Interactivity, measure: str) -> Table:
    """Return one of `MEASURES` by the tokens per second of a user, a column a machine."""
    step = max((len(result.speeds) - 1) // (_ROWS - 1), 1)
    speed = column("tokens_per_s_per_user")
    heads = (Column(speed.label, speed.unit), *(Column(machine_name(front.machine)) for front in result.fronts))
    rows = tuple(
        (plain(result.speeds[at]), *(_cell(measure, getattr(front, measure)[at]) for front in result.fronts))
        for at in range(0, len(result.speeds), step)
    )
    return Table(column(measure).heading, heads, rows)


def _cell(measure: str, value: float) -> str:
    if not np.isfinite(value):
        return MISSING
    return plain(value) if measure.startswith("tokens") else column(measure).text(value)


def front_lines(result: Interactivity, measure: str) -> Plot:
    """Return one of `MEASURES` over the tokens per second of a user, log axes, a line a machine."""
    drawn = figure(_title(measure), _HEIGHT_PX)
    for front in result.fronts:
        colour, symbol, dash = machine_style(front.machine)
        drawn.add_scatter(
            x=result.speeds,
            y=getattr(front, measure),
            mode="lines+markers",
            name=text(machine_name(front.machine)),
            line={"color": colour, "dash": dash, "width": _LINE_PX},
            marker={"symbol": symbol, "color": colour},
            hovertemplate="%{x:.3~s} tokens/s a user: %{y:,.4~g}",
        )
    drawn.update_xaxes(type="log", title_text="tokens/s of a user")
    drawn.update_yaxes(type="log", title_text=column(measure).heading)
    return drawn


def _title(measure: str) -> str:
    label = column(measure).label
    return f"{label[:1].upper()}{label[1:]}"


def _limits(result: Interactivity) -> tuple[str, ...]:
    """Return the fastest promise that each machine keeps."""
    sentences = []
    for front in result.fronts:
        kept = result.speeds[np.isfinite(front.chips)]
        fastest = f"keeps up to {kept[-1]:,.0f} tokens/s a user" if kept.size else "keeps none of these promises"
        sentences.append(f"{machine_name(front.machine)} {fastest}.")
    return (" ".join(sentences),)
