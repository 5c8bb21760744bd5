"""Non-recurring engineering: paid once per design, for any number of systems."""

from hwbase.check import Number, non_negative


def nre_usd(shared_masks_usd: Number, own_masks_usd: Number, chips: Number, design_usd: Number) -> Number:
    """Return shared masks + chips x own masks + design, in USD. Raises `InputError` for negative inputs.

    >>> nre_usd(27.7e6, 2.3e6, chips=16, design_usd=40e6)
    104500000.0
    """
    own = non_negative("own_masks_usd", own_masks_usd) * non_negative("chips", chips)
    return non_negative("shared_masks_usd", shared_masks_usd) + own + non_negative("design_usd", design_usd)


def build_usd(nre_usd: Number, system_usd: Number, systems: Number) -> Number:
    """Return the price in USD of the first `systems` systems: NRE + systems x recurring cost of one.

    Raises `InputError` for negative inputs.
    """
    built = non_negative("systems", systems) * non_negative("system_usd", system_usd)
    return non_negative("nre_usd", nre_usd) + built


def respin_usd(own_masks_usd: Number, chips: Number, system_usd: Number, systems: Number) -> Number:
    """Return the price in USD of new weights: the chips' own masks again, and `systems` systems rebuilt.

    The shared masks and the design stay. Raises `InputError` for negative inputs.
    """
    masks = non_negative("own_masks_usd", own_masks_usd) * non_negative("chips", chips)
    return masks + non_negative("systems", systems) * non_negative("system_usd", system_usd)
