"""A user's own GPU measurements as one table: from a CSV, a result of `vllm bench serve`, or a GuideLLM report."""

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from explorer.serving.measured_gpus import NETWORKS, SHORTEST
from hwbase import InputError
from hwbase.parsing import parse_json, read_text

#: Columns of a file of points. Only the two times and the engine may be missing.
COLUMNS = (
    "model",
    "machine",
    "format",
    "engine",
    "tp",
    "prompt_tokens",
    "output_tokens",
    "users",
    "tpot_ms",
    "ttft_ms",
)
_TIMES = ("tpot_ms", "ttft_ms")
#: Other names of our engines.
_ENGINES = {"tensorrt-llm": "trtllm", "tensorrtllm": "trtllm", "trt-llm": "trtllm", "trt": "trtllm"}
#: Suffixes of machine names that are dropped.
_FORM_FACTORS = ("_sxm", "-sxm", "_hgx", "-hgx")
#: FP4 on GPUs means NVFP4 unless stated.
_FORMATS = {"fp4": "nvfp4", "fp8_block": "fp8", "fp16": "bf16"}
#: Prefix of the names that clients give to the protocol of OpenAI.
_PROTOCOL = "openai"
#: Facts on the server that a GuideLLM report has only if its user added them.
_OF_SERVER = ("machine", "format", "engine", "tp")
#: A report states the mean lengths that were sent; points state the longest of the range that they are drawn from.
_LONGEST = 2.0 / (1.0 + SHORTEST)


def read_points(path: str | Path, defaults: Mapping[str, Any] | None = None) -> pd.DataFrame:
    """Return the points of a file, in its order.

    Parameters
    ----------
    path
        A CSV with the columns `COLUMNS`, or a JSON file of `vllm bench serve --save-result` or of GuideLLM. Facts on
        the server that those two lack (machine, format, tp) come from their metadata, or from `defaults`.
    defaults
        Values for columns that the file lacks, by name.

    Returns
    -------
    pandas.DataFrame
        The columns `COLUMNS`; NaN or an empty text where unknown.

    Raises
    ------
    InputError
        For a file that cannot be read or has another format.
    """
    file = Path(path)
    text = read_text(file)
    points = _from_json(file, text) if text.lstrip().startswith(("{", "[")) else _from_csv(file, text)
    for name, value in (defaults or {}).items():
        if value is not None and (name not in points or points[name].isna().all()):
            points[name] = value
    for name in COLUMNS:
        if name not in points:
            points[name] = np.nan if name in _TIMES else None
    return points


