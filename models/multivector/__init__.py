"""models.multivector: several vectors a text - exact Chamfer similarity, and MUVERA's encodings of fixed dimensions."""

from models.multivector.muvera import Muvera, directions
from models.multivector.sets import VectorSets, chamfer, clustered, vector_sets

__all__ = ["Muvera", "VectorSets", "chamfer", "clustered", "directions", "vector_sets"]
