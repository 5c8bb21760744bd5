"""The bill of a hardwired system: recurring cost of a chip, and the masks and design behind it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from costmodel import dies, masks, nre, silicon, yields
from costmodel.conventions import AS_PUBLISHED, Conventions
from costmodel.results import Costed
from hwbase import Book, Reader, unknown_name
from hwbase.check import ABSURD, Number, non_negative, number, positive, shapes

_DESIGN_PARTS = ("architecture", "verification", "physical", "ip")
#: Most chips of a system; more is taken as a mistake.
_MOST_CHIPS = 1e7


@dataclass(frozen=True)
class Bill(Costed):
    """The cost of one hardwired system in USD; figures of a chip are per good chip."""

    chips: Number
    """Chips in a system, each with its own masks."""
    gross_dies: Number
    die_yield: Number
    good_dies: Number
    """Per wafer, rounded or not by the conventions."""
    fits_reticle: Any
    """Whether the die, in any shape, fits one exposure field (True or False)."""
    wafer_usd: Number
    """Silicon of one chip: the wafer's price over its good dies."""
    package_usd: Number
    """Package and test of one chip."""
    hbm_usd: Number
    integration_usd: Number
    """Integration of one chip, with its links where they are priced."""
    recurring_usd: Number
    """One chip: wafer + package + memory + integration."""
    shared_masks_usd: Number
    own_masks_usd: Number
    """The masks that carry one chip's weights."""
    masks_usd: Number
    """Shared masks and every chip's own."""
    architecture_usd: Number
    verification_usd: Number
    physical_usd: Number
    ip_usd: Number
    design_usd: Number
    nre_usd: Number
    """Masks + design."""

    @property
    def system_usd(self) -> Number:
        """Recurring cost of one system, in USD."""
        return self.chips * self.recurring_usd

    def build_usd(self, systems: Number) -> Number:
        """Return the price in USD of the first `systems` systems, NRE included."""
        return nre.build_usd(self.nre_usd, self.system_usd, systems)

    def respin_usd(self, systems: Number) -> Number:
        """Return the price in USD of new weights in `systems` systems."""
        return nre.respin_usd(self.own_masks_usd, self.chips, self.system_usd, systems)


@dataclass(frozen=True)
class Wafer:
    """The division of a wafer into dies."""

    gross_dies: Number
    die_yield: Number
    good_dies: Number


def nodes(book: Book) -> list[str]:
    """Return the process nodes of `book`, such as "n5"."""
    return sorted(key.partition(".")[0] for key in book if key.endswith(".wafer_price_usd"))


def check_node(book: Book, node: str) -> str:
    """Return `node`. Raises `InputError` if `book` has no such process node."""
    if node not in nodes(book):
        raise unknown_name("process node", node, nodes(book))
    return node


def wafer(
    read: Reader,
    *,
    die_area_mm2: Number,
    node: str,
    yield_model: yields.Model,
    conventions: Conventions,
    aspect: Number,
) -> Wafer:
    """Return gross dies, yield and good dies of one wafer at `node`, by the conventions."""
    check_node(read.book, node)
    room = conventions.edge_and_scribe
    gross = dies.gross_dies(
        die_area_mm2,
        formula=conventions.die_formula,
        wafer_diameter_mm=read("wafer.diameter_mm", "mm"),
        edge_mm=read("wafer.edge_mm", "mm") if room else 0.0,
        scribe_mm=read("wafer.scribe_mm", "mm") if room else 0.0,
        aspect=aspect,
    )
    good = yields.die_yield(
        yield_model,
        die_area_mm2,
        read(f"{node}.d0_per_cm2", "1/cm**2"),
        alpha=read("yield.clustering_alpha", "1") if yield_model == "negative-binomial" else None,
        layers=read("yield.critical_layers", "1") if yield_model == "price-bose-einstein" else 1,
    )
    return Wafer(gross, good, silicon.good_dies(gross, good, rounded=conventions.round_good_dies))


def mask_prices_usd(read: Reader, node: str, own_masks: Number | None = None) -> tuple[Number, Number]:
    """Return (shared masks, one chip's own masks) in USD at `node`.

    `own_masks` carry the weights, all where infinite; the book's number unless given.
    """
    check_node(read.book, node)
    set_usd = read(f"{node}.mask_set_usd", "USD")
    if own_masks is not None and np.all(np.isinf(own_masks)):
        return 0.0, non_negative(f"{node}.mask_set_usd", set_usd)
    return masks.mask_split_usd(
        set_usd,
        read(f"{node}.euv_masks", "mask"),
        read(f"{node}.duv_masks", "mask"),
        read("masks.euv_weight", "1"),
        read("masks.per_chip_duv_masks", "mask") if own_masks is None else own_masks,
    )


