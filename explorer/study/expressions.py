"""Formulas over a study's columns, as users write them: arithmetic, comparisons and a few functions only.

A comparison with an unknown value (NaN, None) is unknown, and an unknown constraint is not met: `not`, `and` and `or`
follow Kleene's logic. `isnan` tests whether a number is unknown.
"""

import ast
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hwbase import InputError, unknown_name
from hwbase.columns import column as listed_column
from hwbase.columns import is_known
from hwbase.units import DIMENSIONLESS

#: Functions of formulas, element by element, with their numbers of arguments.
FUNCTIONS: dict[str, tuple[Callable[..., Any], int]] = {
    "abs": (np.abs, 1),
    "ceil": (np.ceil, 1),
    "exp": (np.exp, 1),
    "floor": (np.floor, 1),
    "isnan": (np.isnan, 1),
    "log": (np.log, 1),
    "log10": (np.log10, 1),
    "log2": (np.log2, 1),
    "max": (np.maximum, 2),
    "min": (np.minimum, 2),
    "sqrt": (np.sqrt, 1),
    "where": (np.where, 3),
}


def _power(base: np.ndarray, exponent: np.ndarray) -> Any:
    """Return base ** exponent, NaN wherever either is NaN (NumPy takes 1 ** NaN and NaN ** 0 as 1)."""
    return np.where(np.isnan(base) | np.isnan(exponent), np.nan, np.power(base, exponent))


_BINARY: dict[type, Callable[..., Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.true_divide,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.mod,
    ast.Pow: _power,
}
_COMPARE: dict[type, Callable[..., Any]] = {
    ast.Lt: lambda a, b: a < b,
    ast.LtE: lambda a, b: a <= b,
    ast.Gt: lambda a, b: a > b,
    ast.GtE: lambda a, b: a >= b,
    ast.Eq: lambda a, b: a == b,
    ast.NotEq: lambda a, b: a != b,
}
_LONGEST = 2000
#: A number with a unit or suffix, which needs no quotes: 5 ms, 128 GB/s, 64K.
_WITH_UNIT = re.compile(
    r"(?<![\w.])((?>(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*(?!(?:and|or|not|if|else|in|is)\b)"
    r"[A-Za-zµ]\w*(?:\*\*\d+)?(?:/[A-Za-zµ]\w*(?:\*\*\d+)?)*)"
)
_QUOTED = re.compile(r"""('[^']*'|"[^"]*")""")
#: Marks a text that was a number with a unit.
_MARK = "\u2063"
#: Most nested operations; far more than anyone writes, far fewer than Python's stack allows.
_DEEPEST = 100


def parse(name: str, text: Any) -> ast.expr:
    """Return the formula `text` as a tree; `name` is its name in messages.

    Names with a dot (`n5.wafer_price_usd`) are columns too. A column may be compared with a number and its unit
    (`latency_s <= 5 ms`, `context >= 64K`), which is read in the column's unit. Raises `InputError` for an invalid
    formula, and for a unit that does not fit the column.
    """
    if not isinstance(text, str) or not text.strip() or len(text) > _LONGEST:
        raise InputError(f"{name} = {text!r:.200}: expected a formula such as 'tco_usd / tokens_per_s'")
    try:
        tree = ast.parse(_quote_units(text.strip()), mode="eval").body
        _check(tree)
        tree = _ReadUnits().visit(tree)
    except InputError as error:
        raise InputError(f"{name} = {text!r}: {error}") from None
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error) or "too many brackets"
        raise InputError(f"{name} = {text!r}: not a formula ({reason.splitlines()[0]})") from None
    return tree


def column_names(tree: ast.expr) -> Iterator[str]:
    """Yield the columns that a formula reads, as often as it does."""
    if isinstance(tree, (ast.Name, ast.Attribute)):
        yield _dotted(tree)
        return
    for part in tree.args if isinstance(tree, ast.Call) else ast.iter_child_nodes(tree):
        if isinstance(part, ast.expr):
            yield from column_names(part)


def check_columns(name: str, tree: ast.expr, known: Collection[str]) -> None:
    """Raise `InputError`, with the nearest name, for a column that a formula reads and that is not among `known`."""
    for each in column_names(tree):
        if each not in known:
            raise unknown_name(f"column in {name}:", each, known)


