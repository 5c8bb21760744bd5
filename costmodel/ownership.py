"""Total cost of ownership of a fleet: capital, energy, upkeep and new weights, and dollars per million tokens.

`fleet_tco` serves every kind of hardware; `tco` and `device_tco` prepare its inputs for a hardwired fleet and for a
fleet of bought devices.
"""

from dataclasses import dataclass

import numpy as np

from costmodel.bill import Bill
from costmodel.conventions import AS_PUBLISHED, Conventions
from costmodel.power import facility_power_mw, it_power_mw
from costmodel.results import Costed
from hwbase import Book, Reader
from hwbase.check import Number, count, fraction, non_negative, positive, shapes

_HOURS_PER_YEAR = 8760.0
_KW_PER_MW = 1e3
_SECONDS_PER_HOUR = 3600.0
_MILLION = 1e6


@dataclass(frozen=True)
class Tco(Costed):
    """The cost of a fleet over its life, in USD; with a discount rate, its present value."""

    units: Number
    """Systems, or GPUs."""
    it_power_mw: Number
    facility_power_mw: Number
    hardware_usd: Number
    """Nodes as bought or built (NRE included)."""
    network_usd: Number
    construction_usd: Number
    """The data centre's building and power."""
    infrastructure_usd: Number
    """Network + construction."""
    capex_usd: Number
    """Hardware + infrastructure, paid before the first token."""
    electricity_usd: Number
    maintenance_usd: Number
    """Yearly rate, spares and licences, over the life."""
    opex_usd: Number
    """Electricity + maintenance."""
    respins_usd: Number
    """All re-spins over the life."""
    static_usd: Number
    """Capital + operation with a constant model."""
    total_usd: Number
    """Static + re-spins."""
    million_tokens: Number
    """Tokens generated over the life, in millions; discounted as the costs are."""
    usd_per_million_tokens: Number
    """Total over tokens."""
    static_usd_per_million_tokens: Number
    """Static cost over tokens, with a constant model."""


@dataclass(frozen=True)
class Upkeep:
    """The upkeep of a fleet."""

    base_usd: Number | None
    """The base of the yearly maintenance rate; None for all capital expenditure."""
    upfront_usd: Number
    """Spares, bought at the start."""
    yearly_usd: Number
    """Licences."""


def fleet_tco(
    book: Book | Reader,
    *,
    units: Number,
    hardware_usd: Number,
    network_nodes: Number,
    it_power_w: Number,
    tokens_per_s: Number,
    upkeep: Upkeep,
    respin_usd: Number = 0.0,
    respins: Number = 0,
    conventions: Conventions = AS_PUBLISHED,
) -> Tco:
    """Return the TCO of any fleet.

    capex = hardware + nodes x network + MW x construction; electricity = facility MW x hours x utilisation x price;
    maintenance = spares + years x (rate x base + licences). At a discount rate r, costs spread over T years count
    (1 - q^T)/(-T ln q), q = 1/(1 + r), and so do tokens; re-spins fall evenly between start and end.

    Parameters
    ----------
    book : Book or Reader
        The cost book.
    units : number or array
        Systems or devices of the fleet.
    hardware_usd : number or array
        Purchase of the whole fleet, USD.
    network_nodes : number or array
        Nodes of the network.
    it_power_w : number or array
        IT power of the whole fleet at full load, W.
    tokens_per_s : number or array
        Tokens per second of the whole fleet at full load.
    upkeep : Upkeep
        Spares, licences and the base of maintenance.
    respin_usd : number or array
        Cost of one re-spin, USD.
    respins : number or array
        Re-spins over the life.
    conventions : Conventions
        The conventions.

    Returns
    -------
    Tco

    Raises
    ------
    InputError
        For negative inputs, or a utilisation or lifetime in the book that is out of range.
    """
    read = book if isinstance(book, Reader) else book.reader()
    shapes(
        units=units,
        hardware_usd=hardware_usd,
        network_nodes=network_nodes,
        it_power_w=it_power_w,
        tokens_per_s=tokens_per_s,
        respins=respins,
        **read.book.arrays(),
    )
    hours = positive("use.lifetime_hours", read("use.lifetime_hours", "hour"))
    years = hours / _HOURS_PER_YEAR
    rate = non_negative("use.discount_rate_per_year", read("use.discount_rate_per_year", "1/year"))
    busy_hours = hours * _utilisation(read) * spread_worth(rate, years)

    it_mw = it_power_mw(it_power_w)
    facility_mw = facility_power_mw(it_power_w, read("datacentre.pue", "1"), conventions.facility_power_step_mw)
    network = non_negative("network_nodes", network_nodes) * read("network.usd_per_node", "USD")
    built_mw = facility_mw if conventions.construction_basis == "facility" else it_mw
    construction = built_mw * read("datacentre.usd_per_mw", "USD/MW")
    hardware = non_negative("hardware_usd", hardware_usd)
    capex = hardware + network + construction

    electricity = facility_mw * _KW_PER_MW * busy_hours * read("electricity.usd_per_kwh", "USD/kWh")
    base = capex if upkeep.base_usd is None else non_negative("maintenance base", upkeep.base_usd)
    yearly = read("maintenance.rate_per_year", "1/year") * base + non_negative("licences", upkeep.yearly_usd)
    maintenance = non_negative("spares", upkeep.upfront_usd) + yearly * years * spread_worth(rate, years)
    respun = non_negative("respin_usd", respin_usd) * repeats_worth(rate, years, respins)
    static = capex + electricity + maintenance
    tokens = positive("tokens_per_s", tokens_per_s) * busy_hours * _SECONDS_PER_HOUR / _MILLION
    return Tco(
        units=units,
        it_power_mw=it_mw,
        facility_power_mw=facility_mw,
        hardware_usd=hardware,
        network_usd=network,
        construction_usd=construction,
        infrastructure_usd=network + construction,
        capex_usd=capex,
        electricity_usd=electricity,
        maintenance_usd=maintenance,
        opex_usd=electricity + maintenance,
        respins_usd=respun,
        static_usd=static,
        total_usd=static + respun,
        million_tokens=tokens,
        usd_per_million_tokens=(static + respun) / tokens,
        static_usd_per_million_tokens=static / tokens,
        assumptions=read.used,
    )


