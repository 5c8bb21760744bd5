"""Cells of a Liberty library with tables of delays (NLDM), read for the delay of an adder.

A small reader of the parts that this needs: areas, pins, functions, and the tables of delay and slew over the slew of
an input and the capacitance of an output (Liberty User Guide, "Modeling for delay"). Files may be packed with gzip.
"""

import gzip
import os
import re
from bisect import bisect
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hwbase import InputError, Record

#: Names the folder of a library where none is given.
VARIABLE = "HWSIM_LIBERTY"
_EDGES = ("rise", "fall")
_BRACE = re.compile(r"[{}]")
_TABLE = re.compile(r"index_1 \(([^)]*)\);\s*index_2 \(([^)]*)\);\s*values \(([^)]*)\)")
_PREFIXES = {"f": 1e-15, "p": 1e-12, "n": 1e-9}


@dataclass(frozen=True, eq=False)
class Table(Record):
    """Values over input slews `slews_s` and output loads `loads_f`, both ascending; linear between, and beyond."""

    slews_s: np.ndarray
    loads_f: np.ndarray
    values_s: np.ndarray

    def at(self, slew_s: float, load_f: float) -> float:
        """Return the value at a slew and a load."""
        row, x = _place(self.slews_s, slew_s)
        column, y = _place(self.loads_f, load_f)
        (a, b), (c, d) = self.values_s[row : row + 2, column : column + 2].tolist()
        return float((1.0 - x) * ((1.0 - y) * a + y * b) + x * ((1.0 - y) * c + y * d))


@dataclass(frozen=True, eq=False)
class Arc(Record):
    """Delay and slew of one output edge, from one input; `inverts` is None where either edge of it may be the cause."""

    source: str
    edge: str
    inverts: bool | None
    delay: Table
    slew: Table


