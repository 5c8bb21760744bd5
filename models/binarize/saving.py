"""A fitted codec as plain settings and arrays, and back: what an index writes beside its codes."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from hwbase import InputError
from models.binarize.codec import Codec
from models.binarize.linear import LinearMap
from models.binarize.product import ProductStore
from models.binarize.rabitq import RabitqStore
from models.binarize.ranges import RangeStore, TableStore
from models.binarize.recurrent import RecurrentBinarizer
from models.binarize.stores import FLOATS, INTEGERS, FloatStore, IntegerStore, PlaneStore
from models.binarize.training import Training

_PARAMETER = "parameter."
#: Stores whose fields are numbers and arrays only, by the name that an index keeps.
_PLAIN: dict[str, Any] = {"rabitq": RabitqStore, "product": ProductStore, "range": RangeStore, "table": TableStore}


def codec_state(codec: Codec) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return (settings that JSON can hold, arrays by name) from which `codec_from_state` makes the codec again."""
    settings: dict[str, Any] = {"name": codec.name, "inputs": codec.inputs}
    arrays: dict[str, np.ndarray] = {}
    if codec.prepare is not None:
        arrays |= {"map.mean": codec.prepare.mean, "map.matrix": codec.prepare.matrix}
    store = codec.store
    if isinstance(store, FloatStore):
        settings |= {"store": "float", "kind": store.kind, "dims": store.dims, "scale": store.scale}
    elif isinstance(store, IntegerStore):
        settings |= {"store": "integer", "kind": store.kind}
        arrays |= {"low": store.low, "step": store.step}
    elif isinstance(store, PlaneStore):
        settings |= {"store": "planes", "dims": store.dims, "planes": store.planes}
    elif not isinstance(store, RecurrentBinarizer):
        settings["store"] = next(name for name, kind in _PLAIN.items() if isinstance(store, kind))
        for field in dataclasses.fields(store):
            value = getattr(store, field.name)
            (arrays if isinstance(value, np.ndarray) else settings)[field.name] = value
    else:
        settings |= {
            "store": "bebr",
            "bits_per_dim": store.bits_per_dim,
            "dims": store.dims,
            "hidden": store.hidden,
            "recalls": list(store.recalls),
            "training": dataclasses.asdict(store.training),
        }
        arrays |= {_PARAMETER + name: value for name, value in store.parameters.items()}
    return settings, arrays


def codec_from_state(settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Codec:
    """Return the codec of `codec_state`; raises `InputError` for settings or arrays that do not make one."""
    try:
        prepare = LinearMap(arrays["map.mean"], arrays["map.matrix"]) if "map.mean" in arrays else None
        kind = settings["store"]
        store: Any
        if kind == "float":
            store = FloatStore(_among(settings["kind"], FLOATS), int(settings["dims"]), float(settings["scale"]))
        elif kind == "integer":
            store = IntegerStore(_among(settings["kind"], INTEGERS), arrays["low"], arrays["step"])
        elif kind == "planes":
            store = PlaneStore(int(settings["dims"]), int(settings["planes"]))
        elif kind in _PLAIN:
            fields = [field.name for field in dataclasses.fields(_PLAIN[kind])]
            store = _PLAIN[kind](**{name: arrays[name] if name in arrays else settings[name] for name in fields})
        elif kind == "bebr":
            parameters = {
                name.removeprefix(_PARAMETER): value for name, value in arrays.items() if name.startswith(_PARAMETER)
            }
            store = RecurrentBinarizer(
                int(settings["bits_per_dim"]),
                int(settings["dims"]),
                int(settings["hidden"]),
                Training(**settings["training"]),
                parameters,
                tuple(settings["recalls"]),
            )
        else:
            raise KeyError(kind)
        return Codec(str(settings["name"]), int(settings["inputs"]), prepare, store)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"the codec's state is broken ({error}): expected what was saved with it") from None


def _among(kind: Any, known: Any) -> str:
    if kind not in known:
        raise KeyError(kind)
    return str(kind)
