"""The limit of an embedding: the LIMIT collection, and which top-k sets vectors of few dimensions or bits can express.

Weller et al., arXiv 2508.21038. The collection asks for pairs of 46 documents, two answers a query, among 50,000. In
exact arithmetic 2 k dimensions express every top-k set of any number of documents: points on the moment curve are the
vertices of a neighbourly polytope, so every k of them are cut off by a hyperplane (Gale, 1963). What limits is the
number of bits of a vector and whether training reaches such an arrangement, not dimensions alone.
"""

import json
from collections.abc import Iterable, Sequence
from itertools import combinations, product
from math import comb
from pathlib import Path

import numpy as np
import pandas as pd

from explorer.progress import Report
from explorer.retrieval.collection import Collection, Texts
from explorer.retrieval.studies.measured import Measured
from explorer.writing import write_folder
from hwbase import InputError
from hwbase.check import integer
from models.binarize import fit_codec, unit

#: Sizes of the published collection: documents, those that are asked for, queries, answers of a query, likes.
DOCUMENTS, ASKED_FOR, QUERIES, ANSWERS, LIKES = 50_000, 46, 1000, 2, 50
_ATTRIBUTES = 1850
#: Code words that enumeration tries at most, and rounds of the free optimisation.
_MOST_SETS = 2_000_000
_ROUNDS = 400
_SEED = 3
#: Top-k sets that a study goes through at most.
_MOST_STUDIED = 200_000
#: Adam (Kingma and Ba, arXiv 1412.6980): rate, decays, least divisor; and how sharp the softmax is at first.
_RATE, _FIRST, _SECOND, _LEAST, _SHARP = 0.05, 0.9, 0.99, 1e-8, 10.0
_SYLLABLES = ("ba", "de", "fi", "go", "ku", "la", "me", "ni", "po", "ru", "sa", "te", "vi", "zo")


def limit_collection(small: bool = False, seed: int = 0) -> Collection:
    """Return the LIMIT collection as published: people who like things, and queries "who likes X?" with two answers.

    Each of the 1,000 queries asks for another pair of 46 people; everybody likes 50 things, those that are asked for
    included. `small` has these 46 alone. Names and things are made up here: the published lists are not shipped.
    """
    random = np.random.default_rng(seed)
    size = ASKED_FOR if small else DOCUMENTS
    things = [f"{a}{b}{c}" for a, b, c in product(_SYLLABLES, repeat=3)][:_ATTRIBUTES]
    random.shuffle(things)
    pairs = list(combinations(range(ASKED_FOR), ANSWERS))[:QUERIES]
    likes: list[list[str]] = [[] for _ in range(size)]
    for thing, pair in zip(things, pairs, strict=False):
        for person in pair:
            likes[person].append(thing)
    others = things[len(pairs) :]
    for own in likes:
        missing = max(0, LIKES - len(own))
        own += [others[i] for i in random.choice(len(others), missing, replace=False)]
        random.shuffle(own)
    names = [f"{_SYLLABLES[i % 14]}{_SYLLABLES[i // 14 % 14]}{i}".capitalize() for i in range(size)]
    texts = tuple(f"{name} likes {', '.join(own)}." for name, own in zip(names, likes, strict=True))
    asked = tuple(f"Who likes {thing}?" for thing in things[: len(pairs)])
    return Collection(
        "LIMIT small" if small else "LIMIT",
        Texts(tuple(names), texts),
        Texts(tuple(f"query_{i}" for i in range(len(asked))), asked),
        tuple(dict.fromkeys(pair, 1.0) for pair in pairs),
    )


def write_collection(collection: Collection, folder: str | Path) -> Path:
    """Write documents, queries and judgements as `hwsim retrieve eval` reads them, and return the folder.

    Raises `InputError` if the folder cannot be written, or holds other files.
    """
    files = {}
    for name, texts in (("documents", collection.documents), ("queries", collection.queries)):
        lines = (json.dumps({"id": key, "text": text}) for key, text in zip(texts.ids, texts.texts, strict=True))
        files[f"{name}.jsonl"] = "\n".join(lines) + "\n"
    judged = (
        f"{query}\t{collection.documents.ids[answer]}\t{grade:g}"
        for query, graded in zip(collection.queries.ids, collection.grades, strict=True)
        for answer, grade in graded.items()
    )
    return write_folder(folder, files | {"qrels.tsv": "\n".join(judged) + "\n"})


