"""Queries under traffic: agreement with the closed form and with queueing theory, hot and lost shards, bad input."""

from dataclasses import replace

import numpy as np
import pytest
import simpy

from hwbase import InputError
from hwsim.events.traffic import Traffic, bursty, poisson
from hwsim.retrieval import LostShard, ScanIndex, scan_device, serve_scan, simulate_scan

INDEX = ScanIndex(10**9, 256)
DEVICE, _ = scan_device(INDEX)
SMALL = replace(DEVICE, slots=16)


def closed(batch: int, **how: object):  # type: ignore[no-untyped-def]
    return simulate_scan(INDEX, DEVICE, batch=batch, **how)  # type: ignore[arg-type]


def at(times: list[float]) -> Traffic:
    ones = np.ones(len(times), dtype=np.int64)
    return Traffic("given", np.array(times), ones, ones)


def test_a_lone_query_takes_the_window_and_the_closed_form() -> None:
    found = serve_scan(INDEX, DEVICE, at([1.0, 5.0]), window_s=0.01, shards=4)
    assert found.latency_s == pytest.approx(0.01 + closed(1, shards=4).latency_s)
    assert list(found.batch) == [1, 1]
    assert found.shards == 4


def test_full_slots_send_at_once_and_saturate_at_the_closed_form() -> None:
    flood = at([0.0] * (16 * 200))
    found = serve_scan(INDEX, SMALL, flood, window_s=10.0)
    rate = simulate_scan(INDEX, SMALL, batch=16).queries_per_s
    assert set(found.batch) == {16}
    assert found.queries_per_s == pytest.approx(rate, rel=0.01)
    assert found.busy_share.max() == pytest.approx(1.0, rel=0.01)


@pytest.mark.slow
def test_waiting_is_that_of_a_queue_with_fixed_service() -> None:
    one = closed(1)
    service, load = max(one.occupancy_s.values()), 0.7
    found = serve_scan(INDEX, DEVICE, poisson(load / service, 60_000, seed=3), most=1)
    waited = (found.sent_s - found.arrival_s).mean()
    # M/D/1, Pollaczek and Khinchine.
    assert waited == pytest.approx(load * service / (2 * (1 - load)), rel=0.05)


def test_batches_are_those_of_a_simulation_event_by_event() -> None:
    """The same rules written as processes: a dispatcher that waits for queries, window, slots and the machine."""
    window, most, shards = 0.004, 16, 3
    traffic = bursty(2500.0, 3000, 3.0, seed=5)
    found = serve_scan(INDEX, SMALL, traffic, window_s=window, shards=shards, skew=0.4)
    heat = (np.arange(shards) + 1.0) ** -0.4
    slowest = (heat * shards / heat.sum()).max()
    table = {b: simulate_scan(INDEX, SMALL, batch=b, shards=shards) for b in range(1, most + 1)}
    env, queue, ends = simpy.Environment(), [], np.zeros(len(traffic))
    came = {"event": env.event()}

    def arrive():  # type: ignore[no-untyped-def]
        for number, time in enumerate(traffic.arrival_s):
            yield env.timeout(time - env.now)
            queue.append(number)
            came["event"].succeed()
            came["event"] = env.event()

    def dispatch():  # type: ignore[no-untyped-def]
        while True:
            while not queue:
                yield came["event"]
            closes = traffic.arrival_s[queue[0]] + window
            while len(queue) < most and env.now < closes:
                yield came["event"] | env.timeout(closes - env.now)
            taken = queue[:most]
            del queue[:most]
            one = table[len(taken)]
            scan_s = max(one.occupancy_s.values())
            ends[taken] = env.now + scan_s * slowest + one.latency_s - scan_s
            yield env.timeout(scan_s * slowest)

    env.process(arrive())
    env.process(dispatch())
    env.run(until=float(traffic.arrival_s[-1]) + 10.0)
    # Times are sums in another order; a query on the edge of a window may fall to either side.
    same = np.isclose(found.end_s, ends, rtol=0, atol=1e-9)
    assert same.mean() > 0.99
    assert ends.mean() == pytest.approx(found.end_s.mean(), rel=1e-4)


def test_longer_windows_make_larger_batches_and_cheaper_queries() -> None:
    traffic = poisson(300.0, 3000, seed=1)
    short, long = (serve_scan(INDEX, DEVICE, traffic, window_s=w) for w in (0.0, 0.2))
    assert long.batch.mean() > 2 * short.batch.mean()
    assert long.energy_j < short.energy_j
    assert np.median(long.latency_s) > np.median(short.latency_s)


