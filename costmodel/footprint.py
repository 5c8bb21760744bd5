"""Carbon of a fleet: emissions of its manufacture (Scope 3) and of its electricity (Scope 2).

The grid's factors are lifecycle and location-based, so the fuel's own supply chain is inside Scope 2 here. Masks,
design computing, transport and the building are not counted, since no figures are published. All figures are CO2
equivalents.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from costmodel.bill import wafer
from costmodel.conventions import AS_PUBLISHED, Conventions
from costmodel.power import facility_power_mw
from costmodel.results import Costed
from hwbase import Book, Reader, unknown_name
from hwbase.check import Number, fraction, non_negative, positive, shapes

_MM2_PER_CM2 = 100.0
_KG_PER_T = 1e3
_G_PER_KG = 1e3
_KW_PER_MW = 1e3
_SECONDS_PER_HOUR = 3600.0
_MILLION = 1e6
_BOARD = ("power_delivery", "cooling", "pcb", "links")

Allocation = Literal["wafer", "die-area"]

#: Regions with names of at most this length are codes.
_CODE_LETTERS = 2


@dataclass(frozen=True)
class ModuleCarbon(Costed):
    """Embodied carbon of one accelerator module, in kg."""

    die_kg: Number
    package_kg: Number
    hbm_kg: Number
    board_kg: Number
    margin_kg: Number
    total_kg: Number
    gross_dies: Number
    """Whole dies of a wafer."""
    die_yield: Number


@dataclass(frozen=True)
class Carbon(Costed):
    """Carbon of a fleet over its life, in t."""

    modules: Number
    spare_modules: Number
    """Spare modules, if they count."""
    rebuilt_modules: Number
    """All modules built for new weights."""
    facility_energy_mwh: Number
    operational_t: Number
    embodied_t: Number
    """The first modules, and the spares if they count."""
    respins_t: Number
    """The modules rebuilt for new weights."""
    static_t: Number
    """Operational + embodied."""
    total_t: Number
    """Static + re-spins."""
    printed_static_t: Number
    """Static as the conventions print it."""
    printed_total_t: Number
    scope2_t: Number
    """Electricity bought (location-based)."""
    scope3_t: Number
    """Goods bought and built (categories 1 and 2), re-spins included."""
    million_tokens: Number
    t_per_million_tokens: Number
    """Total over tokens."""


def regions(book: Book) -> list[str]:
    """Return the grid regions of `book`, such as "us"."""
    return sorted(key.split(".")[1].removesuffix("_g_per_kwh") for key in book if key.startswith("grid."))


def region_label(region: str) -> str:
    """Return the name of a region for headings: "US", "South Korea"."""
    return region.upper() if len(region) <= _CODE_LETTERS else region.replace("_", " ").title()


def grid_kg_per_kwh(read: Reader, region: str) -> Number:
    """Return the grid's intensity in kg/kWh. Raises `InputError` for an unknown region."""
    if region not in regions(read.book):
        raise unknown_name("grid region", region, regions(read.book))
    return read(f"grid.{region}_g_per_kwh", "gCO2e/kWh") / _G_PER_KG


