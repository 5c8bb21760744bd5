"""Values from the command line: counts with K and M, and `key=value` overrides."""

from typing import Any

from hwbase import InputError

#: Binary multiples, as contexts are written: 64K is 65,536.
_SUFFIXES = {"k": 1024, "m": 1024**2}


def parse_count(name: str, text: str | None) -> int | None:
    """Return a whole number written as 65536, 65_536 or 64K (1,024 each); None stays None. Raises `InputError`."""
    if text is None:
        return None
    digits = text.strip().lower().replace("_", "").replace(",", "")
    scale = _SUFFIXES.get(digits[-1:], 1)
    try:
        value = float(digits[:-1] if scale > 1 else digits) * scale
    except ValueError:
        value = float("nan")
    if value != value or value in (float("inf"), float("-inf")) or value != int(value):
        raise InputError(f"{name} = {text!r}: expected a whole number such as 65536 or 64K")
    return int(value)


def need_count(name: str, text: str) -> int:
    """Return what `parse_count` makes of `text`, which must be there; raises `InputError`."""
    value = parse_count(name, text)
    if value is None:
        raise InputError(f"{name} is missing: expected a whole number")
    return value


def parse_overrides(pairs: list[str] | None, option: str = "--set") -> dict[str, Any]:
    """Return `["a=1", "b=18 kUSD"]` as {"a": "1", "b": "18 kUSD"}; raises `InputError` for anything else."""
    overrides: dict[str, Any] = {}
    for pair in pairs or []:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise InputError(f"{option} {pair!r}: expected key=value, such as link_bandwidth_bytes_per_s=256e9")
        if key.strip() in overrides:
            raise InputError(f"{option} {key.strip()} is given twice: expected once")
        overrides[key.strip()] = value.strip()
    return overrides
