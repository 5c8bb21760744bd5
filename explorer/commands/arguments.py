"""Values from the command line: counts with K and M, and `key=value` overrides."""

from typing import Annotated, Any

import typer

from hwbase import InputError
from hwbase.values import read_count as parse_count

Model = Annotated[str, typer.Argument(help="A model of `hwsim models`, a TOML spec, or a Hugging Face config.json.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="Override a constant: key=value, with a unit if you like.")
]
UserBook = Annotated[str | None, typer.Option("--book", help="An assumption book (TOML) that extends one of ours.")]
Context = Annotated[str, typer.Option("--context", help="Positions a sequence has, such as 2048 or 64K.")]
Technology = Annotated[str, typer.Option("--technology", help="Technology book, such as n5-synthesised.")]
Volume = Annotated[str, typer.Option("--volume", help="Systems built.")]
Convention = Annotated[str, typer.Option("--convention", help="as-published or corrected.")]


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
