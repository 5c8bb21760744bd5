"""The folder of SDXL-Turbo's fronts: a table, and a page with pictures."""

import pandas as pd

from explorer.figures.captioned import CaptionedFigure, captioned_figure
from explorer.figures.numbers import plain
from explorer.figures.precision import curves
from explorer.figures.tables import Column, frame_table
from explorer.precision.published import PublishedFronts
from explorer.report import render_page
from explorer.serving_page import Page, Section

#: What the folder holds.
PUBLISHED_FILES = ("fronts.csv", "page.html")
_COLUMNS = {
    "scheme": Column("scheme", numeric=False),
    "mean_bits": Column("bits"),
    "mm2": Column("neurons at n5", "mm²"),
    "sqnr_db": Column("SQNR predicted", "dB"),
}
_LOST = {**{n: c for n, c in _COLUMNS.items() if n != "mm2"}, "ssim_lost": Column("SSIM lost, summed")}


def published_files(found: PublishedFronts) -> dict[str, str]:
    """Return the files by name."""
    return {"fronts.csv": found.table.to_csv(index=False), "page.html": _page(found)}


def published_findings(found: PublishedFronts) -> tuple[str, ...]:
    """Return what the fronts say, in sentences made from their numbers."""
    bits = found.table[found.table["front"] == "bits"]
    added = bits[bits["scheme"] == "noise powers added"].sort_values("mean_bits")
    said = []
    for _, row in bits[bits["scheme"] == "published configuration"].iterrows():
        reached = _at(added, row["mean_bits"])
        said.append(
            f"The published configuration of {plain(row['mean_bits'])} bits is predicted to have "
            f"{plain(row['sqnr_db'])} dB, where adding noise powers reaches {plain(reached)} dB."
        )
    return tuple(said)


def _at(rows: pd.DataFrame, bits: float) -> float:
    """The greatest predicted ratio with no more than so many bits."""
    within = rows[rows["mean_bits"] <= bits + 1e-9]
    return float(within["sqnr_db"].max()) if len(within) else float("nan")


def _page(found: PublishedFronts) -> str:
    pictures = (
        _figure(found, "bits", "mean_bits", "sqnr_db", "bits of a weight on average", "SQNR predicted, dB", False),
        _figure(found, "silicon", "mm2", "sqnr_db", "neurons at n5, mm²", "SQNR predicted, dB", False),
        _figure(found, "content", "mean_bits", "ssim_lost", "bits on average, content group", "SSIM lost", True),
    )
    text = (
        *published_findings(found),
        "Noise powers of layers are added, which no run confirms here; the published configurations were chosen by "
        "decibels and by similarity, each in its own group, and judged by images.",
    )
    page = Page(
        title="SDXL-Turbo's fronts, from its published sensitivities",
        lead="Bits of 794 layers by what an allocation adds, beside MixDQ's configurations. Nothing is run.",
        parts=(Section("fronts", "Fronts", text, pictures),),
        assumptions=None,
        command=found.command,
    )
    return render_page("serving.html.j2", page=page)


def _figure(found: PublishedFronts, front: str, x: str, y: str, across: str, up: str, log: bool) -> CaptionedFigure:
    rows = found.table[found.table["front"] == front]
    table = frame_table(f"{up} over {across}", rows, _LOST if front == "content" else _COLUMNS)
    drawn = curves(rows, x, y, across, up, alone=("uniform", "published configuration"), log=log)
    return captioned_figure(f"front-{front}", drawn, f"{up} over {across}", table, 2)
