"""models.binarize: embeddings in few bits - codecs by name, signs and residual planes, and the trained binariser.

`fit_codec("int8", x)` or `RecurrentBinarizer(bits_per_dim=2, dims=256).fit(x, pairs)`; rows of bytes come out.
"""

from models.binarize.codec import MAPS, STORES, Codec, fit_codec, parse_codec
from models.binarize.linear import LinearMap, embeddings, unit
from models.binarize.product import ProductStore
from models.binarize.rabitq import RabitqStore, round_query
from models.binarize.ranges import RangeStore, TableStore
from models.binarize.recurrent import RecurrentBinarizer
from models.binarize.saving import codec_from_state, codec_state
from models.binarize.stores import FloatStore, IntegerStore, PlaneStore, fit_store
from models.binarize.training import Training

__all__ = [
    "MAPS",
    "STORES",
    "Codec",
    "FloatStore",
    "IntegerStore",
    "LinearMap",
    "PlaneStore",
    "ProductStore",
    "RabitqStore",
    "RangeStore",
    "RecurrentBinarizer",
    "TableStore",
    "Training",
    "codec_from_state",
    "codec_state",
    "embeddings",
    "fit_codec",
    "fit_store",
    "parse_codec",
    "round_query",
    "unit",
]
