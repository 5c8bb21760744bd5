"""The site builds without a warning, and asks nothing of the network."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="the site's packages are not installed: pip install 'hwsim[docs]'")
pytest.importorskip("material", reason="the site's packages are not installed: pip install 'hwsim[docs]'")

ROOT = Path(__file__).parents[2]
#: What makes a browser fetch: sources, sheets and frames; links that a reader follows do not.
LOADS = re.compile(
    r"<(?:script|img|iframe|source|video|audio|embed|object)\b[^>]*\b(?:src|data)\s*=\s*[\"']?(?:https?:)?//"
    r"|<link\b(?=[^>]*\brel\s*=\s*[\"']?(?:stylesheet|preload|preconnect|icon|manifest))[^>]*\bhref\s*=\s*[\"']?(?:https?:)?//",
    re.IGNORECASE,
)
SHEET_LOADS = re.compile(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", re.IGNORECASE)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(out)]
    run = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    return out


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    found = {str(p.relative_to(site)): m.group(0) for p in pages if (m := LOADS.search(p.read_text(encoding="utf-8")))}
    assert not found
    sheets = {
        p.name: m.group(0) for p in site.rglob("*.css") if (m := SHEET_LOADS.search(p.read_text(encoding="utf-8")))
    }
    assert not sheets


def test_pattern_of_loads_sees_what_it_should() -> None:
    assert LOADS.search('<script async src="https://unpkg.com/x">')
    assert LOADS.search('<link href="//fonts.example/css" rel="stylesheet">')
    assert not LOADS.search('<a href="https://example.org">')
    assert not LOADS.search('<script src="assets/x.js">')


def test_no_page_asks_for_diagrams(site: Path) -> None:
    # The theme's script would fetch a library for them.
    assert not [p for p in site.rglob("*.html") if 'class="mermaid"' in p.read_text(encoding="utf-8")]


def test_equations_and_scoreboards_are_in_the_pages(site: Path) -> None:
    assert "<math" in (site / "models" / "dies.html").read_text(encoding="utf-8")
    board = (site / "scoreboard" / "hnlpu.html").read_text(encoding="utf-8")
    assert "predicted: agrees" in board and "249,960" in board


def test_search_knows_the_words(site: Path) -> None:
    index = (site / "search" / "search_index.js").read_text(encoding="utf-8")
    assert "Hardwired-Neurons" in index


@pytest.mark.parametrize(
    "name", ["hwsim.simulate", "explorer.cost", "costmodel.dies.gross_dies", "models.quantise.rounded"]
)
def test_front_doors_are_in_the_reference(site: Path, name: str) -> None:
    pages = "".join(p.read_text(encoding="utf-8") for p in (site / "reference").glob("*.html"))
    assert f"{name}\n" in pages or f"{name}<" in pages


def test_parameters_are_tables(site: Path) -> None:
    page = (site / "reference" / "hwsim.html").read_text(encoding="utf-8")
    start = page.index("hwsim.simulate_accelerator")
    table = page[page.index("Parameters:", start) :]
    cells = re.findall(r"<td>(.*?)</td>", table[: table.index("</table>")], re.DOTALL)
    text = [" ".join(re.sub(r"<[^>]*>", " ", cell).split()) for cell in cells]
    assert text[:4] == ["model", "LLMSpec", "The network, in the number formats that its spec states.", "required"]
    context = text.index("context")
    assert text[context + 2 : context + 4] == [
        "Positions that each sequence attends to.",
        "2048",
    ]


def test_no_section_of_a_docstring_is_left_as_text(site: Path) -> None:
    """A heading that is not read shows its underline."""
    for path in (site / "reference").glob("*.html"):
        text = re.sub(r"<pre.*?</pre>|<!--.*?-->", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert not re.search(r"(Parameters|Returns|Raises|Yields|Examples|Notes)\s*(</p>\s*<p>)?\s*-{4,}", text), path
        assert not re.search(r"<p>(Args|Returns|Raises|Parameters)\b:?\s*</p>", text), path
