"""The document of one simulation in closed form: its figures, the parts of a token's time, and its checks."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import hwsim
from explorer.documents.document import Document, Heading, Section, sections
from explorer.documents.sections import assumptions_section, reproduce_section
from explorer.documents.tables import Column, Flag, Table, flag, quantity_table
from explorer.documents.theme import machine_name
from hwbase import InputError
from hwbase.numbers import context_label, listed, percent, plain, sentence, si, with_unit, words

#: The constant that counts cycles.
CLOCK = "clock_hz"

if TYPE_CHECKING:
    import pandas as pd

_LINES = (
    ("bears its load", "feasible", lambda value: flag("pass" if value else "FAIL")),
    ("tokens/s", "tokens_per_s", partial(plain, unit="token/s")),
    ("tokens/s for one user", "tokens_per_s_per_user", partial(plain, unit="token/s")),
    ("latency per token", "latency_s", lambda value: si(value, "s")),
    ("time to first token", "time_to_first_token_s", lambda value: si(value, "s")),
    ("sequences", "batch", plain),
    ("chips", "chips", plain),
    ("silicon", "area_mm2", lambda value: with_unit(value, "mm2")),
    ("power", "power_w", lambda value: si(value, "W")),
    ("energy per token", "energy_j_per_token", lambda value: si(value, "J")),
    ("keys and values of a sequence", "kv_bytes_per_sequence", lambda value: si(value, "B")),
    ("bound by", "bound_by", words),
)


def simulation_document(result: hwsim.SimResult, command: str, more: Sequence[Section] = ()) -> Document:
    """Return one simulation as a document, with the sections of `more` after its figures."""
    name = machine_name(result.machine)
    parts = tuple((words(part), percent(share)) for part, share in result.breakdown.items())
    shares = Table("Parts of a token's time", (Column("part", numeric=False), Column("share")), parts)
    return Document(
        f"{result.model} on {name}",
        f"Reading {result.reading}, at a context of {context_label(result.context)}.",
        sections(
            Section(
                "figures", "Figures", (quantity_table("Figures", _LINES, {"value": result}), shares, *_notes(result))
            ),
            *more,
            Section("checks", "What bears the load", (_checks(result),)) if result.checks else None,
            assumptions_section({name: result.assumptions}),
            reproduce_section(command),
        ),
        data=result.to_dict,
        schema="simulate",
        frame=result.to_frame,
    )


def cycles_section(result: hwsim.SimResult, *parts: Table) -> Section:
    """Return the clocks that a token occupies each resource, beside the interval and latency of tokens.

    Raises `InputError` for a machine whose book states no clock.
    """
    cycles = cycles_of(result)
    interval = cycles["interval_cycles"]
    rows = tuple((words(name), plain(each), percent(each / interval)) for name, each in cycles["resources"].items())
    columns = (Column("resource", numeric=False), Column("cycles of a token"), Column("share of the interval"))
    facts = Table(
        "Cycles of a token",
        (Column("from token to token", numeric=False), Column("cycles")),
        (
            ("of the machine (initiation interval)", plain(interval)),
            ("of one sequence", plain(cycles["latency_cycles"])),
            *((f"of which {words(part)}", plain(each)) for part, each in cycles["parts"].items() if each > 0.0),
        ),
    )
    return Section("cycles", "Cycles", (facts, Table("Cycles by resource", columns, rows), *parts))


def cycles_of(result: hwsim.SimResult) -> dict[str, Any]:
    """Return the cycles of the interval, of a token's latency and its parts, and of each resource that it occupies.

    Raises `InputError` for a machine whose book states no clock.
    """
    if CLOCK not in result.assumptions:
        raise InputError(f"--cycles: {result.machine} states no {CLOCK}: expected a machine with a clock")
    clock_hz = result.assumptions[CLOCK].nominal
    latency = float(result.latency_s * clock_hz)
    return {
        "interval_cycles": float(result.interval_s * clock_hz),
        "latency_cycles": latency,
        "parts": {part: float(share) * latency for part, share in result.breakdown.items()},
        "resources": {name: float(seconds * clock_hz) for name, seconds in result.occupancy_s.items()},
    }


def simulations_document(results: Sequence[hwsim.SimResult], command: str) -> Document:
    """Return simulations of one model on several machines, one column a machine."""
    names = [machine_name(result.machine) for result in results]
    figures = quantity_table("Figures", _LINES, dict(zip(names, results, strict=True)))
    notes = tuple(f"{name}: {note}" for name, result in zip(names, results, strict=True) for note in _notes(result))
    checks = tuple(
        part
        for name, result in zip(names, results, strict=True)
        if result.checks
        for part in (Heading(name), _checks(result))
    )
    return Document(
        f"{results[0].model} on {listed(names)}",
        f"At a context of {context_label(results[0].context)}.",
        sections(
            Section("figures", "Figures", (figures, *notes)),
            Section("checks", "What bears the load", checks) if checks else None,
            assumptions_section({name: result.assumptions for name, result in zip(names, results, strict=True)}),
            reproduce_section(command),
        ),
        data=lambda: [result.to_dict() for result in results],
        schema="simulate-machines",
        frame=partial(_frame, results),
    )


def _frame(results: Sequence[hwsim.SimResult]) -> "pd.DataFrame":
    import pandas as pd

    return pd.concat([result.to_frame() for result in results], ignore_index=True)


def _notes(result: hwsim.SimResult) -> tuple[str, ...]:
    notes = (*result.notes, *([_bands(result)] if result.bands else []))
    return tuple(map(sentence, notes))


def _bands(result: hwsim.SimResult) -> str:
    """Return the 90 % bands of a machine that was measured."""
    lines = {name: (label, write) for label, name, write in _LINES}
    parts = (
        f"{lines[name][0]} {lines[name][1](low)} to {lines[name][1](high)}"
        for name, (low, high) in result.bands.items()
        if name in lines
    )
    return f"90 % bands, of measured servers: {', '.join(parts)}"


def _checks(result: hwsim.SimResult) -> Table:
    rows: tuple[tuple[str | Flag, ...], ...] = tuple(
        (
            check.name,
            with_unit(check.demand, check.unit),
            with_unit(check.capacity, check.unit),
            flag("spills" if check.spills and not check.ok else "pass" if check.bears else "FAIL"),
            check.note,
        )
        for check in result.checks
    )
    columns = (
        Column("resource", numeric=False),
        Column("asked for"),
        Column("there is"),
        *(Column(label, numeric=False) for label in ("result", "note")),
    )
    return Table("Demand and capacity of every resource", columns, rows)
