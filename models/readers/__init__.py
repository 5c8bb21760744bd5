"""Readers of configuration files: what a file says, as layers; every key of it accounted for."""
