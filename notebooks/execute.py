"""Run notebooks and keep what they show: `python notebooks/execute.py [NAME ...]`.

Beside each Plotly figure goes a picture of it (package kaleido and a Chrome or Chromium), for readers of files that no
kernel stands behind. Cells tagged "live" hold sliders, which are nothing without a kernel: their outputs are left out.
"""

import json
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

import nbformat
import plotly.io
from nbclient import NotebookClient

FOLDER = Path(__file__).parent
PLOTLY, PNG = "application/vnd.plotly.v1+json", "image/png"
_WIDTH_PX = 780
_TIMEOUT_S = 120


def execute(path: Path) -> None:
    """Run the notebook and write it with its outputs; an error in a cell stops it and leaves the file as it was."""
    book = nbformat.read(path, as_version=4)
    NotebookClient(book, timeout=_TIMEOUT_S, kernel_name="python3").execute()
    for cell in book.cells:
        # When cells ran, and in which order, is another each time.
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [] if "live" in cell.metadata.get("tags", []) else [_pictured(out) for out in cell.outputs]
    book.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    nbformat.validate(book)
    nbformat.write(book, path)


def _pictured(output: Any) -> Any:
    data = output.get("data", {})
    if PLOTLY in data:
        drawn = plotly.io.from_json(json.dumps(data[PLOTLY]), skip_invalid=True)
        data[PNG] = b64encode(drawn.to_image("png", width=_WIDTH_PX)).decode()
    return output


if __name__ == "__main__":
    chosen = [FOLDER / f"{Path(name).stem}.ipynb" for name in sys.argv[1:]] or sorted(FOLDER.glob("*.ipynb"))
    for notebook in chosen:
        execute(notebook)
        print(f"{notebook.name}: {notebook.stat().st_size / 1024:.0f} KB")
