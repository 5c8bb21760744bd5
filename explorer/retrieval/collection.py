"""A collection to search: documents, queries and judgements of which document answers which query.

Files are JSON lines with `id` and `text`. A judgement is a line `qid docid grade`, separated by spaces or tabs. The
layout of BEIR (`_id`, a `title` before the text, a header line) and the four columns of TREC (`qid 0 docid grade`) are
read too. Where an index is built, `tag` or `tags` and other fields of a JSON line are kept to filter by if they are
numbers, names, true, false or lists of these; otherwise they are ignored.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hwbase import InputError
from hwbase.errors import shown
from hwbase.parsing import MOST_BYTES, parse_json

_BOM = "\ufeff"
_MOST_SHOWN = 80
#: Keys of a JSON line with a meaning of their own.
_OWN = frozenset(("id", "_id", "text", "title", "tag", "tags"))
#: What stands in the second of TREC's four columns.
_ITERATIONS = ("0", "Q0")


@dataclass(frozen=True, eq=False)
class Texts:
    """Texts with distinct ids, in the order of their file, with the `tags` of each and other `fields` by name.

    Both are empty if they were not read. A field has a value for each text: a number, a name, a list of them, or None.
    """

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    tags: tuple[tuple[str, ...], ...] = ()
    fields: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Collection:
    """Documents, queries and `grades`: for each query the grades, above 0, of its answers by document position.

    Every query has at least one answer. `name` is the name of the collection. Answers that are not among the documents,
    `missing` of them, have positions below -1, which no search finds.
    """

    name: str
    documents: Texts
    queries: Texts
    grades: tuple[dict[int, float], ...]
    missing: int = 0


def read_texts(path: str | Path, what: str, *, tagged: bool = False) -> Texts:
    """Return the texts of a JSON-lines file. `what` names them in messages ("documents"); `tagged` reads tags and
    other fields too.

    Raises `InputError` with the line number for a line that is not a JSON object, a missing or empty id, a title or
    text that is not a string, a repeated id, or invalid tags; and for a file that is missing, empty or not UTF-8.
    """
    seen: dict[str, int] = {}
    texts, tags = [], []
    fields: dict[str, list[Any]] = {}
    for number, line in _lines(path):
        where = f"{Path(path).name}, line {number}"
        record = parse_json(line, where)
        if not isinstance(record, dict):
            raise InputError(f"{where}: {line[:_MOST_SHOWN]!r}: expected an object with id and text")
        name = record.get("id", record.get("_id"))
        name = str(name) if isinstance(name, int) and not isinstance(name, bool) else name
        if not isinstance(name, str) or not name.strip():
            raise InputError(f"{where}: id = {name!r}: expected a name or a whole number")
        parts = record.get("title"), record.get("text")
        for key, part in zip(("title", "text"), parts, strict=True):
            if not isinstance(part, str) and (part is not None or key == "text"):
                raise InputError(f"{where}: {key} = {str(part)[:_MOST_SHOWN]!r}: expected a string")
        if name in seen:
            raise InputError(f"{where}: id {name!r} is given twice, first in line {seen[name]}")
        seen[name] = number
        texts.append(" ".join(part for part in parts if part))
        if tagged:
            tags.append(_tags(record, where))
            for key, value in record.items():
                if key not in _OWN and _kept_as_field(value):
                    column = fields.setdefault(key, [])
                    column += [None] * (len(tags) - 1 - len(column))
                    column.append(value)
    if not texts:
        raise InputError(f"{Path(path).name} is empty: expected {what}, one JSON object per line")
    columns = {key: (*column, *[None] * (len(texts) - len(column))) for key, column in fields.items()}
    return Texts(tuple(seen), tuple(texts), tuple(tags), columns)


def read_collection(
    documents: Texts, queries: Texts, qrels: str | Path, name: str = "", *, missing: bool = False
) -> Collection:
    """Return the collection of these texts with the judgements of the file `qrels`.

    With `missing`, judged documents that are not there count as answers that are not found. Queries without a judgement
    above 0 are left out, as is usual. Raises `InputError` with the line number for a line in another format, a grade
    that is not a number, an unknown query or document, or a repeated pair; and for a file without a judgement above 0.
    """
    positions = {key: place for place, key in enumerate(documents.ids)}
    rows = {key: place for place, key in enumerate(queries.ids)}
    grades: list[dict[int, float]] = [{} for _ in queries.ids]
    judged: dict[tuple[int, int], int] = {}
    absent: dict[str, int] = {}
    first = True
    for number, line in _lines(qrels):
        where = f"{Path(qrels).name}, line {number}"
        parts = line.split("\t") if "\t" in line else line.split()
        parts = [part.strip() for part in parts]
        if len(parts) not in (3, 4):
            raise InputError(f"{where}: {line[:_MOST_SHOWN]!r}: expected query, document and grade")
        query, document, grade = parts[0], parts[-2], _grade(parts[-1])
        header, first = first and grade is None and query not in rows, False
        if header:
            continue
        if grade is None:
            raise InputError(f"{where}: grade {parts[-1]!r}: expected a finite number")
        if query not in rows:
            raise InputError(f"{where}: query {query!r} is not among the {len(rows)} queries")
        if len(parts) == 4 and parts[1] in positions and parts[1] not in _ITERATIONS:
            raise InputError(f"{where}: {line[:_MOST_SHOWN]!r}: expected 'query 0 document grade', or three columns")
        if document not in positions and not missing:
            raise InputError(f"{where}: document {document!r} is not among the {len(positions)} documents")
        pair = rows[query], positions.get(document, absent.setdefault(document, -2 - len(absent)))
        if pair in judged:
            raise InputError(f"{where}: {query!r} and {document!r} are judged twice, first in line {judged[pair]}")
        judged[pair] = number
        if grade > 0:
            grades[pair[0]][pair[1]] = grade
    kept = [row for row, graded in enumerate(grades) if graded]
    if not kept:
        raise InputError(f"{Path(qrels).name} has no judgement above 0: expected lines of query, document and grade")
    answers = [place for row in kept for place in grades[row]]
    if max(answers) < 0:
        raise InputError(f"{Path(qrels).name}: none of the judged documents is among the {len(positions)} documents")
    return Collection(
        name,
        documents,
        Texts(tuple(queries.ids[row] for row in kept), tuple(queries.texts[row] for row in kept)),
        tuple(grades[row] for row in kept),
        sum(place < 0 for place in answers),
    )


def kept_queries(collection: Collection, all_ids: Sequence[str]) -> list[int]:
    """Return the positions in `all_ids` of the queries that `read_collection` kept, in their order."""
    rows = {key: place for place, key in enumerate(all_ids)}
    return [rows[key] for key in collection.queries.ids]


def _tags(record: Mapping[str, Any], where: str) -> tuple[str, ...]:
    value = record.get("tags", record.get("tag"))
    names = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(n, str | int) and not isinstance(n, bool) and str(n).strip() for n in names):
        raise InputError(f"{where}: tags = {str(value)[:_MOST_SHOWN]!r}: expected a name or a list of names")
    return tuple(dict.fromkeys(str(name) for name in names))


def _kept_as_field(value: Any) -> bool:
    entries = value if isinstance(value, list) else [value]
    return bool(entries) and all(isinstance(entry, (str, int, float)) for entry in entries)


def _grade(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value - value == 0 else None


def _lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """Yield (number from 1, line) of the lines that are not blank."""
    try:
        with Path(path).open(encoding="utf-8", newline=None) as file:
            for number, line in enumerate(iter(lambda: file.readline(MOST_BYTES), ""), start=1):
                if len(line) == MOST_BYTES:
                    raise InputError(
                        f"{shown(str(path))}, line {number}: expected fewer than {MOST_BYTES:,} characters"
                    )
                text = line.removeprefix(_BOM).strip("\r\n")
                if text.strip():
                    yield number, text
    except InputError:
        raise
    except UnicodeDecodeError:
        raise InputError(f"{str(path)!r} is not UTF-8 text") from None
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror or error}") from None
    except ValueError:
        raise InputError(f"cannot read {str(path)!r}: expected the path of a file") from None
