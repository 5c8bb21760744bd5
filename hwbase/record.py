"""Results as small frozen records: dictionaries, JSON, frames and notebook tables from their fields."""

import dataclasses
import html
import json
from collections.abc import Mapping
from enum import Enum
from typing import Any

import numpy as np
import pandas as pd


class Record:
    """Mixed into frozen dataclasses; adds nothing but ways to look at and store their fields."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain Python values (arrays become lists, records become dictionaries)."""
        return {
            field.name: plain(getattr(self, field.name))
            for field in dataclasses.fields(self)  # type: ignore[arg-type]
        }

    def to_json(self, indent: int | None = 2) -> str:
        """Return the fields as strict JSON (a value that is not finite becomes null)."""
        return json.dumps(finite(self.to_dict()), indent=indent, ensure_ascii=False, allow_nan=False)

    def to_frame(self) -> pd.DataFrame:
        """Return a data frame: a row per element where fields are arrays, otherwise one row."""
        flat = flatten(self.to_dict())
        longest = max((len(v) for v in flat.values() if isinstance(v, list)), default=0)
        if longest == 0:
            return pd.DataFrame([flat])
        columns = {k: v for k, v in flat.items() if not isinstance(v, list) or len(v) == longest}
        return pd.DataFrame(columns)

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(key)}</th><td>{html.escape(show(value))}</td></tr>"
            for key, value in flatten(self.to_dict()).items()
        )
        return f"<table><caption>{html.escape(type(self).__name__)}</caption>{rows}</table>"


def plain(value: Any) -> Any:
    """Return `value` made of dictionaries, lists, strings, numbers, booleans and None only."""
    if isinstance(value, Record):
        return value.to_dict()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, pd.DataFrame):
        return value.to_dict(orient="records")
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


def finite(value: Any) -> Any:
    """Return `value` with every number that JSON cannot hold (NaN, infinity) replaced by None."""
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [finite(v) for v in value]
    return value


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested dictionaries as one, keys joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def show(value: Any) -> str:
    """Return a short human form of one value (six significant digits, long lists cut)."""
    if isinstance(value, float):
        return f"{value:,.6g}" if abs(value) < 1e7 else f"{value:.6g}"
    if isinstance(value, list) and len(value) > 6:
        return f"[{', '.join(show(v) for v in value[:3])}, ... {len(value)} values]"
    if isinstance(value, list):
        return f"[{', '.join(show(v) for v in value)}]"
    return str(value)
