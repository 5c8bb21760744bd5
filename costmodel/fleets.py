"""The price chain: from the parts, power and tokens of a machine to its bill, TCO and carbon.

Every fleet is priced here: `built_fleet` for systems of own chips (masks and design are paid once), `bought_fleet` for
devices bought ready-made. Numbers in, numbers out; they broadcast.
"""

from dataclasses import dataclass, replace
from typing import Any

from costmodel.bill import Bill, hardwired_bill
from costmodel.conventions import AS_PUBLISHED, Conventions
from costmodel.footprint import Carbon, ModuleCarbon, carbon, module_carbon
from costmodel.ownership import Tco, device_power_w, device_tco, spare_systems, tco
from costmodel.power import system_it_power_w
from hwbase import Book, Record
from hwbase.check import Number, count, non_negative, positive, shapes


@dataclass(frozen=True)
class System(Record):
    """A system of own chips. Any number may be an array."""

    chips: Number
    die_area_mm2: Number
    hbm_gb_per_chip: Number
    chip_power_w: Number
    node: str
    """The process node of the chips, in the cost book."""
    system_power_w: Number | None = None
    """Stated power of a system, used by the conventions (see `power.system_it_power_w`)."""
    links_usd_per_chip: Number = 0.0
    """Price of a chip's links where the integration of a chip does not contain them."""
    own_masks: Number | None = None
    """Masks of a chip that carry its weights, all where infinite; those of the cost book where not stated."""


@dataclass(frozen=True)
class Device(Record):
    """A bought device: a cost book has its constants under `name`, and its die is made at `node`.

    The constants are node_price_usd, gpus_per_node, power_w (with its share of the node), tokens_per_s,
    licence_usd_per_gpu_year, module_carbon_kg, die_area_mm2 (of all dies) and hbm_gb; dies, if there are several;
    power_share, the share of power_w that it draws at work, if known.
    """

    name: str
    node: str


@dataclass(frozen=True)
class Fleet(Record):
    """The cost and emissions of a fleet over its life."""

    tco: Tco
    carbon: Carbon
    module: ModuleCarbon | None
    """Embodied carbon of one module by part; None where one published figure stands for every module."""
    bill: Bill | None = None
    """The bill of a system; None for bought devices."""


def built_fleet(
    book: Book,
    system: System,
    *,
    volume: Number,
    tokens_per_s: Number,
    card: Device,
    respins: Number | None = None,
    region: str | None = None,
    conventions: Conventions = AS_PUBLISHED,
) -> Fleet:
    """Return the bill, the TCO and the carbon of `volume` systems.

    Parameters
    ----------
    book : Book
        The cost book, at the level to read.
    system : System
        One system.
    volume : int or array
        Systems built.
    tokens_per_s : float or array
        Tokens per second of one system.
    card : Device
        The device whose published footprint stands for every module under the convention `module_carbon` = "gpu".
    respins : int or array, optional
        Model updates over the life; by default the book's number.
    region : str, optional
        The grid of the fleet, a name of `regions`; by default the book's.
    conventions : Conventions
        The conventions of costs and carbon.

    Returns
    -------
    Fleet

    Raises
    ------
    InputError
        For numbers out of range, and for a node or a region that the book does not have.
    """
    shapes(**vars(system) | {"volume": volume, "tokens_per_s": tokens_per_s, "respins": respins} | book.arrays())
    bill = hardwired_bill(
        book,
        chips=system.chips,
        die_area_mm2=system.die_area_mm2,
        hbm_gb_per_chip=system.hbm_gb_per_chip,
        node=system.node,
        conventions=conventions,
        links_usd_per_chip=system.links_usd_per_chip,
        own_masks=system.own_masks,
    )
    powered = book.reader()
    power_w = system_it_power_w(
        powered,
        chips=system.chips,
        chip_power_w=system.chip_power_w,
        stated_w=system.system_power_w,
        conventions=conventions,
    )
    paid = tco(
        book,
        bill=bill,
        volume=volume,
        system_power_w=power_w,
        tokens_per_s=tokens_per_s,
        respins=respins,
        conventions=conventions,
    )
    paid = replace(paid, assumptions=paid.assumptions | powered.used)
    emitted, module = _built_carbon(book, system, volume, power_w, tokens_per_s, card, respins, region, conventions)
    return Fleet(paid, emitted, module, bill)


