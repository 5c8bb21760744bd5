"""The report page: one HTML file that holds everything it needs and asks the network for nothing."""

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from explorer.figures.captioned import fleet_figures, machine_figures
from explorer.figures.numbers import (
    context_label,
    counted,
    money,
    percent,
    plain,
    pretty_unit,
    with_unit,
    words,
)
from explorer.figures.tables import (
    flag,
)
from explorer.figures.theme import machine_name
from explorer.reporting.content import brief, machines_of, report_tables, report_texts, scope_parts
from explorer.reporting.files import write_as
from explorer.reporting.markdown import render_markdown
from explorer.reporting.tidy import tidy

if TYPE_CHECKING:
    from explorer.answer import Answer

TEMPLATES = Path(__file__).parent / "templates"
#: What the page may do: run the scripts whose hashes are listed, style itself, save a figure as a picture.
_POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data: blob:; "
    "base-uri 'none'; form-action 'none'"
)


def render(answer: "Answer") -> str:
    """Return the report of `answer` as one HTML page."""
    return render_page(
        "report.html.j2",
        answer=answer,
        brief=brief(answer),
        figures={figure.id: figure for figure in (*machine_figures(answer), *fleet_figures(answer))},
        tables=report_tables(answer),
        said=report_texts(answer),
        scopes=scope_parts(answer),
        machines=machines_of(answer),
        scoreboard=_scoreboard_groups(answer),
        constants=_fitted(answer),
    )


def render_page(template: str, **content: Any) -> str:
    """Return a template that extends `page.html.j2` as one HTML page: style and scripts inside, nothing from outside.

    `content` is what the template shows; everything but `Markup` is escaped.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: "" if value is None else value,
    )
    environment.filters |= {
        "plain": plain,
        "money": money,
        "percent": percent,
        "unit": pretty_unit,
        "with_unit": with_unit,
        "context": context_label,
        "words": words,
        "machine": machine_name,
        "flag": flag,
        "counted": counted,
    }
    library, script = _script(get_plotlyjs()), _script((TEMPLATES / "report.js").read_text(encoding="utf-8"))
    policy = _POLICY.format(scripts=" ".join(_hash(code) for code in (library, script)))
    style = Markup((TEMPLATES / "report.css").read_text(encoding="utf-8"))
    return environment.get_template(template).render(
        policy=policy, library=library, script=script, style=style, **content
    )


def write_report(answer: "Answer", path: str | Path) -> Path:
    """Write the report of `answer` to `path` and return it; nothing is left half-written.

    The name decides what is written: .html the page, .md Markdown, .csv or .parquet the long table of
    `reporting.tidy`, .json everything. Raises `InputError` for another name, where the folder is missing, the path is a
    folder, or the file cannot be written, and for Parquet without pyarrow.
    """
    return write_as(
        path,
        page=lambda: render(answer),
        markdown=lambda: render_markdown(answer),
        table=lambda: tidy(answer),
        data=answer.to_dict,
    )


def _scoreboard_groups(answer: "Answer") -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for row in answer.scoreboard.rows if answer.scoreboard else ():
        groups.setdefault(row.group or "other", []).append(row)
    return groups


def _fitted(answer: "Answer") -> list[str]:
    return list(answer.scoreboard.summary.get("fitted_constants", ())) if answer.scoreboard else []


def _script(code: str) -> Markup:
    """Code for a script element: it must not end the element, and line ends are those that its hash is taken of."""
    code = code.replace("\r\n", "\n").replace("\r", "\n")
    if "</script" in code.lower():
        raise ValueError("a script of the page contains its own end tag")
    return Markup(code)


def _hash(code: str) -> str:
    digest = hashlib.sha256(code.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
