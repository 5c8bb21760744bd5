"""What the command line meets outside: spreadsheets, streams, names and folders of all kinds."""

import io
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from explorer import writing
from explorer.writing import csv_text, write_folder, write_text

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


# Writers that were killed.


def write_for_ever(folder):
    code = (
        "import sys, time; from explorer import writing\n"
        "def files():\n"
        "    yield 'result.json', 'a'\n"
        "    print('half', flush=True)\n"
        "    time.sleep(60)\n"
        "class Files(dict):\n"
        "    def items(self):\n"
        "        return files()\n"
        "writing.write_folder(sys.argv[1], Files())\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"half\n"
    return process


@pytest.mark.slow
def test_what_a_killed_writer_left_goes_and_what_a_living_one_writes_stays(tmp_path):
    folder = tmp_path / "out"
    killed, living = write_for_ever(folder), write_for_ever(folder)
    try:
        assert len(list(tmp_path.iterdir())) == 2
        killed.kill()
        killed.wait()
        write_folder(folder, {"result.json": "b"})
        assert len(list(tmp_path.iterdir())) == 2 and (folder / "result.json").read_text() == "b"
    finally:
        living.kill()
        living.wait()
    write_folder(folder, {"result.json": "c"})
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_result_that_was_moved_aside_comes_back(tmp_path):
    folder, aside = tmp_path / "out", tmp_path / ".out.hwsim-abcd1234"
    write_folder(folder, {"result.json": "old"})
    aside.mkdir()
    folder.replace(aside / "old")
    writing.remove_leftovers(folder)
    assert (folder / "result.json").read_text() == "old" and [path.name for path in tmp_path.iterdir()] == ["out"]


def test_files_of_others_stay(tmp_path):
    for name in (".out.txt.original", ".out.txt.abcd1234", ".other.hwsim-abcd1234"):
        (tmp_path / name).write_text("mine")
    (tmp_path / ".out.txt.hwsim-abcd1234").write_text("half")
    write_text("whole", tmp_path / "out.txt")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *(".other.hwsim-abcd1234", ".out.txt.abcd1234", ".out.txt.original", "out.txt")
    ]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked for in /proc")
def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    code = (
        "import os, time; from explorer.study.executors import Processes\n"
        "def main():\n"
        "    pool = Processes(2)\n"
        "    print(*{pool.submit(os.getpid).result() for _ in range(50)}, flush=True)\n"
        "    time.sleep(60)\n"
        "if __name__ == '__main__':\n"
        "    main()\n"
    )
    (tmp_path / "run.py").write_text(code)
    process = subprocess.Popen([sys.executable, str(tmp_path / "run.py")], stdout=subprocess.PIPE)
    workers = [int(pid) for pid in process.stdout.readline().split()]
    process.kill()
    process.wait()
    alive = workers
    for _ in range(300):
        alive = [pid for pid in workers if Path(f"/proc/{pid}/stat").exists() and " Z " not in state(pid)]
        if not alive:
            break
        time.sleep(0.1)
    assert workers and not alive


def state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return " Z "
