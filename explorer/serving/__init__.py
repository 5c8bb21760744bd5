"""Requests over time on hardwired machines and GPUs: latencies, throughput and cost."""
