"""The one error that bad input raises: a sentence that names the field, the value and what was expected."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Input that cannot be used. The message is one sentence fit for a user; the command line exits with 2."""


def unknown_name(what: str, given: object, valid: Iterable[str], aliases: Iterable[str] = ()) -> InputError:
    """Return an `InputError` for a name that is not among `valid`, with the nearest valid name suggested.

    `what` says what kind of name it is ("model", "field", ...). `aliases` may be suggested too, but are not listed.

    >>> raise unknown_name("machine", "hnpu", ["hnlpu", "h100"])
    Traceback (most recent call last):
    hwbase.errors.InputError: unknown machine 'hnpu'; did you mean 'hnlpu'?
    """
    names = sorted(str(name) for name in valid)
    lowered = {name.lower(): name for name in (*names, *(str(name) for name in aliases))}
    near = difflib.get_close_matches(str(given).lower(), list(lowered), n=1, cutoff=0.5)
    message = f"unknown {what} {str(given)!r}"
    if near:
        return InputError(f"{message}; did you mean {lowered[near[0]]!r}?")
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return InputError(f"{message}; expected one of: {shown}")
