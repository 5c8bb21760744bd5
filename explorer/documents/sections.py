"""Sections of many documents: the constants with their quality, the methods, and the reproduction."""

from collections.abc import Iterable, Mapping

from explorer.documents.document import Code, Folded, Method, Methods, Part, Searched, Section
from explorer.documents.sources import (
    Reproduction,
    books_table,
    distinct,
    quality,
    quality_table,
    reproduction,
    source_table,
    versions_text,
)
from hwbase import Quantity


def assumptions_section(groups: Mapping[str, Mapping[str, Quantity]]) -> Section | None:
    """Return the section of the constants that were read, by group; None if there are none."""
    read = distinct(groups)
    if not read:
        return None
    graded = quality(quantity for _, quantity, _ in read)
    constants = source_table(groups)
    parts: tuple[Part, ...] = (
        f"{graded.sentence()} Each has its range, its source and its kind below.",
        quality_table(graded),
        Folded("All constants", (Searched((constants,)),), f"{len(constants.rows)} rows"),
    )
    return Section("assumptions", "Assumptions", parts, short=False, appendix=True)


def methods_section(steps: Iterable[Method], *before: str, after: tuple[Part, ...] = ()) -> Section:
    """Return the section of the steps of a computation, between other parts."""
    return Section("methods", "Methods", (*before, Methods(tuple(steps)), *after), short=False)


def reproduce_section(source: Reproduction | str, *before: str) -> Section:
    """Return the section on reproducing a document, from a `Reproduction` or from the command alone."""
    again = reproduction(source) if isinstance(source, str) else source
    by_hand = ", ".join(f"{name}={value}" for name, value in again.overrides.items())
    parts: list[Part] = [*before, *([Code(again.command)] if again.command else []), versions_text(again)]
    parts += [f"Set by hand: {by_hand}."] if by_hand else []
    parts += [books_table(again)] if again.books else []
    return Section("reproduce", "Reproduce", tuple(parts), short=False)
