"""A table that was measured, as a result: one row a case, with what was held fixed in a sentence."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from explorer.documents.document import Aside, Document, Documented, Part, Section, sections
from explorer.documents.sections import reproduce_section
from explorer.documents.tables import scaled_table


@dataclass(frozen=True, eq=False)
class Measured(Documented):
    """The rows of a study of `subject`; `lead` is what was measured, `notes` what to keep in mind."""

    subject: str
    title: str
    lead: str
    frame: pd.DataFrame
    notes: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """Return the rows."""
        return self.frame

    def to_dict(self) -> dict[str, Any]:
        """Return the subject, the notes and the rows."""
        # None, not NaN, for what a row does not have.
        rows = self.frame.astype(object).where(self.frame.notna(), None).to_dict(orient="records")
        return {"subject": self.subject, "title": self.title, "notes": list(self.notes), "rows": rows}

    def document(self, command: str = "") -> Document:
        """Return the result as a document."""
        parts: tuple[Part, ...] = (scaled_table(self.title, self.frame), *(Aside(note) for note in self.notes))
        return Document(
            self.title,
            self.lead,
            sections(Section("rows", "Measured", parts), reproduce_section(command)),
            data=self.to_dict,
            frame=self.to_frame,
            schema=f"retrieve-{self.subject}",
        )
