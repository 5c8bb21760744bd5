"""Our counts beside the published ones, and the rule by which they agree."""

import math
from typing import TYPE_CHECKING, Any

from hwbase import InputError
from models.catalogue import known, names
from models.counts import mixers, parameters
from models.spec import LLMSpec

if TYPE_CHECKING:
    import pandas as pd


def rounds_to(ours: float, published: float, digits: int) -> bool:
    """Return whether `ours`, rounded to `digits` significant digits, is `published`.

    A figure printed as 37 B is known to half a unit of its last digit and no better, so this is the whole of what
    it can confirm; with four digits or more it confirms 0.05 % or better. Raises `InputError` unless both are > 0.
    """
    if not (ours > 0 and published > 0 and math.isfinite(ours) and math.isfinite(published)):
        raise InputError(f"ours = {ours}, published = {published}: expected finite numbers above 0")
    return float(f"{ours:.{digits - 1}e}") == float(f"{published:.{digits - 1}e}")


def agrees(spec: LLMSpec) -> bool:
    """Return whether every published count of `spec` is what ours rounds to (True where none is published).

    Publishers count active parameters with the embedding or without it, so either may round to what they print.
    """
    counts = parameters(spec)
    pairs = (
        ((counts.total,), spec.published_total, spec.published_total_digits),
        ((counts.active, counts.active_with_embedding), spec.published_active, spec.published_active_digits),
    )
    return all(
        any(rounds_to(each, published, digits) for each in ours)
        for ours, published, digits in pairs
        if published is not None and digits is not None
    )


def zoo_rows() -> list[dict[str, Any]]:
    """Return one row a network of `names`: our counts, the published ones, relative errors, and where from.

    Keys: name, total, active, active_with_embedding, published_total, total_rel_err, published_active,
    active_rel_err, agrees, attention, source. Counts are elements; a missing published count is NaN.
    """
    return [_row(known(name)) for name in names()]


def zoo_frame() -> "pd.DataFrame":
    """Return the rows of `zoo_rows` as a frame."""
    import pandas as pd

    return pd.DataFrame(zoo_rows())


def _row(spec: LLMSpec) -> dict[str, Any]:
    counts = parameters(spec)
    return {
        "name": spec.name,
        "total": counts.total,
        "active": counts.active,
        "active_with_embedding": counts.active_with_embedding,
        "published_total": _or_nan(spec.published_total),
        "total_rel_err": _relative_error(counts.total, spec.published_total),
        "published_active": _or_nan(spec.published_active),
        "active_rel_err": _relative_error(counts.active, spec.published_active),
        "agrees": agrees(spec),
        "attention": ", ".join(dict.fromkeys(mixer.kind for mixer in mixers(spec) if mixer.kind != "none")),
        "source": spec.published_source or spec.source,
    }


def _relative_error(ours: float, published: float | None) -> float:
    return math.nan if published is None else ours / published - 1.0


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else float(value)
