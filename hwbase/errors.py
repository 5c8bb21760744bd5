"""The one error that bad input raises: a sentence that names the field, the value and what was expected."""

import difflib
from collections.abc import Iterable

#: A name is suggested if it is at least this near to the given one (0 to 1, as difflib counts).
_NEAR = 0.5


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
    message = f"unknown {what} {str(given)!r}"

    def nearness(name: str) -> float:
        return difflib.SequenceMatcher(None, name.lower(), str(given).lower()).ratio()

    # Of several that are equally near, a name comes before an alias.
    near = max((*reversed(names), *map(str, aliases)), key=nearness, default="")
    if near and nearness(near) >= _NEAR:
        return InputError(f"{message}; did you mean {near!r}?")
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return InputError(f"{message}; expected one of: {shown}")
