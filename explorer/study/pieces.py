"""A piece of a study, from its points to a table: sample, evaluate, derive, check constraints."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from explorer.study.columns import joined, one_line, settled
from explorer.study.expressions import evaluate_formula, parse, truth
from explorer.study.sampling import sample
from explorer.study.space import Integer
from explorer.study.spec import Study
from hwbase import InputError, unknown_name

#: Rows of a piece that is one call, and of a piece with one call for each point.
VECTORISED_ROWS, POINT_ROWS = 524_288, 8


def piece_rows(study: Study) -> int:
    """Return the rows of a piece of `study`, computed by one task and stored in one file."""
    return VECTORISED_ROWS if study.target.vectorised else POINT_ROWS


def evaluate_piece(study: Study, start: int, stop: int) -> pd.DataFrame:
    """Return rows `start` to `stop` of `study`.

    Columns: "point", the parameters, outputs ("out.NAME" if a parameter has that name), derived columns, whether each
    constraint holds, "feasible" (all hold, and nothing failed) and "failure" (the reason, or None).

    Raises `InputError` for formulas that cannot be computed.
    """
    columns = sample(study.space, study.drawn_by, int(study.points or 0), study.seed, start, stop)
    return evaluate_columns(study, columns)


def evaluate_columns(study: Study, columns: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return the table of `evaluate_piece` for given columns "point" and parameters."""
    points = len(columns["point"])
    varied = {name: values for name, values in columns.items() if name != "point"}
    inputs = {**study.fixed, **varied}
    answers = (_in_one_call if study.target.vectorised else _one_by_one)(study, inputs, points) if points else {}
    failure = answers.pop("failure", np.full(points, None, dtype=object))
    # An output with the name of a parameter has its own column.
    outputs = {_output_name(name, varied): settled(name, values) for name, values in answers.items()}
    failed = np.array([reason is not None for reason in failure], dtype=bool)
    return _judged(study, {**columns, **outputs}, failed, failure)


def failed_columns(study: Study, columns: Mapping[str, np.ndarray], reason: str) -> pd.DataFrame:
    """Return the table of `evaluate_piece` for points that all failed for one reason."""
    points = len(columns["point"])
    return _judged(study, dict(columns), np.ones(points, dtype=bool), np.full(points, reason, dtype=object))


def _output_name(name: str, varied: Mapping[str, Any]) -> str:
    return f"out.{name}" if name in varied else name


def _judged(study: Study, table: dict[str, np.ndarray], failed: np.ndarray, failure: np.ndarray) -> pd.DataFrame:
    points = len(failed)
    readable = {name: np.asarray(value) for name, value in study.fixed.items()} | table
    feasible = ~failed
    # A piece in which all points failed may lack the columns that formulas read. So formulas never see failed points,
    # in whichever piece they are.
    hopeless = bool(failed.all())
    for name, text in study.derived.items():
        if name in table:
            raise InputError(f"derived {name}: {study.target.name} has an output of this name; choose another")
        value: Any = None if hopeless else evaluate_formula(f"derived {name}", parse(name, text), readable)
        table[name] = readable[name] = _struck(settled(name, np.broadcast_to(np.asarray(value), (points,))), failed)
    for name, text in study.constraints.items():
        holds: Any = False if hopeless else evaluate_formula(f"constraint {name}", parse(name, text), readable)
        try:
            holds = truth(holds)
        except TypeError:
            raise InputError(f"constraint {name} = {text!r}: expected a comparison such as 'chips <= 64'") from None
        table[f"meets {name}"] = np.broadcast_to(holds, (points,)) & ~failed
        feasible = feasible & table[f"meets {name}"]
    if not hopeless:
        _check_objectives(study, table)
    # Keep texts as objects: inferring their types takes as long as the designs.
    whole = {**table, "feasible": feasible, "failure": failure}
    return pd.DataFrame({n: pd.Series(v, dtype=v.dtype, copy=False) for n, v in whole.items()}, copy=False)


def _struck(values: np.ndarray, failed: np.ndarray) -> np.ndarray:
    """Return `values` without those of failed points."""
    if not failed.any():
        return values
    changed = values.copy() if values.dtype.kind == "f" else values.astype(object)
    changed[failed] = np.nan if values.dtype.kind == "f" else None
    return changed


def _check_objectives(study: Study, table: Mapping[str, np.ndarray]) -> None:
    for name in study.objectives:
        if name not in table:
            raise unknown_name("objective", name, table)
        if any(isinstance(value, str) for value in (table[name] if table[name].dtype == object else ())):
            raise InputError(f"objective {name} is a text: expected a column of numbers")


def _in_one_call(study: Study, inputs: Mapping[str, Any], points: int) -> dict[str, np.ndarray]:
    try:
        return dict(study.target.evaluate(inputs, points))
    except (Exception, SystemExit) as error:
        # Only for a user's function; the built-in ones report failing rows themselves.
        if points == 1:
            return {"failure": np.array([_reason(error)], dtype=object)}
    half = points // 2
    cuts = (slice(half), slice(half, points))
    parts = [
        _in_one_call(study, {n: v[cut] if np.ndim(v) else v for n, v in inputs.items()}, len(range(points)[cut]))
        for cut in cuts
    ]
    return joined(parts, [half, points - half])


def _one_by_one(study: Study, inputs: Mapping[str, Any], points: int) -> dict[str, np.ndarray]:
    parts: list[dict[str, np.ndarray]] = []
    whole = [name for name, each in study.space.items() if isinstance(each, Integer)]
    for i in range(points):
        one = {name: values[i] if np.ndim(values) else values for name, values in inputs.items()}
        one = {name: value.item() if isinstance(value, np.generic) else value for name, value in one.items()}
        # A column with gaps is float; restore integers.
        one |= {name: int(one[name]) for name in whole if one[name] == one[name]}
        try:
            parts.append(dict(study.target.evaluate(one, 1)))
        except (
            Exception,
            SystemExit,
        ) as error:  # any error of a simulation or a user's function is the row's reason
            parts.append({"failure": np.array([_reason(error)], dtype=object)})
    return joined(parts, [1] * points)


def _reason(error: BaseException) -> str:
    reason = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}".strip(": ")
    return one_line(reason)
