"""Formulas over a study's columns, as users write them: arithmetic, comparisons and a few functions, nothing else."""

import ast
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hwbase import InputError, unknown_name

#: What a formula may call, element by element, and with how many arguments.
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
_BINARY: dict[type, Callable[..., Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.true_divide,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.mod,
    ast.Pow: np.power,
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
#: Operations within operations; far more than anyone writes, far less than Python's stack holds.
_DEEPEST = 100


def parse(name: str, text: Any) -> ast.expr:
    """Return the formula `text` as a tree; `name` says whose it is in messages.

    Names with a dot (`n5.wafer_price_usd`) are columns too. Raises `InputError` for what is no formula.
    """
    if not isinstance(text, str) or not text.strip() or len(text) > _LONGEST:
        raise InputError(f"{name} = {text!r:.200}: expected a formula such as 'tco_usd / tokens_per_s'")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        _check(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error) or "too many brackets"
        raise InputError(f"{name} = {text!r}: not a formula ({reason.splitlines()[0]})") from None
    return tree


def evaluate_formula(name: str, tree: ast.expr, columns: Mapping[str, np.ndarray]) -> Any:
    """Return the formula's value over `columns`; what is undefined (0/0, log of -1) is NaN or infinite.

    Raises `InputError` for an unknown column (the nearest suggested), and for operands that do not go together.
    """
    with np.errstate(all="ignore"):
        try:
            return _value(name, tree, columns)
        except (TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{name} = {ast.unparse(tree)!r}: cannot be computed ({error})") from None


def _check(tree: ast.expr, depth: int = 0) -> None:
    """Raise `ValueError` for anything but what `_value` computes."""
    if depth > _DEEPEST:
        raise ValueError(f"more than {_DEEPEST} operations within each other")
    match tree:
        case ast.Constant(value=bool() | int() | float() | str() as value):
            if isinstance(value, int):
                float(value)  # whole numbers of hundreds of digits are none
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
            # As floats: whole numbers to negative powers, and sums of large ones, come out as one expects.
            return _BINARY[type(op)](_number(of(left)), _number(of(right)))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return np.logical_not(truth(of(operand)))
        case ast.UnaryOp(op=op, operand=operand):
            number = _number(of(operand))
            return -number if isinstance(op, ast.USub) else number
        case ast.BoolOp(op=op, values=parts):
            join = np.logical_and if isinstance(op, ast.And) else np.logical_or
            return join.reduce(np.broadcast_arrays(*(truth(of(part)) for part in parts)))
        case ast.Compare(left=left, ops=ops, comparators=others):
            sides = [of(left), *(of(other) for other in others)]
            pairs = zip(ops, sides[:-1], sides[1:], strict=True)
            holds = [np.asarray(_COMPARE[type(op)](a, b), dtype=bool) for op, a, b in pairs]
            return np.logical_and.reduce(np.broadcast_arrays(*holds))
        case ast.Call(func=ast.Name(id="where"), args=[condition, this, that]):
            return _either(truth(of(condition)), of(this), of(that))
        case ast.Call(func=ast.Name(id=function), args=args):
            return FUNCTIONS[function][0](*(_number(of(argument)) for argument in args))
    raise AssertionError(f"unchecked formula: {ast.dump(tree)}")


def _number(value: Any) -> np.ndarray:
    """As floats; a missing flag or text is NaN."""
    value = np.asarray(value)
    if value.dtype.kind in "US" or any(isinstance(each, str) for each in value[value != None].flat[:1]):  # noqa: E711
        raise TypeError("a text where a number is expected")
    return value.astype(float)


def truth(value: Any) -> np.ndarray:
    """Return flags as such; a missing one does not hold. Raises `TypeError` for numbers and texts."""
    value = np.asarray(value)
    if value.dtype == object and all(isinstance(each, (bool, type(None))) for each in value.flat):
        value = np.equal(value, True).astype(bool)
    if value.dtype != bool:
        raise TypeError("a number or text where a comparison is expected")
    return value


def _either(holds: np.ndarray, this: Any, that: Any) -> np.ndarray:
    sides = [np.asarray(side) for side in (this, that)]
    texts = [side.dtype.kind in "OUS" for side in sides]
    if texts[0] != texts[1]:
        raise TypeError("a text in one branch and a number in the other")
    # As objects, texts of different lengths are no different.
    return np.where(holds, *(side.astype(object) if texts[0] else side for side in sides))


def _dotted(tree: ast.expr) -> str:
    if isinstance(tree, ast.Name):
        return tree.id
    if isinstance(tree, ast.Attribute):
        return f"{_dotted(tree.value)}.{tree.attr}"
    raise ValueError(f"{type(tree).__name__.lower()} before a dot is not allowed")
