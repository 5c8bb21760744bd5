"""The stated 90 % bands of a GPU's speed and latency, on networks that neither latencies nor widths were taken from."""

import numpy as np
import pytest

import explorer
import hwsim
from explorer.pricing.prices import cost_book
from explorer.serving import measured_gpus
from explorer.serving.fit_gpus import constants_of, left_out
from explorer.serving.measured_gpus import TIMES, against_measured, measured_points
from hwsim.machine_books import machine_book
from hwsim.simulation import FIRST_TOKEN, TOKEN_TIME

pytestmark = pytest.mark.slow

pytest.importorskip("aiconfigurator_core")
_ENDS = (0.05, 0.95)


def apart(points):
    """Return measured over ours of both times, latencies fitted without the network of a point."""
    compared = against_measured(points)
    for network, constants in left_out().items():
        rows = compared.network == network
        if rows.any():
            ours = against_measured(points[rows.to_numpy()], adjust=constants_of(constants))
            for name in TIMES:
                compared.loc[rows, f"ratio_{name}"] = ours[f"ratio_{name}"].to_numpy()
    factors = {name: 1.0 / compared[f"ratio_{name}"] for name in TIMES}
    return compared.assign(**{f"factor_{name}": factor for name, factor in factors.items()})


def coverage(points, factor):
    """Return the share of points within the widths that the other networks give."""
    known = points[points[factor].notna()]
    inside = 0
    for network, own in known.groupby("network"):
        low, high = np.quantile(known[known.network != network][factor], _ENDS)
        inside += own[factor].between(low, high).sum()
    return inside / len(known)


@pytest.fixture(scope="module")
def few():
    return apart(measured_points())


@pytest.fixture(scope="module")
def many():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measured_gpus, "MOST_USERS", 256)
        points = measured_points()
    return apart(points[points.users > 64].reset_index(drop=True))


@pytest.mark.parametrize(("name", "constant"), list(zip(TIMES, (TOKEN_TIME, FIRST_TOKEN), strict=True)))
def test_bands_of_latencies_hold_what_they_say(few, name, constant):
    factor = f"factor_{name}"
    assert 0.85 <= coverage(few, factor) <= 0.95
    # The book states the widths of all networks together.
    stated, known = machine_book("h100")[constant], few[factor].dropna()
    assert (stated.low, stated.high) == pytest.approx(tuple(np.quantile(known, _ENDS)), rel=0.002)
    assert stated.nominal == pytest.approx(known.median(), rel=0.005)
    assert 0.85 <= known.between(stated.low, stated.high).mean() <= 0.95


def test_the_band_of_many_users_holds_what_it_says(many):
    factor = f"factor_{TIMES[0]}"
    assert 0.85 <= coverage(many, factor) <= 0.95
    stated = cost_book("default")["service.gpu_speed_factor"]
    rates = 1.0 / many[factor].dropna()
    assert (stated.low, stated.high) == pytest.approx(tuple(np.quantile(rates, _ENDS)), rel=0.01)


def test_bands_are_shown_where_a_rate_is(command):
    run = hwsim.simulate("gpt-oss-120b", "h100", batch=32)
    low, high = run.bands["tokens_per_s"]
    assert low < run.tokens_per_s < high and low * high > 0
    assert run.bands["latency_s"] == pytest.approx((run.latency_s * 0.78, run.latency_s * 1.535))
    assert hwsim.simulate("gpt-oss-120b").bands == {}
    _, out, _ = command("simulate", "gpt-oss-120b", "--on", "h100", "--batch", "32")
    assert f"tokens/s {low:,.0f} to {high:,.0f}" in " ".join(out.split())
    answer = explorer.cost(convention="corrected", beside="h100")
    assert "90 % band of measured servers 3," in answer.book["h100.tokens_per_s"].source
