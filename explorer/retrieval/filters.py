"""Filters: boolean expressions over fields of documents, such as `year >= 2020 and (lang = 'en' or tag in (a, b))`.

A comparison is a field, one of = == != < <= > >= in, not in, and a value: a number, a name (quoted, or bare if it is a
word), or for `in` several in brackets. Ranges may be chained: `2000 <= year < 2010`. Comparisons are joined by and, or,
not and brackets. A document with a list satisfies a comparison if one entry does; `!=` and `not in` are the negations
of `=` and `in`, so documents without the field satisfy them, and no other comparison. Names are ordered as text, which
suits dates such as '2020-01-31'.

Python's own tokenizer and parser read the expression; only the forms above are accepted.
"""

import ast
import io
import operator
import token
import tokenize
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from explorer.retrieval.fields import Field
from hwbase import InputError, unknown_name
from hwbase.errors import shown

_MOST_CHARACTERS = 4000
_WORDS = ("and", "or", "not", "in")
_EXAMPLE = "year >= 2020 and (lang = 'en' or tag in (a, b))"
_ORDERS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
#: What a comparison becomes when its sides change places.
_TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.Gt,
    ast.LtE: ast.GtE,
    ast.Gt: ast.Lt,
    ast.GtE: ast.LtE,
    ast.Eq: ast.Eq,
    ast.NotEq: ast.NotEq,
}
_EQUALS = (ast.Eq, ast.NotEq, ast.In, ast.NotIn)
_NEGATED = (ast.NotEq, ast.NotIn)


def matching(expression: str, fields: Mapping[str, Field]) -> np.ndarray:
    """Return bool (documents,), true where the expression holds; see the module for what may be written.

    Raises `InputError` for an expression that is empty or cannot be read, an unknown field, a name that no document has
    in `=`, `!=`, `in` or `not in`, or an order of numbers where a field has none.

    >>> from explorer.retrieval.fields import read_field
    >>> fields = {"year": read_field([1999, 2021, None]), "tag": read_field([["a", "b"], ["c"], []])}
    >>> matching("year >= 2020 or tag = b", fields).tolist()
    [True, True, False]
    """
    tree, words = _parsed(expression)
    return _Reading(expression, fields, words).mask(tree.body)


def check_filter(expression: str) -> None:
    """Raise `InputError` for an expression that cannot be read, before fields are known."""
    tree, words = _parsed(expression)
    _Reading(expression, None, words).mask(tree.body)


