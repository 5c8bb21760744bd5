"""Real models on the NumPy kernels: text, arithmetic, perplexity."""
