"""Several models, or one model on several processes, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import pandas as pd

from explorer.documents.document import Document, Documented
from explorer.documents.sources import BookUse, Reproduction, reproduction
from explorer.pricing.economics import CostAnswer
from explorer.report.answer import Answer, answer
from hwbase import InputError, Quantity
from hwsim.technology import DEFAULT_TECHNOLOGY

if TYPE_CHECKING:
    from costmodel.comparison import Pair

#: Columns that a table bears.
MOST = 8


@dataclass(frozen=True)
class ModelComparison(Documented):
    """Answers by label: the model, the technology, or both, whichever there are several of."""

    answers: dict[str, Answer]
    command: str
    date: str = ""

    def to_frame(self) -> pd.DataFrame:
        """Return the rows of all answers under one another (see `explorer.documents.rows`)."""
        return pd.concat([each.to_frame() for each in self.answers.values()], ignore_index=True)

    @property
    def constants(self) -> dict[str, dict[str, Quantity]]:
        """Constants that were read, by what read them; processes are told apart where there are several."""
        several = len({found.technology for found in self.answers.values()}) > 1
        groups: dict[str, dict[str, Quantity]] = {}
        for found in self.answers.values():
            for group, read in found.constants.items():
                name = f"{group} ({found.technology})" if several and group == "machine" else group
                groups.setdefault(name, {}).update(read)
        return groups

    @property
    def reproduction(self) -> Reproduction:
        """What it takes to make this again."""
        books: dict[tuple[str, str], BookUse] = {}
        for found in self.answers.values():
            books |= {(use.role, use.name): use for use in found.books}
        overrides = next(iter(self.answers.values())).overrides
        return reproduction(self.command, tuple(books.values()), overrides=overrides, date=self.date)

    def document(self, command: str = "") -> Document:
        """Return the result as a document."""
        from explorer.report.side_by_side_document import side_by_side_document

        return side_by_side_document(self)


def compare_models(
    models: Sequence[str],
    technologies: Sequence[str] = (DEFAULT_TECHNOLOGY,),
    *,
    command: str = "",
    date: str = "",
    **shared: Any,
) -> ModelComparison:
    """Return the whole answer for every model on every technology.

    `shared` goes to `answer` for each: context, volume, convention, set, book. Raises `InputError` for none, for one
    given twice, for more than `MOST` in all, and as `answer` does.
    """
    for what, given in (("model", models), ("technology", technologies)):
        if not given:
            raise InputError(f"no {what} given: expected at least one")
        twice = next((name for at, name in enumerate(given) if name in given[:at]), None)
        if twice is not None:
            raise InputError(f"{what} {twice!r} is given twice: expected once")
    if len(models) * len(technologies) > MOST:
        raise InputError(
            f"{len(models)} models on {len(technologies)} technologies: expected at most {MOST} answers side by side"
        )
    answers: dict[str, Answer] = {}
    for model, technology in product(models, technologies):
        found = answer(model, technology=technology, command=command, date=date, **shared)
        label = found.model.name if len(technologies) == 1 else technology
        if len(technologies) > 1 and len(models) > 1:
            label = f"{found.model.name}, {technology}"
        if label in answers:
            raise InputError(f"two models are called {found.model.name!r}: expected different names")
        answers[label] = found
    return ModelComparison(answers, command or f"hwsim report {' '.join(map(str, models))}", date)


def believed(found: Answer) -> CostAnswer:
    """Return the costs of an answer under the corrected conventions."""
    return found.cost if found.cost.convention == "corrected" else found.other_cost


def published_cost(found: Answer) -> CostAnswer:
    """Return the costs of an answer under the published conventions."""
    return found.cost if found.cost.convention == "as-published" else found.other_cost


def nominal(found: Answer) -> "Pair":
    """Return both fleets under the corrected conventions at nominal prices."""
    return believed(found).comparison.nominal