def die_carbon_kg(
    *,
    die_area_mm2: Number,
    wafer_area_mm2: Number,
    gross_dies: Number,
    die_yield: Number,
    grid_kg_per_kwh: Number,
    epa_kwh_per_cm2: Number,
    gpa_kg_per_cm2: Number,
    mpa_kg_per_cm2: Number,
    allocation: Allocation = "wafer",
) -> Number:
    """Return the carbon in kg of one good die, area x (CI EPA + GPA + MPA) / yield.

    The area is the die's share of the whole wafer, edge included (`allocation` "wafer"; 3D-Carbon), or its own
    ("die-area"; Gupta et al., ACT, ISCA 2022). Infinite where no die fits. Raises `InputError` for inputs out of range.
    """
    per_cm2 = non_negative("grid_kg_per_kwh", grid_kg_per_kwh) * non_negative("epa_kwh_per_cm2", epa_kwh_per_cm2)
    per_cm2 = per_cm2 + non_negative("gpa_kg_per_cm2", gpa_kg_per_cm2) + non_negative("mpa_kg_per_cm2", mpa_kg_per_cm2)
    area = positive("die_area_mm2", die_area_mm2)
    if allocation == "wafer":
        dies = np.asarray(non_negative("gross_dies", gross_dies))
        area = np.where(dies > 0, positive("wafer_area_mm2", wafer_area_mm2) / np.where(dies > 0, dies, 1.0), np.inf)
    elif allocation != "die-area":
        raise unknown_name("allocation", allocation, ("wafer", "die-area"))
    kg = area / _MM2_PER_CM2 * per_cm2 / positive("die_yield", fraction("die_yield", die_yield))
    return kg if np.ndim(kg) else float(kg)


def module_carbon(
    book: Book | Reader,
    *,
    die_area_mm2: Number,
    hbm_gb: Number,
    node: str,
    fab_region: str | None = None,
    allocation: Allocation = "wafer",
    conventions: Conventions = AS_PUBLISHED,
    aspect: Number = 1.0,
    dies: Number = 1.0,
) -> ModuleCarbon:
    """Return the embodied carbon of a module: (die + package + memory + board) x margin.

    With the published book this method gives 124.86 kg for an H100 (814 mm2, 80 GB), printed as 124.9.

    Parameters
    ----------
    book : Book or Reader
        The cost book.
    die_area_mm2 : number or array
        Area of all dies.
    hbm_gb : number or array
        Memory of the module, GB.
    node : str
        Process node of the die.
    fab_region : str, optional
        Region of the fab's grid; by default the book's.
    allocation : str
        How the carbon of a wafer is allocated to dies: "wafer", or another of `Allocation`.
    conventions : Conventions
        The conventions.
    aspect : number or array
        Width over height of a die.
    dies : number or array
        Equal dies of the module, each with the yield of its own area.

    Returns
    -------
    ModuleCarbon

    Raises
    ------
    InputError
        For sizes out of range, or an unknown node, region or allocation.

    Examples
    --------
    >>> from costmodel.books import load_book
    >>> module = module_carbon(load_book("hnlpu-asplos26"), die_area_mm2=814, hbm_gb=80, node="n5")
    >>> round(float(module.total_kg), 2)
    124.86
    """
    read = book if isinstance(book, Reader) else book.reader()
    fab = grid_kg_per_kwh(read, fab_region or read.book.header.fab_region)
    area = positive("die_area_mm2", die_area_mm2)
    each = area / positive("dies", dies)
    shapes(die_area_mm2=area, hbm_gb=hbm_gb, aspect=aspect, dies=dies, **read.book.arrays())
    on_wafer = wafer(
        read,
        die_area_mm2=each,
        node=node,
        yield_model=conventions.carbon_yield_model,
        conventions=conventions,
        aspect=aspect,
    )
    die = dies * die_carbon_kg(
        die_area_mm2=each,
        wafer_area_mm2=np.pi / 4.0 * read("wafer.diameter_mm", "mm") ** 2,
        gross_dies=on_wafer.gross_dies,
        die_yield=on_wafer.die_yield,
        grid_kg_per_kwh=fab,
        epa_kwh_per_cm2=read(f"{node}.epa_kwh_per_cm2", "kWh/cm**2"),
        gpa_kg_per_cm2=read(f"{node}.gpa_kg_per_cm2", "kgCO2e/cm**2"),
        mpa_kg_per_cm2=read(f"{node}.mpa_kg_per_cm2", "kgCO2e/cm**2"),
        allocation=allocation,
    )
    package = area * read("package.area_factor", "1") * read("package.energy_kwh_per_mm2", "kWh/mm**2") * fab
    hbm = non_negative("hbm_gb", hbm_gb) * read("hbm.carbon_kg_per_gb", "kgCO2e/GB")
    board = sum(read(f"board.{part}_kg", "kgCO2e") for part in _BOARD)
    parts = die + package + hbm + board
    total = parts * read("board.margin", "1")
    return ModuleCarbon(
        die_kg=die,
        package_kg=package,
        hbm_kg=hbm,
        board_kg=board,
        margin_kg=total - parts,
        total_kg=total,
        gross_dies=on_wafer.gross_dies,
        die_yield=on_wafer.die_yield,
        assumptions=read.used,
    )