def bought_fleet(
    book: Book,
    device: Device,
    *,
    units: Number,
    tokens_per_s: Number | None = None,
    region: str | None = None,
    conventions: Conventions = AS_PUBLISHED,
) -> Fleet:
    """Return the TCO and the carbon of `units` devices.

    Parameters
    ----------
    book : Book
        The cost book, at the level to read, with the constants of the device.
    device : Device
        The bought device.
    units : float or array
        Number of devices.
    tokens_per_s : float or array, optional
        Tokens per second of one device; by default the book's number.
    region : str, optional
        The grid of the fleet, a name of `regions`; by default the book's.
    conventions : Conventions
        The conventions of costs and carbon.

    Returns
    -------
    Fleet

    Raises
    ------
    InputError
        For numbers out of range, a constant of the device that the book lacks, and an unknown node or region.
    """
    paid = device_tco(book, device.name, units=units, tokens_per_s=tokens_per_s, conventions=conventions)
    read = book.reader()
    units = positive("units", units)
    module = None
    if conventions.module_carbon == "gpu":
        each = read(f"{device.name}.module_carbon_kg", "kgCO2e")
    else:
        area, memory = read(f"{device.name}.die_area_mm2", "mm**2"), read(f"{device.name}.hbm_gb", "GB")
        # A book of a user may not say of how many dies a module is.
        dies = read(f"{device.name}.dies", "1") if f"{device.name}.dies" in book else 1.0
        module = module_carbon(
            read, die_area_mm2=area, hbm_gb=memory, node=device.node, conventions=conventions, dies=dies
        )
        each = module.total_kg
    speed = read(f"{device.name}.tokens_per_s", "token/s") if tokens_per_s is None else tokens_per_s
    emitted = carbon(
        read,
        modules=units,
        module_kg=each,
        it_power_w=units * device_power_w(read, device.name, conventions),
        tokens_per_s=units * positive("tokens_per_s", speed),
        region=region,
        conventions=conventions,
    )
    return Fleet(paid, emitted, module)


def made_chip(
    book: Book,
    *,
    chips: Number,
    die_area_mm2: Number,
    hbm_gb: Number,
    node: str,
    conventions: Conventions = AS_PUBLISHED,
) -> tuple[Bill, ModuleCarbon]:
    """Return the bill of a system and the embodied carbon of one module, each counted from its parts.

    Parameters
    ----------
    book : Book
        The cost book.
    chips : number or array
        Different chips of one system.
    die_area_mm2 : number or array
        Area of a chip.
    hbm_gb : number or array
        Memory of a chip, GB.
    node : str
        Process node.
    conventions : Conventions
        The conventions.

    Returns
    -------
    tuple of Bill and ModuleCarbon

    Raises
    ------
    InputError
        As `hardwired_bill` and `module_carbon` do.
    """
    bill = hardwired_bill(
        book, chips=chips, die_area_mm2=die_area_mm2, hbm_gb_per_chip=hbm_gb, node=node, conventions=conventions
    )
    return bill, module_carbon(book, die_area_mm2=die_area_mm2, hbm_gb=hbm_gb, node=node, conventions=conventions)


def _built_carbon(
    book: Book,
    system: System,
    volume: Number,
    system_power_w: Number,
    tokens_per_s: Number,
    card: Device,
    respins: Number | None,
    region: str | None,
    conventions: Conventions,
) -> tuple[Carbon, ModuleCarbon | None]:
    read = book.reader()
    systems, chips = count("volume", volume), positive("chips", system.chips)
    module = None
    if conventions.module_carbon == "gpu":
        each = read(f"{card.name}.module_carbon_kg", "kgCO2e")
    else:
        sizes: dict[str, Any] = {"die_area_mm2": system.die_area_mm2, "hbm_gb": system.hbm_gb_per_chip}
        module = module_carbon(read, **sizes, node=system.node, conventions=conventions)
        each = module.total_kg
    spares = spare_systems(read, systems) if conventions.hardwired_maintenance != "rate" else 0.0
    times = count("respins", read("use.respins", "1") if respins is None else respins, low=0)
    rebuilt = times * (systems + (spares if conventions.spares_respun else 0.0))
    emitted = carbon(
        read,
        modules=systems * chips,
        module_kg=each,
        it_power_w=systems * non_negative("system_power_w", system_power_w),
        tokens_per_s=systems * positive("tokens_per_s", tokens_per_s),
        spare_modules=spares * chips,
        rebuilt_modules=rebuilt * chips,
        region=region,
        ceil_printed=conventions.ceil_carbon,
        conventions=conventions,
    )
    return emitted, module
