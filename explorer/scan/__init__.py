"""Fleets of engines, CPUs and GPUs that scan an index of binary codes."""
