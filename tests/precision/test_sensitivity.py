"""Sensitivities of a tiny network: invariants, cache, kill and resume, processes, groups, bad input."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from precision_cases import BITS, slow, tiny_language

from explorer.precision import Bits, grouped, sensitivity
from explorer.precision.runs import Store
from hwbase import InputError

CASES = Path(__file__).parent / "precision_cases.py"


def test_a_layer_in_float_costs_nothing(network):
    for choice in ({}, {"blk.0.attn_q": Bits()}, {layer.name: Bits(16, 16) for layer in network.layers}):
        losses = network.losses(choice)
        assert all(np.abs(values).max() < 1e-5 for values in losses.values()), choice


def test_fewer_bits_cost_more(network):
    for layer in network.layers:
        weights = [network.losses({layer.name: Bits(b)})["noise"].mean() for b in (3, 5, 8)]
        inputs = [network.losses({layer.name: Bits(activations=b)})["noise"].mean() for b in (3, 5, 8)]
        assert weights[0] > weights[1] > weights[2] and inputs[0] > inputs[1] > inputs[2]


def test_resuming_at_a_layer_equals_running_from_the_start(network):
    last = network.layers[-2].name
    alone = network.losses({last: Bits(3)})
    # A first layer in 32 bits changes nothing but where the run begins.
    np.testing.assert_allclose(
        list(network.losses({last: Bits(3), network.layers[0].name: Bits()}).values()), list(alone.values()), rtol=1e-4
    )


def test_the_table_has_each_layer_and_width_once(make, network):
    found = sensitivity(make, bits=BITS)
    table = found.to_frame()
    assert len(table) == len(network.layers) * len(BITS) == found.measured
    assert not table.duplicated(["layer", "bits"]).any()
    assert set(table.columns) >= {"layer", "group", "bits", "size", "loss", "loss_db", "metric", "at_floor", "loss_kl"}
    assert table["size"].sum() / len(BITS) == sum(layer.weights for layer in network.layers)
    assert (table["loss"] > 0).all() and (table["loss"] == table["loss_kl"]).all()
    assert (table["loss"] >= found.floors["kl"]).all()
    np.testing.assert_allclose(table["loss_db"], -10 * np.log10(table["loss"]))


def test_widths_that_leave_a_layer_are_free_and_not_measured(make):
    found = sensitivity(make, bits=(16, 32))
    assert found.measured == 0 and found.table["at_floor"].all()


@pytest.mark.slow
def test_pairs_of_widths_add_both_losses(make):
    both = sensitivity(make, bits=(4, 8), what="both").table
    weights, inputs = (sensitivity(make, bits=(4, 8), what=what).table for what in ("weights", "activations"))
    row = both[(both["layer"] == "blk.1.ffn_up") & (both["bits"] == 8) & (both["act_bits"] == 4)].iloc[0]
    parts = [
        frame[(frame["layer"] == "blk.1.ffn_up") & (frame["bits"] == bits)]["loss"].iloc[0]
        for frame, bits in ((weights, 8), (inputs, 4))
    ]
    assert len(both) == 4 * len(weights) / 2 and row["loss"] == pytest.approx(sum(parts))
    assert row["size"] == 64 * 32 and row["act_size"] == 32


@pytest.mark.slow
def test_groups_have_their_own_metrics(make):
    def rule(layer):
        return "content" if "attn" in layer.name else "quality"

    found = sensitivity(make, metrics={"content": "recall", "quality": "kl"}, regroup=partial(grouped, rule=rule)).table
    patterns = {"content": ["*attn*"], "quality": ["*"]}
    same = sensitivity(make, metrics={"content": "recall"}, regroup=partial(grouped, rule=patterns)).table
    pd.testing.assert_frame_equal(found, same)
    content = found["group"] == "content"
    assert content.sum() == 2 * 4 * 3
    assert (found[content]["loss"] == found[content]["loss_recall"]).all()
    assert (found[~content]["loss"] == found[~content]["loss_kl"]).all()


@pytest.mark.slow
def test_what_is_cached_is_not_measured_again(tmp_path):
    count = tmp_path / "count"
    first = sensitivity(partial(slow, count), bits=(4,), cache=tmp_path / "cache")
    again = sensitivity(partial(slow, count), bits=(4, 8), cache=tmp_path / "cache")
    assert first.measured == again.measured == 15
    assert len(count.read_text().splitlines()) == 30
    other = sensitivity(lambda: tiny_language(seed=1), bits=(4,), cache=tmp_path / "cache")
    assert other.measured == 15 and other.fingerprint != first.fingerprint
    assert tiny_language(outlier="shared").fingerprint != first.fingerprint
    assert tiny_language(rounding={"method": "mse"}).fingerprint != first.fingerprint


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_ended(tmp_path):
    cache, count = tmp_path / "cache", tmp_path / "count"
    process = subprocess.Popen([sys.executable, CASES, tmp_path], env=os.environ | {"OPENBLAS_NUM_THREADS": "1"})
    deadline = time.monotonic() + 60
    while not (count.exists() and len(count.read_text().splitlines()) >= 6) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (file,) = cache.glob("*.jsonl")
    kept = len(file.read_text().splitlines())
    assert 5 <= kept < 45
    resumed = sensitivity(partial(slow, tmp_path / "later"), bits=BITS, cache=cache)
    assert resumed.measured == 45 - kept == len((tmp_path / "later").read_text().splitlines())
    pd.testing.assert_frame_equal(resumed.table, sensitivity(tiny_language, bits=BITS).table)
    # Nothing was measured twice but, at most, what was under way when the process died.
    assert len(count.read_text().splitlines()) - kept <= 1


@pytest.mark.slow
def test_processes_measure_the_same(tmp_path):
    alone = sensitivity(tiny_language, bits=(4,))
    several = sensitivity(tiny_language, bits=(4,), jobs=2, cache=tmp_path)
    pd.testing.assert_frame_equal(several.table, alone.table)
    assert several.measured == 15 and sensitivity(tiny_language, bits=(4,), cache=tmp_path).measured == 0


class Broken:
    """A network one layer of which has no finite loss."""

    def __init__(self):
        self._inner = tiny_language()

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def losses(self, choice):
        found = self._inner.losses(choice)
        return {n: v * np.nan for n, v in found.items()} if "blk.0.attn_k" in choice else found


def test_a_loss_that_is_nan_is_kept_with_a_warning(tmp_path):
    with pytest.warns(UserWarning, match=r"blk\.0\.attn_k, weights in 4 bits: no finite kl"):
        found = sensitivity(Broken, bits=(4,), cache=tmp_path)
    bad = found.table[found.table["loss"].isna()]
    assert list(bad["layer"]) == ["blk.0.attn_k"] and not bad["at_floor"].any()
    assert sensitivity(Broken, bits=(4,), cache=tmp_path).measured == 0


def test_weights_whose_products_overflow_give_nan():
    network = tiny_language()
    network._matrices = network._matrices | {"blk.0.ffn_up": np.full((64, 32), 3e38, np.float32)}
    with np.errstate(all="ignore"):
        losses = network.losses({"blk.0.ffn_up": Bits(8), "blk.0.ffn_down": Bits(8, 8)})
    assert all(np.isnan(values).all() for values in losses.values())


# The cache's file


@pytest.mark.slow
def test_torn_and_foreign_lines_are_measured_again(tmp_path):
    sensitivity(tiny_language, bits=(4,), cache=tmp_path)
    (file,) = tmp_path.glob("*.jsonl")
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], "not json", '{"version": 99}', *lines[3:-1], lines[-1][:20]]))
    with pytest.warns(UserWarning, match="line 2 and 2 more: not a measurement"):
        again = sensitivity(tiny_language, bits=(4,), cache=tmp_path)
    assert again.measured == 2
    pd.testing.assert_frame_equal(again.table, sensitivity(tiny_language, bits=(4,)).table)
    file.write_bytes(os.urandom(4000))
    with pytest.warns(UserWarning, match="not a measurement"):
        assert sensitivity(tiny_language, bits=(4,), cache=tmp_path).measured == 15


def test_lines_are_whole_json(tmp_path):
    store = Store(tmp_path / "new" / "folder", "abc")
    store.add("a", {"kl": 1.0, "noise": float("nan")})
    store.add("b", {"kl": 2.0})
    read = Store(tmp_path / "new" / "folder", "abc")
    assert len(read) == 2 and read.get("b") == {"kl": 2.0} and np.isnan(read.get("a")["noise"])
    assert read.get("c") is None
    lines = (tmp_path / "new" / "folder" / "abc.jsonl").read_text().splitlines()
    assert [json.loads(line)["key"] for line in lines] == ["a", "b"]


@pytest.mark.parametrize("name", ["file", "file/below", "\0"])
def test_a_cache_that_cannot_be_used_is_refused(tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cache"):
        sensitivity(tiny_language, bits=(4,), cache=f"{tmp_path}/{name}" if name != "\0" else "a\0b")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_cache_is_refused(tmp_path):
    tmp_path.chmod(0o555)
    with pytest.raises(InputError, match="cache"):
        sensitivity(tiny_language, bits=(4,), cache=tmp_path)


# Bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bits": (0,)}, "bits = 0"),
        ({"bits": (1,)}, "bits = 1"),
        ({"bits": (33,)}, "bits = 33"),
        ({"bits": ()}, "bits is empty"),
        ({"bits": (float("nan"),)}, "bits"),
        ({"what": "weight"}, "did you mean 'weights'"),
        ({"metrics": ["kll"]}, "did you mean 'kl'"),
        ({"metrics": {"attentoin": "kl"}}, "did you mean 'attention'"),
        ({"metrics": {"attention": "noize"}}, "did you mean 'noise'"),
        ({"layers": ["blk.0.attn_qq"]}, "did you mean 'blk.0.attn_q'"),
        ({"regroup": partial(grouped, rule={"a": ["*ffn_dwn"]})}, "group 'a'.*did you mean 'blk.*ffn_down'"),
        ({"jobs": 0}, "jobs = 0"),
    ],
)
def test_bad_questions_are_refused(make, options, message):
    with pytest.raises(InputError, match=message):
        sensitivity(make, **options)


def test_a_choice_of_unknown_layers_or_bits_is_refused(network):
    with pytest.raises(InputError, match="did you mean 'output'"):
        network.losses({"outptu": Bits(4)})
    with pytest.raises(InputError, match="activation bits of output = 9"):
        network.losses({"output": Bits(4, 9)})
    with pytest.raises(InputError, match="did you mean 'shared'"):
        tiny_language(outlier="shard")
