"""Texts to score: real prose from the standard library, or a user's file."""

import platform
from pathlib import Path

import numpy as np

from hwbase import InputError, parsing

#: Windows of calibration text and their length in tokens, unless given.
CALIBRATION_WINDOWS, CALIBRATION_LENGTH = 16, 512

_TOPICS = ("objects", "execmodel", "types")
#: Topics with little prose, which calibration text leaves out.
_TABLES = ("operator-summary", "debugger", "formatstrings", "bltin-ellipsis-object", "bltin-null-object")


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


def calibration_text() -> tuple[str, str]:
    """Return (source, text) of the other topics of the language reference, for calibration.

    A paragraph that `real_text` has too is left out, so what is measured there was never seen. Raises `InputError` for
    a Python without it.
    """
    _, scored = real_text()
    from pydoc_data.topics import topics

    seen = {_words(paragraph) for paragraph in scored.split("\n\n")}
    kept = [
        paragraph
        for name in sorted(topics)
        if name not in (*_TOPICS, *_TABLES)
        for paragraph in topics[name].strip().split("\n\n")
        if _words(paragraph) not in seen
    ]
    source = f"pydoc_data.topics but {'+'.join(_TOPICS)} of Python {platform.python_version()}"
    return source, "\n\n".join(dict.fromkeys(kept))


def calibration_windows(ids: np.ndarray, count: int, length: int, seed: int) -> np.ndarray:
    """Return token ids (windows, length): `count` pieces of a text drawn without replacement, in the text's order.

    Raises `InputError` for a text that is too short.
    """
    pieces = len(ids) // length
    if pieces < count:
        raise InputError(
            f"the calibration text has {len(ids)} tokens: expected at least {count * length}, "
            f"for {count} windows of {length}"
        )
    chosen = np.sort(np.random.default_rng(seed).permutation(pieces)[:count])
    return ids[: pieces * length].reshape(pieces, length)[chosen]


def _words(paragraph: str) -> str:
    return " ".join(paragraph.split())


def read_text(path: str | Path) -> str:
    """Return the text of a UTF-8 file. Raises `InputError` if it is missing, too long, or not UTF-8."""
    try:
        return parsing.read_text(Path(path))
    except InputError as error:
        raise InputError(f"text: {error}") from None
