"""Pages of the notebooks as they are committed: text, code and what it showed, pictures for figures."""

import re
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from mkdocs.structure.files import File

FOLDER = Path(__file__).parents[2] / "notebooks"
PLOTLY, PNG = "application/vnd.plotly.v1+json", "image/png"


def on_files(files: Any, config: Any) -> Any:
    """Add a page for each notebook, and its pictures."""
    for path in sorted(FOLDER.glob("*.ipynb")):
        book = nbformat.read(path, as_version=4)
        pictures: dict[str, bytes] = {}
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=page(path.stem, book, pictures)))
        for name, data in pictures.items():
            files.append(File.generated(config, f"notebooks/{name}", content=data))
    return files


def page(stem: str, book: Any, pictures: dict[str, bytes]) -> str:
    """Return a notebook as Markdown; its pictures go into `pictures` by file name."""
    parts: list[str] = []
    for number, cell in enumerate(book.cells):
        if cell.cell_type == "markdown":
            # Links from one notebook to another, and to the notes in docs/, keep their meaning on the site.
            parts.append(re.sub(r"\]\(\.\./docs/", "](../", re.sub(r"\.ipynb\)", ".md)", cell.source)))
        elif cell.source.strip():
            parts.append(f"```python\n{cell.source}\n```")
            parts += _outputs(f"{stem}-{number}", cell.outputs, pictures)
    where = f"*The notebook: `notebooks/{stem}.ipynb`, where figures answer to the mouse and sliders move.*"
    return "\n\n".join([*parts, where, ""])


def _outputs(name: str, outputs: Any, pictures: dict[str, bytes]) -> Iterator[str]:
    for place, output in enumerate(outputs):
        data = output.get("data", {})
        if PNG in data:
            file = f"{name}-{place}.png"
            pictures[file] = b64decode(data[PNG])
            yield f"![{_title(data.get(PLOTLY, {}))}]({file})"
        elif "text/markdown" in data:
            yield re.sub(r"\]\(\.\./docs/", "](../", data["text/markdown"])
        elif "text/html" in data:
            # Tables of pandas without its style sheet, on one line so that Markdown leaves them alone.
            table = re.sub(r"<style.*?</style>", "", data["text/html"], flags=re.DOTALL)
            yield " ".join(re.sub(r' (?:border|style|class)="[^"]*"', "", table).split())
        else:
            text = data.get("text/plain", output.get("text", ""))
            yield f"```text\n{text.rstrip()}\n```"


def _title(figure: Any) -> str:
    """What a figure says of itself, for those who cannot see it."""
    title = figure.get("layout", {}).get("title", {}).get("text", "a picture")
    return re.sub(r"[\[\]]|<[^>]*>", "", title)
