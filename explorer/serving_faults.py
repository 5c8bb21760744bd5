"""Faults that a command line asks for."""

import dataclasses
from typing import Any

from hwbase import InputError, unknown_name
from hwsim.events.faults import KINDS, Fault


def parse_fault(text: str) -> Fault:
    """Return a fault written as kind,name=value,...: "link,at_s=10,chip=0,peer=1". Raises `InputError`.

    Names are the fields of `hwsim.events.faults.Fault`.
    """
    kind, *parts = (part.strip() for part in text.split(","))
    if kind not in KINDS:
        raise unknown_name("fault", kind, KINDS)
    fields = {field.name: field for field in dataclasses.fields(Fault) if field.name != "kind"}
    given: dict[str, Any] = {}
    for part in parts:
        name, _, value = part.partition("=")
        if name not in fields:
            raise unknown_name(f"part of --fault {text!r}:", name, fields)
        if name == "stop":
            if value not in ("", "true", "false"):
                raise InputError(f"--fault {text!r}: stop = {value!r}: expected true or false")
            given[name] = value != "false"
            continue
        try:
            given[name] = int(value) if name in ("chip", "peer") else float(value)
        except ValueError:
            raise InputError(f"--fault {text!r}: {name} = {value!r}: expected a number") from None
    for name in ("at_s", "chip"):
        if name not in given:
            raise InputError(f"--fault {text!r}: {name} is missing: expected such as link,at_s=10,chip=0,peer=1")
    return Fault(kind, **given)
