"""Results as small frozen records: dictionaries, JSON, frames and notebook tables from their fields."""

import dataclasses
import json
import sys
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


class Record:
    """Mixed into frozen dataclasses; adds nothing but ways to compare, to look at and to store their fields.

    Records of one class are equal where their fields are, arrays and frames element by element.
    """

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Give a subclass the equality by value; a dataclass keeps an `__eq__` that stands in its class."""
        super().__init_subclass__(**arguments)
        if "__eq__" not in cls.__dict__:
            cls.__eq__ = _equal_records  # type: ignore[assignment]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain Python values (arrays become lists, records become dictionaries)."""
        return {
            field.name: plain(getattr(self, field.name))
            for field in dataclasses.fields(self)  # type: ignore[arg-type]
        }

    def to_json(self, indent: int | None = 2) -> str:
        """Return the fields as strict JSON (a value that is not finite becomes null)."""
        return json.dumps(finite(self.to_dict()), indent=indent, ensure_ascii=False, allow_nan=False)

    def to_frame(self) -> "pd.DataFrame":
        """Return a data frame: a row per element where fields are arrays, otherwise one row."""
        import pandas as pd

        flat = flatten(self.to_dict())
        longest = max((len(v) for v in flat.values() if isinstance(v, list)), default=0)
        if longest == 0:
            return pd.DataFrame([flat])
        columns = {k: v for k, v in flat.items() if not isinstance(v, list) or len(v) == longest}
        return pd.DataFrame(columns)

    def _repr_html_(self) -> str:
        from hwbase.notebook import values_table

        hidden = {field.name for field in dataclasses.fields(self) if not field.repr}  # type: ignore[arg-type]
        values = flatten({name: value for name, value in self.to_dict().items() if name not in hidden})
        return values_table(type(self).__name__, {name: [value] for name, value in values.items()})


def equal(one: Any, other: Any) -> bool:
    """Return whether two values are equal element by element; NaN equals NaN."""
    if one is other:
        return True
    if isinstance(one, (str, int)) and isinstance(other, (str, int)):
        return bool(one == other)
    if isinstance(one, (list, tuple)):
        alike = type(one) is type(other) and len(one) == len(other)
        return alike and all(map(equal, one, other))
    if _is_pandas(one, "DataFrame", "Series"):
        return type(one) is type(other) and bool(one.equals(other))
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return isinstance(one, np.ndarray) and isinstance(other, np.ndarray) and _equal_arrays(one, other)
    if dataclasses.is_dataclass(one) and not isinstance(one, type):
        return type(one) is type(other) and _equal_fields(one, other)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(equal(value, other[key]) for key, value in one.items())
    return bool(one == other) or bool(one != one and other != other)


def _equal_records(one: Record, other: object) -> bool:
    return _equal_fields(one, other) if type(one) is type(other) else NotImplemented


def _equal_fields(one: Any, other: Any) -> bool:
    return all(equal(getattr(one, name), getattr(other, name)) for name in _compared(one.__class__))


@cache
def _compared(record: type) -> tuple[str, ...]:
    """Names of the fields that make two records equal."""
    return tuple(field.name for field in dataclasses.fields(record) if field.compare)


def _equal_arrays(one: np.ndarray, other: np.ndarray) -> bool:
    if one.dtype.kind in "fc" and other.dtype.kind in "fc":
        return np.array_equal(one, other, equal_nan=True)
    return np.array_equal(one, other)


def _is_pandas(value: Any, *names: str) -> bool:
    """Whether `value` is of one of these classes of pandas, which is not loaded for the answer."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, tuple(getattr(pandas, name) for name in names))


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
    if _is_pandas(value, "DataFrame"):
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
