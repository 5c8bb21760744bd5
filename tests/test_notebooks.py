"""Every notebook runs from top to bottom, and is committed with what it shows: pictures, no errors, nothing fetched."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import hwsim

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
PLOTLY, PNG = "application/vnd.plotly.v1+json", "image/png"
#: Seconds after which a cell hangs (how long notebooks take is measured, not tested), and bytes of a committed one.
HANGS_S, LARGEST = 300, 1_000_000

notebooks = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.mark.slow
@notebooks
def test_notebook_runs(path: Path) -> None:
    NotebookClient(nbformat.read(path, as_version=4), timeout=HANGS_S, kernel_name="python3").execute()


@notebooks
def test_committed_outputs_are_whole(path: Path) -> None:
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    code = [cell for cell in book.cells if cell.cell_type == "code" and cell.source.strip()]
    outputs = [output for cell in code for output in cell.outputs]
    assert outputs, "outputs are committed"
    assert not [output.evalue for output in outputs if output.output_type == "error"]
    assert not [output.text for output in outputs if output.output_type == "stream" and output.name == "stderr"]
    ran = [cell for cell in code if cell.execution_count]
    assert len(ran) == len(code), "every cell has run"
    assert [cell.execution_count for cell in ran] == sorted(cell.execution_count for cell in ran), "in order"


@notebooks
@pytest.mark.slow
def test_figures_have_pictures_that_need_no_network(path: Path) -> None:
    assert path.stat().st_size < LARGEST
    book = nbformat.read(path, as_version=4)
    data = [output.get("data", {}) for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    figures = [item for item in data if PLOTLY in item]
    assert figures, "a notebook shows a picture"
    assert all(PNG in item for item in figures), "run python notebooks/execute.py"
    for item in data:
        page = "".join(item.get("text/html", ""))
        assert "<script" not in page and "http://" not in page and "https://" not in page


def test_quickstart_says_what_the_program_says() -> None:
    said = (Path(NOTEBOOKS[0]).parent / "quickstart.ipynb").read_text(encoding="utf-8")
    run = hwsim.simulate("gpt-oss-120b", reading="pipelined")
    assert f"{run.tokens_per_s:,.0f}" in said, "run python notebooks/execute.py quickstart"
