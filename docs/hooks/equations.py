"""Equations as MathML while the site is built: fences named math and $`...`$ in a line, as GitHub reads them too."""

import html
import re
from typing import Any

from latex2mathml.converter import convert
from markdown import Markdown
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor

#: Above the pattern of code between backticks, which is 190.
_PRIORITY = 195


class _InLine(InlineProcessor):
    def handleMatch(self, m: re.Match[str], data: str) -> tuple[Any, int, int]:
        stored = self.md.htmlStash.store(convert(m.group(1)))
        return stored, m.start(0), m.end(0)


class _Equations(Extension):
    def extendMarkdown(self, md: Markdown) -> None:
        md.inlinePatterns.register(_InLine(r"\$`([^`]+)`\$", md), "equation", _PRIORITY)


def block(source: str, language: str, class_name: str, options: Any, md: Markdown, **_: Any) -> str:
    """Return a fence of LaTeX as a block of MathML, each paragraph of it an equation."""
    equations = [convert(part, display="block") for part in re.split(r"\n\s*\n", source.strip())]
    return f'<div class="{html.escape(class_name)}">{"".join(equations)}</div>'


def on_config(config: Any) -> Any:
    """Add both to the site's Markdown."""
    config["markdown_extensions"].append(_Equations())
    fences = {"name": "math", "class": "equations", "format": block}
    config["mdx_configs"].setdefault("pymdownx.superfences", {})["custom_fences"] = [fences]
    return config
