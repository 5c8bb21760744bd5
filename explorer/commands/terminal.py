"""Results on a terminal: tables in colour, never the only carrier of meaning."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

import costmodel
import hwsim
from costmodel.tools import TOOL_BOOKS
from explorer.documents.numbers import with_unit
from explorer.papers.scoreboard import Scoreboard
from explorer.pricing.economics import CostAnswer
from hwbase import Book, InputError, book_names, load_book, unknown_name
from hwsim.technology import BOOKS as MACHINE_BOOKS
from models import Summary

if TYPE_CHECKING:
    from explorer.audit.neuron import AuditResult
    from explorer.audit.switching import SwitchingStudy

_STYLES = {
    "agrees": "green",
    "input": "dim",
    "fitted": "yellow",
    "misfit explained": "magenta",
    "OUTSIDE": "bold red",
    "not derivable": "dim",
}


def figure(value: float | None) -> str:
    """Return a number with four significant digits and thousands separators; a dash for none."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def show_scoreboard(console: Console, board: Scoreboard) -> None:
    """Print every row, then the count."""
    table = Table(title=f"{board.paper}: published beside ours", show_lines=False)
    for name in ("where", "what"):
        table.add_column(name, overflow="fold")
    for name in ("paper", "ours"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("unit", overflow="fold")
    table.add_column("error", justify="right", no_wrap=True)
    table.add_column("status", overflow="fold")
    for row in board.rows:
        error = "-" if row.rel_err is None else f"{row.rel_err:+.2%}"
        status = Text(row.status, style=_STYLES[row.status])
        table.add_row(row.group, row.what, figure(row.paper), figure(row.ours), row.unit, error, status)
    console.print(table)
    show_summary(console, board)


def show_summary(console: Console, board: Scoreboard) -> None:
    """Print the counts, the fitted constants, and the misfits with their reasons."""
    found = board.summary
    for row in board.rows:
        if row.status in ("misfit explained", "OUTSIDE"):
            line = Text(f"{row.status}: ", style=_STYLES[row.status])
            paper, ours = figure(row.paper), figure(row.ours)
            line.append(f"{row.what}: paper {paper}, ours {ours} {row.unit}. {row.note}", style="default")
            console.print(line)
    console.print(
        f"\n{found['rows']} rows: {found['agree']} of {found['predicted']} predictions agree within their tolerance, "
        f"{found['misfit_explained']} miss and say why, {found['outside_tolerance']} outside; "
        f"{found['fitted']} fitted, {found['input']} inputs, {found['not_derivable']} not derivable.\n"
        f"{len(board.fitted_constants)} fitted constants: {', '.join(board.fitted_constants)}",
        highlight=False,
    )


def _figures(result: hwsim.SimResult) -> tuple[tuple[str, Any, str], ...]:
    """Return (name, value, unit) of the figures of a simulation."""
    return (
        ("tokens/s", result.tokens_per_s, "token/s"),
        ("tokens/s for one user", result.tokens_per_s_per_user, "token/s"),
        ("latency per token", result.latency_s * 1e6, "us"),
        ("time to first token", result.time_to_first_token_s * 1e3, "ms"),
        ("sequences", result.batch, ""),
        ("chips", result.chips, ""),
        ("silicon", result.area_mm2, "mm2"),
        ("power", result.power_w, "W"),
        ("energy", result.energy_j_per_token * 1e3, "mJ/token"),
        ("KV cache", result.kv_bytes_per_sequence / 1e6, "MB/sequence"),
    )


def show_simulation(console: Console, result: hwsim.SimResult) -> None:
    """Print one simulation: the figures, where the time goes, and the checks."""
    table = Table(
        title=f"{result.model} on {result.label or result.machine}, {result.reading}, {result.context:,} positions"
    )
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("unit")
    for name, value, unit in _figures(result):
        table.add_row(name, figure(float(value)), unit)
    table.add_row("bound by", str(result.bound_by), "")
    for part, share in result.breakdown.items():
        table.add_row(f"  {part}", f"{float(share):.1%}", "of a token's time")
    console.print(table)
    for check in result.checks:
        mark = Text("ok  ", style="green") if check.ok else Text("NOT ", style="bold red")
        need, have = (with_unit(float(value), check.unit) for value in (check.demand, check.capacity))
        mark.append(f"{check.name}: {need} of {have}{', ' if check.note else ''}{check.note}", style="default")
        console.print(mark)
    for note in result.notes:
        console.print(f"note: {note}", highlight=False)


def show_simulations(console: Console, results: Sequence[hwsim.SimResult]) -> None:
    """Print several machines side by side: the figures, and which checks fail."""
    table = Table(title=f"{results[0].model}, {results[0].context:,} positions")
    table.add_column("figure")
    for result in results:
        table.add_column(result.label, justify="right")
    table.add_column("unit")
    for place, (name, _, unit) in enumerate(_figures(results[0])):
        table.add_row(name, *(figure(float(_figures(result)[place][1])) for result in results), unit)
    table.add_row("bound by", *(str(result.bound_by) for result in results), "")
    failing = (", ".join(check.name for check in result.checks if not check.ok) or "none" for result in results)
    table.add_row("failing checks", *failing, "")
    console.print(table)


def show_cost(console: Console, found: CostAnswer) -> None:
    """Print a cost answer: both fleets at both levels, the ratios, and what each convention is worth."""
    table = Table(title=f"{found.model}: {found.volume} systems, {found.convention}, {found.comparison.gpus:,.0f} GPUs")
    table.add_column("")
    for head in ("hardwired, low", "hardwired, high", "GPUs, low", "GPUs, high"):
        table.add_column(head, justify="right")
    low, high = found.comparison.low, found.comparison.high
    fleets = (low.hardwired, high.hardwired, low.gpu, high.gpu)
    carbons = (low.hardwired_carbon, high.hardwired_carbon, low.gpu_carbon, high.gpu_carbon)
    million = 1e6
    table.add_row("NRE (M$)", figure(low.bill.nre_usd / million), figure(high.bill.nre_usd / million), "-", "-")
    table.add_row("per chip ($)", figure(low.bill.recurring_usd), figure(high.bill.recurring_usd), "-", "-")
    for name, key in (
        ("hardware", "hardware_usd"),
        ("infrastructure", "infrastructure_usd"),
        ("capital", "capex_usd"),
        ("electricity", "electricity_usd"),
        ("maintenance", "maintenance_usd"),
        ("re-spins", "respins_usd"),
        ("TCO", "total_usd"),
    ):
        table.add_row(f"{name} (M$)", *(figure(float(getattr(fleet, key)) / million) for fleet in fleets))
    table.add_row("$ per M tokens", *(figure(float(fleet.usd_per_million_tokens)) for fleet in fleets))
    table.add_row("carbon, Scope 2 (t)", *(figure(float(c.scope2_t)) for c in carbons))
    table.add_row("carbon, Scope 3 (t)", *(figure(float(c.scope3_t)) for c in carbons))
    console.print(table)
    console.print(
        f"GPUs over hardwired: TCO {high.tco_ratio:,.1f} to {low.tco_ratio:,.1f}, capital {high.capex_ratio:,.1f} to "
        f"{low.capex_ratio:,.1f}, carbon {high.carbon_ratio:,.1f} to {low.carbon_ratio:,.1f}",
        highlight=False,
    )
    for note in found.notes:
        console.print(f"note: {note}", highlight=False)
    if found.effects is not None:
        show_frame(console, "What each convention is worth (optimistic level)", effects_view(found.effects))


def effects_view(effects: pd.DataFrame) -> pd.DataFrame:
    """Return the effect table in the columns and units of a page."""
    return pd.DataFrame(
        {
            "reading": effects["reading"],
            "choice": effects["choice"],
            "hardwired TCO (M$)": effects["hardwired_low_usd"] / 1e6,
            "GPU TCO (M$)": effects["gpu_usd"] / 1e6,
            "ratio, low": effects["ratio_low"],
            "ratio, high": effects["ratio_high"],
            "carbon ratio": effects["carbon_ratio"],
        }
    )


def show_audit(console: Console, found: "AuditResult") -> None:
    """Print transistors per weight by synthesis, by the circuit model and by the paper, and what follows."""
    shown = {
        "inputs": "inputs",
        "circuit": "circuit",
        "adders": "adders",
        "transistors": "transistors",
        "per_weight": "per weight",
        "model_per_weight": "model",
        "paper_per_weight": "paper",
        "bit_exact": "bit-exact",
    }
    show_frame(console, "Transistors of one neuron", found.to_frame()[list(shown)].rename(columns=shown))
    show_frame(console, "CE : ME", found.ratio_frame())
    for line in found.findings:
        console.print(line, highlight=False)


def show_switching(console: Console, found: "SwitchingStudy") -> None:
    """Print toggles and energy by kind of matrix, the neurons simulated cell by cell, and what follows."""
    frame = found.to_frame()
    view = pd.DataFrame(
        {
            "kind": frame["kind"],
            "matrices": frame["matrices"],
            "weights (M)": frame["weights"] / 1e6,
            **{name: frame[f"{name}_toggles"] for name in ("inputs", "counts", "sums")},
            "toggles (nJ)": frame["toggles_j"] * 1e9,
            "model (nJ)": frame["model_j"] * 1e9,
        }
    )
    show_frame(console, f"Toggles of a wire and clock: {found.model}", view)
    if found.neurons:
        show_frame(console, "Neurons cell by cell: capacitance charged a clock", found.neuron_frame())
    for line in found.findings:
        console.print(line, highlight=False)


def show_models(console: Console, frame: pd.DataFrame) -> None:
    """Print the zoo."""
    view = frame.assign(total=frame["total"] / 1e9, active=frame["active"] / 1e9)
    view = view.rename(columns={"total": "total (G)", "active": "active (G)", "total_rel_err": "error of total"})
    show_frame(console, "Models", view[["name", "total (G)", "active (G)", "error of total", "attention", "source"]])


def show_model(console: Console, summary: Summary) -> None:
    """Print the figures of one model."""
    apart = {"multi-token prediction": summary.mtp_parameters, "pooler": summary.pooler_parameters}
    rows = {
        "parameters": f"{summary.parameters:,}",
        "active, without the embedding": f"{summary.active_parameters:,}",
        "active, with it": f"{summary.active_parameters_with_embedding:,}",
        **{f"{name}, apart": f"{count:,}" for name, count in apart.items() if count},
        **{f"{tower.name} tower": f"{tower.parameters:,}" for tower in summary.towers},
        "weights": f"{summary.weight_bytes / 1e9:,.3f} GB, {summary.bits_per_weight:.3f} bits each",
        "number formats": ", ".join(f"{part} {name}" for part, name in summary.formats.items()),
        "layers": ", ".join(f"{count} {kind}" for kind, count in summary.layers.items()),
        "feed-forward blocks": ", ".join(f"{count} {kind}" for kind, count in summary.blocks.items()),
        "cache": f"{summary.kv_bytes_per_token:,.0f} B a token",
        "states": f"{summary.state_bytes_per_sequence:,.0f} B a sequence" if summary.state_bytes_per_sequence else "",
        "source": summary.source,
        **{f"note {number}": note for number, note in enumerate(summary.notes, 1)},
    }
    frame = pd.DataFrame([(name, value) for name, value in rows.items() if value], columns=["figure", "value"])
    show_frame(console, summary.name, frame)


def show_machines(console: Console, frame: pd.DataFrame) -> None:
    """Print the machines."""
    view = pd.DataFrame(
        {
            "name": frame["name"],
            "kind": frame["kind"],
            "GB": frame["memory_bytes"] / 1e9,
            "TB/s": frame["memory_bandwidth_bytes_per_s"] / 1e12,
            "Tops/s": frame["peak_ops_per_s"] / 1e12,
            "W": frame["power_w"],
            "mm2": frame["area_mm2"],
            **{answer: frame[answer].map({True: "yes", False: "no"}) for answer in ("simulate", "serve")},
        }
    )
    show_frame(console, "Machines", view)


def show_book(console: Console, book: Book) -> None:
    """Print every constant of a book."""
    show_frame(console, f"{book.name}: {book.title}", book.to_frame().drop(columns="note"))


def find_book(name: str) -> Book:
    """Return the cost, machine or technology book, or that of another tool, by name or file; raises `InputError`."""
    folders = (Path(costmodel.books.__file__).parent, MACHINE_BOOKS, TOOL_BOOKS)
    known = [n for folder in folders for n in book_names(folder)]
    if not name.endswith(".toml"):
        if name not in known:
            raise unknown_name("book", name, known)
        return load_book(name, next(folder for folder in folders if name in book_names(folder)))
    errors = []
    for folder in folders:
        try:
            return load_book(name, folder)
        except InputError as error:
            errors.append(str(error))
    raise InputError(errors[0])


def show_frame(console: Console, title: str, frame: pd.DataFrame) -> None:
    """Print a data frame as a table, numbers to four digits; brackets in texts are no styles."""
    table = Table(title=escape(title))
    for name in frame.columns:
        numeric = pd.api.types.is_numeric_dtype(frame[name])
        table.add_column(escape(str(name)), justify="right" if numeric else "left", overflow="fold")
    for values in frame.itertuples(index=False):
        table.add_row(*(_cell(value) for value in values))
    console.print(table)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "-" if value != value else figure(value)
    return escape(str(value))
