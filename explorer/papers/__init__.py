"""Reproduction of the published figures: one module and one table of cells per paper."""
