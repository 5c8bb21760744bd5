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
from hwbase.arguments import checked
from hwsim.technology import DEFAULT_TECHNOLOGY

if TYPE_CHECKING:
    from costmodel.comparison import Pair

#: Most columns of a table.
MOST = 8


@dataclass(frozen=True)
class ModelComparison(Documented):
    """Answers by label: the model, the technology, or both, by which of them differ."""

    answers: dict[str, Answer]
    command: str
    date: str = ""

    def to_frame(self) -> pd.DataFrame:
        """Return the rows of all answers, concatenated (see `explorer.documents.rows`)."""
        return pd.concat([each.to_frame() for each in self.answers.values()], ignore_index=True)

    @property
    def constants(self) -> dict[str, dict[str, Quantity]]:
        """Constants that were read, by group, with the process where there are several."""
        several = len({model_answer.technology for model_answer in self.answers.values()}) > 1
        groups: dict[str, dict[str, Quantity]] = {}
        for model_answer in self.answers.values():
            for group, read in model_answer.constants.items():
                name = f"{group} ({model_answer.technology})" if several and group == "machine" else group
                groups.setdefault(name, {}).update(read)
        return groups

    @property
    def reproduction(self) -> Reproduction:
        """Versions, books and command needed to reproduce the comparison."""
        books: dict[tuple[str, str], BookUse] = {}
        for model_answer in self.answers.values():
            books |= {(use.role, use.name): use for use in model_answer.books}
        overrides = next(iter(self.answers.values())).overrides
        return reproduction(self.command, tuple(books.values()), overrides=overrides, date=self.date)

    def document(self, command: str = "") -> Document:
        """Return the result as a document."""
        from explorer.report.side_by_side_document import side_by_side_document

        return side_by_side_document(self)


@checked
def compare_models(
    models: Sequence[str],
    technologies: Sequence[str] = (DEFAULT_TECHNOLOGY,),
    *,
    command: str = "",
    date: str = "",
    **shared: Any,
) -> ModelComparison:
    """Return the whole answer for every model on every technology.

    Parameters
    ----------
    models : sequence of str
        Models, as in `hwsim.simulate`.
    technologies : sequence of str
        Processes of the hardwired machine.
    command, date : str
        The command and date that the document states.
    **shared
        Arguments of `answer` for each: context, volume, convention, set, book.

    Returns
    -------
    ModelComparison

    Raises
    ------
    InputError
        For an empty list, a repeated name, more than `MOST` answers in all, and as `answer` does.
    """
    # Arrays and sets are lists here.
    models, technologies = list(models), list(technologies)
    for what, names in (("model", models), ("technology", technologies)):
        if not names:
            raise InputError(f"no {what} given: expected at least one")
        twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
        if twice is not None:
            raise InputError(f"{what} {twice!r} is given twice: expected once")
    if len(models) * len(technologies) > MOST:
        raise InputError(
            f"{len(models)} models on {len(technologies)} technologies: expected at most {MOST} answers side by side"
        )
    answers: dict[str, Answer] = {}
    for model, technology in product(models, technologies):
        result = answer(model, technology=technology, command=command, date=date, **shared)
        label = result.model.name if len(technologies) == 1 else technology
        if len(technologies) > 1 and len(models) > 1:
            label = f"{result.model.name}, {technology}"
        if label in answers:
            raise InputError(f"two models are called {result.model.name!r}: expected different names")
        answers[label] = result
    return ModelComparison(answers, command or f"hwsim report {' '.join(map(str, models))}", date)


def believed(answer: Answer) -> CostAnswer:
    """Return the costs of an answer under the corrected conventions."""
    return answer.cost if answer.cost.convention == "corrected" else answer.other_cost


def published_cost(answer: Answer) -> CostAnswer:
    """Return the costs of an answer under the published conventions."""
    return answer.cost if answer.cost.convention == "as-published" else answer.other_cost


def nominal(answer: Answer) -> "Pair":
    """Return both fleets under the corrected conventions at nominal prices."""
    return believed(answer).comparison.nominal
