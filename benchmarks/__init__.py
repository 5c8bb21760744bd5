"""Speed, measured beside a peer in the same run: `python -m benchmarks [NAME ...]`.

Each module but `measure` and `runner` is one benchmark: its docstring says what is compared and how, and
`measures(quick)` yields a `Measure` for each figure.
"""
