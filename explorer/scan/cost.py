"""Dollars and carbon of a fleet that scans an index: devices of `hwsim.retrieval` priced by `costmodel`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

import costmodel
from costmodel.ownership import Upkeep, fleet_tco
from explorer.pricing.prices import cost_book, node_of, with_machines
from hwbase import Book, Quantity, Reader, Record, load_book, unknown_name
from hwbase.books import split_overrides
from hwbase.check import Number, positive, real
from hwsim.machine_books import COSTS
from hwsim.retrieval import TECHNOLOGY, ScanEngine, ScanIndex, ScanResult, read_engine, scan_device, simulate_scan
from hwsim.retrieval.engine import ENGINE_BOOK
from hwsim.retrieval.processors import CPU_BOOK, GPU_BOOK, GPU_SCAN_BOOK
from hwsim.technology import BOOKS, technology_book

_GB = 1e9
_HOURS_PER_YEAR = 8760.0
_W_PER_MW = 1e6
#: The bought machines that scan, whose books have their prices.
SCANNED_ON = (CPU_BOOK, GPU_BOOK)


def scan_costs(book: str = "default") -> Book:
    """Return a cost book with the constants of the machines that scan; raises `InputError` as `cost_book` does."""
    return cost_book(book, SCANNED_ON)


def scan_constants(technology: str | Path | Book = TECHNOLOGY) -> set[str]:
    """Return the names of the constants of the machines that scan, and of a technology."""
    books = [load_book(name, BOOKS).without(COSTS) for name in (ENGINE_BOOK, *SCANNED_ON, GPU_SCAN_BOOK)]
    return {name for book in (*books, technology_book(technology)) for name in book}


def costs_and_scanners(
    overrides: Mapping[str, Any], costs: Book, technology: str | Path | Book = TECHNOLOGY
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (overrides of the cost book, those of machines that scan or of the technology).

    Raises `InputError` for a name that none of them has, with the nearest name of all.
    """
    for_costs, for_machine = split_overrides(overrides, costs.settable())
    known = scan_constants(technology)
    for name in for_machine:
        if name not in known:
            raise unknown_name("constant", name, [*costs.settable(), *known])
    return for_costs, for_machine


