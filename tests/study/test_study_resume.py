"""Folders begun earlier: nothing computed again, nothing twice, what is damaged mended, others' files untouched."""

import dataclasses
from pathlib import Path

import pandas as pd
import pyarrow.parquet
import pytest
from study_stored import PLANE, files

from explorer.study import pieces
from explorer.study.result import on_disk
from hwbase import InputError


def touched(folder):
    return {path.name: path.stat().st_mtime_ns for path in Path(folder).glob("part-*")}


def test_what_is_there_is_not_computed_again(out, expected):
    PLANE.run(out, workers=1)
    before = touched(out)
    pd.testing.assert_frame_equal(PLANE.run(out, workers=1).frame, expected)
    assert touched(out) == before and len(before) == 7


def test_what_is_missing_is_computed(out, expected):
    PLANE.run(out, workers=1)
    whole = files(out)
    for name in list(whole)[::2]:
        (out / name).unlink()
    pd.testing.assert_frame_equal(PLANE.run(out, workers=1).frame, expected)
    assert files(out) == whole


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["cut", "empty", "text", "one byte", "of another study", "of another size"])
def test_what_is_damaged_is_computed_again(damage, out, expected, tmp_path, monkeypatch):
    PLANE.run(out, workers=1)
    whole = files(out)
    path = out / "part-000000000008.parquet"
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[:-20])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_text("not Parquet")
    elif damage == "one byte":
        column = pyarrow.parquet.read_metadata(path).row_group(0).column(1)
        place = column.data_page_offset + column.total_compressed_size - 3
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(InputError, match=r"part-000000000008.parquet in .* is damaged .*: run the study again"):
            on_disk(PLANE, out).to_frame()
    elif damage == "of another study":
        other = dataclasses.replace(PLANE, seed=5)
        other.run(tmp_path / "other", workers=1)
        path.write_bytes((tmp_path / "other" / path.name).read_bytes())
        with pytest.raises(InputError, match="belongs to another study"):
            on_disk(PLANE, out).to_frame()
    else:
        with monkeypatch.context() as changed:
            changed.setattr(pieces, "POINT_ROWS", 4)
            PLANE.run(tmp_path / "other", workers=1)
        path.write_bytes((tmp_path / "other" / path.name).read_bytes())
    pd.testing.assert_frame_equal(PLANE.run(out, workers=1).frame, expected)
    assert files(out) == whole


@pytest.mark.slow
def test_pieces_of_another_size_are_not_mixed(out, expected, monkeypatch):
    PLANE.run(out, workers=1)
    monkeypatch.setattr(pieces, "POINT_ROWS", 16)
    pd.testing.assert_frame_equal(PLANE.run(out, workers=1).frame, expected)
    assert len(files(out)) == 4


def test_leftovers_are_removed(out, expected):
    PLANE.run(out, workers=1)
    (out / "part-000000000000.parquet").rename(out / "_part-000000000000.parquet.tmp")
    (out / "._study.json.abc").write_text("half a manif")
    pd.testing.assert_frame_equal(PLANE.run(out, workers=1).frame, expected)
    assert {path.name for path in out.iterdir()} == {"_lock", "_study.json", "_sums", *files(out)}


@pytest.mark.slow
@pytest.mark.parametrize("left", [[], ["_lock"], ["_lock", "._study.json.x1"]])
def test_a_run_that_was_killed_as_it_began(left, out, expected):
    out.mkdir()
    for name in left:
        (out / name).write_text("")
    pd.testing.assert_frame_equal(PLANE.run(out, workers=1).frame, expected)


@pytest.mark.parametrize(
    "name", ["notes.txt", "part-00000.parquet", "part-000000000000.parquet", "_SUCCESS", ".hidden", "_study.jsonl"]
)
def test_other_files_are_not_touched(name, out):
    out.mkdir()
    (out / name).write_text("precious")
    with pytest.raises(InputError, match=f"it holds other files \\({name}\\)"):
        PLANE.run(out, workers=1)
    assert [path.name for path in out.iterdir()] == [name] and (out / name).read_text() == "precious"


def test_files_beside_the_results_are_left_alone(out, expected):
    PLANE.run(out, workers=1)
    (out / "part-mine.parquet").write_text("precious")
    (out / "report.html").write_text("precious")
    pd.testing.assert_frame_equal(PLANE.run(out, workers=1).frame, expected)
    assert (out / "part-mine.parquet").read_text() == (out / "report.html").read_text() == "precious"
