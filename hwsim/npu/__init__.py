"""A spatial accelerator for quantised inference: array, dataflow, tiles, clocks, energy."""
