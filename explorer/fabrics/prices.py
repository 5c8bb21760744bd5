"""Weight fabrics side by side for one model, with the dies that hold it and the masks that a new model changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import costmodel
from costmodel.masks import mask_split_usd
from hwbase import Book, Quantity, Reader, Record
from hwbase.arguments import checked
from hwbase.books import refuse_unread, share_overrides
from hwbase.check import Number
from hwsim.technology import DEFAULT_TECHNOLOGY, Technology, load_technology, technology_book
from hwsim.weight_fabrics import FABRICS, ModelInFabric, compare, fabric_book
from hwsim.weight_fabrics.compare import need_some
from models import LLMSpec

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class PricedFabrics(Record):
    """A row for each fabric, technology and format: the fields of `hwsim.weight_fabrics.ModelInFabric`, and prices.

    `dies` is the area over the reticle, rounded up; each has masks of its own, so `respin_usd` is the price of the
    changed masks of all. It is None at a node that the cost book does not price.
    """

    model: str
    rows: tuple[dict[str, Any], ...]
    assumptions: dict[str, Quantity]

    def to_frame(self) -> "pd.DataFrame":
        """Return the rows as a frame."""
        import pandas as pd

        return pd.DataFrame(list(self.rows))


@checked
def weight_fabrics(
    model: str | LLMSpec = "gpt-oss-120b",
    technologies: str | Sequence[str] = DEFAULT_TECHNOLOGY,
    formats: str | Sequence[str] = "fp4",
    *,
    fabrics: Sequence[str] | None = None,
    book: str | Path | Book = "default",
    set: Mapping[str, Any] | None = None,
) -> PricedFabrics:
    """Return a model in every fabric, technology and format, with what a new model costs in masks.

    Parameters
    ----------
    model : str or LLMSpec
        A model by name, or its spec.
    technologies : str or sequence of str
        Technology books, by name or file.
    formats : str or sequence of str
        Weight formats, such as "fp4", "int4" and "ternary".
    fabrics : sequence of str, optional
        Some of `hwsim.weight_fabrics.FABRICS`; all unless given.
    book : str, Path or Book
        The cost book, for the prices of masks.
    set : mapping of str to number or str
        Constants to override, of the books of fabrics, technologies and costs.

    Returns
    -------
    PricedFabrics

    Raises
    ------
    InputError
        For unknown names, numbers out of range, and constants that are unknown or have no effect.

    Examples
    --------
    >>> frame = weight_fabrics("llama-3-8b", "n7", "int4", fabrics=("mask_rom", "sram")).to_frame()
    >>> frame[["fabric", "dies", "respin_masks"]].values.tolist()
    [['mask_rom', 2, 2.0], ['sram', 2, 0.0]]
    """
    need_some(technologies=technologies)
    costs = book if isinstance(book, Book) else costmodel.load_book(book)
    books = [technology_book(each) for each in ([technologies] if isinstance(technologies, str) else technologies)]
    of_fabrics, of_technologies, of_costs = share_overrides(set or {}, fabric_book(), books[0], costs)
    read = costs.override(of_costs).reader()
    used: dict[str, Quantity] = {}
    rows = []
    for each in books:
        technology_reader = each.override(of_technologies).reader()
        technology = load_technology(reader=technology_reader)
        result = compare(model, technology, formats, fabrics=fabrics, book=fabric_book().override(of_fabrics))
        rows += [_priced(row, technology, each.header.node, read) for row in result.rows]
        used |= result.assumptions | technology_reader.used
    refuse_unread(set or {}, used, read.used)
    return PricedFabrics(result.model, tuple(rows), used | read.used)


def _priced(row: ModelInFabric, technology: Technology, node: str, read: Reader) -> dict[str, Any]:
    dies = int(np.ceil(row.area_mm2 / technology.reticle_area_mm2))
    fields = row.to_dict()
    del fields["full_set"]
    price = _respin_usd(row, dies, node, read) if node in costmodel.nodes(read.book) else None
    return {**fields, "label": FABRICS[row.fabric], "dies": dies, "respin_usd": price}


def _respin_usd(row: ModelInFabric, dies: int, node: str, read: Reader) -> Number:
    """Return the price of the masks that change, of all dies."""
    set_usd = read(f"{node}.mask_set_usd", "USD")
    if row.full_set:
        return float(set_usd * dies)
    euv, duv = (read(f"{node}.{kind}_masks", "mask") for kind in ("euv", "duv"))
    _, own = mask_split_usd(set_usd, euv, duv, read("masks.euv_weight", "1"), row.respin_masks)
    return float(own * dies)
