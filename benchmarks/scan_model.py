"""The roofline that models servers beside the kernels of this machine, in one run: seconds predicted and measured.

Two rates are measured first (reading memory, comparing codes that stay in the cache); every scan is then predicted from
them and the server's book. One core; the least of three runs.
"""

from collections.abc import Iterator

from benchmarks.measure import Measure
from hwsim.retrieval import validate_cpu


def measures(quick: bool) -> Iterator[Measure]:
    """Yield the predicted milliseconds of each scan beside the measured ones."""
    result = validate_cpu(documents=20_000 if quick else 1_000_000, backend="auto")
    for row in result.to_frame().itertuples():
        yield Measure(
            f"{row.bits} bits, {row.batch} queries, predicted",
            1e3 * row.predicted_s,
            "ms",
            f"measured, {result.backend}",
            1e3 * row.measured_s,
            f"bound by {row.bound_by}, {row.read_bytes_per_s / 1e9:.1f} GB/s read",
        )
