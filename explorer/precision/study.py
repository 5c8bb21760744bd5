"""The whole study of one network: sensitivities, estimates, and fronts of weights and of activations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from explorer.documents.document import Document, Documented
from explorer.precision.estimate import estimates, rank_correlations, weight_errors
from explorer.precision.fronts import SCHEMES, Fronts, fronts
from explorer.precision.joint import SCHEMES as JOINT_SCHEMES
from explorer.precision.joint import JointFronts, joint_fronts
from explorer.precision.models import maker
from explorer.precision.networks import Network
from explorer.progress import Report
from hwbase import unknown_name
from models.diffusion import TERRAIN_MODEL
from models.inference import DEFAULT_MODEL

_WITHOUT_GROUPS = ("uniform", "power", "decibels")
_WITHOUT_FUSED = tuple(name for name in SCHEMES if not name.startswith("fused"))
#: The width that the estimator "one width" measures.
_MEASURED_BITS = 4


@dataclass(frozen=True)
class Part:
    """One set of fronts: the rounded side, the network's settings, allowed widths, and budgets.

    `metric` is the loss to compare, by default the network's first.
    """

    title: str
    what: str
    bits: tuple[int, ...]
    budgets: tuple[float, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    schemes: Sequence[str] = tuple(SCHEMES)
    metric: str | None = None


@dataclass(frozen=True)
class JointPart:
    """One set of fronts over pairs of widths: machine, unit of cost, allowed widths, and schemes."""

    title: str
    hardware: str
    unit: str
    weight_bits: tuple[int, ...]
    activation_bits: tuple[int, ...]
    points: int = 6
    schemes: Sequence[str] = JOINT_SCHEMES


_LANGUAGE_INPUTS: dict[str, Any] = {
    "what": "activations",
    "bits": (4, 6, 8),
    "budgets": (5.0, 5.5, 6.0, 6.5, 7.0, 7.5),
    "schemes": _WITHOUT_GROUPS,
}
PARTS: dict[str, tuple[Part, ...]] = {
    DEFAULT_MODEL: (
        Part("weights", "weights", (2, 3, 4, 5, 6, 8), (3.5, 4.0, 4.5, 5.0, 6.0, 7.0)),
        Part(
            "activations, first token apart",
            settings={"outlier": "precomputed", "windows": 1, "length": 64},
            **_LANGUAGE_INPUTS,
        ),
        Part(
            "activations, first token among the others",
            settings={"outlier": "shared", "windows": 1, "length": 64},
            **_LANGUAGE_INPUTS,
        ),
    ),
    TERRAIN_MODEL: (
        Part("weights", "weights", (3, 4, 5, 6, 8), (4.0, 4.5, 5.0, 5.5, 6.0, 7.0), schemes=_WITHOUT_FUSED),
        Part(
            "weights, judged by structure",
            "weights",
            (3, 4, 5, 6, 8),
            (4.0, 4.5, 5.0, 5.5, 6.0, 7.0),
            schemes=_WITHOUT_GROUPS,
            metric="ssim",
        ),
        Part("activations", "activations", (8, 16), (8.25, 8.5, 9.0, 10.0, 12.0), schemes=_WITHOUT_GROUPS),
    ),
}
_JOINT_TITLE = "weights and activations together"
JOINT_PARTS: dict[str, tuple[JointPart, ...]] = {
    DEFAULT_MODEL: (
        JointPart(f"{_JOINT_TITLE}, MAC array", "mac-array", "mJ", (4, 5, 6, 8), (6, 8, 16)),
        JointPart(f"{_JOINT_TITLE}, GPU", "rtx4080", "ms", (8, 16), (8, 16), 4, ("uniform", "joint")),
    ),
    TERRAIN_MODEL: (JointPart(f"{_JOINT_TITLE}, MAC array", "mac-array", "mJ", (4, 6, 8), (8, 16)),),
}
#: Default amounts of held-out input.
HELD_OUT: dict[str, dict[str, int]] = {DEFAULT_MODEL: {"windows": 24}, TERRAIN_MODEL: {"images": 24}}


@dataclass(frozen=True)
class FrontStudy(Documented):
    """Fronts of one network by part, `joint` those over pairs of widths, and the rank correlations of estimates.

    `estimated` has a row for each layer and width, `ranks` Spearman's correlations (see `explorer.precision.estimate`).
    """

    network: str
    fronts: dict[str, Fronts]
    estimated: pd.DataFrame
    ranks: pd.DataFrame
    joint: dict[str, JointFronts] = field(default_factory=dict)
    command: str = ""

    def to_frame(self) -> pd.DataFrame:
        """Return the fronts of all parts, concatenated, with `part` as the first column."""
        parts = [front.table.assign(part=title) for title, front in self.fronts.items()]
        whole = pd.concat(parts, ignore_index=True)
        return whole[["part", *(column for column in whole if column != "part")]]

    def document(self, command: str = "") -> Document:
        """Return the result as a document."""
        from explorer.precision.document import study_document

        return study_document(self)


def held_out_amount(model: str, count: int | None) -> dict[str, int] | None:
    """Return `count` held-out units as an argument of the network's maker; None for the default."""
    return None if count is None or model not in HELD_OUT else dict.fromkeys(HELD_OUT[model], count)


