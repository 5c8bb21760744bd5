"""A real model's weights as wires: slack, tracks, faults."""
