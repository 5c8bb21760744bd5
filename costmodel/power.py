"""Power of a fleet: chips to servers, servers to the facility's meter."""

import numpy as np

from costmodel.conventions import AS_PUBLISHED, Conventions
from hwbase import Book, Reader
from hwbase.check import Number, non_negative, positive

_W_PER_MW = 1e6


def system_it_power_w(
    book: Book | Reader,
    *,
    chips: Number,
    chip_power_w: Number,
    stated_w: Number | None = None,
    conventions: Conventions = AS_PUBLISHED,
) -> Number:
    """Return the power in W that one hardwired system draws at its plug.

    Published: the stated system power, or chips x chip power x PUE if none is stated (the published 6.9 kW); the
    facility then multiplies by PUE again. With `pue_in_system_power` off: chips x chip power x `server.power_factor` of
    the book, and PUE once, at the facility.

    Parameters
    ----------
    book : Book or Reader
        The cost book.
    chips : number or array
        Chips of the system.
    chip_power_w : number or array
        Power of one chip, W.
    stated_w : number or array, optional
        The stated power of the system, W.
    conventions : Conventions
        The conventions.

    Returns
    -------
    number or array

    Raises
    ------
    InputError
        For negative inputs.
    """
    read = book if isinstance(book, Reader) else book.reader()
    silicon = positive("chips", chips) * non_negative("chip_power_w", chip_power_w)
    if not conventions.pue_in_system_power:
        return silicon * read("server.power_factor", "1")
    if stated_w is not None:
        return non_negative("stated_w", stated_w)
    return silicon * read("datacentre.pue", "1")


def facility_power_mw(it_power_w: Number, pue: Number, step_mw: float = 0.0) -> Number:
    """Return the facility's power in MW, IT power x PUE, rounded to multiples of `step_mw` unless that is 0.

    Raises `InputError` for negative power or a PUE below 0.
    """
    power = non_negative("it_power_w", it_power_w) * positive("pue", pue) / _W_PER_MW
    return np.rint(power / step_mw) * step_mw if step_mw > 0.0 else power


def it_power_mw(it_power_w: Number) -> Number:
    """Return the IT power in MW. Raises `InputError` for negative power."""
    return non_negative("it_power_w", it_power_w) / _W_PER_MW
