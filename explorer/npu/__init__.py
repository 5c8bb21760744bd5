"""Networks on a spatial accelerator: which they are, and the pages about their clocks."""
