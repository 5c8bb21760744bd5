"""Networks that come with the package: the zoo's specs, and the sizes that public configuration files state."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from hwbase.parsing import read_toml
from models.spec import LLMSpec, spec_from_fields

#: Networks whose specs are written out field by field, one TOML file each.
ZOO = Path(__file__).parent / "zoo"
#: Networks as their configuration files have them, several to a TOML file.
CONFIGS = ZOO / "configs"


def reference_names() -> list[str]:
    """Return the names of the networks whose specs are written out field by field, sorted."""
    return sorted(path.stem for path in ZOO.glob("*.toml"))


def names() -> list[str]:
    """Return the names of all networks that come with the package, sorted."""
    return sorted({*reference_names(), *_entries()})


@cache
def known(name: str) -> LLMSpec:
    """Return the network of that name, which must be one of `names`."""
    path = ZOO / f"{name}.toml"
    return spec_from_fields(read_toml(path), path.name) if path.is_file() else _from_entry(name, _entries()[name])


@cache
def _entries() -> dict[str, dict[str, Any]]:
    return {name: entry for path in sorted(CONFIGS.glob("*.toml")) for name, entry in read_toml(path).items()}


def _from_entry(name: str, entry: dict[str, Any]) -> LLMSpec:
    from models.huggingface import spec_from_config

    spec = spec_from_config(entry["config"], name=name, where=name)
    fields: dict[str, Any] = {"source": entry["source"], "published_source": entry.get("published", "")}
    for what in ("total", "active"):
        if what in entry:
            digits = entry[what].split("e")[0].replace(".", "")
            fields |= {f"published_{what}": float(entry[what]), f"published_{what}_digits": len(digits)}
    return replace(spec, **fields)
