"""`hwsim machines`: the machines that models can run on."""

from dataclasses import replace

import hwsim
from explorer.commands.output import AsJson, OutFile, check_file, deliver
from explorer.documents.document import Document, Section
from explorer.documents.tables import scaled_table
from hwbase.columns import column

#: Columns that are shown; JSON and CSV have them all.
_SHOWN = [
    *("name", "kind", "memory_bytes", "memory_bandwidth_bytes_per_s", "peak_ops_per_s", "power_w", "area_mm2"),
    *("simulate", "serve"),
]


def machines_command(as_json: AsJson = False, out: OutFile = None) -> None:
    """The machines that are known by name, with their key figures; a book (TOML) of your own works as well."""
    check_file(out)
    frame = hwsim.machines()
    # Books count operations as pure numbers.
    peak = replace(column("peak_ops_per_s"), label="peak", unit="op/s")
    table = scaled_table("Machines", frame[_SHOWN], {"peak_ops_per_s": peak})
    document = Document(
        "Machines",
        "Every book of a machine that comes with hwsim.",
        (Section("machines", "Known machines", (table,)),),
        schema="machines",
        data=lambda: frame.to_dict(orient="records"),
        frame=lambda: frame,
    )
    deliver(document, out, as_json)
