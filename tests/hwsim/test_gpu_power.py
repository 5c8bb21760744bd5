"""What GPUs draw at work: between idle and full load, by what their steps keep busy."""

import numpy as np
import pytest

import explorer
import hwsim
import models
from explorer.pricing.rates import SHARE
from hwsim.accelerator import load_accelerator
from hwsim.events.traffic import closed_loop
from hwsim.gpu.loop import loop_times
from hwsim.gpu.power import busy_power_share, step_power_share
from hwsim.gpu.rate import best_rate
from hwsim.gpu.split import Split
from hwsim.gpu.step import StepModel

SPEC, B200 = models.load("gpt-oss-120b"), load_accelerator("b200")


def test_power_runs_from_idle_to_load():
    assert busy_power_share(B200, 1.0, 1.0) == pytest.approx(B200.load_power_share)
    shares = busy_power_share(B200, np.linspace(0.0, 1.0, 11), 0.1)
    assert (np.diff(shares) >= 0.0).all() and (shares > B200.idle_power_share).all()
    assert busy_power_share(B200, 5.0, 0.0) == busy_power_share(B200, 1.0, 0.0)


def test_simulated_power_is_that_of_the_step():
    run = hwsim.simulate("gpt-oss-120b", "b200", batch=np.array([1, 16, 256]), gpus=1)
    step = StepModel(SPEC, B200, Split(1, 1)).decode(np.array([1.0, 16.0, 256.0]), 2048.0)
    assert run.power_w == pytest.approx(B200.power_w * step_power_share(B200, step))
    assert run.energy_j_per_token == pytest.approx(run.power_w / run.tokens_per_s)
    assert (run.power_w < B200.power_w).all() and (np.diff(run.power_w) > 0.0).all()


def test_the_best_server_states_its_power():
    best = best_rate(SPEC, B200, context=2048, time_per_token_s=0.04, sequences=256)
    step = StepModel(SPEC, B200, Split(int(best.tensor), int(best.replicas))).decode(best.sequences, 2048.0)
    assert best.power_share == pytest.approx(step_power_share(B200, step))


@pytest.mark.parametrize("users", [4, 32])
def test_closed_form_and_events_draw_the_same(users):
    traffic = closed_loop(users, 8 * users, prompt=1024, output=512)
    served = hwsim.serve("gpt-oss-120b", traffic, "b200", gpus=1)
    loop = loop_times(StepModel(SPEC, B200, Split(1, 1)), users, 1024, 512)
    closed_w = B200.power_w * busy_power_share(B200, loop.memory_share, loop.compute_share)
    assert sum(served.energy_j.values()) / served.duration_s == pytest.approx(closed_w, rel=0.05)


def test_conventions_say_which_power_is_paid_for():
    shared = {"volume": 50, "beside": "b200"}
    answer = explorer.cost("gpt-oss-120b", convention="corrected", **shared)
    stated = explorer.cost("gpt-oss-120b", convention="as-published", **shared)
    share = answer.book[f"b200.{SHARE}"].nominal
    each_w = [1e6 * a.pair.gpu.it_power_mw / a.pair.gpu.units for a in (answer, stated)]
    assert each_w[0] == pytest.approx(share * answer.book["b200.power_w"].nominal)
    assert each_w[1] == pytest.approx(stated.book["b200.power_w"].at("low"), rel=1e-3)
    frame = explorer.evaluate("gpt-oss-120b", context=np.array([2048, 65536]), beside="b200", die_formula="exact")
    assert frame["gpu_tco_usd"][0] == pytest.approx(answer.pair.gpu.total_usd)
    assert frame["gpu_carbon_t"][0] == pytest.approx(answer.pair.gpu_carbon.total_t)


def test_a_share_that_is_set_stands():
    for share in (0.5, 1.0):
        answer = explorer.cost("gpt-oss-120b", convention="corrected", beside="b200", set={f"b200.{SHARE}": share})
        assert 1e6 * answer.pair.gpu.it_power_mw == pytest.approx(
            share * answer.book["b200.power_w"].nominal * answer.pair.gpu.units
        )


@pytest.mark.slow
def test_constants_are_those_of_the_fit_to_measured_kernels():
    pytest.importorskip("aiconfigurator_core", reason="measured kernels: pip install 'hwsim[gpu]'")
    from explorer.pricing.prices import cost_book
    from explorer.serving.fit_power import measured_power, predicted_power, shares_of

    kernels = measured_power()
    fits = np.array([shares_of(rows) for _, rows in kernels.groupby("kind")])
    book = hwsim.machine_book("b200")
    stated = [book[f"{name}_power_share"] for name in ("working", "memory", "compute")]
    for column, quantity in zip(fits.T, stated, strict=True):
        assert [column.min(), np.median(column), column.max()] == pytest.approx(
            [quantity.low, quantity.nominal, quantity.high], abs=0.01
        )
    ratio = kernels.power / predicted_power(kernels, np.array([q.nominal for q in stated]))
    medians = ratio.groupby(kernels.kind).median()
    factor = cost_book("default")["service.gpu_power_factor"]
    assert factor.low <= medians.min() and medians.max() <= factor.high + 0.01