def as_points(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of `read_points` in the form for `against_measured`, with `why` for rows that are not points."""
    points = pd.DataFrame(index=rows.index)
    points["network"] = [_network(name) for name in rows["model"]]
    points["machine"] = [_machine(name) for name in rows["machine"]]
    points["engine"] = [_engine(name) for name in rows["engine"]]
    points["format"] = [_format(name) for name in rows["format"]]
    why = pd.Series("", index=rows.index)
    for ours, theirs in (("gpus", "tp"), ("prompt_tokens", None), ("output_tokens", None), ("users", None)):
        numbers = pd.to_numeric(rows[theirs or ours], errors="coerce")
        bad = ~(numbers >= 1) | (numbers % 1 != 0) & (ours in ("gpus", "users"))
        points[ours] = numbers.where(~bad, 1.0)
        why = why.mask(bad & (why == ""), f"{theirs or ours}: expected a number >= 1")
    for ours, theirs in (("time_per_output_token_s", "tpot_ms"), ("time_to_first_token_s", "ttft_ms")):
        times_ms = pd.to_numeric(rows[theirs], errors="coerce")
        # A point may lack a time.
        bad = ~(times_ms > 0) & (rows[theirs].map(_text) != "")
        points[ours] = times_ms.where(~bad) / 1e3
        why = why.mask(bad & (why == ""), f"{theirs}: expected a number > 0")
    for name in ("network", "machine"):
        why = why.mask((points[name] == "") & (why == ""), f"{'model' if name == 'network' else name}: expected a name")
    points["gpus"] = points["gpus"].astype(int)
    points["expert_parallel"] = 1
    return points.assign(why=why)


def _text(value: Any) -> str:
    return "" if value is None or (isinstance(value, float) and np.isnan(value)) else str(value).strip()


def _network(value: Any) -> str:
    name = _text(value)
    if name in NETWORKS:
        return NETWORKS[name][0]
    known = {path.split("/")[-1].lower(): ours for path, (ours, _) in NETWORKS.items()}
    if name.endswith((".json", ".toml")):
        return name
    short = name.split("/")[-1].lower()
    return known.get(short, short)


def _machine(value: Any) -> str:
    name = _text(value).lower()
    for suffix in _FORM_FACTORS:
        name = name.removesuffix(suffix)
    return name


def _engine(value: Any) -> str:
    name = _text(value).lower().removeprefix("dynamo-")
    return _ENGINES.get(name, name) or "vllm"


def _format(value: Any) -> str:
    name = _text(value).lower()
    return _FORMATS.get(name, name)


def _from_csv(file: Path, text: str) -> pd.DataFrame:
    try:
        header, *rows = csv.reader(io.StringIO(text, newline="")) if text else [[]]
        long = next((at for at, row in enumerate(rows, 2) if len(row) > len(header)), None)
        if long is not None:
            raise InputError(f"{file}: line {long}: more fields than the header's {len(header)}")
        if not any(rows):
            raise InputError(f"{file}: expected a header and a line for each measured point")
        table = pd.read_csv(io.StringIO(text, newline=""), skipinitialspace=True)
    except InputError:
        raise
    except (ValueError, OverflowError, csv.Error, pd.errors.ParserError) as error:
        raise InputError(f"{file}: not a CSV: {error}") from None
    missing = [name for name in ("model", "prompt_tokens", "output_tokens", "users") if name not in table]
    if missing:
        raise InputError(f"{file}: no column {', '.join(missing)}: expected {', '.join(COLUMNS)}")
    return table


def _from_json(file: Path, text: str) -> pd.DataFrame:
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and all(line.startswith("{") and line.rstrip().endswith("}") for line in lines):
        # `--append-result` writes one result per line.
        data: Any = [parse_json(line, f"{file}, result {number}") for number, line in enumerate(lines, 1)]
    else:
        data = parse_json(text, str(file))
    results = data if isinstance(data, list) else [data]
    try:
        rows = [row for result in results for row in _rows(result)]
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    if not rows:
        raise InputError(f"{file}: expected a result of vllm bench serve, or a report of GuideLLM")
    return pd.DataFrame(rows)


def _rows(result: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(result, dict):
        return
    if isinstance(result.get("benchmarks"), list):
        for index, benchmark in enumerate(result["benchmarks"]):
            if not _table(benchmark, "metrics"):
                raise InputError(f"benchmarks[{index}]: no metrics: expected a report of GuideLLM 0.2 or newer")
            yield _guidellm(benchmark, result)
    elif "mean_ttft_ms" in result:
        yield _vllm(result)


def _vllm(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a result of `vllm bench serve`; fields of `--metadata machine=h100 tp=8` are at top level."""
    completed = _number(result, "completed") or np.nan
    client = _text(result.get("endpoint_type") or result.get("backend"))
    return {
        "model": result.get("model_id"),
        "machine": result.get("machine"),
        "format": result.get("format"),
        # "openai" and "openai-chat" name the protocol, which every engine answers.
        "engine": result.get("engine") or (None if client.startswith(_PROTOCOL) else client),
        "tp": result.get("tp") or result.get("tensor_parallel_size"),
        "prompt_tokens": _number(result, "total_input_tokens") / completed * _LONGEST,
        "output_tokens": _number(result, "total_output_tokens") / completed * _LONGEST,
        "users": result.get("max_concurrency"),
        "tpot_ms": _number(result, "mean_tpot_ms"),
        "ttft_ms": _number(result, "mean_ttft_ms"),
    }


def _guidellm(benchmark: Mapping[str, Any], report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a benchmark of a GuideLLM report: means of the successful requests."""

    def mean(name: str) -> float:
        return _number(_table(_table(_table(benchmark, "metrics"), name), "successful"), "mean", name)

    # `args` and `worker` up to version 0.3, `config` after it.
    setting = _table(benchmark, "config") or _table(benchmark, "args")
    model = _table(setting, "backend").get("model") or _table(benchmark, "worker").get("backend_model")
    return {
        "model": model or _search(_table(report, "args"), "model"),
        **{name: _search(_table(benchmark, "extras"), name) or _search(report, name) for name in _OF_SERVER},
        "prompt_tokens": mean("prompt_token_count") * _LONGEST,
        "output_tokens": mean("output_token_count") * _LONGEST,
        "users": _streams(_table(setting, "strategy")) or np.rint(mean("request_concurrency")),
        # Without the first token, as in our figure.
        "tpot_ms": mean("inter_token_latency_ms"),
        "ttft_ms": mean("time_to_first_token_ms"),
    }


def _streams(strategy: Mapping[str, Any]) -> Any:
    """Return the users that a strategy keeps at work, or None where it holds a rate instead."""
    kind = strategy.get("type_")
    if kind == "synchronous":
        return 1
    return strategy.get("streams") or strategy.get("max_concurrency") if kind == "concurrent" else None


def _table(data: Any, name: str) -> Mapping[str, Any]:
    """Return the table `name` of a table; empty if either is missing."""
    value = data.get(name) if isinstance(data, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _number(data: Mapping[str, Any], name: str, label: str = "") -> float:
    value = data.get(name)
    if value is None:
        return np.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{label or name} = {value!r}: expected a number")
    return float(value)


def _search(data: Any, name: str) -> Any:
    """Return the first plain value named `name` anywhere in nested tables, or None."""
    if isinstance(data, Mapping):
        if isinstance(data.get(name), (str, int, float)):
            return data[name]
        for value in data.values():
            result = _search(value, name)
            if result is not None:
                return result
    return None
