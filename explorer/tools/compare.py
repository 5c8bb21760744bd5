"""The same die through other tools: its cost and carbon by each, and the assumptions behind the differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

import costmodel
from costmodel import tools
from costmodel.footprint import grid_kg_per_kwh
from explorer.documents.document import Document, Documented
from explorer.papers.cost_tools import published_checks
from explorer.papers.scoreboard import Scoreboard
from explorer.pricing.prices import own_book
from hwbase import Book, InputError, Quantity, Record, unknown_name
from hwbase.arguments import checked
from hwbase.check import number
from hwbase.values import read_value

#: The HNLPU paper's die.
DIE_MM2, NODE = 827.08, "n5"
LEVELS = ("low", "nominal", "high")
#: Short names of grid regions.
_REGIONS = {
    "tw": "taiwan",
    "us": "us",
    "cn": "china",
    "fr": "france",
    "se": "sweden",
    "kr": "south_korea",
    "jp": "japan",
    "de": "germany",
    "ie": "ireland",
}
#: Most dies times nodes of one comparison, and areas of a curve.
MOST_DIES = 12
_CURVE_POINTS, _CURVE_LOW_MM2 = 49, 25.0


@dataclass(frozen=True)
class ToolRow(Record):
    """The figures of one tool for one die: nominal, and at the low and high end of its book; None where it has none."""

    tool: str
    name: str
    die_area_mm2: float
    node: str
    gross_dies: float | None = None
    die_yield: float | None = None
    die_usd: float | None = None
    cost_usd: float | None = None
    cost_low_usd: float | None = None
    cost_high_usd: float | None = None
    die_kg: float | None = None
    carbon_kg: float | None = None
    carbon_low_kg: float | None = None
    carbon_high_kg: float | None = None
    includes: str = ""


@dataclass(frozen=True)
class ToolComparison(Documented):
    """Tools side by side.

    `exchanges` has a row for each term of each tool, replaced alone by ours; `over_nodes` is of the first die,
    `over_areas` at the first node; `checks` holds published figures of the tools with ours.
    """

    rows: tuple[ToolRow, ...]
    grid: str
    exchanges: pd.DataFrame
    over_nodes: pd.DataFrame
    over_areas: pd.DataFrame
    checks: Scoreboard
    assumptions: dict[str, Quantity] = field(default_factory=dict, repr=False)

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each tool and die."""
        return pd.DataFrame([row.to_dict() for row in self.rows])

    def spread(self, quantity: str, area_mm2: float, node: str) -> float:
        """Return the ratio of largest to smallest `cost_usd` or `carbon_kg` of a die; NaN with fewer than two."""
        values = [getattr(r, quantity) for r in self.rows if (r.die_area_mm2, r.node) == (area_mm2, node)]
        stated = [value for value in values if value is not None]
        return max(stated) / min(stated) if len(stated) > 1 else float("nan")

    def document(self, command: str = "") -> Document:
        """Return the result as a document."""
        from explorer.tools.document import tools_document

        return tools_document(self, command)


