"""The roofline that models servers beside the kernels of this machine, in one run: seconds predicted and measured.

    python benchmarks/scan_model.py [numba|numpy] [documents]

Two rates are measured first (reading memory, comparing codes that stay in the cache); every scan is then predicted from
them and the server's book. One core; the least of three runs.
"""

import sys

from hwsim.retrieval import validate_cpu


def main() -> None:
    """Run and print."""
    backend = sys.argv[1] if len(sys.argv) > 1 else "auto"
    documents = int(float(sys.argv[2])) if len(sys.argv) > 2 else 1_000_000
    found = validate_cpu(documents=documents, backend=backend)
    print(f"{found.processor}, backend {found.backend}, {found.documents:,} documents, top {found.k}")
    print(f"{found.compared_bits_per_s / 1e9:,.0f} Gbit/s compared in the cache")
    print(
        f"{'bits':>5s} {'batch':>5s} {'read GB/s':>9s} {'predicted ms':>13s} {'measured ms':>12s} {'ratio':>6s}  bound"
    )
    for row in found.to_frame().itertuples():
        print(
            f"{row.bits:5d} {row.batch:5d} {row.read_bytes_per_s / 1e9:9.1f} {1e3 * row.predicted_s:13.2f} "
            f"{1e3 * row.measured_s:12.2f} {row.ratio:6.2f}  {row.bound_by}"
        )


if __name__ == "__main__":
    main()
