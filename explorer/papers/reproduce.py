"""Reproductions of published papers: `reproduce("hnlpu")` gives the scoreboard."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import models
from explorer.papers.hnlpu_economics import economics_rows
from explorer.papers.hnlpu_machine import machine_rows
from explorer.papers.scoreboard import Row, Scoreboard
from hwbase import InputError, unknown_name
from hwbase.arguments import checked

#: Parameter counts agree within this, or to the published digits.
COUNT_TOLERANCE = 0.001


@checked
def reproduce(
    paper: str = "hnlpu",
    *,
    book: str | Path | None = None,
    set: Mapping[str, Any] | None = None,
    events: bool = True,
) -> Scoreboard:
    """Return the scoreboard of a paper: every published figure with ours and its evidence.

    Parameters
    ----------
    paper : str
        "hnlpu", "mixdq", "bebr", "sram" (one user on machines of Cerebras, Groq and SambaNova) or "fabrics" (weights in
        ROM and SRAM: Taalas HC1, BitROM, ankhdjet).
    book : str or Path, optional
        A book in place of the HNLPU's own.
    set : mapping of str to number, array or str
        Constants of the paper's machines to override; agreement may then fail.
    events : bool
        False leaves out the lines that need event simulations.

    Returns
    -------
    Scoreboard

    Raises
    ------
    InputError
        For an unknown paper or constant.

    Examples
    --------
    >>> board = reproduce("bebr")
    >>> board.summary["ok"], board.summary["outside_tolerance"]
    (True, 0)
    """
    if paper not in PAPERS:
        raise unknown_name("paper", paper, PAPERS)
    if paper == "hnlpu":
        rows, fitted = hnlpu_rows(set, book, events)
    elif book is None:
        rows, fitted = PAPERS[paper](set)
    else:
        raise InputError(f"paper {paper!r} takes no book: expected a book only with the paper hnlpu")
    return Scoreboard(paper, tuple(rows), fitted)


def hnlpu_rows(
    set: Mapping[str, Any] | None = None, book: str | Path | None = None, events: bool = True
) -> tuple[list[Row], tuple[str, ...]]:
    """Return (rows, fitted constants) of the HNLPU paper: its machine, its economics, and its models."""
    machine, used = machine_rows(set, book, events)
    fitted = tuple(name for name, quantity in used.items() if quantity.kind == "fitted")
    return [*machine, *_economics(), *model_rows()], fitted


def model_rows() -> list[Row]:
    """Return the published parameter counts of the reference networks with ours."""
    rows = []
    for name in models.reference_names():
        spec = models.load(name)
        ours = models.parameters(spec)
        for what, published, digits, count in (
            ("total", spec.published_total, spec.published_total_digits, ours.total),
            ("active", spec.published_active, spec.published_active_digits, ours.active),
        ):
            if published is None or digits is None:
                continue
            rows.append(
                Row(
                    id=f"model-{name}-{what}",
                    what=f"{name}: {what} parameters",
                    paper=float(published),
                    ours=float(count),
                    unit="parameter",
                    evidence="predicted",
                    tolerance=max(COUNT_TOLERANCE, half_digit(published, digits)),
                    note=spec.published_source,
                    group="Models",
                )
            )
    return rows


def half_digit(value: float, digits: int) -> float:
    """Return half a unit of the last of `digits` significant digits of `value`, relative to it."""
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - digits + 1)
    return 0.5 * unit / abs(value)


def _economics() -> list[Row]:
    return [
        Row(
            id=cell["id"],
            what=cell["what"],
            paper=cell["paper"],
            ours=cell["ours"],
            unit=cell["unit"],
            evidence=cell["evidence"],
            tolerance=cell["tolerance"],
            note=cell["note"],
            group=cell["table"].capitalize(),
        )
        for cell in economics_rows()
    ]


def _mixdq_rows(set: Mapping[str, Any] | None = None) -> tuple[list[Row], tuple[str, ...]]:
    from explorer.papers.mixdq import mixdq_rows

    return mixdq_rows(set)


def _bebr_rows(set: Mapping[str, Any] | None = None) -> tuple[list[Row], tuple[str, ...]]:
    from explorer.papers.bebr import bebr_rows

    return bebr_rows(set)


def _sram_rows(set: Mapping[str, Any] | None = None) -> tuple[list[Row], tuple[str, ...]]:
    from explorer.papers.sram_machines import sram_rows

    return sram_rows(set)


def _fabric_rows(set: Mapping[str, Any] | None = None) -> tuple[list[Row], tuple[str, ...]]:
    from explorer.papers.fabrics import fabric_rows

    return fabric_rows(set)


#: The reproduced papers: functions from overrides of constants to rows and fitted constants.
PAPERS: dict[str, Callable[[Mapping[str, Any] | None], tuple[list[Row], tuple[str, ...]]]] = {
    "hnlpu": hnlpu_rows,
    "mixdq": _mixdq_rows,
    "bebr": _bebr_rows,
    "sram": _sram_rows,
    "fabrics": _fabric_rows,
}
