"""Mask sets: the price of a process's masks in units of a DUV mask, and its split into shared and own masks.

A metal-programmed family shares most of its masks; each chip then needs only the few with its own pattern.
"""

import numpy as np

from hwbase import InputError
from hwbase.check import Number, non_negative, positive


def mask_units(euv_masks: Number, duv_masks: Number, euv_weight: Number) -> Number:
    """Return the price of a mask set in DUV masks, U = w N_euv + N_duv; an EUV mask costs `euv_weight` DUV masks.

    Raises `InputError` for negative counts, a weight that is not positive, or no masks at all.
    """
    units = positive("euv_weight", euv_weight) * non_negative("euv_masks", euv_masks) + non_negative(
        "duv_masks", duv_masks
    )
    return positive("euv_masks and duv_masks together", units)


def mask_split_usd(
    set_usd: Number, euv_masks: Number, duv_masks: Number, euv_weight: Number, own_duv_masks: Number
) -> tuple[Number, Number]:
    """Return (price of the masks that all chips share, price of one chip's own masks) in USD.

    With c = set_usd/U per DUV mask: shared = c (U - m), own = c m, for m = `own_duv_masks` of the DUV masks.
    Raises `InputError` for negative inputs and for more own masks than the set has DUV masks.

    >>> shared, own = mask_split_usd(30e6, euv_masks=12, duv_masks=58, euv_weight=6, own_duv_masks=10)
    >>> round(shared), round(own)
    (27692308, 2307692)
    """
    price = non_negative("set_usd", set_usd)
    own = non_negative("own_duv_masks", own_duv_masks)
    units = mask_units(euv_masks, duv_masks, euv_weight)
    if np.any(np.asarray(own) > np.asarray(duv_masks)):
        raise InputError(f"own_duv_masks = {np.max(own):g}: expected at most the DUV masks of the set")
    per_unit = price / units
    return per_unit * (units - own), per_unit * own


def masks_usd(shared_usd: Number, own_usd: Number, chips: Number) -> Number:
    """Return the price in USD of the masks of a family of `chips` different chips: shared + chips x own.

    Raises `InputError` for negative inputs.
    """
    return non_negative("shared_usd", shared_usd) + non_negative("own_usd", own_usd) * non_negative("chips", chips)
