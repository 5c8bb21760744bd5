"""Synthesis of a module with Yosys and ABC into the cells of the transistor table."""

import json
from dataclasses import dataclass
from typing import Any, Literal

from hwbase import InputError, Record, unknown_name
from hwsim.rtl.metal import CellPlan
from hwsim.rtl.netlist import ADDER_CELLS
from hwsim.rtl.tools import run_tool, workspace
from hwsim.rtl.transistors import TABLES, TransistorCount, count_transistors, genlib

#: "cells" keeps every full and half adder as a cell; "gates" flattens them and lets ABC optimise.
Adders = Literal["cells", "gates"]

#: Area first: sharing of equal logic, structural choices, then mapping to the fewest transistors (best of nine tried).
_ABC = "+strash;scorr;dch,-f;amap,-m"

_SCRIPT = """\
read_verilog design.v
hierarchy -check -top {top}
proc
flatten
opt -full
alumacc
maccmap -unmap
opt
techmap
dfflegalize -cell $_DFF_P_ x
opt
abc -genlib cells.genlib -script {abc}
opt_clean -purge
write_verilog -noattr mapped.v
tee -q -o stat.json stat -json
"""

_BLACK_BOXES = """\
(* blackbox *)
module FA(input a, input b, input c, output s, output co);
endmodule
(* blackbox *)
module HA(input a, input b, output s, output co);
endmodule
"""

#: Names of Yosys cells in our table; constants and empty cells have no transistors.
_NAMES = {"$_DFF_P_": "DFF", "$_NOT_": "INV"}
_FREE = {"ZERO", "ONE", "$scopeinfo"}


@dataclass(frozen=True)
class Synthesis(Record):
    """Cells of a synthesised module, by name in the transistor table, and the table of the mapper."""

    top: str
    adders: Adders
    table: str
    cells: dict[str, int]

    def transistors(self, table: str | None = None) -> TransistorCount:
        """Return the transistors by `table` ("static-cmos" or "pass-transistor"; default the mapper's own)."""
        return count_transistors(self.cells, _table(table or self.table))


def synthesise(
    plan: CellPlan, adders: Adders = "cells", *, table: str = "static-cmos", timeout_s: float = 600.0
) -> Synthesis:
    """Return the cells that Yosys and ABC map `plan` to.

    `adders`: "cells" or "gates" (see `Adders`). Raises `InputError` if Yosys is missing, fails or takes longer than
    `timeout_s`, or for an unknown choice.
    """
    _, statistics = _run(plan, adders, table, timeout_s)
    return Synthesis(plan.name, adders, table, parse_stat(statistics, plan.name))


def mapped_verilog(
    plan: CellPlan, adders: Adders = "cells", *, table: str = "static-cmos", timeout_s: float = 600.0
) -> str:
    """Return the netlist that `synthesise` counts, as Verilog over the gates of the table (see `gate_models`)."""
    return _run(plan, adders, table, timeout_s)[0]


def _run(plan: CellPlan, adders: Adders, table: str, timeout_s: float) -> tuple[str, str]:
    """Return the mapped netlist and the statistics of Yosys."""
    if adders not in ("cells", "gates"):
        raise unknown_name("adders", adders, ("cells", "gates"))
    files = {
        "design.v": (_BLACK_BOXES if adders == "cells" else ADDER_CELLS) + plan.verilog,
        "cells.genlib": genlib(_table(table)),
        "run.ys": _SCRIPT.format(top=plan.name, abc=_ABC),
    }
    with workspace(files) as folder:
        run_tool("yosys", ["-q", "-s", "run.ys"], folder, timeout_s)
        mapped = (folder / "mapped.v").read_text(encoding="utf-8")
        # Black-box modules are written too; their behaviour comes from ADDER_CELLS.
        kept = [part for part in mapped.split("endmodule\n") if f"module {plan.name}(" in part]
        return kept[0] + "endmodule\n", (folder / "stat.json").read_text(encoding="utf-8")


def parse_stat(text: str, top: str) -> dict[str, int]:
    r"""Return the cells in the JSON of Yosys' `stat` for module `top`. Raises `InputError` if it has none.

    >>> parse_stat('{"modules": {"\\\\m": {"num_cells_by_type": {"NAND2": 3, "$_DFF_P_": 1}}}}', "m")
    {'DFF': 1, 'NAND2': 3}
    """
    try:
        tree: dict[str, Any] = json.loads(text[text.index("{") :])
        cells = tree["modules"][f"\\{top}"]["num_cells_by_type"]
    except (ValueError, KeyError, TypeError):
        raise InputError(f"yosys gave no statistics of module {top!r}") from None
    renamed = {_NAMES.get(name, name.removeprefix("\\")): int(times) for name, times in cells.items()}
    return {name: renamed[name] for name in sorted(renamed) if name not in _FREE}


def _table(name: str) -> dict[str, int]:
    if name not in TABLES:
        raise unknown_name("transistor table", name, TABLES)
    return TABLES[name]