@dataclass(frozen=True, eq=False)
class LibraryCell(Record):
    """A cell: area in um2, capacitance of each input in F, function and arcs of each output."""

    name: str
    area_um2: float
    inputs_f: dict[str, float]
    functions: dict[str, str]
    arcs: dict[str, tuple[Arc, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class AdderDelay(Record):
    """Delay of one full adder in a long chain of them, in s, and the cells of a library that it is of.

    `bare_s` is without the inverter that each output needs where the library's adder inverts it.
    """

    adder: str
    inverter: str
    delay_s: float
    bare_s: float
    adder_um2: float
    inverter_um2: float


def liberty_folder(folder: str | Path | None = None) -> Path | None:
    """Return the folder of a library: the given one, or that of the environment, or none.

    Raises `InputError` where it has no Liberty file.
    """
    named = folder or os.environ.get(VARIABLE)
    if not named:
        return None
    path = Path(named)
    if not path.is_dir() or not _files(path):
        raise InputError(f"liberty = {str(named)!r}: expected a folder with files *.lib or *.lib.gz")
    return path


def adder_delay(folder: str | Path) -> AdderDelay:
    """Return the delay of a full adder in a chain whose slews have settled, by the tables of a library, without wires.

    Each output drives one input of the next adder, through the fastest inverter where the library's adder inverts its
    outputs. The slowest input, output and edge count. Raises `InputError` for a folder without a full adder and an
    inverter.
    """
    path = liberty_folder(folder)
    assert path is not None
    adder = min(_fitting(path, "FA", "full adder", inputs=3, outputs=2), key=lambda cell: cell.area_um2)
    load = max(adder.inputs_f.values())

    def with_inverter(cell: LibraryCell) -> float:
        return _settled([(adder, max(cell.inputs_f.values())), (cell, load)])

    inverter = min(_fitting(path, "INV", "inverter", inputs=1, outputs=1), key=with_inverter)
    bare = _settled([(adder, load)])
    return AdderDelay(adder.name, inverter.name, with_inverter(inverter), bare, adder.area_um2, inverter.area_um2)


def _fitting(folder: Path, start: str, kind: str, inputs: int, outputs: int) -> list[LibraryCell]:
    """Return the cells whose names start with `start` and that have so many pins."""
    cells = [cell for file in _files(folder) for cell in read_cells(file, start)]
    fitting = [cell for cell in cells if len(cell.inputs_f) == inputs and len(cell.functions) == outputs]
    if not fitting:
        raise InputError(f"liberty = {str(folder)!r}: no {kind} (a cell {start}...) with delay tables")
    return fitting


def read_cells(file: Path, start: str = "") -> list[LibraryCell]:
    """Return the cells of a Liberty file whose names begin with `start`. Raises `InputError` for a broken file."""
    try:
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        if f"cell ({start}".encode() not in content:
            return []
        text = content.decode("utf-8")
        time_s = _unit(text, r'time_unit : "1([fpn])s"')
        load_f = _unit(text, r"capacitive_load_unit \(1,\s*([fpn])f\)")
        heads = re.finditer(rf"cell \(({start}\w*)\) \{{", text)
        bodies = [(match[1], _block(text, match.end())) for match in heads]
        return [_cell(name, body, time_s, load_f) for name, body in bodies]
    except (OSError, ValueError, IndexError, AttributeError, TypeError) as error:
        raise InputError(f"{file.name}: no Liberty library that can be read ({error})") from None


def _cell(name: str, body: str, time_s: float, load_f: float) -> LibraryCell:
    inputs, functions, arcs = {}, {}, {}
    for match in re.finditer(r"^\s*pin \((\w+)\) \{", body, re.MULTILINE):
        pin = _block(body, match.end())
        if "direction : input" in pin:
            inputs[match[1]] = float(_value(pin, "capacitance")) * load_f
        elif function := re.search(r'^\s*function : "([^"]*)"', pin, re.MULTILINE):
            functions[match[1]] = function[1]
            arcs[match[1]] = tuple(_arcs(pin, time_s, load_f))
    area = float(_value(body, "area"))
    # An arc from another output repeats those from the inputs that move it.
    kept = {pin: tuple(arc for arc in found if arc.source in inputs) for pin, found in arcs.items()}
    return LibraryCell(name, area, inputs, functions, kept)


def _arcs(pin: str, time_s: float, load_f: float) -> list[Arc]:
    found = []
    for match in re.finditer(r"timing \(\) \{", pin):
        timing = _block(pin, match.end())
        sense = re.search(r"timing_sense : (\w+)", timing)
        inverts = {"negative_unate": True, "positive_unate": False}.get(sense[1] if sense else "")
        source = _value(timing, "related_pin").strip('"')
        for edge in _EDGES:
            blocks = [re.search(rf"{name} \(\w+\) \{{", timing) for name in (f"cell_{edge}", f"{edge}_transition")]
            if blocks[0] is not None and blocks[1] is not None:
                delay, slew = (_table(_block(timing, start.end()), time_s, load_f) for start in blocks if start)
                found.append(Arc(source, edge, inverts, delay, slew))
    return found


def _table(text: str, time_s: float, load_f: float) -> Table:
    match = _TABLE.search(text)
    if match is None:
        raise ValueError("a delay without a table of two indices")
    slews, loads, values = (np.array(re.findall(r"[-+.\deE]+", part), dtype=float) for part in match.groups())
    return Table(slews * time_s, loads * load_f, values.reshape(slews.size, loads.size) * time_s)


def _settled(chain: list[tuple[LibraryCell, float]]) -> float:
    """Return the slowest delay around a chain of (cell, load), repeated until its slews settle, per repetition in s."""
    slews = dict.fromkeys(_EDGES, 0.0)
    for _ in range(_REPEATS):
        before = dict.fromkeys(_EDGES, 0.0)
        for cell, load in chain:
            after, later = dict.fromkeys(_EDGES, 0.0), dict.fromkeys(_EDGES, 0.0)
            for arc in (arc for arcs in cell.arcs.values() for arc in arcs):
                other = _EDGES[1 - _EDGES.index(arc.edge)]
                causes = _EDGES if arc.inverts is None else (other if arc.inverts else arc.edge,)
                for cause in causes:
                    arrival = before[cause] + arc.delay.at(slews[cause], load)
                    if arrival > after[arc.edge]:
                        after[arc.edge], later[arc.edge] = arrival, arc.slew.at(slews[cause], load)
            before, slews = after, later
    return max(before.values())


#: Repetitions after which the slews of a chain have settled.
_REPEATS = 12


def _place(points: np.ndarray, value: float) -> tuple[int, float]:
    index = min(max(bisect(points, value) - 1, 0), points.size - 2)
    return index, float((value - points[index]) / (points[index + 1] - points[index]))


def _block(text: str, start: int) -> str:
    """Return the text from `start`, after an opening brace, to the brace that closes it."""
    depth = 1
    for match in _BRACE.finditer(text, start):
        depth += 1 if match[0] == "{" else -1
        if not depth:
            return text[start : match.start()]
    raise ValueError("a brace is not closed")


def _value(text: str, name: str) -> str:
    match = re.search(rf"^\s*{name} : ([^;\n]*)", text, re.MULTILINE)
    if match is None:
        raise ValueError(f"no {name}")
    return match[1]


def _unit(text: str, pattern: str) -> float:
    match = re.search(pattern, text)
    if match is None:
        raise ValueError("no unit of time or capacitance")
    return _PREFIXES[match[1]]


def _files(folder: Path) -> list[Path]:
    return sorted([*folder.glob("*.lib"), *folder.glob("*.lib.gz")])
