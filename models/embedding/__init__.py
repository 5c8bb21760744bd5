"""models.embedding: sentences as vectors - MiniLM-L6's forward pass in NumPy, with weights that a package brings."""

from models.embedding.encoder import SentenceEncoder
from models.embedding.rounding import METHODS, rounded_encoder
from models.embedding.weights import EMBEDDING_MODEL, INSTALL, EncoderWeights, find_encoder, read_encoder

__all__ = [
    "EMBEDDING_MODEL",
    "INSTALL",
    "METHODS",
    "EncoderWeights",
    "SentenceEncoder",
    "find_encoder",
    "read_encoder",
    "rounded_encoder",
]