@dataclass(frozen=True)
class ScanFleet(Record):
    """The copies of an index that serve a rate of queries, over the life of the book: dollars, watts and tonnes.

    `scan` is one copy; `devices` are its shards times `copies`. `nre_usd` are the masks and design of an engine, in
    full; `memory_usd` is the purchase of the memory. Power is at `queries_per_s`; yearly figures are those of the life
    over its years.
    """

    machine: str
    scan: ScanResult
    queries_per_s: float
    copies: int
    devices: int
    busy_share: float
    it_power_w: float
    facility_power_w: float
    hardware_usd: float
    memory_usd: float
    nre_usd: float
    electricity_usd: float
    maintenance_usd: float
    construction_usd: float
    total_usd: float
    usd_per_year: float
    usd_per_year_without_nre: float
    memory_usd_per_year: float
    usd_per_million_queries: float
    operational_t: float
    embodied_t: float
    t_per_year: float
    assumptions: dict[str, Quantity] = field(default_factory=dict, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, the scan's without its own assumptions, and every constant read."""
        scan = self.scan.to_dict()
        scan.pop("assumptions")
        return super().to_dict() | {"scan": scan}


def scan_fleet(
    index: ScanIndex,
    on: str = "engine",
    *,
    queries_per_s: float = 1000.0,
    memory: str = "hbm3",
    unit: str = "popcount",
    batch: int = 256,
    k: int = 100,
    candidates: int = 0,
    technology: str = TECHNOLOGY,
    region: str | None = None,
    book: Book | None = None,
    set: Mapping[str, Any] | None = None,
    engine: ScanEngine | None = None,
) -> ScanFleet:
    """Return the fleet of engines, servers ("cpu") or GPUs ("gpu") that serves `queries_per_s` over `index`.

    Copies are added until batches of `batch` reach the rate. Dollars are from `costmodel.fleet_tco` under the corrected
    conventions; an engine's die, package, memory, masks and design from `costmodel.hardwired_bill` at the technology's
    node; tonnes from `costmodel.carbon`. `set` overrides constants of the machine, `book` replaces the cost book.
    Raises `InputError` as those and `hwsim.retrieval.scan_index` do.
    """
    demand = real("queries_per_s", queries_per_s, high=1e12, above=0.0)
    device, used = scan_device(
        index,
        on,
        memory=memory,
        unit=unit,
        k=max(k, candidates),
        technology=technology,
        set=set,
        engine=engine,
    )
    scan = replace(simulate_scan(index, device, batch=batch, k=k, candidates=candidates), assumptions=used.used)
    copies = int(np.ceil(demand / scan.queries_per_s))
    devices = copies * int(scan.shards)
    dynamic_j = scan.energy_j_per_query - scan.energy_parts_j["standing"]
    power_w = copies * scan.standing_w + demand * dynamic_j

    read = (scan_costs() if book is None else with_machines(book, SCANNED_ON)).reader()
    if on == "engine":
        design = engine or read_engine(memory, unit=unit, technology=technology, set=set)[0]
        each = engine_card(read, design, float(scan.area_mm2 / scan.shards), technology)
        power_w *= read("server.power_factor", "1")
    elif on == "cpu":
        each = server_card(read, device.name, float(used("memory_bytes", "B")) / _GB)
    else:
        each = _gpu(read, device.name)
    hardware = devices * float(each.usd)
    tco = fleet_tco(
        read,
        units=devices,
        hardware_usd=hardware + each.nre_usd,
        network_nodes=devices * each.network_nodes,
        it_power_w=power_w,
        tokens_per_s=demand,
        upkeep=Upkeep(base_usd=hardware, upfront_usd=0.0, yearly_usd=0.0),
        conventions=costmodel.CORRECTED,
    )
    carbon = costmodel.carbon(
        read,
        modules=devices,
        module_kg=each.kg,
        it_power_w=power_w,
        tokens_per_s=demand,
        region=region,
        conventions=costmodel.CORRECTED,
    )
    years = float(read("use.lifetime_hours", "hour")) / _HOURS_PER_YEAR
    return ScanFleet(
        machine=device.name,
        scan=scan,
        queries_per_s=demand,
        copies=copies,
        devices=devices,
        busy_share=demand / float(copies * scan.queries_per_s),
        it_power_w=float(power_w),
        facility_power_w=float(tco.facility_power_mw) * _W_PER_MW,
        hardware_usd=hardware,
        memory_usd=devices * float(each.memory_usd),
        nre_usd=each.nre_usd,
        electricity_usd=float(tco.electricity_usd),
        maintenance_usd=float(tco.maintenance_usd),
        construction_usd=float(tco.infrastructure_usd),
        total_usd=float(tco.total_usd),
        usd_per_year=float(tco.total_usd) / years,
        usd_per_year_without_nre=(float(tco.total_usd) - each.nre_usd) / years,
        memory_usd_per_year=devices * float(each.memory_usd) / years,
        usd_per_million_queries=float(tco.usd_per_million_tokens),
        operational_t=float(carbon.operational_t),
        embodied_t=float(carbon.embodied_t),
        t_per_year=float(carbon.total_t) / years,
        assumptions=used.used | read.used,
    )


@dataclass(frozen=True)
class Device:
    """The price of one device in USD and kg; `nre_usd` is paid once for all of them."""

    usd: Number
    memory_usd: Number
    kg: Number
    nre_usd: float = 0.0
    network_nodes: float = 0.0


def engine_card(read: Reader, engine: ScanEngine, die_area_mm2: Number, technology: str) -> Device:
    """Return the card of an engine: a die in its package, memory, board and port; masks and design of one chip.

    Engine and area broadcast; the node is the technology's. Raises `InputError` as `hardwired_bill` does.
    """
    gigabytes = engine.memory_bytes / _GB
    stacked = gigabytes if engine.memory.name == "hbm3" else 0.0 * gigabytes
    bill, module = costmodel.made_chip(
        read.book,
        chips=1,
        die_area_mm2=die_area_mm2,
        hbm_gb=stacked,
        node=node_of(technology_book(technology), read.book),
        conventions=costmodel.CORRECTED,
    )
    read.used.update(bill.assumptions | module.assumptions)
    memory, kg = bill.hbm_usd, module.total_kg
    if engine.memory.name != "hbm3":
        kind = "dram" if engine.memory.name == "ddr5" else "flash"
        memory = gigabytes * read(f"{kind}.price_usd_per_gb", "USD/GB")
        kg = kg + gigabytes * read(f"{kind}.carbon_kg_per_gb", "kgCO2e/GB")
    usd = bill.wafer_usd + bill.package_usd + memory
    usd = usd + read("scan_card.board_usd", "USD") + read("scan_network.port_usd", "USD")
    return Device(usd, memory, kg, nre_usd=float(bill.nre_usd))


def server_card(read: Reader, name: str, gigabytes: float) -> Device:
    """Return a server of that name: what its book states without memory, its memory and its port."""
    memory = gigabytes * float(read("dram.price_usd_per_gb", "USD/GB"))
    usd = float(read(f"{name}.price_usd", "USD") + read("scan_network.port_usd", "USD")) + memory
    kg = float(read(f"{name}.carbon_kg", "kgCO2e")) + gigabytes * float(read("dram.carbon_kg_per_gb", "kgCO2e/GB"))
    return Device(usd, memory, kg)


def _gpu(read: Reader, name: str) -> Device:
    """Return a GPU with its share of node and network, and its memory at the price of HBM."""
    memory = float(read(f"{name}.hbm_gb", "GB") * read("hbm.price_usd_per_gb", "USD/GB"))
    usd = float(read(f"{name}.node_price_usd", "USD") / positive("gpus_per_node", read(f"{name}.gpus_per_node", "1")))
    kg = float(read(f"{name}.module_carbon_kg", "kgCO2e") + read(f"{name}.host_carbon_kg", "kgCO2e"))
    return Device(
        usd,
        memory,
        kg,
        network_nodes=1.0 / float(positive("network.chips_per_node", read("network.chips_per_node", "1"))),
    )