def tco(
    book: Book,
    *,
    bill: Bill,
    volume: Number,
    system_power_w: Number,
    tokens_per_s: Number,
    respins: Number | None = None,
    conventions: Conventions = AS_PUBLISHED,
) -> Tco:
    """Return the TCO of `volume` hardwired systems of `bill`.

    Parameters
    ----------
    book : Book
        The cost book.
    bill : Bill
        The bill of one system.
    volume : number or array
        Systems built.
    system_power_w : number or array
        Power of one system at the plug (see `power.system_it_power_w`), W.
    tokens_per_s : number or array
        Tokens per second of one system.
    respins : number or array, optional
        Updates of the model over the life; by default the book's number.
    conventions : Conventions
        The conventions.

    Returns
    -------
    Tco

    Raises
    ------
    InputError
        For a volume that is not whole or below 1, and for negative inputs.
    """
    read = Reader(book, dict(bill.assumptions))
    shapes(volume=volume, system_power_w=system_power_w, tokens_per_s=tokens_per_s, chips=bill.chips, respins=respins)
    systems = count("volume", volume)
    spares = spare_systems(read, systems)
    hardware = bill.build_usd(systems)
    rule = conventions.hardwired_maintenance
    if rule == "rate":
        base, bought = (hardware if conventions.maintenance_basis == "nodes" else None), 0.0
    else:
        base = systems * bill.system_usd if rule == "spares-and-rate" else 0.0
        bought = spares * bill.system_usd
    return fleet_tco(
        read,
        units=systems,
        hardware_usd=hardware,
        network_nodes=systems * bill.chips / _positive(read, "network.chips_per_node"),
        it_power_w=systems * non_negative("system_power_w", system_power_w),
        tokens_per_s=systems * positive("tokens_per_s", tokens_per_s),
        upkeep=Upkeep(base_usd=base, upfront_usd=bought, yearly_usd=0.0),
        respin_usd=bill.respin_usd(systems + (spares if conventions.spares_respun and rule != "rate" else 0)),
        respins=read("use.respins", "1") if respins is None else respins,
        conventions=conventions,
    )


