"""Names selected by patterns: `*` stands for any characters, `?` for one."""

from collections.abc import Iterable
from fnmatch import fnmatchcase


def matching(pattern: str, names: Iterable[str]) -> list[str]:
    """Return the names that `pattern` is or matches, in order, each once.

    Brackets are part of a name where names have them ("blocks[0].*"); otherwise they hold a class of characters.

    Examples
    --------
    >>> matching("m[0].*", ["m[0].q", "m0.q"]), matching("m[01].q", ["m0.q", "m2.q"])
    (['m[0].q'], ['m0.q'])
    """
    distinct = list(dict.fromkeys(names))
    if pattern in distinct:
        return [pattern]
    bracketed = any("[" in name for name in distinct)
    glob = pattern.replace("[", "[[]") if bracketed else pattern
    return [name for name in distinct if fnmatchcase(name, glob)]
