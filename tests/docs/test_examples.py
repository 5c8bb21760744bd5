"""Examples in docstrings and in the pages of docs/ give what stands below them."""

import doctest
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("hwbase", "models", "costmodel", "hwsim", "explorer")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
MODULES = sorted(p for name in PACKAGES for p in (ROOT / name).rglob("*.py") if ">>> " in p.read_text(encoding="utf-8"))
PAGES = sorted(p for p in (ROOT / "docs").rglob("*.md") if "```pycon" in p.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
@pytest.mark.slow
def test_examples_of_docstrings(path: Path) -> None:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    run = doctest.testmod(importlib.import_module(name), optionflags=FLAGS)
    assert run.attempted and not run.failed


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_examples_of_pages(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest(_examples(path.read_text(encoding="utf-8")), {}, path.name, str(path), 0)
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    runner.run(test)
    assert runner.tries and not runner.failures


def _examples(text: str) -> str:
    """The fences named pycon of a page, everything else blank, so that lines keep their numbers."""
    kept, inside = [], False
    for line in text.splitlines():
        fence = re.fullmatch(r"```(\w*)", line)
        if fence:
            inside = fence.group(1) == "pycon"
        kept.append(line if inside and not fence else "")
    return "\n".join(kept)
