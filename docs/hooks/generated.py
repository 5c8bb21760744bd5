"""Pages that the program itself writes while the site is built: scoreboards, commands, books of constants."""

import html
import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any

from mkdocs.structure.files import File

import costmodel
import explorer
from explorer.commands.parser import command_line
from explorer.documents.schema import schemas
from explorer.papers.reproduce import PAPERS
from hwbase import Book, book_names
from hwbase.books import load_book
from hwbase.columns import listed_columns
from hwsim.technology import BOOKS

#: Pages of wide tables do without the column of contents; links above the tables take its place.
_WIDE = ("---", "hide: [toc]", "---")
_TITLES = {
    "hnlpu": ("HNLPU", "Hardwired-Neuron Language Processing Units, ASPLOS '26, doi 10.1145/3779212.3790169"),
    "mixdq": ("MixDQ", "Memory-Efficient Few-Step Text-to-Image Diffusion Models, ECCV '24, arXiv 2405.17873"),
    "bebr": ("BEBR", "Binary Embedding-based Retrieval at Tencent, KDD '23, arXiv 2302.08714"),
    "fabrics": ("Weight fabrics", "Taalas HC1, BitROM, ankhdjet and a Groq LPU: published sizes, speed and energy"),
    "sram": ("SRAM machines", "One user on machines of Cerebras, Groq and SambaNova, published tokens/s"),
}


def on_files(files: Any, config: Any) -> Any:
    """Add the written pages to those of the folder."""
    for name, text in pages():
        files.append(File.generated(config, name, content=text))
    return files


def pages() -> Iterator[tuple[str, str]]:
    """Yield (path, Markdown) of every written page."""
    for paper in PAPERS:
        yield f"scoreboard/{paper}.md", scoreboard_page(paper)
    yield "reference/commands.md", commands_page()
    yield "reference/books.md", books_page()
    yield "reference/columns.md", columns_page()
    yield "reference/json.md", json_page()


def scoreboard_page(paper: str) -> str:
    """Return the scoreboard of one paper as Markdown: the count, what was fitted, and every row with its evidence."""
    board = explorer.reproduce(paper)
    title, source = _TITLES.get(paper, (paper.upper(), ""))
    s = board.summary
    lines = [
        *_WIDE,
        f"# {title}: published beside ours",
        "",
        f"*{source}.* Computed while this page was built; `hwsim reproduce {paper}` prints it.",
        "",
        f"{s['rows']} published figures. Of {s['predicted']} predictions {s['agree']} agree within their stated "
        f"tolerance and {s['misfit_explained']} miss, the reason beside them; {s['fitted']} rows are fitted, "
        f"{s['input']} are inputs, {s['not_derivable']} cannot be derived.",
        "",
    ]
    if board.fitted_constants:
        lines += ["Fitted constants: " + ", ".join(f"`{name}`" for name in board.fitted_constants) + ".", ""]
    groups: dict[str, list[Any]] = {}
    for row in board.rows:
        groups.setdefault(row.group, []).append(row)
    lines += _contents(groups)
    for group, rows in groups.items():
        lines += [_heading(group), ""]
        cells = ((r.what, r.unit, r.paper, r.ours, _percent(r), _evidence(r), r.note) for r in rows)
        lines += table(("figure", "unit", "paper", "ours", "error", "evidence", "note"), cells)
    return "\n".join(lines)


def commands_page() -> str:
    """Return every command with its arguments and options as Markdown."""
    lines = ["# Commands", "", "Exit status: 0 success, 1 a comparison failed, 2 bad input, 130 interrupted.", ""]
    lines += [
        "`--out` takes a name. One with an ending is a file, and the ending says what is written: `.html` a page,",
        "`.md` Markdown, `.csv` and `.parquet` rows, `.json` everything. One without an ending is a folder. A result",
        "that is one document goes to a file; a run that leaves tables of its own (`simulate --events`,",
        "`compare-serving`, `fronts`, `hardwire`) goes to a folder, or its document alone to a file; `study run` and",
        "`retrieve build` keep what they compute in a folder. `--json` prints what a `.json` file",
        "holds ([JSON](json.md)).",
        "",
    ]
    for path, command, context in _commands(command_line(), "hwsim", None):
        usage = " ".join([path, *command.collect_usage_pieces(context)])
        lines += [f"## {path}", "", f"```text\n{usage}\n```", "", inspect.cleandoc(command.help or ""), ""]
        panels: dict[str, list[Any]] = {}
        for parameter in command.get_params(context):
            panels.setdefault(getattr(parameter, "rich_help_panel", None) or "Options", []).append(parameter)
        for panel, parameters in panels.items():
            lines += table((panel, "default", ""), map(_parameter, parameters))
    return "\n".join(lines)


def _parameter(parameter: Any) -> tuple[str, str, str]:
    names = ", ".join([*parameter.opts, *parameter.secondary_opts]) if parameter.opts[0].startswith("-") else ""
    default = "" if parameter.default in (None, False, ()) or callable(parameter.default) else str(parameter.default)
    required = "required" if parameter.required else default
    return f"`{names or parameter.name}`", required, parameter.help or ""


