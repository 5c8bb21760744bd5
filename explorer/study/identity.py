"""A digest of all that the results of a study depend on besides the study itself."""

import hashlib
import importlib.util
import inspect
import json
import pickle
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import hwsim
from hwbase import InputError

#: Folders, relative to this package, of all shipped constants and networks.
_DATA = ("hwsim/books", "costmodel/books", "models/zoo")


def digest_of(content: Mapping[str, Any], texts: list[str], function: str | Callable[..., Any]) -> str:
    """Return a SHA-256 of all that determines the results.

    It covers `content`, the version, every shipped book and network, the files that `texts` name, and the code of
    `function` ("" for none).
    """
    whole = {
        "version": hwsim.__version__,
        "books": _shipped(),
        "files": {text: _file(text) for text in sorted(set(texts)) if _file(text)},
        "code": _code(function),
        **content,
    }
    return hashlib.sha256(json.dumps(whole, sort_keys=True, default=str).encode()).hexdigest()


def shipped_files() -> Iterator[Path]:
    """Yield the shipped files of constants and networks, in order."""
    root = Path(hwsim.__file__).parent.parent
    for folder in _DATA:
        yield from sorted((root / folder).glob("*.toml"))


def _shipped() -> str:
    """Return a hash of the shipped files, so that a changed constant changes the digest."""
    digest = hashlib.sha256()
    for path in shipped_files():
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _file(text: str) -> str:
    """Return the SHA-256 of the named file (a book, a network, traffic), or "" if there is none."""
    try:
        path = Path(text)
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    except (OSError, ValueError):
        return ""


def _code(function: str | Callable[..., Any]) -> str:
    """Return the whole module of a function given by name, otherwise its source and the values it closes over."""
    if isinstance(function, str):
        module, colon, _ = function.partition(":")
        try:
            spec = importlib.util.find_spec(module) if colon else None
        except (ImportError, ValueError):  # a module without a specification
            spec = None
        return _file(spec.origin) if spec and spec.origin else ""
    inner = getattr(function, "func", None)  # functools.partial
    if callable(inner):
        arguments, keywords = getattr(function, "args", ()), getattr(function, "keywords", {})
        return f"{_code(inner)} of {_value_text(arguments)} {_value_text(keywords)}"
    if not inspect.isroutine(function):
        return f"{_source(type(function))} with {_value_text(getattr(function, '__dict__', {}))}"
    cells = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    defaults = (getattr(function, "__defaults__", None), getattr(function, "__kwdefaults__", None))
    bound = getattr(function, "__self__", None)
    return f"{_source(function)} with {_value_text(cells)} {_value_text(defaults)} {_value_text(bound)}"


def _source(thing: Any) -> str:
    try:
        return inspect.getsource(thing)
    except (OSError, TypeError):
        code = getattr(thing, "__code__", None)
        return repr(code and (code.co_code, code.co_consts))


def _value_text(value: Any) -> str:
    """Return values as text, exact if they can be pickled."""
    try:
        return hashlib.sha256(pickle.dumps(value, protocol=5)).hexdigest()
    except Exception:  # an object may raise anything when pickled
        return repr(value)


def check_fixed(name: str, value: Any) -> None:
    """Raise `InputError` unless a fixed value is one number, text, flag or None, which a file can hold."""
    if value is None or isinstance(value, (bool, str)):
        return
    if isinstance(value, (int, float)) and value == value and abs(value) != float("inf"):
        return
    raise InputError(f"fixed {name} = {value!r}: expected one finite number, text or flag; what varies is a parameter")
