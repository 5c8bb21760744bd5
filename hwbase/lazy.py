"""Packages whose names load when they are first used (PEP 562), so that importing one costs next to nothing.

A package lists its public names for type checkers and documentation as imports that never run. The same lines tell
`lazy_names` where each name lives:

    if TYPE_CHECKING:
        from hwsim.chip import Chip, build_chip
    else:
        __getattr__, __dir__ = lazy_names(__name__, __file__)

A public function must not have the name of a module of its package: importing the module would hide the function.
"""

import ast
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def lazy_names(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the `__getattr__` and `__dir__` of a package: what it imports under `if TYPE_CHECKING:`, and its modules.

    Parameters
    ----------
    package : str
        `__name__` of the package.
    file : str
        `__file__` of the package.
    """

    @cache
    def homes() -> dict[str, str]:
        """Return the module of each name, read from the package's own source."""
        blocks = [node for node in ast.parse(Path(file).read_bytes()).body if isinstance(node, ast.If)]
        lines = [line for block in blocks for line in block.body if isinstance(line, ast.ImportFrom)]
        return {alias.name: str(line.module) for line in lines for alias in line.names}

    def load(name: str) -> Any:
        home = None if name.startswith("_") else homes().get(name, package)
        if home is None or (home == package and find_spec(f"{package}.{name}") is None):
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = import_module(f"{package}.{name}") if home == package else getattr(import_module(home), name)
        setattr(sys.modules[package], name, value)
        return value

    return load, lambda: sorted({*vars(sys.modules[package]), *homes()})
