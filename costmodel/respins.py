"""When to put a newer model into silicon: dollars and carbon of a cadence of re-spins, beside renting GPUs.

Models are released every c months. A system runs its model L months after the release (masks, wafers, assembly), so at
the time t of operation floor((t + L)/c) newer models are out, and a system that takes every k-th release holds number
k floor(t/(k c)). Each newer model draws a share m of the demand for the one before, so a system that is g releases
behind serves (1 - m)^g of the demand; GPUs serve the rest, at prices and emissions that fall every year.
"""

from dataclasses import dataclass

import numpy as np

from costmodel.ownership import spread_worth
from hwbase import Record
from hwbase.check import Number, fraction, non_negative, number, positive

#: Months between releases, and months of a life, that are accepted.
_MOST_MONTHS = 1200.0
MONTHS_PER_YEAR = 12.0


@dataclass(frozen=True)
class Cadence(Record):
    """How models and GPUs change. Numbers may be arrays; raises `InputError` for numbers out of range."""

    months_between: Number
    """Months between releases that users move to."""
    share_moved: Number
    """Share of the demand for a model that moves to each newer one."""
    price_fall_per_year: Number
    """Share by which GPU tokens become cheaper a year."""
    carbon_fall_per_year: Number
    """Share by which GPU tokens emit less a year."""

    def __post_init__(self) -> None:
        number("releases.months_between", self.months_between, low=0.5, high=_MOST_MONTHS)
        fraction("releases.share_moved", self.share_moved)
        for name in ("price_fall_per_year", "carbon_fall_per_year"):
            number(f"gpus.{name}", getattr(self, name), low=0.0, high=0.99)


@dataclass(frozen=True)
class Amount(Record):
    """An amount over the life of a hardwired fleet and of GPUs that serve all demand: dollars, or tonnes of CO2e."""

    fixed: Number
    """Of the hardwired fleet whatever it serves."""
    running: Number
    """Of the hardwired fleet in proportion to what it serves."""
    respin: Number
    """One re-spin of the whole fleet."""
    gpu: Number
    """All demand on GPUs, at what they cost or emit on the first day."""


@dataclass(frozen=True)
class PolicyAmount(Record):
    """What a policy comes to over the life."""

    respins: Number
    served_share: Number
    """Mean share of the demand that the hardwired fleet serves."""
    hardwired: Number
    """Fixed and running, without re-spins."""
    respins_total: Number
    gpu: Number
    """The rest of the demand, on GPUs."""

    @property
    def total(self) -> Number:
        """All three."""
        return self.hardwired + self.respins_total + self.gpu


def respins_within(every: int, months_between: Number, life_months: Number) -> Number:
    """Return the re-spins that come into service before the life ends; none where `every` is 0.

    >>> [float(respins_within(every, 6, 36)) for every in (1, 2, 0)]
    [5.0, 2.0, 0.0]
    """
    if not every:
        return np.zeros(np.broadcast(months_between, life_months).shape)[()]
    return np.maximum(np.ceil(np.asarray(life_months) / (every * np.asarray(months_between))) - 1.0, 0.0)[()]


