"""Designs: which hardwired machine to build for a model, of all mappings and balances of its blocks."""