@checked
def compare_tools(
    area_mm2: float | Sequence[float] = DIE_MM2,
    node: str | Sequence[str] = NODE,
    *,
    grid: str | None = None,
    set: Mapping[str, Any] | None = None,
    book: str | None = None,
) -> ToolComparison:
    """Return the figures of every tool for dies of `area_mm2` at `node`, one or several of each, in all pairs.

    Parameters
    ----------
    area_mm2 : float or sequence of float
        Die areas.
    node : str or sequence of str
        Process nodes. A tool without constants for a node is blank there.
    grid : str, optional
        The region of our book ("taiwan", or "tw") whose electricity every fab uses; by default the tools' own.
    set : mapping of str to number, array or str, optional
        Constants to override, by tool and name ("act.fab.yield": 0.5).
    book : str, optional
        A cost book for our row.

    Returns
    -------
    ToolComparison

    Raises
    ------
    InputError
        For a die that does not fit an exposure field, and for unknown names.
    """
    books = _books(set or {}, book)
    ours = books["ours"]
    areas, nodes = _areas(area_mm2, ours), _nodes(node, books)
    if len(areas) * len(nodes) > MOST_DIES:
        raise InputError(f"{len(areas)} areas at {len(nodes)} nodes: expected at most {MOST_DIES} dies in all")
    region = None if grid is None else find_region(grid, ours)
    bought = None if region is None else grid_kg_per_kwh(ours.reader(), region)
    used: dict[str, Quantity] = {}
    rows, exchanges = [], []
    for at in nodes:
        for area in areas:
            estimates = {key: _estimates(key, area, at, bought, books[key]) for key in tools.TOOLS}
            for key, levels in estimates.items():
                rows.append(_row(key, area, at, levels, books[key]))
                if levels is not None:
                    used |= {f"{key}.{name}": quantity for name, quantity in levels["nominal"].assumptions.items()}
            exchanges += _exchanges(area, at, {k: v["nominal"] for k, v in estimates.items() if v is not None})
    if region is not None:
        used[f"ours.grid.{region}_g_per_kwh"] = ours[f"grid.{region}_g_per_kwh"]
    return ToolComparison(
        rows=tuple(rows),
        grid=region or "each tool's own",
        exchanges=pd.DataFrame(
            exchanges, columns=["tool", "die_area_mm2", "node", "quantity", "term", "theirs", "with_ours", "ratio"]
        ),
        over_nodes=_over_nodes(areas[0], bought, books),
        over_areas=_over_areas(nodes[0], bought, books),
        checks=published_checks(),
        assumptions=used,
    )


def find_region(grid: str, book: Book) -> str:
    """Return the grid region of a cost book by name or two-letter code. Raises `InputError`."""
    region = _REGIONS.get(grid.lower(), grid.lower())
    known = costmodel.regions(book)
    if region not in known:
        raise unknown_name("grid region", grid, [*known, *_REGIONS])
    return region


def _books(overrides: Mapping[str, Any], book: str | None) -> dict[str, Book]:
    books = {key: tools.load_tool_book(key) for key in tools.TOOLS}
    if book is not None:
        books["ours"] = own_book(book)
    for name, value in overrides.items():
        tool, _, key = name.partition(".")
        if tool not in books:
            raise unknown_name("tool of an override (TOOL.name=value):", tool, books)
        books[tool] = books[tool].override({key: value})
    return books


def _areas(area_mm2: float | Sequence[float], ours: Book) -> list[float]:
    field_mm2 = ours.value("reticle.width_mm", "mm") * ours.value("reticle.height_mm", "mm")
    areas = np.unique(
        np.atleast_1d(np.asarray(number("area_mm2", read_value("area_mm2", area_mm2, "mm**2"), above=0.0), dtype=float))
    )
    for area in areas:
        if area > field_mm2:
            raise InputError(f"area_mm2 = {area:g}: expected a die that fits one exposure field (<= {field_mm2:g} mm2)")
    return [float(area) for area in areas[::-1]]


def _nodes(node: str | Sequence[str], books: Mapping[str, Book]) -> list[str]:
    nodes = list(dict.fromkeys([node] if isinstance(node, str) else node))
    known = all_nodes(books)
    for name in nodes:
        if name not in known:
            raise unknown_name("process node", name, known)
    if not nodes:
        raise InputError("node is empty: expected a process node such as 'n5'")
    return nodes


def all_nodes(books: Mapping[str, Book] | None = None) -> list[str]:
    """Return the nodes for which any tool has constants, the oldest first."""
    nodes = {node for key in tools.TOOLS for node in tools.nodes_of(key, None if books is None else books[key])}
    return sorted(nodes, key=lambda node: -int(node[1:]))


def _estimates(key: str, area: Any, node: str, grid: float | None, book: Book) -> dict[str, tools.Estimate] | None:
    if node not in tools.nodes_of(key, book):
        return None
    return {level: tools.estimate(key, area, node, grid, book.at(level)) for level in LEVELS}  # type: ignore[arg-type]


