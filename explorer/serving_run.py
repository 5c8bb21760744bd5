"""One machine under traffic, by name."""

from collections.abc import Mapping
from typing import Any

import models
from hwbase import InputError, unknown_name
from hwsim.events.gpu import NODE_GPUS, serve_accelerator
from hwsim.events.machine import Progress
from hwsim.events.results import ServingResult
from hwsim.events.traffic import Traffic

#: How finely a hardwired machine is simulated.
GRAINS = ("service", "detailed")


def serve_on(
    model: str | models.LLMSpec,
    traffic: Traffic,
    on: str = "hnlpu",
    *,
    grain: str = "service",
    gpus: int = NODE_GPUS,
    machines: int = 1,
    route: str = "least-loaded",
    policy: str = "first-come",
    prefill_cap: int | None = None,
    max_context: int | None = None,
    book: str | None = None,
    set: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> ServingResult:
    spec = models.load(model) if isinstance(model, str) else model
    if on == "h100":
        if grain == "detailed":
            raise InputError("--events detailed is for hnlpu: expected --events service with --on h100")
        return serve_accelerator(
            spec,
            traffic,
            gpus=gpus,
            machines=machines,
            route=route,
            policy=policy,
            prefill_cap=prefill_cap,
            max_context=max_context,
            book=book or "h100",
            set=set,
            progress=progress,
        )
    raise unknown_name("machine", on, ("h100",))
