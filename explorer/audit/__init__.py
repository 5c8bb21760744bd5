"""Audits of the circuit models against Verilog that is simulated and synthesised."""
