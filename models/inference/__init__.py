"""models.inference: real language models in NumPy - weights from files, forward pass, generation, perplexity.

The matrices of a network are applied by a linear operator that the caller may replace, so the same forward pass runs
in float32 or in the arithmetic of a machine. Packages of the extra [llm] are imported when a model is read.
"""

from models.inference.activations import SCALINGS, QuantisedActivations, Scaling, quantise_activations
from models.inference.config import EMBEDDING, HEAD, LAYER_LINEARS, TransformerConfig
from models.inference.generate import DEFAULT_MAX_TOKENS, Sampling, generate, pick
from models.inference.kv import KV_FORMATS, kv_bits
from models.inference.perplexity import DEFAULT_WINDOW, Perplexity, perplexity, token_losses
from models.inference.reading import read_model, weights_path
from models.inference.tokens import Tokenizer, parse_ids
from models.inference.transformer import PREFILL_CHUNK, Cache, FloatLinear, Linear, Transformer, multiply
from models.inference.weights import DEFAULT_MODEL, INSTALL, Vocabulary, Weights, find_model

__all__ = [
    "DEFAULT_MAX_TOKENS",
    "DEFAULT_MODEL",
    "DEFAULT_WINDOW",
    "EMBEDDING",
    "HEAD",
    "INSTALL",
    "KV_FORMATS",
    "LAYER_LINEARS",
    "PREFILL_CHUNK",
    "SCALINGS",
    "Cache",
    "FloatLinear",
    "Linear",
    "Perplexity",
    "QuantisedActivations",
    "Sampling",
    "Scaling",
    "Tokenizer",
    "Transformer",
    "TransformerConfig",
    "Vocabulary",
    "Weights",
    "find_model",
    "generate",
    "kv_bits",
    "multiply",
    "parse_ids",
    "perplexity",
    "pick",
    "quantise_activations",
    "read_model",
    "token_losses",
    "weights_path",
]