def test_a_hot_shard_holds_all_up() -> None:
    flood = at([0.0] * 4096)
    even, hot = (serve_scan(INDEX, DEVICE, flood, shards=8, skew=s) for s in (0.0, 1.0))
    weights = 1.0 / np.arange(1, 9)
    assert even.queries_per_s / hot.queries_per_s == pytest.approx(weights.max() / weights.mean(), rel=0.02)
    assert hot.busy_share.mean() == pytest.approx(even.busy_share.mean() / (weights.max() / weights.mean()), rel=0.02)


def test_jitter_is_drawn_from_the_seed_and_the_slowest_shard_answers() -> None:
    traffic = poisson(100.0, 500, seed=2)
    calm, first, again, other = (
        serve_scan(INDEX, DEVICE, traffic, shards=8, jitter=j, seed=s)
        for j, s in ((0, 0), (0.5, 1), (0.5, 1), (0.5, 2))
    )
    assert np.array_equal(first.end_s, again.end_s)
    assert not np.array_equal(first.end_s, other.end_s)
    assert first.latency_s.mean() > calm.latency_s.mean()


def test_a_lost_shard_goes_unseen_without_a_replica() -> None:
    traffic = poisson(200.0, 2000, seed=4)
    lost = LostShard(at_s=5.0, shard=1, timeout_s=0.2)
    found = serve_scan(INDEX, DEVICE, traffic, shards=4, lost=lost)
    assert set(np.unique(found.answered_share)) == {0.75, 1.0}
    assert np.all(found.answered_share[traffic.arrival_s > 5.0] == 0.75)
    assert np.all(found.answered_share[found.end_s < 5.0] == 1.0)
    # Those that were on their way wait until the loss is known.
    waiting = (found.sent_s < 5.0) & (found.end_s > 5.0) | (found.arrival_s > 5.0) & (found.sent_s < 5.2)
    assert waiting.any()
    assert found.end_s[waiting].min() >= 5.2
    assert found.end_s[-1] < traffic.arrival_s[-1] + 0.1


@pytest.mark.slow
def test_a_replica_takes_over_and_nothing_goes_unseen() -> None:
    traffic = poisson(200.0, 2000, seed=4)
    lost = LostShard(at_s=5.0, shard=1, timeout_s=0.2)
    found = serve_scan(INDEX, DEVICE, traffic, shards=4, replicas=2, lost=lost)
    whole = serve_scan(INDEX, DEVICE, traffic, shards=4, replicas=2)
    assert np.all(found.answered_share == 1.0)
    assert found.busy_share[1, 1] > whole.busy_share[1, 1]
    assert found.busy_share[0, 1] < whole.busy_share[0, 1]
    assert found.latency_s.max() > whole.latency_s.max()


def test_two_replicas_answer_twice_as_much() -> None:
    flood = at([0.0] * 4096)
    one, two = (serve_scan(INDEX, DEVICE, flood, replicas=r) for r in (1, 2))
    assert two.queries_per_s == pytest.approx(2 * one.queries_per_s, rel=0.02)


def test_no_query_is_answered_before_it_came_and_order_is_kept() -> None:
    traffic = bursty(5000.0, 4000, 4.0, seed=6)
    found = serve_scan(INDEX, SMALL, traffic, window_s=0.001, shards=2, jitter=0.3)
    assert np.all(found.sent_s >= found.arrival_s)
    assert np.all(np.diff(found.sent_s) >= 0)
    assert found.latency_s.min() >= 0
    summary = found.summary()
    assert summary["latency_p50_s"] <= summary["latency_p99_s"]
    assert len(found.to_frame()) == 4000


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf"), "soon"])
@pytest.mark.parametrize("name", ["window_s", "skew", "jitter"])
def test_bad_numbers(name: str, value: object) -> None:
    with pytest.raises(InputError, match=name):
        serve_scan(INDEX, DEVICE, at([0.0]), **{name: value})  # type: ignore[arg-type]


def test_bad_replicas_and_losses() -> None:
    for value in (0, -1, 1.5, float("nan"), 1e12):
        with pytest.raises(InputError, match="replicas"):
            serve_scan(INDEX, DEVICE, at([0.0]), replicas=value)  # type: ignore[arg-type]
    for lost in (LostShard(1.0, shard=9), LostShard(1.0, replica=1), LostShard(-1.0), LostShard(1.0, timeout_s=0.0)):
        with pytest.raises(InputError, match="lost"):
            serve_scan(INDEX, DEVICE, at([0.0]), shards=2, lost=lost)
    with pytest.raises(InputError, match="most"):
        serve_scan(INDEX, DEVICE, at([0.0]), most=0)
