"""Published machines that search vectors, for comparison with ours; no model reads them."""

from typing import Any

import pandas as pd

from hwbase import load_book
from hwsim.technology import BOOKS

_NAMES = {
    "fanns": "FANNS, FPGA (U55C)",
    "chameleon": "Chameleon, FPGA and GPU",
    "anna": "ANNA, ASIC",
    "reis": "REIS, in flash",
    "cagra": "CAGRA, GPU",
    "faiss_v100": "FAISS, GPU (V100's age)",
}


def published_scanners() -> pd.DataFrame:
    """Return a row for each published figure: machine, figure, low, nominal, high, unit, source.

    Baselines and recalls differ between machines, so their gains over a CPU are not comparable.
    """
    rows: list[dict[str, Any]] = []
    for name, quantity in load_book("scanners", BOOKS).items():
        machine, _, figure = name.partition(".")
        levels = {level: quantity.at(level) for level in ("low", "nominal", "high")}
        rows.append(
            {"machine": _NAMES[machine], "figure": figure} | levels | {"unit": quantity.unit, "source": quantity.source}
        )
    return pd.DataFrame(rows)
