"""What the command line meets outside: spreadsheets, streams, names and folders of all kinds."""

import io

import pandas as pd
import pytest

from explorer.writing import csv_text

FORMULAS = ("=1+1|0", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3+cmd", "\tx", "\r=1")


def test_a_spreadsheet_runs_no_cell():
    frame = pd.DataFrame({"=layer": [*FORMULAS, "m.q", None, "-5", "+1e3"], "size": range(-5, 5)})
    text = csv_text(frame)
    read = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    assert [*read.columns] == ["'=layer", "size"]
    assert [*read["'=layer"]] == [*(f"'{formula}".replace("\r", "\n") for formula in FORMULAS), "m.q", "", "-5", "+1e3"]
    assert [*read["size"]] == [str(size) for size in range(-5, 5)]


@pytest.mark.parametrize("suffix", [".csv"])
def test_names_of_layers_are_no_formulas(suffix, tmp_path, command):
    table, out = tmp_path / "layers.csv", tmp_path / f"a{suffix}"
    rows = "".join(f'"{name}",{bits},10,{1 / bits}\n' for name in FORMULAS[:2] for bits in (4, 8))
    table.write_text(f"layer,bits,size,loss\n{rows}")
    assert command("allocate", str(table), "--budget", "6", "--out", str(out))[0] == 0
    assert all(line.startswith(("layer", "'")) for line in out.read_text().splitlines())
