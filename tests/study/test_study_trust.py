"""Files and folders from others: no code runs unasked, changed bytes are noticed, links lead nowhere."""

import contextlib
import json
import os
import random
import shutil
from pathlib import Path

import pyarrow.parquet
import pytest
from study_stored import PLANE, files

from explorer.commands.study import open_result
from explorer.study import Study, load_study
from hwbase import InputError
from hwbase.checksums import with_sum

FILE = """
[study]
evaluate = "{function}"
points = 4
[parameters]
x = {{ low = 0.0, high = 1.0 }}
[objectives]
cost = "min"
"""
MINE = 'from pathlib import Path\nPath(__file__).with_suffix(".ran").touch()\ndef f(x):\n    return {"cost": x}\n'


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module that leaves a file when it is imported."""
    name = f"of_a_stranger_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_a_file_runs_code_only_with_trust(module, tmp_path, command):
    path = tmp_path / "study.toml"
    path.write_text(FILE.format(function=f"{module}:f"))
    status, out, errors = command("study", "run", str(path), "--workers", "1")
    assert (status, out) == (2, "") and "--trust" in errors and f"{module}:f" in errors
    with pytest.raises(InputError, match="--trust"):
        load_study(path, trusted=False)
    assert not (tmp_path / f"{module}.ran").exists()
    assert command("study", "run", "--trust", str(path), "--workers", "1")[0] == 0
    assert (tmp_path / f"{module}.ran").exists() and len(load_study(path).run(workers=1).frame) == 4


def test_a_folder_runs_code_only_with_trust(module, tmp_path, command):
    out = tmp_path / "out"
    PLANE.run(out, workers=1)
    content = json.loads((out / "_study.json").read_text())
    content["study"]["study"]["evaluate"] = f"{module}:f"
    (out / "_study.json").write_text(json.dumps(with_sum(content)))
    for name in ("show", "run"):
        command("study", name, str(out))
    assert "--trust" in command("study", "run", str(out))[2]
    assert not (tmp_path / f"{module}.ran").exists()


@pytest.mark.parametrize(
    "function", ["os:system", "builtins:exec", "posix:system", "subprocess:run", "os.path:join", "pickle:loads"]
)
def test_python_itself_is_no_model(function, tmp_path, command):
    path = tmp_path / "study.toml"
    path.write_text(FILE.format(function=function))
    assert "function of Python itself" in command("study", "run", "--trust", str(path))[2]
    with pytest.raises(InputError, match="function of Python itself"):
        Study({"x": (0.0, 1.0)}, evaluate=function)


def test_python_itself_is_not_reached_through_another_module(module, tmp_path):
    (tmp_path / f"{module}.py").write_text(
        "from os import system\nfrom functools import partial\ng = partial(dict, a=1)\n"
    )
    with pytest.raises(InputError, match="function of Python itself"):
        Study({"x": (0.0, 1.0)}, evaluate=f"{module}:system")
    Study({"x": (0.0, 1.0)}, evaluate=f"{module}:g")


def flipped(path, at, bit):
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


def same(result, expected):
    return result.frame.equals(expected.frame) and result.study.to_dict() == expected.study.to_dict()


@pytest.mark.parametrize("name", ["_study.json", "_sums", "part-000000000008.parquet"])
def test_no_changed_byte_passes(name, tmp_path):
    PLANE.run(tmp_path / "whole", workers=1)
    expected = open_result(tmp_path / "whole")
    length = (tmp_path / "whole" / name).stat().st_size
    draw = random.Random(6)
    # The footer, where no page has a checksum, every time.
    places = [draw.randrange(length) for _ in range(60)] + [draw.randrange(length - 900, length) for _ in range(60)]
    for at in places:
        out = shutil.copytree(tmp_path / "whole", tmp_path / "out")
        flipped(out / name, at, draw.randrange(8))
        with contextlib.suppress(InputError):
            assert same(open_result(out), expected), f"byte {at} of {name}"
        shutil.rmtree(out)


def test_a_changed_footer_is_computed_again(tmp_path):
    out = tmp_path / "out"
    expected = PLANE.run(out, workers=1).frame
    whole = files(out)
    path = out / "part-000000000008.parquet"
    # A column of another name, and everything else as it was.
    path.write_bytes(path.read_bytes().replace(b"cost", b"kost"))
    assert "kost" in pyarrow.parquet.read_schema(path).names
    with pytest.raises(InputError, match=r"part-000000000008.parquet in .* is damaged"):
        open_result(out).to_frame()
    assert PLANE.run(out, workers=1).frame.equals(expected) and files(out) == whole


def test_the_list_of_sums_is_that_of_sha256sum(tmp_path):
    PLANE.run(tmp_path / "out", workers=1)
    lines = (tmp_path / "out" / "_sums").read_text().splitlines()
    assert [line.split("  ")[1] for line in lines] == sorted(files(tmp_path / "out"))


def test_a_line_of_sums_that_was_cut(tmp_path):
    out = tmp_path / "out"
    expected = PLANE.run(out, workers=1).frame
    sums = out / "_sums"
    sums.write_bytes(sums.read_bytes()[:-20])
    assert PLANE.run(out, workers=1).frame.equals(expected)
    assert len(open_result(out).to_frame()) == 50


@pytest.mark.parametrize("name", ["_lock", "_sums"])
def test_links_are_not_followed(name, tmp_path):
    out, precious = tmp_path / "out", tmp_path / "precious.txt"
    precious.write_text("mine")
    PLANE.run(out, workers=1)
    (out / name).unlink()
    (out / name).symlink_to(precious)
    (out / "part-000000000000.parquet").unlink()
    with pytest.raises(InputError, match=r"is a link: expected a plain file"):
        PLANE.run(out, workers=1)
    assert precious.read_text() == "mine"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
@pytest.mark.parametrize("name", ["_lock", "_sums", "part-000000000000.parquet"])
def test_pipes_do_not_hang(name, tmp_path):
    out = tmp_path / "out"
    expected = PLANE.run(out, workers=1).frame
    (out / name).unlink()
    os.mkfifo(out / name)
    if name.startswith("part"):
        with pytest.raises(InputError, match="is damaged"):
            open_result(out).to_frame()
        assert PLANE.run(out, workers=1).frame.equals(expected)
    else:
        with pytest.raises(InputError, match="is no plain file"):
            PLANE.run(out, workers=1)


def test_a_lock_is_not_emptied(tmp_path):
    out = tmp_path / "out"
    PLANE.run(out, workers=1)
    (out / "_lock").write_text("note")
    PLANE.run(out, workers=1)
    assert (out / "_lock").read_text() == "note"


def test_a_folder_whose_name_is_not_utf_8(tmp_path):
    out = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.d"))
    expected = PLANE.run(workers=1).frame
    PLANE.run(out, workers=1)
    assert open_result(out).to_frame().equals(expected)
