"""Two-dimensional Matryoshka: the encoder stopped after some layers, its vectors cut to some dimensions.

Li et al., arXiv 2402.14776, train for both; MiniLM was trained for neither, so this is what a plain encoder keeps.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from explorer.retrieval.collection import Collection
from explorer.retrieval.evaluate import estimates, query_metrics
from explorer.retrieval.studies.measured import Measured
from hwbase.check import integer

DIMS = (32, 64, 128, 256, 384)
_K = 100


def depth_study(
    collection: Collection,
    embed: Callable[[Sequence[str], int], np.ndarray],
    layers: int,
    *,
    dims: Sequence[int] = DIMS,
) -> Measured:
    """Return recall by layers and dimensions, with the share of the encoder's work and the bytes of float16.

    Parameters
    ----------
    collection : Collection
    embed : callable
        Returns unit vectors, float32 (texts, inputs), of texts and a number of layers.
    layers : int
        Layers of the whole encoder.
    dims : sequence of int
        First dimensions that are kept.
    """
    rows = []
    for depth in range(1, integer("layers", layers) + 1):
        documents = embed(collection.documents.texts, depth)
        queries = embed(collection.queries.texts, depth)
        for kept in dims:
            size = integer("dims", kept, high=documents.shape[1])
            short, asked = documents[:, :size], queries[:, :size]
            scores = asked @ (short / np.linalg.norm(short, axis=1, keepdims=True)).T
            ranked = np.argsort(-scores, axis=1, kind="stable")[:, :_K]
            found = estimates(query_metrics(ranked, collection.grades))
            rows.append(
                {
                    "layers": depth,
                    "dims": size,
                    "work_share": depth / layers,
                    "bytes": 2 * size,
                    "recall@10": found["recall@10"].mean,
                    "recall@10_low": found["recall@10"].low,
                    "recall@10_high": found["recall@10"].high,
                }
            )
    return Measured(
        "depth",
        f"{collection.name}: encoder stopped early, vectors cut",
        f"{len(collection.documents.ids):,} documents, {len(collection.queries.ids):,} queries; the share of work "
        f"is that of the layers.",
        pd.DataFrame(rows),
        ("The encoder was not trained to stop early or to be cut.",),
    )
