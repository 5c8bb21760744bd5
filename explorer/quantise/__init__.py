"""explorer.quantise: compensated weights of a real network, written to a folder that other commands read."""

from explorer.quantise.run import QuantiseResult, quantise

__all__ = ["QuantiseResult", "quantise"]
