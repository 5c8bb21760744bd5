"""explorer.retrieval: binary retrieval on real text - collections, indexes, quality, and the commands for them."""
