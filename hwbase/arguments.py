"""Arguments of public functions, checked against their annotations before anything reads them.

Libraries that check annotations (beartype, typeguard) read them literally. Here a number may be a text with a unit
("64K"), a text is never a list, and each refusal is one sentence of ours: most of this module would remain beside them.
"""

import functools
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np

from hwbase.errors import InputError, shown, unknown_name

P = ParamSpec("P")
T = TypeVar("T")
#: Numbers are checked where they are read, with their limits.
_NUMBERS = (int, float)
_WORDS = {str: "a text", Path: "a path", bool: "True or False", type(None): "None", Callable: "a function"}


def checked(function: Callable[P, T]) -> Callable[P, T]:
    """Return the function with its arguments checked: texts, flags, mappings, lists and records by their types.

    The function raises `InputError` for an argument of another type, and for an unknown name (nearest suggested).
    Numbers, and what is annotated as Any, are left to the function.
    """
    signature = inspect.signature(function)
    names = [name for name, each in signature.parameters.items() if each.kind is not inspect.Parameter.VAR_KEYWORD]
    is_open = len(names) < len(signature.parameters)

    @functools.wraps(function)
    def call(*arguments: P.args, **options: P.kwargs) -> T:
        _check(function, dict(zip(names, arguments, strict=False)) | options, None if is_open else names)
        return function(*arguments, **options)

    return call


def record_of(record: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Return a dataclass's record of arguments that are checked as those of a function."""
    names = [*inspect.signature(record).parameters]
    _check(record, dict(zip(names, arguments, strict=False)) | options, names)
    return record(*arguments, **options)


def _check(function: Callable[..., Any], given: Mapping[str, Any], names: list[str] | None) -> None:
    hints = _hints(function)
    for name, value in given.items():
        if names is not None and name not in names:
            raise unknown_name(f"argument of {getattr(function, '__name__', 'it')}:", name, names)
        hint = hints.get(name, Any)
        # A function refuses its older names itself, and says what to use.
        if hint is not type(None) and not _fits(value, hint):
            raise InputError(f"{name} = {shown(value)}: expected {_words(hint)}")


@functools.cache
def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    return typing.get_type_hints(function)


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value has the type of an annotation, as far as it is looked at."""
    origin, parts = typing.get_origin(hint) or hint, typing.get_args(hint)
    if hint is Any:
        return True
    if origin in _NUMBERS:
        # What kind of number, and its limits, are checked where it is read.
        return (value is not None and not isinstance(value, Iterable | type)) or _is_scalar(value)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is typing.Literal:
        return isinstance(value, str)
    if origin is bool:
        return isinstance(value, (bool, np.bool_))
    if origin is Callable:
        return callable(value)
    if not isinstance(origin, type):
        return True
    if issubclass(origin, Mapping):
        return isinstance(value, Mapping) and (
            not parts or all(_fits(key, parts[0]) and _fits(each, parts[1]) for key, each in value.items())
        )
    if issubclass(origin, Iterable) and origin.__module__ in ("collections.abc", "builtins") and origin is not str:
        # A text is a list of its characters to Python, and never meant as one.
        if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable) or _is_scalar(value):
            return False
        # The elements of a generator are there only once.
        return isinstance(value, types.GeneratorType) or all(_fits(each, parts[0]) for each in value if parts)
    return isinstance(value, origin)


def _is_scalar(value: Any) -> bool:
    """Whether a value is a text, which may state a number with its unit, or an array of one number."""
    return isinstance(value, str) or getattr(value, "shape", None) == ()


def _words(hint: Any) -> str:
    """Return an annotation in words: "a text, a path or None"."""
    parts = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    words = dict.fromkeys(_word(part) for part in parts)
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last


def _word(hint: Any) -> str:
    origin, parts = typing.get_origin(hint) or hint, typing.get_args(hint)
    if origin in _WORDS:
        return _WORDS[origin]
    if origin in _NUMBERS:
        return "a number"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "a mapping from names"
    if isinstance(origin, type) and issubclass(origin, Iterable) and parts:
        return f"a list, each {_words(parts[0])}"
    return f"a {origin.__name__}" if isinstance(origin, type) else "another value"
