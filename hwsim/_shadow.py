"""A check that no file of the user hides one of our packages: `models` is a common name."""

import importlib.util
from pathlib import Path

_OURS = ("hwbase", "models", "costmodel", "explorer")


def refuse_shadows() -> None:
    """Raise `ImportError` with one sentence if Python would import somebody else's module under one of our names."""
    home = Path(__file__).resolve().parent.parent
    for name in _OURS:
        spec = importlib.util.find_spec(name)
        origin = Path(spec.origin).resolve() if spec and spec.origin else None
        if origin is None or origin.parent.parent != home:
            place = origin or "nothing that can be imported"
            raise ImportError(
                f"hwsim brings its own package named {name!r}, but Python finds {place} first: "
                f"rename that file, or run from another folder"
            ) from None