def _commands(command: Any, name: str, parent: Any) -> Iterator[tuple[str, Any, Any]]:
    real = command.load() if hasattr(command, "load") else command
    context = real.context_class(real, info_name=name, parent=parent)
    yield context.command_path, real, context
    for inner, child in getattr(real, "commands", {}).items():
        yield from _commands(child, inner, context)


def books_page() -> str:
    """Return every constant of every book as Markdown."""
    books = [costmodel.load_book(name) for name in costmodel.book_names()]
    books += [load_book(name, BOOKS) for name in book_names(BOOKS)]
    lines = [
        "---",
        "hide: [toc]",
        "---",
        "# Constants and their sources",
        "",
        "Every constant of every assumption book, as loaded. ",
    ]
    lines += ["`hwsim assumptions NAME` prints one; `--set` and `--book` change them "]
    lines += ["([how](../how-to/constants.md)). A book that extends another is shown whole.", ""]
    for book in books:
        lines += [
            f"## {book.name}",
            "",
            *table(("constant", "low", "nominal", "high", "unit", "source"), _constants(book)),
        ]
    return "\n".join(lines)


def columns_page() -> str:
    """Return every column of the registry as Markdown."""
    lines = [
        *_WIDE,
        "# Columns, parameters and constants by name",
        "",
        "What a name means wherever it stands: in tables, studies, constraints, files and `--set`. A value may be",
        "written as a number in the unit, or as a text such as the example. Constants of books not listed here take",
        "their unit from [their book](books.md).",
        "",
    ]
    rows = (
        (f"`{each.name}`", each.label, each.shown_unit, f"`{each.example}`" if each.numeric else "", each.better)
        for each in listed_columns()
    )
    return "\n".join([*lines, *table(("name", "label", "unit", "as a text", "better"), rows)])


def json_page() -> str:
    """Return the schemas of the JSON of every command as Markdown."""
    lines = [
        *_WIDE,
        "# JSON",
        "",
        "`--json`, and `--out NAME.json`, write one object. Its first field, `schema`, says which result it is, such",
        "as `hwsim/cost/1`. Several results, and tables, are under `rows`. Fields keep their names; the number at the",
        "end grows if one is renamed or removed, not if one is added. What is not known, not finite or does not apply",
        "is `null`. Constants that were read are under `assumptions`, by name, with their ranges and sources.",
        "",
        "The JSON schemas (draft 2020-12) come with the package; tests hold the outputs of every command against them:",
        "",
        "```python",
        ">>> from explorer.documents.schema import schema",
        '>>> schema("hwsim/cost/1")["properties"]["volume"]',
        "{'type': ['number', 'null']}",
        "",
        "```",
        "",
    ]
    lines += _contents(schemas())
    for name, body in schemas().items():
        fields = body["properties"].items()
        rows = (
            (f"`{field}`", _json_type(of), "" if field in body["required"] else "not always") for field, of in fields
        )
        lines += [_heading(name), "", *table(("field", "type", "there"), rows)]
    return "\n".join(lines)


def _json_type(of: dict[str, Any]) -> str:
    if "const" in of:
        return f'`"{of["const"]}"`'
    kinds = of.get("type", "any")
    text = " or ".join(kind for kind in ([kinds] if isinstance(kinds, str) else kinds) if kind != "null")
    items = of.get("items", {})
    inner = of.get("properties") or items.get("properties")
    return f"{text} of {', '.join(f'`{name}`' for name in inner)}" if inner else text


def _constants(book: Book) -> Iterator[tuple[Any, ...]]:
    for name, q in book.items():
        yield f"`{name}`", q.low, q.nominal, q.high, q.unit, f"{q.source} ({q.kind}, {q.year})"


def _contents(names: Iterable[str]) -> list[str]:
    return [" · ".join(f"[{name}](#{_anchor(name)})" for name in names), ""]


def _heading(name: str) -> str:
    return f"## {name} {{#{_anchor(name)}}}"


def _anchor(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def table(head: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> list[str]:
    """Return a Markdown table, numbers to four digits, and an empty line after it."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return ['<div class="figures" markdown="1">', "", *lines, "", "</div>", ""]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        if re.fullmatch(r"`[^`]*`", value):
            return value
        return re.sub(r"([|*_`\[\]\\])", r"\\\1", html.escape(value, quote=False)).replace("\n", " ")
    if isinstance(value, float) and abs(value) >= 1e4 and abs(value) < 1e9:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def _evidence(row: Any) -> str:
    return f"predicted: {row.status}" if row.evidence == "predicted" else str(row.status)


def _percent(row: Any) -> str:
    if row.rel_err is None:
        return ""
    return f"{row.rel_err:+.1%}" if row.paper else f"{row.rel_err:+.3g}"
