"""Documents as pages: one self-contained HTML file without network access."""

import base64
import hashlib
import re
from pathlib import Path

from explorer.documents.document import Document, Figure

TEMPLATES = Path(__file__).parent / "templates"
#: Permissions of the page: the scripts with listed hashes, its own styles, figures saved as pictures.
_POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data: blob:; "
    "base-uri 'none'; form-action 'none'"
)
_END_TAG = "</script"
_TOP_MARGIN_PX, _TOP_MARGIN_BARE_PX = 34, 12


def render(document: Document) -> str:
    """Return a document as one HTML page with style and scripts inside; all texts are escaped."""
    import jinja2
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.tests["text"] = lambda part: isinstance(part, str)
    environment.filters["kind"] = lambda part: type(part).__name__
    drawn = any(section.figures for section in document.sections)
    scripts = [_code(get_plotlyjs())] if drawn else []
    scripts.append(_code((TEMPLATES / "document.js").read_text(encoding="utf-8")))
    return environment.get_template("document.html.j2").render(
        document=document,
        ordered=sorted(document.sections, key=lambda section: section.appendix),
        drawn=drawn,
        scripts=[Markup(code) for code in scripts],
        policy=_POLICY.format(scripts=" ".join(_hash(code) for code in scripts)),
        style=Markup((TEMPLATES / "document.css").read_text(encoding="utf-8")),
        plot=lambda figure: Markup(_plot(figure)),
    )


def _plot(figure: Figure) -> str:
    """Return a figure as JSON for a script element, without its title, since the page has captions."""
    drawn = figure.draw()
    bare = drawn.attributes.get("showlegend") is False
    drawn.update_layout(title_text="", margin_t=_TOP_MARGIN_BARE_PX if bare else _TOP_MARGIN_PX)
    return drawn.to_json().replace("<", "\\u003c")


def _code(code: str) -> str:
    """Return code for a script element: without an end tag, with the line ends of its hash."""
    code = code.replace("\r\n", "\n").replace("\r", "\n")
    if any(code[at.start() : at.start() + len(_END_TAG)].lower() == _END_TAG for at in re.finditer("</", code)):
        raise ValueError("a script of the page contains its own end tag")
    return code


def _hash(code: str) -> str:
    digest = hashlib.sha256(code.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
