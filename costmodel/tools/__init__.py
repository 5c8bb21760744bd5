"""costmodel.tools: one die through the published formulas and constants of other tools, and through ours.

Each tool is a function of a book, an area in mm2 and a node, and returns an `Estimate`; its constants are its own book
(`load_tool_book`). A formula that several tools share is one function (`costmodel.dies`, `costmodel.yields`).

    >>> from costmodel import tools
    >>> round(float(tools.estimate("act", 827.08, "n5").carbon.total_kg), 1)
    23.1
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import hwbase
from costmodel.bill import nodes
from costmodel.books import FOLDER, load_book
from costmodel.conventions import AS_PUBLISHED, CORRECTED
from costmodel.tools.act import act
from costmodel.tools.catch import catch
from costmodel.tools.chiplet_actuary import chiplet_actuary
from costmodel.tools.eco_chip import eco_chip
from costmodel.tools.hnlpu import counted
from costmodel.tools.terms import (
    CARBON_TERMS,
    COST_TERMS,
    DieCarbon,
    DieCost,
    Estimate,
    exchanged,
    tool_nodes,
)
from costmodel.tools.threed_carbon import metal_layers_needed, threed_carbon
from hwbase import Book, unknown_name
from hwbase.check import Number

TOOL_BOOKS: Path = FOLDER / "tools"


@dataclass(frozen=True)
class Tool:
    """A tool: its display name, its function, its book, and the contents of its figures."""

    name: str
    estimate: Callable[..., Estimate]
    book: str
    has_grid: bool
    includes: str


#: The only node of the HNLPU paper; its book has the default's constants for the others.
_HNLPU_NODES = ("n5",)
TOOLS = {
    "act": Tool("ACT", act, "act", True, "die of its own area at a fixed yield of 87.5 %; 150 g a package"),
    "3d-carbon": Tool(
        "3D-Carbon",
        threed_carbon,
        "3d-carbon",
        True,
        "die and its share of the rim, extra metal layers; FCBGA package",
    ),
    "eco-chip": Tool("ECO-CHIP", eco_chip, "eco-chip", True, "die, and the rim of a 450 mm wafer at no yield loss"),
    "chiplet-actuary": Tool(
        "Chiplet Actuary", chiplet_actuary, "chiplet-actuary", False, "die; bumps, substrate, bonding yield"
    ),
    "catch": Tool("CATCH", catch, "catch", False, "die; lithography of a badly filled exposure field"),
    "hnlpu": Tool(
        "HNLPU paper",
        partial(counted, conventions=AS_PUBLISHED),
        "hnlpu-asplos26",
        True,
        "die, good dies rounded; package and test; carbon of the die and an FCBGA package",
    ),
    "ours": Tool(
        "ours, corrected",
        partial(counted, conventions=CORRECTED),
        "default",
        True,
        "die with its share of the rim; package and test; FCBGA package",
    ),
}


def load_tool_book(tool: str) -> Book:
    """Return the book of a tool. Raises `InputError` for an unknown tool."""
    name = find_tool(tool).book
    return load_book(name) if tool in ("hnlpu", "ours") else hwbase.load_book(name, TOOL_BOOKS)


def find_tool(tool: str) -> Tool:
    """Return a tool by name. Raises `InputError` for an unknown tool."""
    if tool not in TOOLS:
        raise unknown_name("tool", tool, TOOLS)
    return TOOLS[tool]


def nodes_of(tool: str, book: Book | None = None) -> list[str]:
    """Return the nodes that a tool can price, the oldest first. Raises `InputError` for an unknown tool."""
    if find_tool(tool) is TOOLS["hnlpu"]:
        return list(_HNLPU_NODES)
    known = book or load_tool_book(tool)
    priced = nodes(known) if tool == "ours" else tool_nodes(known)
    return sorted(priced, key=lambda node: -int(node[1:]))


def estimate(
    tool: str, area_mm2: Number, node: str, grid_kg_per_kwh: Number | None = None, book: Book | None = None
) -> Estimate:
    """Return the named tool's estimate of a die of `area_mm2` at `node`; areas may be an array.

    `grid_kg_per_kwh` replaces the grid of tools that have one, `book` the tool's constants. Raises `InputError` for an
    unknown tool or node, or an area out of range.
    """
    source = find_tool(tool)
    known = book or load_tool_book(tool)
    if node not in nodes_of(tool, known):
        raise unknown_name(f"process node of {source.name}:", node, nodes_of(tool, known))
    if source.has_grid:
        return source.estimate(known, area_mm2, node, grid_kg_per_kwh)
    return source.estimate(known, area_mm2, node)


__all__ = [
    "CARBON_TERMS",
    "COST_TERMS",
    "TOOLS",
    "TOOL_BOOKS",
    "DieCarbon",
    "DieCost",
    "Estimate",
    "Tool",
    "estimate",
    "exchanged",
    "find_tool",
    "load_tool_book",
    "metal_layers_needed",
    "nodes_of",
    "threed_carbon",
]
