"""Fronts of SDXL-Turbo from its published sensitivities. Nothing is run: every quality is a prediction.

This project cannot run its U-Net, but MixDQ (arXiv 2405.17873) publishes the loss of rounding each of its 794 layers
alone. Fronts over mean bits and over hardwired silicon, by several objectives, are shown with the published
configurations. Quality is the signal-to-noise ratio of the U-Net's output if the layers' noise powers add; for the
content group also the loss of structural similarity, added as published.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from explorer.allocation.allocate import allocate
from explorer.allocation.costs import cost_table
from explorer.documents import html
from explorer.documents.document import Document, Figure, Section, sections
from explorer.documents.sections import reproduce_section
from explorer.documents.tables import Column, frame_table
from explorer.papers import mixdq_data
from explorer.precision.figures import curves
from explorer.writing import csv_text
from hwbase import Record
from hwbase.numbers import plain

#: Files that the folder may hold.
PUBLISHED_FILES = ("fronts.csv", "page.html")
_COLUMNS = {
    "scheme": Column("scheme", numeric=False),
    "mean_bits": Column("bits"),
    "mm2": Column("neurons at n5", "mm²"),
    "sqnr_db": Column("SQNR predicted", "dB"),
}
_LOST = {**{n: c for n, c in _COLUMNS.items() if n != "mm2"}, "ssim_lost": Column("SSIM lost, summed")}


SDXL = "sdxl-turbo"
#: The sum that each scheme optimises.
OBJECTIVES = {"noise powers added": "noise:sqnr", "decibels added": "score:sqnr"}
_POINTS = 21
_PUBLISHED, _UNIFORM = "published configuration", "uniform"


@dataclass(frozen=True)
class PublishedFronts(Record):
    """Allocations of SDXL-Turbo's weights.

    `table`: `front` ("bits", "silicon" or "content"), `scheme`, `mean_bits`, `mm2` at n5, `sqnr_db` predicted, and on
    the front "content" `ssim_lost`, summed over its layers.
    """

    table: pd.DataFrame
    command: str = ""

    def to_frame(self) -> pd.DataFrame:
        """Return the table."""
        return self.table


def published_fronts(points: int = _POINTS, command: str = "") -> PublishedFronts:
    """Return the fronts, with `points` budgets each."""
    table = cost_table(mixdq_data.sdxl_options(), "hardwired")
    rows = [*_over(table, "bits", points), *_over(table, "silicon", points), *_content(table, points)]
    return PublishedFronts(pd.DataFrame(rows), command)


def _over(table: pd.DataFrame, front: str, points: int) -> Iterator[dict[str, object]]:
    """Yield the allocations of all layers over mean bits, or over silicon."""
    unit = "mean-bits" if front == "bits" else "mm2"
    for scheme, objective in OBJECTIVES.items():
        for budget in _budgets(table, front, points):
            result = allocate(table, budget, unit=unit, objective=objective)
            yield {"front": front, "scheme": scheme} | _choice_row(table, result.bits)
    for width in (4, 8):
        yield {"front": front, "scheme": _UNIFORM} | _choice_row(table, dict.fromkeys(table["layer"], width))
    yield from ({"front": front, "scheme": _PUBLISHED} | row for row in _published(table))


def _content(table: pd.DataFrame, points: int) -> Iterator[dict[str, object]]:
    """Yield the allocations of the content group by the loss of similarity, as published."""
    group = table[table["group"] == "content"]
    for budget in _budgets(group, "bits", points):
        result = allocate(group, budget, objective="score:ssim")
        yield {"front": "content", "scheme": "similarity added"} | _choice_row(group, result.bits)
    yield from ({"front": "content", "scheme": _PUBLISHED} | row for row in _published(group))


def _published(table: pd.DataFrame) -> list[dict[str, object]]:
    """Return the figures of the published configurations on the layers of `table`."""
    names = set(table["layer"])
    configurations = (mixdq_data.published_bits(name).items() for name in mixdq_data.CONFIGURATIONS)
    return [_choice_row(table, {str(n): float(b) for n, b in bits if n in names}) for bits in configurations]


def _budgets(table: pd.DataFrame, front: str, points: int) -> list[float]:
    costs = table["bits"] * table["size"] / table.drop_duplicates("layer")["size"].sum()
    if front == "silicon":
        costs = table["mm2"]
    # Include the bits of the published configurations, to compare them at equal bits.
    beside = [] if front == "silicon" else [float(str(row["mean_bits"])) for row in _published(table)]
    least, most = (float(costs.groupby(table["layer"]).agg(side).sum()) for side in ("min", "max"))
    return sorted([*np.linspace(least, most, points)[1:].tolist(), *beside])


def _choice_row(table: pd.DataFrame, bits: dict[str, float]) -> dict[str, object]:
    rows = table[table["bits"] == table["layer"].map(bits)]
    lost = table.groupby("layer")["ssim"].max().reindex(rows["layer"]).to_numpy() - rows["ssim"].to_numpy()
    return {
        "mean_bits": float((rows["bits"] * rows["size"]).sum() / rows["size"].sum()),
        "mm2": float(rows["mm2"].sum()),
        "sqnr_db": float(-10.0 * np.log10((10.0 ** (-rows["sqnr"] / 10.0)).sum())),
        "ssim_lost": float(lost.sum()) if np.isfinite(lost).all() else float("nan"),
    }


def published_files(result: PublishedFronts, document: Document) -> dict[str, str]:
    """Return the files by name."""
    return {
        "fronts.csv": csv_text(result.table),
        "page.html": html.render(document),
    }


def published_findings(result: PublishedFronts) -> tuple[str, ...]:
    """Return findings as sentences made from the numbers of the fronts."""
    bits = result.table[result.table["front"] == "bits"]
    added = bits[bits["scheme"] == "noise powers added"].sort_values("mean_bits")
    lines = []
    for _, row in bits[bits["scheme"] == "published configuration"].iterrows():
        reached = _at(added, row["mean_bits"])
        lines.append(
            f"The published configuration of {plain(row['mean_bits'])} bits is predicted to have "
            f"{plain(row['sqnr_db'])} dB, where adding noise powers reaches {plain(reached)} dB."
        )
    return tuple(lines)


def _at(rows: pd.DataFrame, bits: float) -> float:
    """Return the greatest predicted ratio with at most `bits`."""
    within = rows[rows["mean_bits"] <= bits + 1e-9]
    return float(within["sqnr_db"].max()) if len(within) else float("nan")


def published_document(result: PublishedFronts) -> Document:
    """Return the fronts as a document."""
    pictures = (
        _figure(result, "bits", "mean_bits", "sqnr_db", "bits of a weight on average", "SQNR predicted, dB", False),
        _figure(result, "silicon", "mm2", "sqnr_db", "neurons at n5, mm²", "SQNR predicted, dB", False),
        _figure(result, "content", "mean_bits", "ssim_lost", "bits on average, content group", "SSIM lost", True),
    )
    text = (
        *published_findings(result),
        "Noise powers of layers are added, without a run to confirm it; the published configurations were chosen by "
        "decibels and by similarity, each in its own group, and judged by images.",
    )
    return Document(
        "SDXL-Turbo's fronts, from its published sensitivities",
        "Bits of 794 layers by what an allocation adds, beside MixDQ's configurations. Nothing is run.",
        sections(Section("fronts", "Fronts", (*text, *pictures)), reproduce_section(result.command)),
        data=result.to_dict,
        frame=lambda: result.table,
        schema="fronts-published",
    )


def _figure(result: PublishedFronts, front: str, x: str, y: str, across: str, up: str, log: bool) -> Figure:
    rows = result.table[result.table["front"] == front]
    table = frame_table(f"{up} over {across}", rows, _LOST if front == "content" else _COLUMNS)
    draw = partial(curves, rows, x, y, across, up, alone=("uniform", "published configuration"), log=log)
    return Figure(f"front-{front}", draw, f"{up} over {across}", table, 2)
