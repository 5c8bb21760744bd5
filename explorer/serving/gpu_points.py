"""A user's own measurements of GPUs: a CSV, what `vllm bench serve` writes, or a report of GuideLLM, as one table."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from explorer.serving.measured_gpus import NETWORKS, SHORTEST
from hwbase import InputError

#: Columns of a file of points. Only the two times and the engine may be left out.
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
#: Names that stand for an engine of ours.
_ENGINES = {"tensorrt-llm": "trtllm", "tensorrtllm": "trtllm", "trt-llm": "trtllm", "trt": "trtllm"}
#: Suffixes of machines' names that say nothing to us.
_FORM_FACTORS = ("_sxm", "-sxm", "_hgx", "-hgx")
#: FP4 of GPUs is NVFP4 unless it says otherwise.
_FORMATS = {"fp4": "nvfp4", "fp8_block": "fp8", "fp16": "bf16"}
#: A report states the lengths that were sent; points state the longest of which they are drawn.
_LONGEST = 2.0 / (1.0 + SHORTEST)


def read_points(path: str | Path, defaults: Mapping[str, Any] | None = None) -> pd.DataFrame:
    """Return the points of a file, in its order.

    Parameters
    ----------
    path
        A CSV with the columns `COLUMNS`, or a JSON file of `vllm bench serve --save-result` or of GuideLLM. What those
        two do not say of the server (machine, format, tp) comes from their metadata, or from `defaults`.
    defaults
        Values for columns that the file has not, by name.

    Returns
    -------
    pandas.DataFrame
        The columns `COLUMNS`; NaN or an empty text where nothing is known.

    Raises
    ------
    InputError
        For a file that cannot be read, or has none of these forms.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read: {error}") from None
    points = _from_json(file, text) if text.lstrip().startswith(("{", "[")) else _from_csv(file)
    for name, value in (defaults or {}).items():
        if value is not None and (name not in points or points[name].isna().all()):
            points[name] = value
    for name in COLUMNS:
        if name not in points:
            points[name] = np.nan if name in _TIMES else None
    return points


def as_points(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of `read_points` as `against_measured` takes them, and `why` where one is no point."""
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
        points[ours] = pd.to_numeric(rows[theirs], errors="coerce") / 1e3
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


def _from_csv(file: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(file, skipinitialspace=True)
    except (ValueError, pd.errors.ParserError) as error:
        raise InputError(f"{file}: not a CSV: {error}") from None
    missing = [name for name in ("model", "prompt_tokens", "output_tokens", "users") if name not in table]
    if missing:
        raise InputError(f"{file}: no column {', '.join(missing)}: expected {', '.join(COLUMNS)}")
    return table


def _from_json(file: Path, text: str) -> pd.DataFrame:
    try:
        data = json.loads(text)
    except ValueError:
        try:
            # `--append-result` writes one result a line.
            data = [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError as error:
            raise InputError(f"{file}: not JSON: {error}") from None
    results = data if isinstance(data, list) else [data]
    rows = [row for result in results for row in _rows(result)]
    if not rows:
        raise InputError(f"{file}: expected a result of vllm bench serve, or a report of GuideLLM")
    return pd.DataFrame(rows)


def _rows(result: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(result, dict):
        return
    if "benchmarks" in result:
        for benchmark in result["benchmarks"]:
            yield _guidellm(benchmark, result)
    elif "mean_ttft_ms" in result:
        yield _vllm(result)


def _vllm(result: Mapping[str, Any]) -> dict[str, Any]:
    """A result of `vllm bench serve`: what `--metadata machine=h100 tp=8` adds stands beside its figures."""
    done = result.get("completed") or np.nan
    return {
        "model": result.get("model_id"),
        "machine": result.get("machine"),
        "format": result.get("format"),
        "engine": result.get("engine") or result.get("endpoint_type") or result.get("backend"),
        "tp": result.get("tp") or result.get("tensor_parallel_size"),
        "prompt_tokens": result.get("total_input_tokens", np.nan) / done * _LONGEST,
        "output_tokens": result.get("total_output_tokens", np.nan) / done * _LONGEST,
        "users": result.get("max_concurrency"),
        "tpot_ms": result.get("mean_tpot_ms"),
        "ttft_ms": result.get("mean_ttft_ms"),
    }


def _guidellm(benchmark: Mapping[str, Any], report: Mapping[str, Any]) -> dict[str, Any]:
    """A benchmark of a GuideLLM report; its means of requests that succeeded."""
    metrics = benchmark.get("metrics", {})

    def mean(name: str) -> float:
        found = metrics.get(name, {}).get("successful", {})
        return float(found.get("mean", np.nan)) if isinstance(found, dict) else np.nan

    streams = _search(benchmark, "streams")
    metadata = {name: _search(report, name) for name in ("machine", "format", "engine", "tp")}
    return {
        "model": _search(benchmark, "backend_model") or _search(benchmark, "model") or _search(report, "model"),
        **metadata,
        "prompt_tokens": mean("prompt_token_count") * _LONGEST,
        "output_tokens": mean("output_token_count") * _LONGEST,
        "users": streams if isinstance(streams, int) else np.rint(mean("request_concurrency")),
        # Without the first token, as ours is.
        "tpot_ms": mean("inter_token_latency_ms"),
        "ttft_ms": mean("time_to_first_token_ms"),
    }


def _search(data: Any, name: str) -> Any:
    """Return the first plain value called `name` anywhere in nested tables, or None."""
    if isinstance(data, Mapping):
        if isinstance(data.get(name), (str, int, float)):
            return data[name]
        for value in data.values():
            found = _search(value, name)
            if found is not None:
                return found
    return None
