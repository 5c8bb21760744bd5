"""explorer/documents/page.py."""

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from explorer.documents.numbers import context_label, counted, money, percent, plain, pretty_unit, with_unit, words
from explorer.documents.tables import flag
from explorer.documents.theme import machine_name

if TYPE_CHECKING:
    pass

from dataclasses import dataclass, field

import hwsim
from explorer.documents.captioned import CaptionedFigure
from explorer.documents.tables import Table

TEMPLATES = Path(__file__).parent / "templates"


#: What the page may do: run the scripts whose hashes are listed, style itself, save a figure as a picture.
_POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data: blob:; "
    "base-uri 'none'; form-action 'none'"
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


def _script(code: str) -> Markup:
    """Code for a script element: it must not end the element, and line ends are those that its hash is taken of."""
    code = code.replace("\r\n", "\n").replace("\r", "\n")
    if "</script" in code.lower():
        raise ValueError("a script of the page contains its own end tag")
    return Markup(code)


def _hash(code: str) -> str:
    digest = hashlib.sha256(code.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


@dataclass(frozen=True)
class Section:
    """A part of a page: paragraphs, then figures, then tables."""

    id: str
    title: str
    text: tuple[str, ...] = ()
    figures: tuple[CaptionedFigure, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True)
class Page:
    """What `serving.html.j2` shows; a page that read no constants has no `assumptions`."""

    title: str
    lead: str
    parts: tuple[Section, ...]
    assumptions: Table | None
    command: str
    version: str = field(default_factory=lambda: hwsim.__version__)

    @property
    def sections(self) -> list[tuple[str, str]]:
        """Anchors and titles of the sections."""
        last = [("assumptions", "Assumptions")] if self.assumptions else []
        return [(part.id, part.title) for part in self.parts] + last