def _row(key: str, area: float, node: str, levels: dict[str, tools.Estimate] | None, book: Book) -> ToolRow:
    tool = tools.TOOLS[key]
    if levels is None:
        return ToolRow(
            key, tool.name, area, node, includes=f"no constants for {node}: has {', '.join(tools.nodes_of(key, book))}"
        )
    cost, carbon = levels["nominal"].cost, levels["nominal"].carbon
    known: dict[str, Any] = {}
    if carbon is not None:
        kg = sorted(float(e.carbon.total_kg) for e in levels.values() if e.carbon is not None)
        known |= {"gross_dies": carbon.gross_dies, "die_yield": carbon.die_yield, "die_kg": carbon.die_kg}
        known |= {"carbon_kg": carbon.total_kg, "carbon_low_kg": kg[0], "carbon_high_kg": kg[-1]}
    if cost is not None:
        usd = sorted(float(e.cost.total_usd) for e in levels.values() if e.cost is not None)
        known |= {"gross_dies": cost.gross_dies, "die_yield": cost.die_yield, "die_usd": cost.die_usd}
        known |= {"cost_usd": cost.total_usd, "cost_low_usd": usd[0], "cost_high_usd": usd[-1]}
    known = {name: None if value is None else float(value) for name, value in known.items()}
    return ToolRow(key, tool.name, area, node, **known, includes=tool.includes)


def _exchanges(area: float, node: str, estimates: Mapping[str, tools.Estimate]) -> list[dict[str, Any]]:
    """Return every tool's figure with each term replaced by ours, alone and all together."""
    rows: list[dict[str, Any]] = []
    if "ours" not in estimates:
        return rows
    for key, estimate in estimates.items():
        if key == "ours":
            continue
        for part, total, terms in (
            ("cost", "total_usd", tools.COST_TERMS),
            ("carbon", "total_kg", tools.CARBON_TERMS),
        ):
            tool_value, ours = getattr(estimate, part), getattr(estimates["ours"], part)
            if tool_value is None:
                continue
            every = tuple(name for names in terms.values() for name in names)
            for term, names in ({"all of them": every} | terms).items():
                changed = getattr(tools.exchanged(tool_value, ours, names), total)
                before = getattr(tool_value, total)
                rows.append(
                    {
                        "tool": tools.TOOLS[key].name,
                        "die_area_mm2": area,
                        "node": node,
                        "quantity": part,
                        "term": term,
                        "theirs": float(before),
                        "with_ours": float(changed),
                        "ratio": float(changed / before),
                    }
                )
    return rows


def _over_nodes(area: float, grid: float | None, books: Mapping[str, Book]) -> pd.DataFrame:
    rows = []
    for key, tool in tools.TOOLS.items():
        for node in tools.nodes_of(key, books[key]):
            estimate = tools.estimate(key, area, node, grid, books[key])
            rows.append(
                {
                    "tool": tool.name,
                    "node": node,
                    "cost_usd": None if estimate.cost is None else float(estimate.cost.total_usd),
                    "carbon_kg": None if estimate.carbon is None else float(estimate.carbon.total_kg),
                }
            )
    return pd.DataFrame(rows)


def _over_areas(node: str, grid: float | None, books: Mapping[str, Book]) -> pd.DataFrame:
    ours = books["ours"]
    largest = ours.value("reticle.width_mm", "mm") * ours.value("reticle.height_mm", "mm")
    areas = np.geomspace(_CURVE_LOW_MM2, largest, _CURVE_POINTS)
    frames = []
    for key, tool in tools.TOOLS.items():
        if node not in tools.nodes_of(key, books[key]):
            continue
        estimate = tools.estimate(key, areas, node, grid, books[key])
        blank = np.full(areas.shape, np.nan)
        frames.append(
            pd.DataFrame(
                {
                    "tool": tool.name,
                    "die_area_mm2": areas,
                    "cost_usd": blank if estimate.cost is None else estimate.cost.total_usd,
                    "carbon_kg": blank if estimate.carbon is None else estimate.carbon.total_kg,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def largest_exchange(exchanges: pd.DataFrame) -> pd.DataFrame:
    """Return, for each tool, die and quantity, the term that changes the figure most."""
    single = exchanges[exchanges["term"] != "all of them"]
    keys = ["tool", "die_area_mm2", "node", "quantity"]
    order = single.assign(_size=np.abs(np.log(single["ratio"]))).sort_values("_size", ascending=False, kind="stable")
    return order.drop_duplicates(keys).drop(columns="_size").sort_index()


__all__ = ["LEVELS", "ToolComparison", "ToolRow", "all_nodes", "compare_tools", "find_region", "largest_exchange"]