def _parsed(expression: str) -> tuple[ast.Expression, dict[str, str]]:
    """Return the expression's tree and the words behind its names.

    Words other than and, or, not, in are numbered first, since some of them mean something in Python.
    """
    if not expression.strip():
        raise InputError(f"the filter is empty: expected an expression such as {_EXAMPLE}")
    if len(expression) > _MOST_CHARACTERS:
        raise InputError(
            f"the filter has {len(expression):,} characters: expected at most {_MOST_CHARACTERS:,}; "
            f"write 'field in (a, b)' for many values"
        )
    words: dict[str, str] = {}
    parts: list[tuple[int, str]] = []
    try:
        for kind, text, *_ in tokenize.generate_tokens(io.StringIO(f"({' '.join(expression.split())})").readline):
            if kind == token.NAME and text.lower() in _WORDS:
                text = text.lower()
            elif kind == token.NAME:
                key = f"w{len(words)}"
                words[key], text = text, key
            elif kind == token.OP and text == "=":
                text = "=="
            elif kind in (token.COMMENT, token.ERRORTOKEN) and text.strip():
                raise InputError(_unread(expression, f"{shown(text)} has no meaning"))
            parts.append((kind, text))
        return ast.parse(" ".join(text for _, text in parts).strip(), mode="eval"), words
    except (SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(_unread(expression, "brackets, quotes or operators do not fit together")) from None


def _unread(expression: str, reason: str) -> str:
    return f"filter {shown(expression)}: {reason}: expected an expression such as {_EXAMPLE}"


class _Reading:
    """The masks of one expression's parts. Without fields masks are empty, and only the form is checked."""

    def __init__(self, expression: str, fields: Mapping[str, Field] | None, words: Mapping[str, str]) -> None:
        self._expression = expression
        self._fields = fields
        self._words = words

    def mask(self, node: ast.expr) -> np.ndarray:
        if isinstance(node, ast.BoolOp):
            join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
            return np.asarray(join.reduce([self.mask(part) for part in node.values]))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return ~self.mask(node.operand)
        if isinstance(node, ast.Compare):
            return self._comparison(node)
        raise self._error("expected comparisons joined by and, or, not")

    def _comparison(self, node: ast.Compare) -> np.ndarray:
        """Return the mask of `field op value`, `value op field`, or a chain of orders about one field."""
        sides = [node.left, *node.comparators]
        pairs = [self._oriented(a, type(op), b) for a, op, b in zip(sides, node.ops, sides[1:], strict=False)]
        names = {name for name, _, _ in pairs}
        if len(names) > 1 or (len(pairs) > 1 and any(op in _EQUALS for _, op, _ in pairs)):
            raise self._error("a chain of comparisons may hold <, <=, >, >= about one field only")
        name = pairs[0][0]
        field = self._field(name)
        if field is None:
            return np.empty(0, bool)
        hits = np.ones(field.numbers.size, bool)
        for _, op, values in pairs:
            if op in _EQUALS:
                hits &= np.logical_or.reduce([self._equal(field, name, value) for value in values])
            else:
                hits &= self._ordered(field, name, op, values[0])
        mask = field.having(hits)
        return ~mask if pairs[0][1] in _NEGATED else mask

    def _oriented(
        self, left: ast.expr, op: type[ast.cmpop], right: ast.expr
    ) -> tuple[str, type[ast.cmpop], list[str | float]]:
        """Return (field, comparison, values), whichever side the field is on."""
        if op not in (*_EQUALS, *_ORDERS):
            raise self._error("expected one of = != < <= > >= in, not in")
        if isinstance(left, ast.Name):
            several = op in (ast.In, ast.NotIn)
            group = right.elts if several and isinstance(right, (ast.Tuple, ast.List, ast.Set)) else [right]
            if not group:
                raise self._error("expected a value between the brackets")
            return self._words[left.id], op, [self._value(part) for part in group]
        if not isinstance(right, ast.Name):
            raise self._error("expected a field on one side of a comparison")
        # 'a' in tag is tag = 'a'.
        turned = {ast.In: ast.Eq, ast.NotIn: ast.NotEq}.get(op) or _TURNED[op]
        return self._words[right.id], turned, [self._value(left)]

    def _value(self, node: ast.expr) -> str | float:
        if isinstance(node, ast.Name):
            return self._words[node.id]
        negative = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
        constant = node.operand if isinstance(node, ast.UnaryOp) and negative else node
        value = constant.value if isinstance(constant, ast.Constant) else None
        if isinstance(value, str) and not negative:
            return value
        if isinstance(value, (int, float)) and abs(value) <= np.finfo(float).max:
            return -value if negative else value
        raise self._error("expected a number, a word or a name in quotes as value (quote names such as 'new-york')")

    def _field(self, name: str) -> Field | None:
        if self._fields is None:
            return None
        if name not in self._fields:
            if not self._fields:
                raise self._error(f"no document has a field {name!r}; none has any field")
            raise unknown_name("field of the documents", name, self._fields)
        return self._fields[name]

    def _equal(self, field: Field, name: str, value: str | float) -> np.ndarray:
        if isinstance(value, str):
            if value not in field.names:
                if not field.names:
                    raise self._error(f"{name} holds numbers only: expected a number in place of {shown(value)}")
                raise unknown_name(name, value, field.names)
            return np.asarray(field.codes == field.code(value))
        hits = np.asarray(field.numbers == value)
        # Tags are names even where they were written as whole numbers.
        text = str(value)
        return hits | (field.codes == field.code(text)) if text in field.names else hits

    def _ordered(self, field: Field, name: str, op: type[ast.cmpop], value: str | float) -> np.ndarray:
        compare = _ORDERS[op]
        if isinstance(value, str):
            if not field.names:
                raise self._error(f"{name} holds numbers only: expected a number in place of {shown(value)}")
            named = np.array([compare(each, value) for each in field.names] + [False])
            return np.asarray(named[field.codes])
        if field.numbers.size and np.isnan(field.numbers).all():
            raise self._error(f"{name} holds names only: expected a name in quotes in place of {value}")
        return np.asarray(compare(field.numbers, value))

    def _error(self, reason: str) -> InputError:
        return InputError(_unread(self._expression, reason))