def device_tco(
    book: Book,
    device: str,
    *,
    units: Number,
    tokens_per_s: Number | None = None,
    conventions: Conventions = AS_PUBLISHED,
) -> Tco:
    """Return the TCO of devices whose constants `book` has under the name `device`.

    New weights cost such a fleet nothing.

    Parameters
    ----------
    book : Book
        The cost book.
    device : str
        Prefix of the device's constants.
    units : number or array
        Number of devices.
    tokens_per_s : number or array, optional
        Tokens per second of one device; by default the book's number.
    conventions : Conventions
        The conventions.

    Returns
    -------
    Tco

    Raises
    ------
    InputError
        For inputs that are not positive, and constants that the book lacks.
    """
    read = book.reader()
    units = positive("units", units)
    nodes = units / _positive(read, f"{device}.gpus_per_node")
    hardware = nodes * read(f"{device}.node_price_usd", "USD")
    licence = read(f"{device}.licence_usd_per_gpu_year", "USD") if conventions.licence_counted else 0.0
    each = read(f"{device}.tokens_per_s", "token/s") if tokens_per_s is None else tokens_per_s
    return fleet_tco(
        read,
        units=units,
        hardware_usd=hardware,
        network_nodes=units / _positive(read, "network.chips_per_node"),
        it_power_w=units * device_power_w(read, device, conventions),
        tokens_per_s=units * positive("tokens_per_s", each),
        upkeep=Upkeep(
            base_usd=hardware if conventions.maintenance_basis == "nodes" else None,
            upfront_usd=0.0,
            yearly_usd=units * licence,
        ),
        conventions=conventions,
    )


def device_power_w(read: Reader, device: str, conventions: Conventions) -> Number:
    """Return the power of a bought device in W: that stated, or the share of it at work where the book has one."""
    stated, share = read(f"{device}.power_w", "W"), f"{device}.power_share"
    if conventions.bought_power == "stated" or share not in read.book:
        return stated
    return stated * fraction(share, read(share, "1"))


def devices_to_match(
    volume: Number, tokens_per_s: Number, device_tokens_per_s: Number, conventions: Conventions = AS_PUBLISHED
) -> Number:
    """Return the devices that generate as many tokens as a fleet of systems.

    Parameters
    ----------
    volume : number or array
        Number of systems.
    tokens_per_s, device_tokens_per_s : number or array
        Tokens per second of one system and of one device.
    conventions : Conventions
        "rounded" matches one system to one significant digit, times the volume; "exact" rounds up for the fleet.

    Returns
    -------
    number or array

    Raises
    ------
    InputError
        For inputs that are not positive.
    """
    systems = count("volume", volume)
    per_system = positive("tokens_per_s", tokens_per_s) / positive("device_tokens_per_s", device_tokens_per_s)
    if conventions.gpu_count == "exact":
        return np.ceil(systems * per_system)
    digit = 10.0 ** np.floor(np.log10(per_system))
    return systems * np.maximum(np.rint(per_system / digit) * digit, 1.0)


def spare_systems(read: Reader, volume: Number) -> Number:
    """Return the spare systems kept for `volume` systems: the book's fraction of them, rounded up."""
    return np.ceil(volume * fraction("maintenance.spare_fraction", read("maintenance.spare_fraction", "1")))


def _utilisation(read: Reader) -> Number:
    share = fraction("use.utilisation", read("use.utilisation", "1"))
    return positive("use.utilisation", share)


def spread_worth(rate: Number, years: Number) -> Number:
    """Return the present worth of 1 spread evenly over `years` at a yearly discount `rate`; 1 at a rate of 0.

    >>> round(spread_worth(0.1, years=3), 4)
    0.8697
    """
    growth = np.log1p(rate) * years
    safe = np.where(growth > 0.0, growth, 1.0)
    worth = np.where(growth > 0.0, -np.expm1(-safe) / safe, 1.0)
    return worth if worth.ndim else float(worth)


def repeats_worth(rate: Number, years: Number, repeats: Number) -> Number:
    """Return the present worth of `repeats` payments of 1, evenly between start and end of `years`.

    A geometric series: q (1 - q^n)/(1 - q) with q = (1 + rate)^(-years/(n + 1)); n at a rate of 0.
    Raises `InputError` for repeats that are not whole or below 0.
    """
    n = count("respins", repeats, low=0, high=_MILLION)
    step = np.log1p(rate) * years / (np.asarray(n) + 1.0)
    safe = np.where(step > 0.0, step, 1.0)
    worth = np.where(step > 0.0, np.expm1(-safe * n) / np.expm1(-safe) * np.exp(-safe), n)
    return worth if worth.ndim else float(worth)


def _positive(read: Reader, name: str) -> Number:
    """Return the number called `name`, by which others are divided. Raises `InputError` for zero."""
    return positive(name, read(name, "1"))