def evaluate_formula(name: str, tree: ast.expr, columns: Mapping[str, np.ndarray]) -> Any:
    """Return the formula's value over `columns`: numbers, texts, or flags, which are None where they are unknown.

    Undefined values (0/0, log of -1) are NaN or infinite. Raises `InputError` for an unknown column (the nearest
    suggested), and for incompatible operands.
    """
    with np.errstate(all="ignore"):
        try:
            value = _value(name, tree, columns)
        except (TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{name} = {ast.unparse(tree)!r}: cannot be computed ({error})") from None
    return value.flags() if isinstance(value, _Truth) else value


@dataclass(frozen=True)
class _Truth:
    """The truth of a condition, row by row, and where it is known."""

    holds: np.ndarray
    known: np.ndarray

    def flags(self) -> np.ndarray:
        if self.known.all():
            return self.holds
        flags = np.array(self.holds, dtype=object)
        flags[~self.known] = None
        # A flag alone where no column is in the formula.
        return flags[()]


class _ReadUnits(ast.NodeTransformer):
    """Replaces texts compared with a column of numbers by numbers in the column's unit."""

    def visit_Compare(self, tree: ast.Compare) -> ast.Compare:
        sides = [
            side if isinstance(side, ast.Constant) else self.visit(side) for side in (tree.left, *tree.comparators)
        ]
        # Find the neighbours of each side before reading any of them.
        near = [[*sides[max(i - 1, 0) : i], *sides[i + 1 : i + 2]] for i in range(len(sides))]
        sides = [_read_side(side, others) for side, others in zip(sides, near, strict=True)]
        return ast.Compare(left=sides[0], ops=tree.ops, comparators=sides[1:])

    def visit_Constant(self, tree: ast.Constant) -> ast.Constant:
        if isinstance(tree.value, str) and tree.value.startswith(_MARK):
            raise _lonely(tree.value.removeprefix(_MARK))
        return tree


def _lonely(text: str) -> InputError:
    return InputError(f"{text!r} has a unit: expected it beside a column, such as latency_s <= 5 ms")


def _read_side(side: ast.expr, others: list[ast.expr]) -> ast.expr:
    if not isinstance(side, ast.Constant) or not isinstance(side.value, str):
        return side
    text, marked = side.value.removeprefix(_MARK), side.value.startswith(_MARK)
    names = [_dotted(other) for other in others if isinstance(other, (ast.Name, ast.Attribute))]
    if not names:
        if marked:
            raise _lonely(text)
        return side
    entry = listed_column(names[0])
    is_measured = entry.numeric and (is_known(names[0]) or entry.unit != DIMENSIONLESS)
    if not marked and not is_measured:
        return side
    return ast.copy_location(ast.Constant(float(entry.read(text))), side)


def _quote_units(text: str) -> str:
    parts = _QUOTED.split(text)
    parts[::2] = [_WITH_UNIT.sub(lambda match: f"'{_MARK}{match[1]}'", part) for part in parts[::2]]
    return "".join(parts)


def _check(tree: ast.expr, depth: int = 0) -> None:
    """Raise `ValueError` for anything that `_value` does not compute."""
    if depth > _DEEPEST:
        raise ValueError(f"more than {_DEEPEST} nested operations")
    match tree:
        case ast.Constant(value=bool() | int() | float() | str() as value):
            if isinstance(value, int):
                float(value)  # raises OverflowError for hundreds of digits
        case ast.Name():
            return
        case ast.Attribute():
            _dotted(tree)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            _check(left, depth + 1)
            _check(right, depth + 1)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() | ast.Not(), operand=operand):
            _check(operand, depth + 1)
        case ast.BoolOp(values=parts):
            for part in parts:
                _check(part, depth + 1)
        case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in _COMPARE for op in ops):
            for part in (left, *others):
                _check(part, depth + 1)
        case ast.Call(func=ast.Name(id=function), args=args, keywords=[]):
            if function not in FUNCTIONS:
                raise unknown_name("function", function, FUNCTIONS)
            if len(args) != FUNCTIONS[function][1]:
                raise ValueError(f"{function} takes {FUNCTIONS[function][1]}, not {len(args)}")
            for part in args:
                _check(part, depth + 1)
        case ast.Call(func=ast.Name(id=function)):
            raise ValueError(f"{function} takes its arguments in order, not by name")
        case _:
            raise ValueError(f"{type(tree).__name__.lower()} is not allowed")


