"""Layout of a module with qflow: placed by graywolf, routed by qrouter, checked by Magic and netgen.

The cells are those of a technology that qflow brings (osu018: 180 nm, six metal layers, Oklahoma State University's
open library). Its full and half adders stand for those of the netlist; Yosys maps the rest.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwbase import InputError, Record
from hwsim.rtl.metal import CellPlan
from hwsim.rtl.tools import find_tool, has_tools, run_tool, workspace

#: Programs of a layout: qflow's scripts call the others.
LAYOUT_TOOLS = ("qflow", "graywolf", "qrouter", "magic", "netgen-lvs")
DEFAULT_LIBRARY = "osu018"
_STEPS = ("synthesize", "place", "route", "migrate")
#: They end with an error status where they find something; their logs say what.
_CHECKS = ("drc", "lvs")
_TOP = "neuron"
_ADDERS = """\
module FA(input a, input b, input c, output s, output co);
  FAX1 cell(.A(a), .B(b), .C(c), .YS(s), .YC(co));
endmodule

module HA(input a, input b, output s, output co);
  HAX1 cell(.A(a), .B(b), .YS(s), .YC(co));
endmodule

"""
_POINT = re.compile(r"\( (\S+) (\S+) \)")
_SEGMENT = re.compile(r"^(?:\+ ROUTED|\s+NEW) (\w+) (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Layout(Record):
    """A routed module: its cells without fillers, areas in um2, wires of nets (not power) in um by layer.

    `unrouted` nets, `drc_errors` of design rules; `lvs_match` is whether the netlist of the layout is that which was
    synthesised.
    """

    library: str
    cells: int
    nets: int
    pins: int
    cell_um2: float
    die_um2: float
    wire_um_by_layer: dict[str, float]
    unrouted: int
    drc_errors: int
    lvs_match: bool

    @property
    def utilisation(self) -> float:
        """Share of the die that cells cover."""
        return self.cell_um2 / self.die_um2

    @property
    def wire_um(self) -> float:
        """Length of all wires of nets, in um."""
        return sum(self.wire_um_by_layer.values())

    @property
    def wire_constant(self) -> float:
        """Mean length of a net over the side of a mean cell: it has no unit, so other technologies may share it."""
        return self.wire_um / self.nets / float(np.sqrt(self.cell_um2 / self.cells))


def has_layout_tools() -> bool:
    """Return whether all programs of a layout are installed."""
    return has_tools(*LAYOUT_TOOLS)


def place_and_route(plan: CellPlan, library: str = DEFAULT_LIBRARY, *, timeout_s: float = 3600.0) -> Layout:
    """Return the layout of a drawn module, whose pins stand on the edges of its die.

    Raises `InputError` for a missing tool or library, a module that cannot be placed or routed (as where its pins do
    not fit the edges), or a run beyond `timeout_s`.
    """
    for name in LAYOUT_TOOLS:
        find_tool(name)
    cells = _library_folder(library) / f"{library}_stdcells.lef"
    verilog = plan.verilog.replace(f"module {plan.name}(", f"module {_TOP}(", 1)
    with workspace({"module.v": _ADDERS + verilog}) as folder:
        (folder / "source").mkdir()
        (folder / "module.v").rename(folder / "source" / f"{_TOP}.v")
        with suppress(InputError):
            # Its last line says little: what failed is in the logs.
            run_tool("qflow", [*_STEPS, "-T", library, _TOP], folder, timeout_s)
        for step in _CHECKS:
            with suppress(InputError):
                run_tool("qflow", [step, "-T", library, _TOP], folder, timeout_s)
        texts = {name: _read(folder / path) for name, path in _FILES.items()}
    if "END DESIGN" not in texts["def"] or "Final:" not in texts["route"]:
        reason = _last_line(texts["route"] or texts["place"])
        raise InputError(f"{plan.name} was not placed and routed within {timeout_s:g} s: {reason}")
    errors = re.search(r"^drc = (\d+)", texts["drc"], re.MULTILINE)
    if errors is None or "LVS" not in texts["lvs"]:
        raise InputError(f"the layout of {plan.name} was not checked: {_last_line(texts['lvs'] or texts['drc'])}")
    failed = re.search(r"Final: Failed net routes: (\d+)", texts["route"])
    die_um2, used, wires, pins, nets = read_def(texts["def"])
    sizes = read_sizes(cells.read_text(encoding="utf-8"))
    placed = {name: times for name, times in used.items() if not name.startswith("FILL")}
    return Layout(
        library=library,
        cells=sum(placed.values()),
        nets=nets,
        pins=pins,
        cell_um2=sum(sizes[name] * times for name, times in placed.items()),
        die_um2=die_um2,
        wire_um_by_layer=wires,
        unrouted=int(failed[1]) if failed else 0,
        drc_errors=int(errors[1]),
        lvs_match="Circuits match uniquely" in texts["lvs"] and "Total errors = 0" in texts["lvs"],
    )


def read_def(text: str) -> tuple[float, dict[str, int], dict[str, float], int, int]:
    """Return (die area in um2, cells by name, wire of nets in um by layer, pins, nets) of a routed DEF file.

    A point may repeat a coordinate of the one before with `*` (LEF/DEF Language Reference, "NETS").
    """
    units = re.search(r"^UNITS DISTANCE MICRONS (\d+)", text, re.MULTILINE)
    die = re.search(r"^DIEAREA \( (\S+) (\S+) \) \( (\S+) (\S+) \)", text, re.MULTILINE)
    if units is None or die is None:
        raise InputError("the DEF file has no units or no die area")
    scale = 1.0 / float(units[1])
    left, low, right, high = (float(part) * scale for part in die.groups())
    cells: dict[str, int] = {}
    for name in re.findall(r"^- \S+ (\S+)", _section(text, "COMPONENTS"), re.MULTILINE):
        cells[name] = cells.get(name, 0) + 1
    wires: dict[str, float] = {}
    for layer, path in _SEGMENT.findall(_section(text, "NETS")):
        wires[layer] = wires.get(layer, 0.0) + _length(path) * scale
    pins, nets = (len(re.findall(r"^- ", _section(text, name), re.MULTILINE)) for name in ("PINS", "NETS"))
    return (right - left) * (high - low), cells, dict(sorted(wires.items())), pins, nets


def read_sizes(lef: str) -> dict[str, float]:
    """Return the area of each cell of a LEF file in um2."""
    macros = re.findall(r"^MACRO (\S+)(.*?)^END \1", lef, re.MULTILINE | re.DOTALL)
    sizes = {name: re.search(r"SIZE (\S+) BY (\S+) ;", body) for name, body in macros}
    return {name: float(size[1]) * float(size[2]) for name, size in sizes.items() if size}


_FILES = {
    "def": f"{_TOP}.def",
    "place": "log/place.log",
    "route": "log/route.log",
    "drc": "log/drc.log",
    "lvs": "log/lvs.log",
}


def _length(path: str) -> float:
    """Return the length of a path of points in the units of its file."""
    total, before = 0.0, None
    for x, y in _POINT.findall(path):
        if before is None:
            point = (float(x), float(y))
        else:
            point = (before[0] if x == "*" else float(x), before[1] if y == "*" else float(y))
            total += abs(point[0] - before[0]) + abs(point[1] - before[1])
        before = point
    return total


def _section(text: str, name: str) -> str:
    match = re.search(rf"^{name} \d+ ;(.*?)^END {name}", text, re.MULTILINE | re.DOTALL)
    return match[1] if match else ""


def _library_folder(library: str) -> Path:
    libraries = Path(find_tool("qflow")).resolve().parents[1] / "share" / "qflow" / "tech"
    if not (libraries / library / f"{library}_stdcells.lef").is_file():
        known = sorted(path.name for path in libraries.glob("*") if (path / f"{path.name}_stdcells.lef").is_file())
        raise InputError(f"library = {library!r}: expected one that qflow brings, {', '.join(known) or 'none is here'}")
    return libraries / library


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _last_line(log: str) -> str:
    lines = [line for line in log.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no log"
