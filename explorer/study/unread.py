"""Constants of a study that nothing reads: a trial of each kind of point tells what is read, before the study runs."""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, TypeGuard

import numpy as np

from explorer.study.sampling import otherwise
from explorer.study.space import Choice, Parameter, active
from explorer.study.spec import Study
from hwbase import InputError
from hwbase.books import refuse_unread

#: Most combinations of choices to try. A study with more is not checked to the end.
_MOST_KINDS = 256


def refuse_unread_constants(study: Study) -> None:
    """Raise `InputError` for a fixed or varied constant that no kind of point of the study reads.

    A kind of point is a combination of choices of texts; each is tried at both ends of all numbers. Trials end when
    every constant has been read by one of them. A kind that fails at both ends leaves open what it reads, and nothing
    is refused then.
    """
    reads = study.target.reads
    if reads is None:
        return
    constants = {name: study.fixed.get(name) for name in (*study.fixed, *study.space)}
    read: set[str] = set()
    for tried, kind in enumerate(_kinds(study.space)):
        answers = []
        for end in (0, -1):
            try:
                answers.append(reads({**study.fixed, **_point(study.space, kind, end)}))
            except InputError:  # the rows of such points say why
                continue
        read = read.union(*answers)
        if constants.keys() <= read or not answers or tried == _MOST_KINDS:
            return
    refuse_unread(constants, read)


def _kinds(space: Mapping[str, Parameter]) -> Iterator[dict[str, Any]]:
    """Yield every combination of the choices that are no numbers."""
    chosen = {name: each.choices for name, each in space.items() if _is_named(each)}
    for values in product(*chosen.values()):
        yield dict(zip(chosen, values, strict=True))


def _is_named(each: Parameter) -> TypeGuard[Choice]:
    return isinstance(each, Choice) and isinstance(each.choices[0], (str, bool))


def _point(space: Mapping[str, Parameter], kind: Mapping[str, Any], end: int) -> dict[str, Any]:
    """Return the point of a kind at the first (0) or last (-1) value of every number; inactive ones as a study does."""
    values = {
        name: kind[name] if name in kind else (each.choices if isinstance(each, Choice) else (each.low, each.high))[end]
        for name, each in space.items()
    }
    columns = {n: np.array([v], dtype=object if isinstance(v, str) else None) for n, v in values.items()}
    holds_of = {name: active(space, columns, name) for name in space}
    columns |= {n: otherwise(space[n], columns[n], holds) for n, holds in holds_of.items() if holds is not None}
    return {name: column.item() for name, column in columns.items()}
