"""Runs benchmarks, each in a process of its own; writes one JSON and one Markdown table of ratios."""

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.measure import Measure

#: Modules of the package that are no benchmarks; `gpu_fit` fits the constants of GPU books to measured points.
_OTHERS = ("__init__", "__main__", "gpu_fit", "measure", "runner")
#: Libraries whose versions decide the figures.
_LIBRARIES = ("numpy", "scipy", "pandas", "numba", "simpy")
SCHEMA = "hwsim-benchmarks-1"


def names() -> list[str]:
    """Return the names of all benchmarks."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in _OTHERS)


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names())}; all without a name")
    parser.add_argument("--quick", action="store_true", help="small sizes and few runs: does it work, not how fast")
    parser.add_argument("--out", type=Path, default=Path("benchmarks.json"), help="JSON; the table goes beside it, .md")
    parser.add_argument("--beside", type=Path, help="JSON of an earlier run, whose ratios stand beside the new ones")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in names()]:
        parser.error(f"unknown benchmark {unknown[0]!r}: expected one of {', '.join(names())}")
    if options.one:
        for measure in importlib.import_module(f"benchmarks.{options.names[0]}").measures(options.quick):
            sys.stdout.write(json.dumps(asdict(measure)) + "\n")
            sys.stdout.flush()
        return
    earlier = None
    if options.beside is not None:
        try:
            earlier = json.loads(options.beside.read_text(encoding="utf-8"))
            assert earlier["schema"] == SCHEMA
        except (OSError, ValueError, KeyError, TypeError, AssertionError):
            parser.error(f"--beside {str(options.beside)!r}: expected a file that this command wrote")
    results = {name: run(name, options.quick) for name in options.names or names()}
    record = {"schema": SCHEMA, "machine": machine(), "quick": options.quick, "benchmarks": results}
    options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    text = table(record, earlier)
    options.out.with_suffix(".md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)


def run(name: str, quick: bool) -> list[dict[str, Any]]:
    """Return the measures of one benchmark, run in a process of its own; a failure is a row with its last line."""
    command = [sys.executable, "-m", "benchmarks", name, "--one", *(["--quick"] if quick else [])]
    sys.stderr.write(f"{name} ...\n")
    ended = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    rows = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith('{"name"')]
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["no message"])[-1]
        rows.append(asdict(Measure(f"{name} stopped", None, "", note=last)))
    return rows


def machine() -> dict[str, Any]:
    """Return what the figures depend on: processor, cores, load, versions, and when they were taken."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    processor = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    versions = {}
    for library in _LIBRARIES:
        try:
            versions[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return {
        "processor": processor or platform.machine(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "versions": versions,
        "date": datetime.now(UTC).date().isoformat(),
    }


def table(record: dict[str, Any], earlier: dict[str, Any] | None = None) -> str:
    """Return the Markdown table of a run; with an earlier run, its ratios and the change."""
    about = record["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    lines = [
        f"Measured on {about['date']}: {about['processor']}, {about['cores']} cores, load {about['load']}, Python "
        f"{about['python']}, {versions}."
        + (" Small sizes (`--quick`): figures say that it works, not how fast." if record["quick"] else ""),
        "",
    ]
    heads = ["benchmark", "figure", "value", "beside", "its value", "ratio", "note"]
    if earlier is not None:
        heads[-1:-1] = ["earlier ratio", "change"]
    lines += [f"| {' | '.join(heads)} |", f"|{'|'.join('---' for _ in heads)}|"]
    before = {} if earlier is None else _by_name(earlier)
    for (name, figure), measure in _by_name(record).items():
        cells = [name, figure, _amount(measure.value, measure.unit), measure.peer]
        cells += [_amount(measure.peer_value, measure.unit), _number(measure.ratio)]
        if earlier is not None:
            old = before[name, figure].ratio if (name, figure) in before else None
            change = measure.ratio / old - 1.0 if measure.ratio and old else None
            cells += [_number(old), "" if change is None else f"{change:+.0%}"]
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in [*cells, measure.note])} |")
    return "\n".join(lines) + "\n"


def _by_name(record: dict[str, Any]) -> dict[tuple[str, str], Measure]:
    rows: Iterable[tuple[str, Any]] = ((name, row) for name, found in record["benchmarks"].items() for row in found)
    return {(name, row["name"]): Measure(**row) for name, row in rows}


def _amount(value: float | None, unit: str) -> str:
    return "" if value is None else f"{_number(value)} {unit}".strip()


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
