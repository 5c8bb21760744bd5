"""The networks that can be measured by name, and how each is made on its calibration and on held-out inputs."""

from collections.abc import Callable
from functools import partial
from typing import Any

from explorer.precision.language import language_network
from explorer.precision.networks import Network
from explorer.precision.terrain import terrain_network
from hwbase import unknown_name
from models.diffusion import TERRAIN_MODEL
from models.inference import DEFAULT_MODEL

#: Makers of networks, by the names that commands know; all take `held_out` and `rounding`.
MAKERS: dict[str, Callable[..., Network]] = {DEFAULT_MODEL: language_network, TERRAIN_MODEL: terrain_network}


def maker(model: str, **settings: Any) -> Callable[[], Network]:
    """Return what makes that network, picklable; `settings` are those of its function. Raises `InputError`."""
    if model not in MAKERS:
        raise unknown_name("network", model, MAKERS)
    return partial(MAKERS[model], **settings)
