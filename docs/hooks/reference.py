"""Pages of the programming interface: what each package exports, functions first, written while the site is built."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from mkdocs.structure.files import File

#: Pages by package; one without exports of its own is shown module by module.
PACKAGES = (
    "explorer",
    "explorer.study",
    "explorer.uncertainty",
    "hwsim",
    "hwsim.events",
    "hwsim.kernels",
    "hwsim.retrieval",
    "hwsim.wiring",
    "hwsim.weight_fabrics",
    "hwsim.rtl",
    "costmodel",
    "models",
    "models.quantise",
    "models.allocation",
    "models.binarize",
    "models.inference",
    "models.diffusion",
    "models.embedding",
    "hwbase",
)
#: Modules of `hwsim.events` that callers use.
EVENTS = ("traffic", "serve", "scheduling", "faults", "fleet", "results", "recording")
#: Characters of a constant that are shown.
_SHOWN = 120


def on_files(files: Any, config: Any) -> Any:
    """Add a page for each package."""
    for package in PACKAGES:
        files.append(File.generated(config, f"reference/{package}.md", content=page(package)))
    return files


def page(package: str) -> str:
    """Return a package's page as Markdown: its docstring, then directives that bring the docstrings of its parts."""
    module = importlib.import_module(package)
    lines = [f"# {package}", "", *_introduction(module)]
    exported = getattr(module, "__all__", None)
    if exported is None:
        for name in EVENTS:
            lines += _module(importlib.import_module(f"{package}.{name}"))
        return "\n".join(lines)
    lines += _entries(module, exported)
    inner = {info.name for info in pkgutil.iter_modules(module.__path__)}
    for name in exported:
        if name in inner and inspect.ismodule(getattr(module, name)):
            lines += _module(getattr(module, name))
    return "\n".join(lines)


def _module(module: ModuleType) -> list[str]:
    public = [name for name, value in vars(module).items() if not name.startswith("_") and _of(value, module)]
    return [f"## {module.__name__}", "", *_introduction(module), *_entries(module, public, level=3)]


def _of(value: Any, module: ModuleType) -> bool:
    return (inspect.isfunction(value) or inspect.isclass(value)) and value.__module__ == module.__name__


def _home(module: str) -> str:
    """The package on whose page a module's contents are described."""
    return max((p for p in PACKAGES if f"{module}.".startswith(f"{p}.")), key=len)


def _introduction(module: ModuleType) -> list[str]:
    text = inspect.cleandoc(module.__doc__ or "")
    # What is indented is an example, which the site highlights.
    lines, example = [], False
    for line in text.splitlines():
        indented = line.startswith("    ")
        if indented != example and line:
            lines.append("```pycon" if indented else "```")
            example = indented
        lines.append(line.removeprefix("    ") if indented else line)
    return [*lines, *(["```"] if example else []), ""]


def _entries(module: ModuleType, names: Any, level: int = 2) -> Iterator[str]:
    functions = [n for n in names if inspect.isroutine(getattr(module, n))]
    classes = [n for n in names if inspect.isclass(getattr(module, n))]
    elsewhere = []
    for name in (*functions, *classes):
        value = getattr(module, name)
        path = f"{value.__module__}.{value.__qualname__}"
        if not module.__name__.startswith(_home(value.__module__)):
            elsewhere.append(f"[`{name}`][{path}]")
            continue
        yield f"::: {path}"
        yield f"    options:\n      heading: {module.__name__}.{name}\n      toc_label: {name}"
        yield f"      heading_level: {level}\n"
    if elsewhere:
        yield f"{'#' * level} From other pages\n\n{', '.join(elsewhere)}.\n"
    others = [n for n in names if n not in functions and n not in classes and not inspect.ismodule(getattr(module, n))]
    if others:
        yield f"{'#' * level} Constants of {module.__name__}\n"
        yield "| name | value |\n|---|---|"
        for name in others:
            shown = repr(getattr(module, name))
            shown = shown if len(shown) <= _SHOWN else shown[:_SHOWN] + " ..."
            yield f"| `{name}` | `{shown.replace('|', chr(92) + '|')}` |"
        yield ""
