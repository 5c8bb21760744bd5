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


def parse(name: str, text: Any) -> ast.expr:
    """Return the formula `text` as a tree; `name` says whose it is in messages.

    Names with a dot (`n5.wafer_price_usd`) are columns too. Raises `InputError` for what is no formula.
    """
    if not isinstance(text, str) or not text.strip() or len(text) > _LONGEST:
        raise InputError(f"{name} = {text!r:.200}: expected a formula such as 'tco_usd / tokens_per_s'")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        _check(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise InputError(f"{name} = {text!r}: not a formula ({reason})") from None
    return tree


def names(tree: ast.expr) -> list[str]:
    """Return the columns that a formula reads, in order of appearance."""
    if isinstance(tree, (ast.Name, ast.Attribute)):
        return [_dotted(tree)]
    inside = tree.args if isinstance(tree, ast.Call) else list(ast.iter_child_nodes(tree))
    return list(dict.fromkeys(name for child in inside if isinstance(child, ast.expr) for name in names(child)))


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
            raise InputError(f"{name}: {ast.unparse(tree)!r} cannot be computed ({error})") from None


def _check(tree: ast.expr) -> None:
    """Raise `ValueError` for anything but what `_value` computes."""
    match tree:
        case ast.Constant(value=bool() | int() | float() | str()) | ast.Name():
            return
        case ast.Attribute():
            _dotted(tree)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            _check(left)
            _check(right)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() | ast.Not(), operand=operand):
            _check(operand)
        case ast.BoolOp(values=values):
            for value in values:
                _check(value)
        case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in _COMPARE for op in ops):
            for value in (left, *others):
                _check(value)
        case ast.Call(func=ast.Name(id=function), args=args, keywords=[]):
            if function not in FUNCTIONS:
                raise unknown_name("function", function, FUNCTIONS)
            if len(args) != FUNCTIONS[function][1]:
                raise ValueError(f"{function} takes {FUNCTIONS[function][1]}, not {len(args)}")
            for value in args:
                _check(value)
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
            return _BINARY[type(op)](*(np.asarray(of(side), dtype=float) for side in (left, right)))
        case ast.UnaryOp(op=op, operand=operand):
            value = of(operand)
            if isinstance(op, ast.Not):
                return np.logical_not(value)
            return -np.asarray(value, dtype=float) if isinstance(op, ast.USub) else value
        case ast.BoolOp(op=op, values=parts):
            join = np.logical_and if isinstance(op, ast.And) else np.logical_or
            return join.reduce(np.broadcast_arrays(*(of(part) for part in parts)))
        case ast.Compare(left=left, ops=ops, comparators=others):
            sides = [of(left), *(of(other) for other in others)]
            pairs = zip(ops, sides[:-1], sides[1:], strict=True)
            return np.logical_and.reduce([np.asarray(_COMPARE[type(op)](a, b)) for op, a, b in pairs])
        case ast.Call(func=ast.Name(id=function), args=args):
            return FUNCTIONS[function][0](*(of(argument) for argument in args))
    raise AssertionError(f"unchecked formula: {ast.dump(tree)}")


def _dotted(tree: ast.expr) -> str:
    if isinstance(tree, ast.Name):
        return tree.id
    if isinstance(tree, ast.Attribute):
        return f"{_dotted(tree.value)}.{tree.attr}"
    raise ValueError(f"{type(tree).__name__.lower()} before a dot is not allowed")
