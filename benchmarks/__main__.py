"""`python -m benchmarks [NAME ...]`: run benchmarks, write their figures, set an earlier run beside them."""

from benchmarks.runner import main

if __name__ == "__main__":
    main()
