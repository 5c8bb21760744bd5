"""Texts to score: real prose from the standard library, or a user's file."""

import platform
from pathlib import Path

from hwbase import InputError, parsing

_TOPICS = ("objects", "execmodel", "types")


def real_text() -> tuple[str, str]:
    """Return (source, text) of the language reference in Python's standard library, about 52,000 characters.

    Raises `InputError` for a Python without it.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise InputError("this Python has no pydoc_data.topics: expected a text of your own") from None
    text = "\n\n".join(topics[name].strip() for name in _TOPICS)
    return f"pydoc_data.topics {'+'.join(_TOPICS)} of Python {platform.python_version()}", text


def read_text(path: str | Path) -> str:
    """Return the text of a UTF-8 file. Raises `InputError` if it is missing, too long, or not UTF-8."""
    try:
        return parsing.read_text(Path(path))
    except InputError as error:
        raise InputError(f"text: {error}") from None