def check_chips(chips: Number, fractional: bool) -> Number:
    """Return `chips`, checked: whole and at least 1, or positive where `fractional`. Raises `InputError`."""
    if fractional:
        return positive("chips", chips, high=_MOST_CHIPS)
    return number("chips", chips, low=1, high=_MOST_CHIPS, whole=True)


def hardwired_bill(
    book: Book,
    *,
    chips: Number,
    die_area_mm2: Number,
    hbm_gb_per_chip: Number,
    node: str,
    conventions: Conventions = AS_PUBLISHED,
    aspect: Number = 1.0,
    fractional: bool = False,
    links_usd_per_chip: Number = 0.0,
    own_masks: Number | None = None,
) -> Bill:
    """Return the bill of a system of hardwired chips; inputs broadcast.

    recurring = wafer price / good dies + package and test / good dies + memory + integration; NRE = shared masks +
    chips x own masks + design. Reference: the cost model of doi 10.1145/3779212.3790169, Appendix B. Design cost does
    not depend on the node in the books. A die with no good one on a wafer costs an infinite amount where others of the
    same call do not.

    Parameters
    ----------
    book : Book
        The cost book.
    chips : number or array
        Chips of one system.
    die_area_mm2 : number or array
        Area of a chip.
    hbm_gb_per_chip : number or array
        Memory of a chip, GB.
    node : str
        Process node of wafers and masks.
    conventions : Conventions
        The conventions.
    aspect : number or array
        Width over height of a die.
    fractional : bool
        Allows a fraction of a chip.
    links_usd_per_chip : number or array
        Price of the links of a chip, beside what its integration costs.
    own_masks : number or array, optional
        DUV masks of a chip that carry its weights, all masks where infinite; the book's number unless given.

    Returns
    -------
    Bill

    Raises
    ------
    InputError
        For chips that are not whole (unless `fractional`), sizes out of range, or an unknown node.
    """
    read = book.reader()
    chips = check_chips(chips, fractional)
    area = positive("die_area_mm2", die_area_mm2, high=_wafer_area_mm2(read))
    hbm_gb = non_negative("hbm_gb_per_chip", hbm_gb_per_chip, high=ABSURD)
    links_usd = non_negative("links_usd_per_chip", links_usd_per_chip, high=ABSURD)
    shapes(chips=chips, die_area_mm2=area, hbm_gb_per_chip=hbm_gb, aspect=aspect, **book.arrays())
    on_wafer = wafer(
        read, die_area_mm2=area, node=node, yield_model=conventions.yield_model, conventions=conventions, aspect=aspect
    )
    parts = {
        "wafer_usd": silicon.per_good_die_usd(read(f"{node}.wafer_price_usd", "USD"), on_wafer.good_dies),
        "package_usd": silicon.per_good_die_usd(read("package.usd_per_wafer", "USD"), on_wafer.good_dies),
        "hbm_usd": hbm_gb * read("hbm.price_usd_per_gb", "USD/GB"),
        "integration_usd": read("integration.usd_per_chip", "USD") + links_usd,
    }
    shared, own = mask_prices_usd(read, node, own_masks)
    design = {f"{part}_usd": read(f"design.{part}_usd", "USD") for part in _DESIGN_PARTS}
    return Bill(
        chips=chips,
        gross_dies=on_wafer.gross_dies,
        die_yield=on_wafer.die_yield,
        good_dies=on_wafer.good_dies,
        fits_reticle=dies.fits_reticle(
            area,
            reticle_width_mm=read("reticle.width_mm", "mm"),
            reticle_height_mm=read("reticle.height_mm", "mm"),
        ),
        **parts,
        recurring_usd=silicon.recurring_usd(*(parts.values())),
        shared_masks_usd=shared,
        own_masks_usd=own,
        masks_usd=masks.masks_usd(shared, own, chips),
        **design,
        design_usd=sum(design.values()),
        nre_usd=nre.nre_usd(shared, own, chips, sum(design.values())),
        assumptions=read.used,
    )


def _wafer_area_mm2(read: Reader) -> float:
    return float(np.pi / 4.0 * np.max(positive("wafer.diameter_mm", read("wafer.diameter_mm", "mm"))) ** 2)