def policy_amount(
    every: int,
    amount: Amount,
    cadence: Cadence,
    *,
    respin_months: Number,
    life_months: Number,
    fall_per_year: Number,
    discount_per_year: Number = 0.0,
) -> PolicyAmount:
    """Return what re-spins at every `every`-th release come to, and the GPUs beside.

    Parameters
    ----------
    every : int
        1 takes each release, k every k-th, 0 none.
    amount : Amount
        Dollars or tonnes.
    cadence : Cadence
        Releases; its falls are not read.
    respin_months : number or array
        From a release to the systems that run it.
    life_months : number or array
        Life of the fleets.
    fall_per_year : number or array
        Share by which what GPUs cost or emit falls a year.
    discount_per_year : number or array
        Discount rate; 0 for carbon.

    Returns
    -------
    PolicyAmount

    Raises
    ------
    InputError
        For a negative `every`, and months that are negative or not finite.

    Examples
    --------
    >>> cadence = Cadence(months_between=12, share_moved=0.5, price_fall_per_year=0.0, carbon_fall_per_year=0.0)
    >>> amount = Amount(fixed=10.0, running=0.0, respin=3.0, gpu=36.0)
    >>> for every in (0, 1):
    ...     made = policy_amount(every, amount, cadence, respin_months=0, life_months=36, fall_per_year=0.0)
    ...     print(f"{made.total:.1f}")
    25.0
    16.0
    """
    number("every", every, low=0, whole=True)
    between, life, lag, moved, fall, discount = np.broadcast_arrays(
        np.asarray(cadence.months_between, float),
        positive("life_months", life_months, high=_MOST_MONTHS),
        number("respin_months", respin_months, low=0.0, high=_MOST_MONTHS),
        np.asarray(cadence.share_moved, float),
        np.asarray(fall_per_year, float),
        non_negative("discount_per_year", discount_per_year),
    )
    # Months of operation at which a release comes out or a re-spin starts to serve, one row each.
    count = np.arange(1.0, np.ceil(np.max((life + lag) / between)) + 1.0).reshape(-1, *[1] * between.ndim)
    events = [count * between - lag] + ([count * every * between] if every else [])
    edges = np.sort(np.clip(np.concatenate([0.0 * life[None], *events, life[None]]), 0.0, life), axis=0)
    middle = (edges[1:] + edges[:-1]) / 2.0
    newest = np.floor((middle + lag) / between)
    held = every * np.floor(middle / (every * between)) if every else 0.0
    served = (1.0 - moved) ** np.maximum(newest - held, 0.0)
    growth = np.log1p(discount) / MONTHS_PER_YEAR
    decay = growth - np.log1p(-fall) / MONTHS_PER_YEAR
    worth = _worth(edges, growth) / life
    whole = np.asarray(spread_worth(discount, life / MONTHS_PER_YEAR))
    share = np.sum(served * worth, axis=0) / whole
    on_gpus = np.sum((1.0 - served) * _worth(edges, decay), axis=0) / life / whole
    times = respins_within(every, between, life)
    when = count[: int(np.max(times))] * every * between if every else count[:0] * between
    paid = np.sum(np.where(when < life, np.exp(-growth * when), 0.0), axis=0)
    return PolicyAmount(
        respins=times,
        served_share=share[()],
        hardwired=amount.fixed + amount.running * share[()],
        respins_total=amount.respin * paid[()],
        gpu=amount.gpu * on_gpus[()],
    )


def gpu_amount(
    amount: Amount, *, life_months: Number, fall_per_year: Number, discount_per_year: Number = 0.0
) -> Number:
    """Return what GPUs alone come to, which take each model at once. Parameters are those of `policy_amount`.

    >>> f"{gpu_amount(Amount(0.0, 0.0, 0.0, gpu=1.0), life_months=36, fall_per_year=0.25):.3f}"
    '0.670'
    """
    life = positive("life_months", life_months, high=_MOST_MONTHS)
    growth = np.log1p(discount_per_year) / MONTHS_PER_YEAR
    decay = growth - np.log1p(-np.asarray(fall_per_year, float)) / MONTHS_PER_YEAR
    edges = np.stack(np.broadcast_arrays(0.0 * decay * life, life + 0.0 * decay))
    whole = spread_worth(discount_per_year, life / MONTHS_PER_YEAR)
    return amount.gpu * (np.sum(_worth(edges, decay), axis=0) / life / whole)[()]


def _worth(edges: np.ndarray, rate: np.ndarray) -> np.ndarray:
    """Return the integral of exp(-rate t) between successive edges."""
    safe = np.where(rate > 0.0, rate, 1.0)
    decayed = (np.exp(-safe * edges[:-1]) - np.exp(-safe * edges[1:])) / safe
    return np.where(rate > 0.0, decayed, edges[1:] - edges[:-1])
