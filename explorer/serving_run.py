"""One kind of machine under traffic, by name, and the faults that a command line asks for."""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import models
from hwbase import InputError, unknown_name
from hwsim.events.faults import KINDS, Fault
from hwsim.events.gpu import NODE_GPUS, serve_accelerator
from hwsim.events.machine import Progress
from hwsim.events.results import ServingResult
from hwsim.events.scheduling import Scheduling
from hwsim.events.serve import serve
from hwsim.events.traffic import Traffic


def serve_on(
    model: str | Path | models.LLMSpec,
    traffic: Traffic,
    on: str = "hnlpu",
    *,
    gpus: int = NODE_GPUS,
    machines: int = 1,
    route: str = "least-loaded",
    scheduling: Scheduling | None = None,
    book: str | None = None,
    set: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    grain: str = "service",
    faults: Iterable[Fault] = (),
    **hardwired: Any,
) -> ServingResult:
    """Return what `hwsim.serve` does, on "h100" with `gpus` of them in a node; `hardwired` is for "hnlpu" alone.

    Raises `InputError` as `hwsim.serve` and `serve_accelerator` do.
    """
    scheduling = scheduling or Scheduling()
    shared: dict[str, Any] = {"machines": machines, "route": route, "set": set, "progress": progress}
    if on != "h100":
        return serve(
            model, traffic, on, grain=grain, scheduling=scheduling, faults=faults, book=book, **shared, **hardwired
        )
    if grain != "service" or list(faults):
        raise InputError("h100 knows the service grain alone, without faults: expected --events service, no --fault")
    return serve_accelerator(
        models.load(model) if isinstance(model, (str, Path)) else model,
        traffic,
        gpus=gpus,
        scheduling=scheduling,
        book=book or on,
        **shared,
    )


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
