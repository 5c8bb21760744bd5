"""models: networks as numbers - what a language model holds, computes and caches, counted exactly from its sizes.

`load` finds a network by name or file; the other functions take its spec and return counts or bytes.
"""

from models.counts import (
    ParameterCounts,
    attention_shapes,
    embedding_table_elements,
    expert_elements,
    hardwired_parameters,
    parameters,
)
from models.huggingface import spec_from_config
from models.loading import load, names
from models.macs import MacCounts, attended_positions, macs_per_token
from models.memory import (
    WeightBytes,
    kv_bytes_per_sequence,
    kv_bytes_per_token,
    kv_elements_per_token,
    kv_elements_per_token_per_layer,
    weight_bytes,
)
from models.published import agrees, rounds_to, zoo_frame
from models.spec import LLMSpec, spec_from_fields

__all__ = [
    "LLMSpec",
    "MacCounts",
    "ParameterCounts",
    "WeightBytes",
    "agrees",
    "attended_positions",
    "attention_shapes",
    "embedding_table_elements",
    "expert_elements",
    "hardwired_parameters",
    "kv_bytes_per_sequence",
    "kv_bytes_per_token",
    "kv_elements_per_token",
    "kv_elements_per_token_per_layer",
    "load",
    "macs_per_token",
    "names",
    "parameters",
    "rounds_to",
    "spec_from_config",
    "spec_from_fields",
    "weight_bytes",
    "zoo_frame",
]
