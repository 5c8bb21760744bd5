"""The document of a study of bits in silicon, and its folder: tables as CSV, a summary as JSON, and the page."""

from functools import partial

import pandas as pd

from explorer.documents import html
from explorer.documents.document import Document, Figure, Section, sections
from explorer.documents.sections import reproduce_section
from explorer.documents.tables import Column, Table, frame_table
from explorer.precision.figures import NRE_PARTS, nre_frame, nre_over_perplexity, nre_parts, perplexity_over_area
from explorer.precision.silicon import SiliconFronts
from explorer.writing import csv_text, json_text
from hwbase.columns import column
from hwbase.numbers import money, plain

#: Files that a study's folder may hold.
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
#: Columns that say nothing where each row has the least NRE of its floor.
_LEFT_OUT = ("kind", "kl_predicted", "kl", "build_usd")
_FORMATS = dict.fromkeys(("nre_usd", "recurring_usd", "build_usd", *NRE_PARTS), money)


def silicon_files(result: SiliconFronts, document: Document) -> dict[str, str]:
    """Return the files of a study by name."""
    return {
        "silicon.csv": csv_text(result.table),
        "choices.csv": csv_text(result.choices),
        "areas.csv": csv_text(result.areas),
        "summary.json": json_text(result.to_dict()),
        "page.html": html.render(document),
    }


def silicon_findings(result: SiliconFronts) -> tuple[str, ...]:
    """Return findings as sentences made from the numbers of a study."""
    return (*(_least(row) for _, row in result.least_nre().iterrows()), *_overview(result))


def _overview(result: SiliconFronts) -> tuple[str, ...]:
    """Return findings for all floors together."""
    lines = [
        f"In float, perplexity on {result.units} held-out windows is {plain(result.exact_perplexity)}.",
        _floors(result.table),
        *(_within(str(process), rows) for process, rows in result.table.groupby("process", sort=False)),
    ]
    return tuple(sentence for sentence in lines if sentence)


def silicon_document(result: SiliconFronts) -> Document:
    """Return a study as a document."""
    processes = dict.fromkeys(result.table["process"])
    return Document(
        f"{result.network} in metal: least silicon at a perplexity limit",
        "Losses are measured by layer and areas follow from the values of its weights; bits are chosen to minimise "
        "area, and every choice is run on held-out text. Areas are of neurons only; the rest of a chip is not "
        f"included. Activations have {result.activation_bits} bits, POPCNTs {result.slack:.1%} spare ports.",
        sections(
            Section("least", "Least NRE at each floor", (*silicon_findings(result), _least_table(result))),
            _nre_section(result),
            *(_process_section(result, process) for process in processes),
            reproduce_section(result.command),
        ),
        data=result.to_dict,
        frame=lambda: result.table,
        schema="hardwire",
    )


def _nre_section(result: SiliconFronts) -> Section:
    text = (
        "Design costs the same on every process of the books. Bits change NRE only through the whole number "
        "of chips, each of which needs its own masks. They change the area continuously, and with it the cost and "
        "emissions of one more system."
    )
    columns = {"process": Column("process", numeric=False), "chips": column("chips")}
    columns |= {column: Column(name) for column, name in NRE_PARTS.items()} | {"nre_usd": column("nre_usd")}
    table = frame_table("What NRE is made of", nre_frame(result), columns, _FORMATS)
    caption = "NRE against perplexity on held-out text; filled: mixed bits, open: one width"
    figures = (
        Figure("nre", partial(nre_over_perplexity, result), caption, table, 2),
        Figure("nre-parts", partial(nre_parts, result), "What NRE is made of", table, 2),
    )
    return Section("nre-of", "What NRE is made of", (text, *figures), short=False)


def _process_section(result: SiliconFronts, process: str) -> Section:
    rows = result.table[result.table["process"] == process]
    table = frame_table(f"All choices at {process}; all systems: {result.systems:,} and NRE", rows, _COLUMNS, _FORMATS)
    caption = "Perplexity against the neurons' area, measured with 95 % intervals and predicted, log axis"
    figure = Figure(f"area-{process}", partial(perplexity_over_area, result, process), caption, table, 2)
    return Section(f"process-{process}", f"At {process}", (_within(process, rows), figure), short=False)


def _least_table(result: SiliconFronts) -> Table:
    columns = {name: column for name, column in _COLUMNS.items() if name not in _LEFT_OUT}
    return frame_table("Least NRE at each floor of perplexity", result.least_nre(), columns, _FORMATS)


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
    return f"The measured perplexity keeps {kept} of {len(floors)} limits on held-out text." if len(floors) else ""


def _within(process: str, rows: pd.DataFrame) -> str:
    """Return how NRE and the cost of a system change with bits on a process."""
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
