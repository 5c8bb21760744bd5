"""Ways to ask that several files share."""

import pandas as pd
import pytest


@pytest.fixture
def table():
    """Three layers at 2, 4 and 8 bits: loss falls with bits, and costs differ."""
    rows = []
    for layer, group, size, sensitivity in (("a", "x", 100, 9.0), ("b", "x", 300, 3.0), ("c", "y", 50, 1.0)):
        for bits in (2, 4, 8):
            rows.append((layer, group, bits, size, sensitivity / bits, bits * size / 1000))
    return pd.DataFrame(rows, columns=["layer", "group", "bits", "size", "loss", "ms"])


@pytest.fixture
def layers_csv(table, tmp_path):
    """The same as a file."""
    path = tmp_path / "layers.csv"
    table.to_csv(path, index=False)
    return path
