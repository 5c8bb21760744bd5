"""models: networks as numbers - what a language model holds, computes and caches, counted exactly from its sizes.

`load` finds a network by name or file; the other functions take its spec and return counts or bytes.
"""

from typing import TYPE_CHECKING

from hwbase.lazy import lazy_names

if TYPE_CHECKING:
    from models.catalogue import names, reference_names
    from models.counts import (
        ParameterCounts,
        attention_shapes,
        check_decoder,
        check_plain,
        embedding_table_elements,
        expert_elements,
        feed_forwards,
        hardwired_parameters,
        mixers,
        parameters,
    )
    from models.huggingface import spec_from_config
    from models.layers import Cache, FeedForward, Matrix, Mixer, Tower
    from models.loading import load, spec_of
    from models.macs import MacCounts, attended_entries, attended_positions, held_entries, macs_per_token
    from models.memory import (
        WeightBytes,
        kv_bytes_per_sequence,
        kv_bytes_per_token,
        kv_bytes_read_per_token,
        kv_elements_per_token,
        kv_elements_per_token_per_layer,
        state_bytes_per_sequence,
        weight_bytes,
    )
    from models.published import agrees, rounds_to, zoo_frame, zoo_rows
    from models.spec import LLMSpec, spec_from_fields
    from models.summary import Summary, summarise
else:
    __getattr__, __dir__ = lazy_names(__name__, __file__)

__all__ = [
    "Cache",
    "FeedForward",
    "LLMSpec",
    "MacCounts",
    "Matrix",
    "Mixer",
    "ParameterCounts",
    "Summary",
    "Tower",
    "WeightBytes",
    "agrees",
    "attended_entries",
    "attended_positions",
    "attention_shapes",
    "check_decoder",
    "check_plain",
    "embedding_table_elements",
    "expert_elements",
    "feed_forwards",
    "hardwired_parameters",
    "held_entries",
    "kv_bytes_per_sequence",
    "kv_bytes_per_token",
    "kv_bytes_read_per_token",
    "kv_elements_per_token",
    "kv_elements_per_token_per_layer",
    "load",
    "macs_per_token",
    "mixers",
    "names",
    "parameters",
    "reference_names",
    "rounds_to",
    "spec_from_config",
    "spec_from_fields",
    "spec_of",
    "state_bytes_per_sequence",
    "summarise",
    "weight_bytes",
    "zoo_frame",
    "zoo_rows",
]
