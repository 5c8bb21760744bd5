"""The one error that bad input raises: a sentence that names the field, the value and what was expected."""

import difflib
import re
from collections.abc import Iterable

#: A name is suggested if it is at least this near to the given one (0 to 1, as difflib counts).
_NEAR = 0.5
#: Characters of an input that a message repeats.
MOST_SHOWN = 200
#: Characters at the start and at the end of a long message, and those of a message that is looked at.
_FIRST, _LAST, _READ = 900, 250, 20_000
_CONTROLS = re.compile(r"[\x00-\x1f\x7f\x80-\x9f\u2028\u2029]+")
#: Longer than what is shown of an input: a quotation, a list, or a word.
_LONG = re.compile(
    rf"(?<!\w)'(?:[^'\\]|\\.|(?<=\w)'(?=\w)){{{MOST_SHOWN},}}'(?!\w)"
    rf'|(?<!\w)"(?:[^"\\]|\\.){{{MOST_SHOWN},}}"(?!\w)'
    rf"|\[[^\[\]]{{{MOST_SHOWN},}}\]"
    rf"|\S{{{MOST_SHOWN + 1},}}"
)


class InputError(ValueError):
    """Input that cannot be used. The message is one sentence fit for a user; the command line exits with 2.

    >>> str(InputError("cannot read " + "x" * 1000)).count("x")
    197
    """

    def __init__(self, message: str) -> None:
        super().__init__(brief(message))


def brief(message: str) -> str:
    """Return a message on one line of at most 1,200 characters, with at most 200 of any word, list or quotation."""
    line = _CONTROLS.sub(" ", message[:_READ]).strip()
    line = _LONG.sub(lambda match: match[0][: MOST_SHOWN - 3] + "...", line)
    return line if len(line) <= _FIRST + _LAST else f"{line[:_FIRST]} ... {line[-_LAST:]}"


def cut(text: str, most: int = MOST_SHOWN) -> str:
    """Return `text` on one line, cut to `most` characters.

    >>> cut("a\\n  b"), cut("x" * 1000).count("x")
    ('a b', 197)
    """
    # Far more than is shown, so that white space can be joined without reading all of a long text.
    line = " ".join(text[: 4 * most].split())
    return line if len(line) <= most else line[: most - 3] + "..."


def shown(value: object, most: int = MOST_SHOWN) -> str:
    """Return `repr(value)` for a message, on one line and cut to `most` characters.

    >>> shown("fast"), shown([1, 2])
    ("'fast'", '[1, 2]')
    """
    if isinstance(value, (str, bytes)):
        value = value[: 2 * most]
    try:
        return cut(repr(value), most)
    except Exception:  # an integer of thousands of digits, or an object that cannot describe itself
        return f"a value of type {type(value).__name__}"


def unknown_name(what: str, given: object, valid: Iterable[str], aliases: Iterable[str] = ()) -> InputError:
    """Return an `InputError` for a name that is not among `valid`, with the nearest valid name suggested.

    Parameters
    ----------
    what : str
        What kind of name it is ("model", "field", ...).
    given : object
        The name as it was given.
    valid : iterable of str
        Names that are known; up to twelve are listed where none is near.
    aliases : iterable of str
        Other spellings, which may be suggested but are not listed.

    Returns
    -------
    InputError
        The error to raise.

    Examples
    --------
    >>> raise unknown_name("machine", "hnpu", ["hnlpu", "h100"])
    Traceback (most recent call last):
    hwbase.errors.InputError: unknown machine 'hnpu'; did you mean 'hnlpu'?
    """
    name = given if isinstance(given, str) else shown(given)
    names = sorted(str(each) for each in valid)
    message = f"unknown {what} {shown(name)}"
    start = name[:MOST_SHOWN].lower()

    def nearness(candidate: str) -> float:
        return difflib.SequenceMatcher(None, candidate.lower(), start).ratio()

    # Of several that are equally near, a name comes before an alias.
    near = max((*reversed(names), *map(str, aliases)), key=nearness, default="")
    if near and nearness(near) >= _NEAR:
        return InputError(f"{message}; did you mean {shown(near)}?")
    listed = ", ".join(cut(each) for each in names[:12]) + (", ..." if len(names) > 12 else "")
    return InputError(f"{message}; expected one of: {listed}")
