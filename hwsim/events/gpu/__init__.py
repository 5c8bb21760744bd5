"""A node of GPUs under a serving engine, event by event."""
