"""One document: an answer's content, built once and rendered as a page, Markdown, rows, or in a terminal."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from explorer.documents.tables import Flag, Table
from hwbase import InputError, Record, unknown_name

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from explorer.documents.plot import Plot


@dataclass(frozen=True)
class Aside:
    """A less important paragraph."""

    text: str


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    text: str


@dataclass(frozen=True)
class Code:
    """A command or a piece of code."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Facts:
    """A few named values on one line."""

    pairs: tuple[tuple[str, str | Flag], ...]


@dataclass(frozen=True)
class Note(Record):
    """One finding: its title and its text."""

    title: str
    text: str


@dataclass(frozen=True)
class Method(Record):
    """One step: its name, its description, the source of the formula, and its result in this case."""

    name: str
    text: str
    reference: str = ""
    case: str = ""

    @property
    def full_text(self) -> str:
        """The description with the result."""
        return f"{self.text} {self.case}".strip()


@dataclass(frozen=True)
class Methods:
    """The steps of a computation."""

    steps: tuple[Method, ...]


@dataclass(frozen=True)
class Figure:
    """A figure with its caption and its table; `draw` returns it when a page is made.

    Column `read` of the table is read out to readers who cannot see the figure. A page folds the table unless it is
    `open`.
    """

    id: str
    draw: Callable[[], "Plot"] = field(repr=False, compare=False)
    caption: str
    table: Table
    read: int = 1
    open: bool = False

    @property
    def summary(self) -> str:
        """The figure in one sentence, for readers who cannot see it."""
        column = self.table.columns[self.read]
        rows = (
            f"{row[0]} {'' if self.table.columns[1].numeric else row[1]} {row[self.read]}" for row in self.table.rows
        )
        text = "; ".join(" ".join(row.split()) for row in rows)
        return f"{self.caption}. {column.label}{f' in {column.shown_unit}' if column.shown_unit else ''}: {text}."


@dataclass(frozen=True)
class Beside:
    """Parts that are placed side by side if there is room."""

    parts: tuple["Part", ...]


@dataclass(frozen=True)
class Folded:
    """Parts under a title that opens them; a terminal shows only the title and the `count`."""

    title: str
    parts: tuple["Part", ...]
    count: str = ""
    open: bool = False


@dataclass(frozen=True)
class Searched:
    """Parts whose tables can be searched on a page, and filtered by the values of the columns `by`."""

    parts: tuple["Part", ...]
    by: tuple[str, ...] = ()


Part = str | Aside | Heading | Code | Bullets | Facts | Note | Methods | Table | Figure | Beside | Folded | Searched


@dataclass(frozen=True)
class Section:
    """A titled sequence of parts; a string is a paragraph. Terminals and notebooks omit those not `short`."""

    id: str
    title: str
    content: tuple[Part, ...] | Callable[[], tuple[Part, ...]] = ()
    short: bool = True
    appendix: bool = False
    """Last on a page, and printed from a new sheet."""

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The parts in order."""
        return self.content() if callable(self.content) else self.content

    @property
    def tables(self) -> tuple[Table, ...]:
        """All tables of the section, including those of figures, each once."""
        return tuple(dict.fromkeys(_tables(self.parts)))

    @property
    def figures(self) -> tuple[Figure, ...]:
        """All figures of the section."""
        return tuple(part for part in flat(self.parts) if isinstance(part, Figure))


@dataclass(frozen=True)
class Document:
    """A whole answer.

    Parameters
    ----------
    title
        Title of the document.
    lead
        The subject, in a sentence or two.
    sections
        Its sections in order.
    data
        Returns the data of JSON; None gives the rows.
    frame
        Returns the rows of CSV and Parquet; the cells of all tables where it is None.
    schema
        Name of the schema of its JSON, such as "report".
    subject
        Columns that the rows begin with, such as the model.
    cases
        Further columns of the rows, such as the convention, and their values: a cell is of that which its table's
        caption, its heading or its item has between commas.
    """

    title: str
    lead: str
    sections: tuple[Section, ...]
    data: Callable[[], Any] | None = field(default=None, compare=False, repr=False)
    frame: Callable[[], "pd.DataFrame"] | None = field(default=None, compare=False, repr=False)
    subject: Mapping[str, str] = field(default_factory=dict)
    cases: Mapping[str, Collection[str]] = field(default_factory=dict)
    schema: str = "document"

    def section(self, id: str) -> Section:
        """Return the section of this id. Raises `KeyError`."""
        return {section.id: section for section in self.sections}[id]


class Documented(Record, ABC):
    """A record that a document says; a notebook shows the document."""

    @abstractmethod
    def document(self, command: str = "") -> Document:
        """Return the result as a document that says `command` makes it again."""

    def plot(self, name: str | None = None) -> "go.Figure":
        """Return a figure of the result as Plotly draws it on the page, with labels, units and colours.

        Parameters
        ----------
        name : str, optional
            The figure, as an anchor of the page names it; the first unless given.

        Returns
        -------
        plotly.graph_objects.Figure

        Raises
        ------
        InputError
            For an unknown name, with those that there are, and for a result without figures.
        """
        figures = {figure.id: figure for section in self.document().sections for figure in section.figures}
        if not figures:
            raise InputError(f"a {type(self).__name__} has no figures: expected another result")
        if name is not None and name not in figures:
            raise unknown_name("figure", name, figures)
        return figures[next(iter(figures)) if name is None else name].draw().figure()

    def _repr_html_(self) -> str:
        from explorer.documents import notebook

        return notebook.render(self.document())


def sections(*parts: Section | None) -> tuple[Section, ...]:
    """Return the sections that are not None."""
    return tuple(part for part in parts if part is not None)


def flat(parts: Iterable[Part]) -> Iterator[Part]:
    """Yield parts in order, with groups of parts expanded."""
    for part in parts:
        if isinstance(part, (Beside, Folded, Searched)):
            yield from flat(part.parts)
        else:
            yield part


def _tables(parts: Iterable[Part]) -> Iterator[Table]:
    for part in flat(parts):
        if isinstance(part, Figure):
            yield part.table
        elif isinstance(part, Table):
            yield part
