"""Mask cost of hardwiring a model of any size: the rule behind the published table of other models."""

from dataclasses import dataclass

from costmodel.bill import mask_prices_usd
from costmodel.masks import masks_usd
from costmodel.results import Costed
from hwbase import Book
from hwbase.check import Number, positive


@dataclass(frozen=True)
class ModelMasks(Costed):
    """Chips and masks for a model's weights."""

    chips: Number
    """Not rounded up."""
    bits_per_chip: Number
    shared_masks_usd: Number
    own_masks_usd: Number
    masks_usd: Number


def table4(book: Book, parameters: Number, native_bits: Number, *, node: str) -> ModelMasks:
    """Return the masks of a model: masks only, at the high set price.

    chips = parameters x bits / capacity, a fraction allowed, with the capacity of a chip of the published system. This
    explains the dense models of Table 4 of doi 10.1145/3779212.3790169 within 0.5 %; the two FP8 mixtures of experts
    come out 28 % and 46 % too high, and no stated rule explains them.

    Parameters
    ----------
    book : Book
        The cost book.
    parameters : number or array
        Weights of the model.
    native_bits : number or array
        Bits of a weight.
    node : str
        Process node of the masks.

    Returns
    -------
    ModelMasks

    Raises
    ------
    InputError
        For inputs that are not positive.
    """
    read = book.at("high").reader()
    capacity = read("reference.parameters", "1") * read("reference.bits_per_parameter", "bit")
    capacity = capacity / read("reference.chips", "1")
    chips = positive("parameters", parameters) * positive("native_bits", native_bits) / capacity
    shared, own = mask_prices_usd(read, node)
    return ModelMasks(
        chips=chips,
        bits_per_chip=capacity,
        shared_masks_usd=shared,
        own_masks_usd=own,
        masks_usd=masks_usd(shared, own, chips),
        assumptions=read.used,
    )