def carbon(
    book: Book | Reader,
    *,
    modules: Number,
    module_kg: Number,
    it_power_w: Number,
    tokens_per_s: Number,
    spare_modules: Number = 0,
    rebuilt_modules: Number = 0,
    region: str | None = None,
    intensity_kg_per_kwh: Number | None = None,
    ceil_printed: bool = False,
    conventions: Conventions = AS_PUBLISHED,
) -> Carbon:
    """Return the carbon of a fleet of modules over its life.

    operational = facility MW x hours x utilisation x grid intensity; embodied = modules x kg.

    Parameters
    ----------
    book : Book or Reader
        The cost book.
    modules : number or array
        Modules in use.
    module_kg : number or array
        Embodied carbon of one module, kg.
    it_power_w : number or array
        IT power of the whole fleet at full load, W.
    tokens_per_s : number or array
        Tokens per second of the whole fleet at full load.
    spare_modules, rebuilt_modules : number or array
        Spare modules, and all modules built again by re-spins.
    region : str, optional
        Region of the grid; by default the book's.
    intensity_kg_per_kwh : number or array, optional
        Carbon intensity for a market-based figure; by default the grid's.
    ceil_printed : bool
        Rounds the printed tonnes up.
    conventions : Conventions
        The conventions.

    Returns
    -------
    Carbon

    Raises
    ------
    InputError
        For negative inputs or an unknown region.
    """
    read = book if isinstance(book, Reader) else book.reader()
    shapes(
        modules=modules,
        module_kg=module_kg,
        it_power_w=it_power_w,
        tokens_per_s=tokens_per_s,
        spare_modules=spare_modules,
        rebuilt_modules=rebuilt_modules,
        **read.book.arrays(),
    )
    grid = intensity_kg_per_kwh
    if grid is None:
        grid = grid_kg_per_kwh(read, region or read.book.header.region)
    hours = positive("use.lifetime_hours", read("use.lifetime_hours", "hour"))
    busy_hours = hours * positive("use.utilisation", fraction("use.utilisation", read("use.utilisation", "1")))
    facility_mw = facility_power_mw(it_power_w, read("datacentre.pue", "1"), conventions.facility_power_step_mw)
    operational = facility_mw * busy_hours * _KW_PER_MW * non_negative("intensity_kg_per_kwh", grid) / _KG_PER_T
    each_t = non_negative("module_kg", module_kg) / _KG_PER_T
    spares = non_negative("spare_modules", spare_modules) if conventions.spares_embodied else 0.0
    embodied = (non_negative("modules", modules) + spares) * each_t
    respins = non_negative("rebuilt_modules", rebuilt_modules) * each_t
    static = operational + embodied
    tokens = positive("tokens_per_s", tokens_per_s) * busy_hours * _SECONDS_PER_HOUR / _MILLION
    return Carbon(
        modules=modules,
        spare_modules=spares,
        rebuilt_modules=rebuilt_modules,
        facility_energy_mwh=facility_mw * busy_hours,
        operational_t=operational,
        embodied_t=embodied,
        respins_t=respins,
        static_t=static,
        total_t=static + respins,
        printed_static_t=np.ceil(static) if ceil_printed else static,
        printed_total_t=np.ceil(static + respins) if ceil_printed else static + respins,
        scope2_t=operational,
        scope3_t=embodied + respins,
        million_tokens=tokens,
        t_per_million_tokens=(static + respins) / tokens,
        assumptions=read.used,
    )
