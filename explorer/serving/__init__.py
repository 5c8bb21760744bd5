"""Requests over time on hardwired machines and GPUs: what users get and what it costs."""
