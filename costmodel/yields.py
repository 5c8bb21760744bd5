"""Die yield: the fraction of dies without a killing defect, by the usual models.

All take x = kappa A D0, the mean number of killing defects on a die: area A, defect density D0, and the critical-area
ratio kappa, the share of the area where a defect kills. On names: "Seeds" means exp(-sqrt x) here, as published by
Seeds in 1967. Many tools give that name to 1/(1 + x), published by Price in 1970 (Bose-Einstein statistics with one
layer), which is called "price-bose-einstein" here.
"""

from typing import Literal, get_args

import numpy as np

from hwbase import unknown_name
from hwbase.check import Number, fraction, non_negative, positive, shapes

Model = Literal["poisson", "murphy", "murphy-uniform", "seeds", "price-bose-einstein", "negative-binomial"]

_MM2_PER_CM2 = 100.0


def defects_per_die(area_mm2: Number, d0_per_cm2: Number, critical_area_ratio: Number = 1.0) -> Number:
    """Return x = kappa A D0, the mean number of killing defects on a die of `area_mm2`.

    Raises `InputError` unless the area is positive, D0 is not negative and kappa is in [0, 1].
    """
    shapes(area_mm2=area_mm2, d0_per_cm2=d0_per_cm2, critical_area_ratio=critical_area_ratio)
    area = positive("area_mm2", area_mm2)
    d0 = non_negative("d0_per_cm2", d0_per_cm2)
    return area / _MM2_PER_CM2 * d0 * fraction("critical_area_ratio", critical_area_ratio)


def poisson(area_mm2: Number, d0_per_cm2: Number, critical_area_ratio: Number = 1.0) -> Number:
    """Return the yield e^-x: defects fall independently of one another.

    The least of these yields for large dies. Raises `InputError` as `defects_per_die` does.
    """
    return np.exp(-defects_per_die(area_mm2, d0_per_cm2, critical_area_ratio))


def murphy(area_mm2: Number, d0_per_cm2: Number, critical_area_ratio: Number = 1.0) -> Number:
    """Return the yield ((1 - e^-x)/x)^2: D0 varies from wafer to wafer by a triangular distribution.

    Reference: B. T. Murphy, "Cost-size optima of monolithic integrated circuits", Proc. IEEE 52 (1964).
    Raises `InputError` as `defects_per_die` does.
    """
    return _mean_survival(defects_per_die(area_mm2, d0_per_cm2, critical_area_ratio)) ** 2


def murphy_uniform(area_mm2: Number, d0_per_cm2: Number, critical_area_ratio: Number = 1.0) -> Number:
    """Return the yield (1 - e^-2x)/(2x): D0 varies by a uniform distribution from 0 to twice its mean.

    Reference: as `murphy`. Raises `InputError` as `defects_per_die` does.
    """
    return _mean_survival(2.0 * defects_per_die(area_mm2, d0_per_cm2, critical_area_ratio))


def seeds(area_mm2: Number, d0_per_cm2: Number, critical_area_ratio: Number = 1.0) -> Number:
    """Return the yield e^-sqrt(x). Not the 1/(1 + x) that many tools call Seeds: see `price_bose_einstein`.

    Reference: R. B. Seeds, "Yield, economic, and logistic models for complex digital arrays", IEEE Int. Conv. Rec.
    (1967). Raises `InputError` as `defects_per_die` does.
    """
    return np.exp(-np.sqrt(defects_per_die(area_mm2, d0_per_cm2, critical_area_ratio)))


def price_bose_einstein(
    area_mm2: Number, d0_per_cm2: Number, layers: Number = 1, critical_area_ratio: Number = 1.0
) -> Number:
    """Return the yield (1 + x/n)^-n over n critical `layers`; `d0_per_cm2` is the sum over the layers.

    With one layer this is Price's 1/(1 + x). The density is not per layer: multiply a density per layer by the number
    of layers first. Reference: J. E. Price, "A new look at yield of integrated circuits", Proc. IEEE 58 (1970). Raises
    `InputError` as `defects_per_die` does, and for less than one layer.
    """
    return negative_binomial(area_mm2, d0_per_cm2, positive("layers", layers), critical_area_ratio)


def negative_binomial(area_mm2: Number, d0_per_cm2: Number, alpha: Number, critical_area_ratio: Number = 1.0) -> Number:
    """Return the yield (1 + x/alpha)^-alpha: defects cluster, more for smaller `alpha`.

    alpha = 1 is Price's yield; alpha to infinity is Poisson's. References: C. H. Stapper, IBM J. Res. Dev. (1983);
    J. A. Cunningham, IEEE Trans. Semiconductor Manufacturing 3 (1990). Raises `InputError` as `defects_per_die` does,
    and unless `alpha` is positive.
    """
    alpha = positive("alpha", alpha)
    shapes(area_mm2=area_mm2, d0_per_cm2=d0_per_cm2, alpha=alpha, critical_area_ratio=critical_area_ratio)
    return np.exp(-alpha * np.log1p(defects_per_die(area_mm2, d0_per_cm2, critical_area_ratio) / alpha))


def die_yield(
    model: Model,
    area_mm2: Number,
    d0_per_cm2: Number,
    *,
    alpha: Number | None = None,
    layers: Number = 1,
    critical_area_ratio: Number = 1.0,
) -> Number:
    """Return the yield in (0, 1] by the named model; `alpha` applies to "negative-binomial" only.

    Raises `InputError` for an unknown model, or as the model itself does.

    >>> round(float(die_yield("murphy", 827.08, 0.11)), 3)
    0.431
    """
    if model == "negative-binomial":
        return negative_binomial(area_mm2, d0_per_cm2, alpha, critical_area_ratio)
    if model == "price-bose-einstein":
        return price_bose_einstein(area_mm2, d0_per_cm2, layers, critical_area_ratio)
    simple = {"poisson": poisson, "murphy": murphy, "murphy-uniform": murphy_uniform, "seeds": seeds}
    if model not in simple:
        raise unknown_name("yield model", model, get_args(Model))
    return simple[model](area_mm2, d0_per_cm2, critical_area_ratio)


def _mean_survival(x: Number) -> Number:
    """Return (1 - e^-x)/x, and 1 where x is 0."""
    safe = np.where(np.asarray(x) > 0.0, x, 1.0)
    mean = np.where(np.asarray(x) > 0.0, -np.expm1(-safe) / safe, 1.0)
    return mean if mean.ndim else float(mean)
