"""The scoreboard of binary embedding-based retrieval: what it claims, and that its predictions can fail."""

import numpy as np
import pytest

from explorer.papers.bebr import BLOCK, LANES, lane_sums, nibbles, plane_distances, sdc_table
from explorer.papers.reproduce import reproduce
from hwbase import InputError
from hwsim.kernels import code_values, pack_codes


@pytest.fixture(scope="module")
def board():  # type: ignore[no-untyped-def]
    return reproduce("bebr")


def test_all_claims_hold_and_recall_is_not_claimed(board) -> None:  # type: ignore[no-untyped-def]
    assert board.summary["ok"] and board.fitted_constants == ()
    recall = [row for row in board.rows if row.id.startswith("recall-")]
    assert len(recall) == 9 and all(row.ours is None and row.status == "not derivable" for row in recall)


def test_the_published_range_of_the_saving_lies_between_our_bounds(board) -> None:  # type: ignore[no-untyped-def]
    rows = {row.id: row for row in board.rows}
    assert rows["saving-low"].ours < 0.30 < 0.50 < rows["saving-high"].ours
    assert all(row.note for row in board.rows if row.status == "misfit explained")


def test_a_slower_core_breaks_what_is_claimed_of_it() -> None:
    board = reproduce("bebr", set={"core_bytes_per_s": 10e9})
    outside = {row.id for row in board.rows if row.status == "OUTSIDE"}
    assert {"kernel-256-1", "sdc-256-1", "hamming-256-1"} <= outside
    assert not board.summary["ok"]


@pytest.mark.slow
def test_cost_constants_reach_the_saving() -> None:
    rows = {row.id: row for row in reproduce("bebr", set={"index.link_bytes": 0}).rows}
    assert rows["saving-high"].ours == pytest.approx(1 - 136 / 1032)
    with pytest.raises(InputError, match="core_bytes_per_s"):
        reproduce("bebr", set={"core_bytes": 1})


def test_the_table_by_hand() -> None:
    table = sdc_table()
    # All bits set: 1.5 in both dimensions; 9 + 2 (2.25 + 2.25).
    assert table[15, 15] == 18 and table[15, 0] == 0
    # Base set, residual not: 0.5 against 1.5 in both.
    assert table[0b1010, 0b1111] == 9 + 2 * (0.75 + 0.75)
    # Rows 0 and 1 of the authors' code.
    assert table[0].tolist() == [18, 15, 12, 9, 15, 12, 9, 6, 12, 9, 6, 3, 9, 6, 3, 0]
    assert table[1].tolist() == [15, 14, 13, 12, 12, 11, 10, 9, 9, 8, 7, 6, 6, 5, 4, 3]
    assert np.array_equal(table, table.T) and np.array_equal(table, np.rint(table))


def test_plane_distances_count_differing_bits() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2, (2, 5, 70)).astype(bool), rng.integers(0, 2, (2, 7, 70)).astype(bool)
    found = plane_distances(pack_codes(a), pack_codes(b))
    assert found.shape == (2, 2, 5, 7)
    assert found[1, 0, 2, 3] == (a[1, 2] != b[0, 3]).sum()


def test_lanes_hold_the_documents_in_the_published_order() -> None:
    rng = np.random.default_rng(3)
    query, block = (pack_codes(rng.integers(0, 2, (2, size, 96)).astype(bool)) for size in (1, BLOCK))
    exact = code_values(block).astype(int) @ code_values(query)[0].astype(int)
    found = lane_sums(query, block)
    assert (found == exact[LANES]).all() and sorted(LANES) == list(range(BLOCK))
    # As published, without putting them in order, most documents get another's sum, norm and id.
    assert LANES[:3].tolist() == [0, 4, 8] and LANES[8] == 2 and LANES[16] == 1
    assert (np.arange(BLOCK) != LANES).sum() == 28 and (found != exact).sum() > 20
    # Sums of a code of 256 bits fit the 16 bits of a lane.
    assert sdc_table().max() * nibbles(block).shape[1] < 2**16
