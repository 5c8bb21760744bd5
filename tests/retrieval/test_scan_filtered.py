"""A filter in the scan engine: tags are read first, blocks without a match are skipped where that is faster."""

import json

import numpy as np
import pytest

from hwbase import InputError
from hwsim.retrieval import ScanIndex, scan_device, simulate_scan

WHOLE = ScanIndex(1e9, 256)


def scan(batch=1, **changes):
    index = ScanIndex(1e9, 256, **changes)
    device, _ = scan_device(index, "engine", k=100)
    return simulate_scan(index, device, batch=batch, shards=4)


def test_a_filter_that_leaves_everything_in_changes_nothing():
    device, _ = scan_device(WHOLE, "engine", k=100)
    plain = simulate_scan(WHOLE, device, batch=16, shards=4)
    same = simulate_scan(ScanIndex(1e9, 256, selectivity=1.0), device, batch=16, shards=4)
    assert plain.to_dict() == same.to_dict() and plain.compared_share == 1.0


def test_the_share_of_blocks_with_a_match_is_that_of_drawn_tags():
    random = np.random.default_rng(0)
    for share, block, run in ((0.01, 64, 1), (0.001, 512, 1), (0.05, 64, 16)):
        runs = random.random((20_000, block // run)) < share
        index = ScanIndex(1e9, 256, selectivity=share, tag_bytes=4, block_documents=block, tag_run=run)
        assert index.read_share == pytest.approx(runs.any(axis=1).mean(), rel=0.05)


def test_fewer_matches_are_read_faster_down_to_the_tags():
    shares = np.array([1e-6, 1e-4, 1e-3, 1e-2, 0.5])
    result = scan(selectivity=shares, tag_bytes=4)
    assert (np.diff(result.queries_per_s) <= 0).all() and (np.diff(result.compared_share) > 0).all()
    # A million queries cannot do without reading 4 bytes of each document; the code has 32.
    assert result.streamed_bytes_per_query[0] == pytest.approx(4e9, rel=0.01)
    assert result.queries_per_s[0] > 5 * scan().queries_per_s
    # Half of all documents leave no block of 64 without a match: tags are read for nothing.
    assert result.queries_per_s[-1] < scan().queries_per_s
    together = scan(selectivity=0.01, tag_bytes=4, tag_run=64)
    assert together.compared_share == pytest.approx(0.01) and together.queries_per_s > 3 * result.queries_per_s[3]


def test_queries_of_a_batch_with_their_own_filters_share_little():
    alone, many = scan(selectivity=1e-3, tag_bytes=4), scan(256, selectivity=1e-3, tag_bytes=4)
    plain = scan(256)
    assert alone.queries_per_s > 2 * scan().queries_per_s
    # 256 filters together match in nearly every block, so that all is streamed.
    assert many.streamed_bytes_per_query > plain.streamed_bytes_per_query


def test_a_filter_leaves_at_most_what_matches():
    few = scan(selectivity=1e-8, tag_bytes=4)
    assert few.energy_parts_j["top-k"] < scan().energy_parts_j["top-k"] / 10


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"selectivity": 0.0}, "selectivity = 0"),
        ({"selectivity": 1.5, "tag_bytes": 4}, "selectivity"),
        ({"selectivity": 0.5}, "expected tag_bytes > 0 to filter by"),
        ({"tag_bytes": -1}, "tag_bytes"),
        ({"block_documents": 0}, "block_documents"),
        ({"tag_run": 0}, "tag_run"),
    ],
)
def test_numbers_out_of_range_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        ScanIndex(1e9, 256, **changes)


def test_the_command_takes_a_selectivity(command):
    base = ("scan", "--on", "engine", "--memory", "hbm3", "--documents", "1e9", "--batch", "1", "--json")
    whole = json.loads(command(*base)[1])["fleets"][0]["scan"]
    part = json.loads(command(*base, "--selectivity", "0.001")[1])["fleets"][0]["scan"]
    assert part["queries_per_s"] > 2 * whole["queries_per_s"] and part["compared_share"] < 0.1
    status, _, error = command(*base, "--selectivity", "2")
    assert status == 2 and "selectivity = 2" in error
