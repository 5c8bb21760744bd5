"""The networks that can be measured by name, with functions that make each on calibration and held-out inputs."""

from collections.abc import Callable
from functools import partial
from typing import Any

from explorer.precision.language import language_network
from explorer.precision.networks import Network
from explorer.precision.terrain import terrain_network
from hwbase import unknown_name
from models.diffusion import TERRAIN_MODEL
from models.inference import DEFAULT_MODEL

#: Makers of networks by name; all take `held_out` and `rounding`.
MAKERS: dict[str, Callable[..., Network]] = {DEFAULT_MODEL: language_network, TERRAIN_MODEL: terrain_network}


def maker(model: str, **settings: Any) -> Callable[[], Network]:
    """Return a picklable maker of the named network; `settings` are passed to it. Raises `InputError`."""
    if model not in MAKERS:
        raise unknown_name("network", model, MAKERS)
    return partial(MAKERS[model], **settings)
