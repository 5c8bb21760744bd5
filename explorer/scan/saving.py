"""The saving of an index's cost by codes, against floats or hashes, and the assumptions that give 30 to 50 %."""

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

import costmodel
from costmodel.ownership import Upkeep, fleet_tco
from explorer.pricing.prices import with_machines
from explorer.scan.cost import SCANNED_ON, scan_costs
from hwbase import Book, Quantity, Reader, Record
from hwbase.check import Number, fraction, positive
from hwsim.retrieval import load_server

#: The saving stated in "Binary Embedding-based Retrieval at Tencent" (KDD '23, abstract).
PUBLISHED = (0.30, 0.50)
_GB = 1e9
_KEPT = ("id_bytes", "link_bytes", "other_bytes")


@dataclass(frozen=True)
class IndexSaving(Record):
    """The saving of an index's cost with its terms; any number may be an array.

    `memory_share` is the memory's share of a server's cost. `traffic_bound` is the saving where servers stay and only
    memory shrinks, `capacity_bound` where servers shrink with the bytes, `saving` the mixture of the two. `share_for`
    maps each published saving to the share of servers that must be bought for their memory (below 0: any share gives
    more, above 1: none gives as much).
    """

    bytes_before: Number
    bytes_after: Number
    memory_share: Number
    traffic_bound: Number
    capacity_bound: Number
    saving: Number
    share_for: dict[str, Number]
    assumptions: dict[str, Quantity] = field(default_factory=dict, repr=False)


def index_saving(book: Book | None = None, **constants: Number) -> IndexSaving:
    """Return the saving of codes against floats: (1 - r) (f + (1 - f) s).

    r is bytes after over bytes before, each with ids, links and attributes, s the memory's share of a server's cost, f
    the share of servers bought for their memory (they shrink with the bytes; the others save only memory). Replicas
    cancel. `constants` replaces quantities of the book's [index] by name, such as `link_bytes=0`. Raises `InputError`
    for unknown names and numbers out of range.
    """
    costs = (scan_costs() if book is None else with_machines(book, SCANNED_ON)).override(
        {f"index.{name}": value for name, value in constants.items()}
    )
    read = costs.reader()
    kept = sum(read(f"index.{name}", "B") for name in _KEPT)
    before = read("index.float_bytes", "B") + kept
    after = read("index.code_bytes", "B") + read("index.rescoring_bytes", "B") + kept
    share = fraction("index.capacity_bound_share", read("index.capacity_bound_share", "1"))
    memory = memory_share(read)
    smaller = 1.0 - after / positive("index.float_bytes", before)
    return IndexSaving(
        bytes_before=before,
        bytes_after=after,
        memory_share=memory,
        traffic_bound=smaller * memory,
        capacity_bound=smaller,
        saving=smaller * (share + (1.0 - share) * memory),
        share_for={f"{target:.0%}": (target / smaller - memory) / (1.0 - memory) for target in PUBLISHED},
        assumptions=read.used,
    )


def memory_share(read: Reader) -> Number:
    """Return the share of a scanning server's total cost of ownership for buying and maintaining its memory."""
    server = load_server()
    memory = float(server.memory_bytes) / _GB * read("dram.price_usd_per_gb", "USD/GB")
    rest = read(f"{server.name}.price_usd", "USD") + read("scan_network.port_usd", "USD")

    def total(hardware: Number) -> Number:
        return fleet_tco(
            read,
            units=1,
            hardware_usd=hardware,
            network_nodes=0.0,
            it_power_w=server.power_w,
            tokens_per_s=1.0,
            upkeep=Upkeep(base_usd=hardware, upfront_usd=0.0, yearly_usd=0.0),
            conventions=costmodel.CORRECTED,
        ).total_usd

    return 1.0 - total(rest) / total(rest + memory)


def saving_tornado(book: Book | None = None) -> pd.DataFrame:
    """Return the saving with each assumption alone at its low and high end, widest first.

    Columns: name, low, high, saving_low, saving_high, span, source.
    """
    costs = scan_costs() if book is None else with_machines(book, SCANNED_ON)
    rows: list[dict[str, Any]] = []
    for name, quantity in index_saving(costs).assumptions.items():
        low, high = quantity.at("low"), quantity.at("high")
        if low == high:
            continue
        ends = [float(index_saving(costs.override({name: value})).saving) for value in (low, high)]
        rows.append(
            {
                "name": name,
                "low": low,
                "high": high,
                "unit": quantity.unit,
                "saving_low": ends[0],
                "saving_high": ends[1],
                "span": abs(ends[1] - ends[0]),
                "source": quantity.source,
            }
        )
    moving = [row for row in rows if row["span"] > 0.0]
    return pd.DataFrame(moving).sort_values("span", ascending=False, ignore_index=True)


#: Readings of the published sentence: a name, and its values of [index].
SCENARIOS: dict[str, dict[str, float]] = {
    "float32 of 256 dimensions, graph": {},
    "float32 of 512 dimensions, graph (the published example)": {"float_bytes": 2048},
    "float32 of 256 dimensions, inverted file": {"link_bytes": 0},
    "int8 vectors kept for rescoring": {"rescoring_bytes": 256},
    "attributes of 256 bytes besides": {"other_bytes": 256},
    "hash codes of twice the bits before": {"float_bytes": 256},
    "hash codes of twice the bits before, inverted file": {"float_bytes": 256, "link_bytes": 0},
    "hash codes of four times the bits before, inverted file": {"float_bytes": 512, "link_bytes": 0},
    "codes of 256 bits": {"code_bytes": 32},
}


def saving_scenarios(book: Book | None = None) -> pd.DataFrame:
    """Return a row for each reading of "index cost".

    Columns: bytes before and after, the saving where servers stay and where they shrink with the bytes, the share of
    servers that gives 30 and 50 %, and whether the two enclose the published range.
    """
    rows = []
    for name, constants in SCENARIOS.items():
        result = index_saving(book, **constants)
        reach = result.traffic_bound <= PUBLISHED[0] and result.capacity_bound >= PUBLISHED[1]
        rows.append(
            {
                "reading": name,
                "bytes_before": result.bytes_before,
                "bytes_after": result.bytes_after,
                "traffic_bound": result.traffic_bound,
                "capacity_bound": result.capacity_bound,
                **{f"share_for_{target}": share for target, share in result.share_for.items()},
                "encloses_published": bool(reach),
            }
        )
    return pd.DataFrame(rows)
