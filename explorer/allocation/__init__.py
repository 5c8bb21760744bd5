"""Bits for each layer of a network within budgets, from a table of costs."""
