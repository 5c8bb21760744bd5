"""Texts to score: real prose from the standard library, or a user's file."""

import platform
from pathlib import Path

from hwbase import InputError

_TOPICS = ("objects", "execmodel", "types")


_MOST_TEXT_BYTES = 1 << 26


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
    shown = str(path)[:200]
    try:
        if "\0" in str(path) or not Path(path).is_file():
            raise InputError(f"text = {shown!r}: expected a file")
        if Path(path).stat().st_size > _MOST_TEXT_BYTES:
            raise InputError(f"text = {shown!r}: expected at most {_MOST_TEXT_BYTES} bytes")
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"text = {shown!r} is not UTF-8 at byte {error.start}: expected UTF-8") from None
    except OSError as error:
        raise InputError(f"text = {shown!r} cannot be read: {error.strerror or error}") from None