def _value(name: str, tree: ast.expr, columns: Mapping[str, np.ndarray]) -> Any:
    def of(part: ast.expr) -> Any:
        return _value(name, part, columns)

    match tree:
        case ast.Constant(value=value):
            return float(value) if type(value) in (int, float) else value  # type: ignore[arg-type]
        case ast.Name() | ast.Attribute():
            column = _dotted(tree)
            if column not in columns:
                raise unknown_name(f"column in {name}:", column, columns)
            return columns[column]
        case ast.BinOp(left=left, op=op, right=right):
            # As floats, so that negative powers and large sums of whole numbers behave as expected.
            return _BINARY[type(op)](_number(of(left)), _number(of(right)))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            operand_truth = _truth(of(operand))
            return _Truth(~operand_truth.holds & operand_truth.known, operand_truth.known)
        case ast.UnaryOp(op=op, operand=operand):
            number = _number(of(operand))
            return -number if isinstance(op, ast.USub) else number
        case ast.BoolOp(op=op, values=parts):
            return _joined([_truth(of(part)) for part in parts], all_of=isinstance(op, ast.And))
        case ast.Compare(left=left, ops=ops, comparators=others):
            sides = [of(left), *(of(other) for other in others)]
            pairs = zip(ops, sides[:-1], sides[1:], strict=True)
            return _joined([_compared(_COMPARE[type(op)], a, b) for op, a, b in pairs], all_of=True)
        case ast.Call(func=ast.Name(id="where"), args=[condition, this, that]):
            return _either(_truth(of(condition)), of(this), of(that))
        case ast.Call(func=ast.Name(id=function), args=args):
            return FUNCTIONS[function][0](*(_number(of(argument)) for argument in args))
    raise AssertionError(f"unchecked formula: {ast.dump(tree)}")


def _number(value: Any) -> np.ndarray:
    """Return floats; a missing flag or text is NaN."""
    value = _plain(value)
    if _is_text(value):
        raise TypeError("a text where a number is expected")
    return value.astype(float)


def truth(value: Any) -> np.ndarray:
    """Return flags; an unknown one is false. Raises `TypeError` for numbers and texts."""
    return _truth(value).holds


def _truth(value: Any) -> _Truth:
    if isinstance(value, _Truth):
        return value
    value = np.asarray(value)
    known = np.ones(value.shape, dtype=bool)
    if value.dtype == object and all(isinstance(each, (bool, type(None))) for each in value.flat):
        known = np.asarray(~pd.isna(value))
        value = np.equal(value, True).astype(bool)
    if value.dtype != bool:
        raise TypeError("a number or text where a comparison is expected")
    return _Truth(value, known)


def _compared(compare: Callable[..., Any], a: Any, b: Any) -> _Truth:
    a, b = _plain(a), _plain(b)
    if (_is_text(a) or _is_text(b)) and compare not in (_COMPARE[ast.Eq], _COMPARE[ast.NotEq]):
        raise TypeError("texts have no order")
    known = np.asarray(~(pd.isna(a) | pd.isna(b)))
    a, b = np.broadcast_arrays(a, b)
    holds = np.zeros(known.shape, dtype=bool)
    holds[known] = np.asarray(compare(a[known], b[known]), dtype=bool)
    return _Truth(holds, known)


def _joined(parts: list[_Truth], all_of: bool) -> _Truth:
    """Return Kleene's and (or or): unknown unless a known part decides."""
    holds = np.broadcast_arrays(*(part.holds for part in parts))
    known = np.broadcast_arrays(*(part.known for part in parts))
    decided = [known_part & (holds_part != all_of) for holds_part, known_part in zip(holds, known, strict=True)]
    decides, all_known = np.logical_or.reduce(decided), np.logical_and.reduce(known)
    return _Truth(~decides & all_known if all_of else decides, decides | all_known)


def _plain(value: Any) -> np.ndarray:
    return np.asarray(value.flags() if isinstance(value, _Truth) else value)


def _is_text(value: np.ndarray) -> bool:
    return value.dtype.kind in "US" or (
        value.dtype == object and any(isinstance(each, str) for each in value[value != None].flat[:1])  # noqa: E711
    )


def _either(condition: _Truth, this: Any, that: Any) -> Any:
    sides = [_plain(side) for side in (this, that)]
    texts = [side.dtype.kind in "OUS" for side in sides]
    if texts[0] != texts[1]:
        raise TypeError("a text in one branch and a number in the other")
    # As objects, so that texts of different lengths have one type.
    value = np.where(condition.holds, *(side.astype(object) if texts[0] else side for side in sides))
    if condition.known.all():
        return value
    value = value.astype(float if value.dtype.kind in "iuf" else object)
    value[~np.broadcast_to(condition.known, value.shape)] = np.nan if value.dtype.kind == "f" else None
    return value


def _dotted(tree: ast.expr) -> str:
    if isinstance(tree, ast.Name):
        return tree.id
    if isinstance(tree, ast.Attribute):
        return f"{_dotted(tree.value)}.{tree.attr}"
    raise ValueError(f"{type(tree).__name__.lower()} before a dot is not allowed")
