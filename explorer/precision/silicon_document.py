"""The document of a study of bits in silicon, and its folder: tables as CSV, a summary as JSON, and the page."""

from functools import partial

import pandas as pd

from explorer.documents import html
from explorer.documents.document import Document, Figure, Section, sections
from explorer.documents.sections import reproduce_section
from explorer.documents.tables import Column, Table, frame_table
from explorer.precision.figures import NRE_PARTS, nre_frame, nre_over_perplexity, nre_parts, perplexity_over_area
from explorer.precision.silicon import SiliconFronts
from explorer.writing import json_text
from hwbase.columns import column
from hwbase.numbers import money, plain

#: What a study's folder may hold.
SILICON_FILES = ("silicon.csv", "choices.csv", "areas.csv", "summary.json", "page.html")
_COLUMNS = {
    "process": Column("process", numeric=False),
    "kind": Column("bits chosen", numeric=False),
    "floor": Column("floor"),
    "mean_bits": Column("mean bits"),
    "kl_predicted": Column("divergence, predicted", "nats"),
    "kl": Column("measured", "nats"),
    "perplexity_predicted": Column("perplexity, predicted"),
    "perplexity": Column("measured"),
    "perplexity_low": Column("95 % from"),
    "perplexity_high": Column("to"),
    "mm2": Column("neurons", "mm²"),
    "chips": column("chips"),
    "nre_usd": column("nre_usd"),
    "recurring_usd": Column("one more system"),
    "kg_co2e": Column("making it", "kg CO₂e"),
    "build_usd": Column("all systems"),
}
#: Columns of no interest where each row has the least NRE of its floor.
_LEFT_OUT = ("kind", "kl_predicted", "kl", "build_usd")
_FORMATS = dict.fromkeys(("nre_usd", "recurring_usd", "build_usd", *NRE_PARTS), money)


def silicon_files(found: SiliconFronts, document: Document) -> dict[str, str]:
    """Return the files of a study by name."""
    return {
        "silicon.csv": found.table.to_csv(index=False),
        "choices.csv": found.choices.to_csv(index=False),
        "areas.csv": found.areas.to_csv(index=False),
        "summary.json": json_text(found.to_dict()),
        "page.html": html.render(document),
    }


def silicon_findings(found: SiliconFronts) -> tuple[str, ...]:
    """Return what a study says, in sentences made from its numbers."""
    return (*(_least(row) for _, row in found.least_nre().iterrows()), *_overview(found))


def _overview(found: SiliconFronts) -> tuple[str, ...]:
    """What holds for all floors."""
    said = [
        f"In float, perplexity on {found.units} held-out windows is {plain(found.exact_perplexity)}.",
        _floors(found.table),
        *(_within(str(process), rows) for process, rows in found.table.groupby("process", sort=False)),
    ]
    return tuple(sentence for sentence in said if sentence)


def silicon_document(found: SiliconFronts) -> Document:
    """Return a study as a document."""
    processes = dict.fromkeys(found.table["process"])
    return Document(
        f"{found.network} in metal: least silicon at a perplexity floor",
        "Every layer's loss measured and its area taken from the values of its own weights; bits chosen so that area "
        "is least, and every choice run on held-out text. Neurons alone: what stands beside them on a chip is not "
        f"counted. Activations have {found.activation_bits} bits, POPCNTs {found.slack:.1%} spare ports.",
        sections(
            Section("least", "Least NRE at each floor", (*silicon_findings(found), _least_table(found))),
            _nre_section(found),
            *(_process_section(found, process) for process in processes),
            reproduce_section(found.command),
        ),
        data=found.to_dict,
        frame=lambda: found.table,
        schema="hardwire",
    )


def _nre_section(found: SiliconFronts) -> Section:
    text = (
        "Design costs as much on every process of the books; masks are bought whole. Bits reach NRE through the number "
        "of chips alone, each of which needs masks of its own. What they do change is the area, and with it what one "
        "more system costs and emits."
    )
    columns = {"process": Column("process", numeric=False), "chips": column("chips")}
    columns |= {column: Column(name) for column, name in NRE_PARTS.items()} | {"nre_usd": column("nre_usd")}
    table = frame_table("What NRE is made of", nre_frame(found), columns, _FORMATS)
    caption = "NRE over perplexity on held-out text; filled: mixed bits, open: one width"
    figures = (
        Figure("nre", partial(nre_over_perplexity, found), caption, table, 2),
        Figure("nre-parts", partial(nre_parts, found), "What NRE is made of", table, 2),
    )
    return Section("nre-of", "What NRE is made of", (text, *figures), short=False)


def _process_section(found: SiliconFronts, process: str) -> Section:
    rows = found.table[found.table["process"] == process]
    table = frame_table(f"All choices at {process}; all systems: {found.systems:,} and NRE", rows, _COLUMNS, _FORMATS)
    caption = "Perplexity over the neurons' area, measured with 95 % intervals and predicted, log axis"
    figure = Figure(f"area-{process}", partial(perplexity_over_area, found, process), caption, table, 2)
    return Section(f"process-{process}", f"At {process}", (_within(process, rows), figure), short=False)


def _least_table(found: SiliconFronts) -> Table:
    columns = {name: column for name, column in _COLUMNS.items() if name not in _LEFT_OUT}
    return frame_table("Least NRE at each floor of perplexity", found.least_nre(), columns, _FORMATS)


def _least(row: pd.Series) -> str:
    kept = "kept" if row["perplexity"] <= row["floor"] else "missed"
    return (
        f"Perplexity {plain(row['floor'])} at most: {money(row['nre_usd'])} of NRE at {row['process']}, "
        f"{plain(row['mm2'])} mm² on {_chips(row['chips'])}, {plain(row['mean_bits'])} bits on average; predicted "
        f"{plain(row['perplexity_predicted'])}, measured {plain(row['perplexity'])} "
        f"({plain(row['perplexity_low'])} to {plain(row['perplexity_high'])}): {kept}."
    )


def _floors(table: pd.DataFrame) -> str:
    floors = table[table["kind"] == "least silicon"].drop_duplicates("floor")
    kept = int((floors["perplexity"] <= floors["floor"]).sum())
    return f"Measured, {kept} of {len(floors)} floors are kept on held-out text." if len(floors) else ""


def _within(process: str, rows: pd.DataFrame) -> str:
    """How NRE and the cost of a system move with bits within a process."""
    mixed = rows[rows["kind"] != "uniform"]
    if mixed.empty:
        return ""
    least, most = mixed.sort_values("mm2").iloc[0], rows.sort_values("mm2").iloc[-1]
    if least["chips"] == most["chips"]:
        nre = f"all on {_chips(least['chips'])}, so NRE stays {money(least['nre_usd'])}"
    else:
        nre = (
            f"{_chips(least['chips'])} to {_chips(most['chips'])}, NRE {money(least['nre_usd'])} to "
            f"{money(most['nre_usd'])}"
        )
    return (
        f"At {process}, from {plain(least['mean_bits'])} bits on average to {plain(most['mean_bits'])}: "
        f"{plain(least['mm2'])} to {plain(most['mm2'])} mm², {nre}; one more system {money(least['recurring_usd'])} to "
        f"{money(most['recurring_usd'])} and {plain(least['kg_co2e'])} to {plain(most['kg_co2e'])} kg CO₂e."
    )


def _chips(count: float) -> str:
    return "one chip" if count == 1 else f"{int(count)} chips"