def front_study(
    model: str,
    *,
    parts: Sequence[Part] | None = None,
    joint: Sequence[JointPart] | None = None,
    held_out: Mapping[str, Any] | None = None,
    cache: str | Path | None = None,
    jobs: int = 1,
    command: str = "",
    report: Report | None = None,
    **settings: Any,
) -> FrontStudy:
    """Return the fronts of a network of `explorer.precision.MAKERS`, measured by running it.

    `parts` and `joint` (default: `PARTS` and `JOINT_PARTS`) are measured in turn; measurements are stored in the folder
    `cache`, so that an interrupted run continues. `held_out` overrides the amount of held-out input; `settings` go to
    the network's maker. Raises `InputError` for an unknown network, and as `fronts` does.
    """
    chosen = PARTS.get(model, ()) if parts is None else parts
    if not chosen:
        raise unknown_name("network", model, PARTS)
    amount = dict(HELD_OUT.get(model, {}) if held_out is None else held_out)
    parts_fronts: dict[str, Fronts] = {}
    estimated = pd.DataFrame()
    for part in chosen:

        def titled(name: str, done: int, total: int, title: str = part.title) -> None:
            if report is not None:
                report(f"{title}: {name}", done, total)

        options = settings | dict(part.settings)
        make = maker(model, **options)
        network = make()
        parts_fronts[part.title] = fronts(
            make,
            maker(model, **options | amount, held_out=True),
            network=network,
            bits=part.bits,
            budgets=part.budgets,
            what=part.what,
            metric=part.metric,
            schemes=part.schemes,
            variant=part.title,
            cache=cache,
            jobs=jobs,
            report=titled,
        )
        if part.what == "weights" and estimated.empty:
            estimated = _estimated(network, parts_fronts[part.title])
    ranks = rank_correlations(estimated) if len(estimated) else pd.DataFrame()
    pairs = JOINT_PARTS.get(model, ()) if joint is None else joint
    together = _together(model, pairs, settings, amount, cache, jobs, report)
    return FrontStudy(next(iter(parts_fronts.values())).network, parts_fronts, estimated, ranks, together, command)


def _together(
    model: str,
    parts: Sequence[JointPart],
    settings: Mapping[str, Any],
    amount: Mapping[str, Any],
    cache: str | Path | None,
    jobs: int,
    report: Report | None,
) -> dict[str, JointFronts]:
    if not parts:
        return {}
    make, make_held_out = maker(model, **settings), maker(model, **{**settings, **amount}, held_out=True)
    network, held_out = make(), make_held_out()
    return {
        part.title: joint_fronts(
            make,
            make_held_out,
            network=network,
            held_out=held_out,
            weight_bits=part.weight_bits,
            activation_bits=part.activation_bits,
            hardware=part.hardware,
            unit=part.unit,
            points=part.points,
            schemes=part.schemes,
            cache=cache,
            jobs=jobs,
            report=report,
        )
        for part in parts
    }


def _estimated(network: Network, front: Fronts) -> pd.DataFrame:
    widths = sorted(set(front.measured.table["bits"]))
    measured_bits = _MEASURED_BITS if _MEASURED_BITS in widths else widths[0]
    return estimates(front.measured.table, weight_errors(network, widths), measured_bits, f"loss_{front.metric}")
