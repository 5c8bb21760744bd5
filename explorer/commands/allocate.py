"""`hwsim allocate`: bits for each layer of a table, within budgets."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
import yaml

from explorer.allocation.allocate import TIME_LIMIT_S, Allocation, allocate, allocation_front
from explorer.allocation.costs import HARDWARE, cost_table
from explorer.allocation.document import allocation_front_document
from explorer.commands.output import AsJson, check_file, check_kept, check_writable, deliver, made_by
from explorer.writing import write_text
from hwbase import InputError
from hwbase.parsing import read_text
from models.allocation import SOLVERS
from models.allocation.solve import TOLERANCE


def allocate_command(
    layers: Annotated[str, typer.Argument(help="CSV, a line for each option: layer,group,bits,size,loss,...")],
    budget: Annotated[float | None, typer.Option("--budget", help="Of all layers, in the unit of --unit.")] = None,
    unit: Annotated[
        str,
        typer.Option(
            "--unit", help="mean-bits, bits, bytes, kB .. GiB, bit-ops, or a column, whose values are summed."
        ),
    ] = "mean-bits",
    two_sided: Annotated[float, typer.Option("--two-sided", help="Budgets are intervals: +- so much.")] = 0.0,
    group: Annotated[
        list[str] | None, typer.Option("--group", help="Budget of a group: NAME=VALUE (repeatable).")
    ] = None,
    constraint: Annotated[
        list[str] | None, typer.Option("--constraint", help="A further limit such as 'ms<=3' (repeatable).")
    ] = None,
    objective: Annotated[
        str,
        typer.Option("--objective", help="The minimised sum: a column or unit, score:COLUMN or noise:COLUMN in dB."),
    ] = "loss",
    ties: Annotated[
        list[str] | None,
        typer.Option("--ties", help="Layers that share a choice: a,b (repeatable), or a file of such lines."),
    ] = None,
    allow: Annotated[
        list[str] | None, typer.Option("--allow", help="Bits that a layer or pattern may have: '*.ff.*=4,8'.")
    ] = None,
    hardware: Annotated[
        str | None,
        typer.Option(
            "--hardware", help=f"Add columns ms, mJ, mm2 .. of {', '.join(HARDWARE)}, or the book of a GPU or NPU."
        ),
    ] = None,
    front: Annotated[
        str | None, typer.Option("--front", help="The whole curve over --unit: LOW:HIGH:POINTS, or corners.")
    ] = None,
    solver: Annotated[str, typer.Option("--solver", help=f"One of {', '.join(SOLVERS)}.")] = SOLVERS[0],
    gap: Annotated[float, typer.Option("--gap", help="Relative gap that counts as optimal.")] = TOLERANCE,
    time_limit: Annotated[float, typer.Option("--time-limit", help="Seconds, for each problem solved.")] = TIME_LIMIT_S,
    as_json: AsJson = False,
    out: Annotated[
        str | None,
        typer.Option("--out", help="A file, by its name: .html, .md, .csv, .parquet, .json, or .yaml (layer: bits)."),
    ] = None,
) -> None:
    """Bits for each layer: the least loss within budgets, with a bound that proves it."""
    as_yaml = out is not None and Path(out).suffix.lower() in (".yaml", ".yml")
    check_kept(out, layers)
    if as_yaml and out:
        if front is not None:
            raise InputError(f"--out {out!r} holds one allocation: expected no --front, or a page or a table")
        check_writable(out)
    else:
        check_file(out)
    shared: dict[str, Any] = {
        "unit": unit,
        "constraints": constraint or [],
        "objective": objective,
        "ties": [tie for text in ties or [] for tie in _ties(text)],
        "allow": {name: [_number("--allow", b) for b in bits.split(",")] for name, bits in _pairs("--allow", allow)},
        "tolerance": gap,
        "time_limit_s": time_limit,
        "solver": solver,
    }
    table = layers if hardware is None else cost_table(layers, hardware)
    if front is not None:
        if budget is not None or group or two_sided:
            raise InputError("--front goes over all budgets: expected no --budget, --group or --two-sided")
        with _own_output():
            curve = allocation_front(table, _budgets(front), **shared)
        deliver(allocation_front_document(curve, made_by()), out, as_json)
        return
    groups = {name: _number("--group", value) for name, value in _pairs("--group", group)}
    with _own_output():
        result = allocate(table, budget, two_sided=two_sided, groups=groups, **shared)
    for note in result.notes if as_json or out else ():
        sys.stderr.write(f"hwsim: note: {note}\n")
    if as_yaml and out:
        write_text(yaml.safe_dump(_config(result), sort_keys=False, allow_unicode=True), out)
    else:
        deliver(result.document(made_by()), out, as_json)


def _config(result: Allocation) -> dict[str, Any]:
    """Return the file for a quantiser: layer: bits, or both widths if activations have their own."""
    if result.act_bits is None:
        return dict(result.bits)
    return {layer: {"bits": bits, "act_bits": result.act_bits[layer]} for layer, bits in result.bits.items()}


def _budgets(text: str) -> np.ndarray | None:
    if text == "corners":
        return None
    parts = text.split(":")
    if len(parts) != 3:
        raise InputError(f"--front {text!r}: expected LOW:HIGH:POINTS, such as 3:8:51, or corners")
    low, high, points = (_number("--front", part) for part in parts)
    if points != int(points) or not 1 <= points <= 1e5:
        raise InputError(f"--front {text!r}: expected a whole number of points from 1 to 100,000")
    return np.linspace(low, high, int(points))


def _ties(text: str) -> list[list[str]]:
    """Return the ties of one option: its own, or those of the lines of the file that it names."""
    path = Path(text)
    try:
        is_file = path.is_file()
    except (OSError, ValueError):  # no file can have this name
        is_file = False
    lines = read_text(path).splitlines() if is_file else [text]
    return [[name.strip() for name in line.split(",")] for line in lines if line.strip()]


def _pairs(option: str, texts: list[str] | None) -> list[tuple[str, str]]:
    pairs = []
    for text in texts or []:
        name, equals, value = text.rpartition("=")
        if not equals or not name.strip() or not value.strip():
            raise InputError(f"{option} {text!r}: expected NAME=VALUE")
        pairs.append((name.strip(), value.strip()))
    if len({name for name, _ in pairs}) < len(pairs):
        raise InputError(f"{option} names {pairs[-1][0]!r} twice: expected once")
    return pairs


def _number(option: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise InputError(f"{option}: {text.strip()!r} is not a number")
    return value


@contextmanager
def _own_output() -> Iterator[None]:
    """Keep standard output for results: solver libraries sometimes print to it, past Python."""
    sys.stdout.flush()
    try:
        original = os.dup(1)
    except OSError:  # closed, or none
        yield
        return
    try:
        os.dup2(2, 1)
        yield
    finally:
        os.dup2(original, 1)
        os.close(original)