def _top_sets(documents: int, k: int) -> list[tuple[int, ...]]:
    """Return all sets of k documents. Raises `InputError` for more than a study goes through."""
    size = integer("documents", documents, low=2, high=500)
    chosen = integer("k", k, high=size - 1)
    if comb(size, chosen) > _MOST_STUDIED:
        raise InputError(
            f"k = {k}: {size} documents have {comb(size, chosen):,} sets of {k}, expected at most {_MOST_STUDIED:,}: "
            "fewer documents, or a smaller k"
        )
    return list(combinations(range(size), chosen))


def expressed(documents: np.ndarray, sets: Iterable[Sequence[int]], queries: np.ndarray) -> float:
    """Return the share of `sets` whose documents are exactly the nearest of its query, strictly, by products."""
    hits, total = 0, 0
    for own, scores in zip(sets, queries @ documents.T, strict=True):
        inside = np.zeros(len(documents), bool)
        inside[list(own)] = True
        hits += bool(scores[inside].min() > scores[~inside].max(initial=-np.inf))
        total += 1
    return hits / max(total, 1)


def moment_curve(documents: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return unit vectors (documents, 2 k) and queries for all sets of k, float64: cyclic polytopes are neighbourly.

    Documents lie on the trigonometric moment curve (cos t, sin t, cos 2t, ...). The query of a set is the polynomial
    prod (1 - cos(t - t_i)), least on the set, with its sign turned.
    """
    sets = _top_sets(documents, k)
    angles = 2 * np.pi * np.arange(documents) / documents
    waves = np.arange(1, k + 1)
    rows = np.stack([f(np.outer(angles, waves)) for f in (np.cos, np.sin)], axis=2).reshape(documents, 2 * k)
    queries = []
    for own in sets:
        # Coefficients of exp(i w t), w from -k to k.
        total = np.ones(1, complex)
        for i in own:
            total = np.convolve(total, [-np.exp(1j * angles[i]) / 2, 1, -np.exp(-1j * angles[i]) / 2])
        coefficients = total[k + 1 :]
        queries.append(-np.stack([2 * coefficients.real, -2 * coefficients.imag], axis=1).ravel())
    return rows / np.sqrt(k), np.array(queries)


def optimised(documents: int, k: int, dims: int, *, rounds: int = _ROUNDS, seed: int = _SEED) -> float:
    """Return the share of all top-k sets that free vectors express after optimisation by gradients, 0 to 1.

    Documents and one query for each set are unit vectors; the loss is that of a softmax over documents, as in training.
    Adam; the best round counts. A share below 1 bounds what this training reaches, not what is possible.
    """
    integer("dims", dims, high=4096)
    sets = np.array(_top_sets(documents, k))
    wanted = np.zeros((len(sets), documents), np.float32)
    np.put_along_axis(wanted, sets, 1.0, axis=1)
    random = np.random.default_rng(seed)
    parts = [random.standard_normal((size, dims)).astype(np.float32) for size in (documents, len(sets))]
    first, second = [np.zeros_like(p) for p in parts], [np.zeros_like(p) for p in parts]
    best = 0.0
    for step in range(1, rounds + 1):
        x, q = (unit(p) for p in parts)
        scores = q @ x.T
        best = max(best, _share(scores, wanted))
        if best == 1.0:
            return 1.0
        sharp = _SHARP * step**0.5
        weights = np.exp(sharp * (scores - scores.max(axis=1, keepdims=True)))
        slope = weights / weights.sum(axis=1, keepdims=True) - wanted / k
        for place, (own, gradient) in enumerate(((x, slope.T @ q), (q, slope @ x))):
            # Only what turns a vector counts.
            turn = gradient - (gradient * own).sum(axis=1, keepdims=True) * own
            first[place] = _FIRST * first[place] + (1 - _FIRST) * turn
            second[place] = _SECOND * second[place] + (1 - _SECOND) * turn**2
            ahead, spread = first[place] / (1 - _FIRST**step), second[place] / (1 - _SECOND**step)
            parts[place] = own - _RATE * ahead / (np.sqrt(spread) + _LEAST)
    return best


def _share(scores: np.ndarray, wanted: np.ndarray) -> float:
    inside = np.where(wanted > 0, scores, np.inf).min(axis=1)
    outside = np.where(wanted > 0, -np.inf, scores).max(axis=1)
    return float((inside > outside).mean())


def most_documents(bits: int, k: int) -> int:
    """Return how many sign codes of `bits` bits have every set of k as a strict top-k of some sign query.

    By enumeration of all sets of code words, so for few bits only. Raises `InputError` where there are too many.

    >>> most_documents(2, 1), most_documents(3, 1)
    (4, 8)
    """
    size = 2 ** integer("bits", bits, high=5)
    integer("k", k, high=size)
    words = 2 * (np.arange(size)[:, None] >> np.arange(bits) & 1) - 1
    scores = words @ words.T
    best = k
    for documents in range(k + 1, size + 1):
        # One document may be fixed: codes and queries can be turned together.
        choices = combinations(range(1, size), documents - 1)
        for tried, rest in enumerate(choices):
            if tried > _MOST_SETS:
                raise InputError(f"bits = {bits}, k = {k}: expected fewer codes to enumerate")
            if _all_sets(scores[:, [0, *rest]], k):
                best = documents
                break
        else:
            return best
    return best


def _all_sets(scores: np.ndarray, k: int) -> bool:
    """Whether every set of k columns is the strict top k of some row."""
    order = np.sort(scores, axis=1)[:, ::-1]
    if scores.shape[1] == k:
        return True
    strict = order[:, k - 1] > order[:, k]
    tops = {
        tuple(np.flatnonzero(row >= limit)) for row, limit in zip(scores[strict], order[strict, k - 1], strict=True)
    }
    return len(tops) == len(list(combinations(range(scores.shape[1]), k)))


def warning(bits: int, k: int, documents: int) -> str | None:
    """Return a sentence if codes of `bits` bits cannot tell every top-k set of `documents` apart, None if they could.

    There are C(documents, k) sets and at most 2^bits query codes of as many bits, so bits below log2 of the sets are
    too few for queries in the same code. More bits do not promise that training finds the arrangement.
    """
    needed = (comb(documents, k) - 1).bit_length()
    if bits >= needed:
        return None
    return (
        f"{bits} bits express at most 2^{bits} rankings, and there are 2^{needed} sets of {k} among {documents:,} "
        f"documents: some cannot be found with queries of as many bits. Dimensions alone set no such limit; bits and "
        f"training do."
    )


def limit_study(
    documents: int = 16,
    k: int = 2,
    *,
    dims: Sequence[int] = (2, 3, 4, 6, 8, 12),
    codecs: Sequence[str] = ("float32", "float16", "int8", "int4", "sign"),
    bits: int | None = None,
    report: Report | None = None,
) -> Measured:
    """Return the share of all top-k sets that vectors of `dims` dimensions express: optimised, or by construction.

    Rows "moment curve" have 2 k dimensions and keep documents in each of `codecs`; queries stay in floats. With
    `bits` a note says whether codes of so many bits are too few.
    """
    sets = _top_sets(documents, k)
    rows = []
    for step, size in enumerate(dims):
        if report is not None:
            report(f"{size} dimensions", step, len(dims))
        share = optimised(documents, k, size)
        rows.append({"vectors": "optimised", "codec": "float32", "dims": size, "bits": 32 * size, "expressed": share})
    points, queries = moment_curve(documents, k)
    for name in codecs:
        codec = fit_codec(name, points)
        kept = unit(codec.decode(codec.encode(points)))
        share = expressed(kept, sets, queries.astype(np.float32))
        rows.append(
            {
                "vectors": "moment curve",
                "codec": name,
                "dims": 2 * k,
                "bits": codec.bits_per_vector,
                "expressed": share,
            }
        )
    notes = [
        "Optimised vectors are what gradients reach from a random start; the moment curve shows what is possible.",
        *(text for text in [None if bits is None else warning(bits, k, documents)] if text),
    ]
    return Measured(
        "limit",
        f"Top-{k} sets of {documents} documents",
        f"The share of all {len(sets):,} sets of {k} that some query puts first, strictly.",
        pd.DataFrame(rows),
        tuple(notes),
    )
