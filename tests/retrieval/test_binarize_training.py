"""The trained binariser: gradients against finite differences, that it learns, stops early, and stays compatible."""

import dataclasses

import numpy as np
import pytest

from hwbase import InputError
from models.binarize import RecurrentBinarizer, Training, fit_codec, unit
from models.binarize.network import backward, block, clip, forward, new_network, sign, trained_names, value_of
from models.binarize.training import contrastive

pytestmark = pytest.mark.slow


def _difference(function, array, place, step=1e-6):
    kept = array[place]
    array[place] = kept + step
    above = function()
    array[place] = kept - step
    below = function()
    array[place] = kept
    return (above - below) / (2 * step)


@pytest.mark.parametrize("planes", [1, 2, 3])
def test_gradients_are_those_of_finite_differences(planes):
    # With `clip` for the sign, whose slope the straight-through estimator takes, the whole network is differentiable.
    rng = np.random.default_rng(planes)
    x = unit(rng.standard_normal((12, 6)))
    parameters = new_network(rng, 6, 5, planes, 7, np.float64)
    for name in trained_names(parameters):
        parameters[name] += 0.1 * rng.standard_normal(parameters[name].shape)
    same = np.eye(6, dtype=bool)
    same[0, 1] = same[1, 0] = True

    def loss():
        outputs, _ = forward(parameters, x, planes, training=True, step=clip)
        value = value_of(outputs, clip)
        return contrastive(value[:6], value[6:], same, 0.3)[0]

    outputs, kept = forward(parameters, x, planes, training=True, step=clip)
    value = value_of(outputs, clip)
    _, left, right = contrastive(value[:6], value[6:], same, 0.3)
    gradients = backward(parameters, kept, np.concatenate([left, right]))
    assert set(gradients) == set(trained_names(parameters))
    for name, gradient in gradients.items():
        for place in list(np.ndindex(gradient.shape))[:: max(gradient.size // 8, 1)]:
            expected = _difference(loss, parameters[name], place)
            assert gradient[place] == pytest.approx(expected, rel=1e-5, abs=1e-9), (name, place)


def test_the_loss_and_its_slopes():
    rng = np.random.default_rng(1)
    left, right = rng.standard_normal((2, 5, 4))
    same = np.zeros((5, 5), bool)
    loss, left_slope, right_slope = contrastive(left, right, same, 0.2)
    cosines = unit(left) @ unit(right).T / 0.2
    by_hand = [
        -np.log(np.exp(table[i, i]) / np.exp(table[i]).sum()) for table in (cosines, cosines.T) for i in range(5)
    ]
    assert loss == pytest.approx(np.mean(by_hand), rel=1e-12)
    for rows, slope in ((left, left_slope), (right, right_slope)):
        for place in np.ndindex(rows.shape):
            expected = _difference(lambda: contrastive(left, right, same, 0.2)[0], rows, place)
            assert slope[place] == pytest.approx(expected, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("hardest", [1, 3, 20])
def test_only_the_hardest_negatives_count(hardest):
    rng = np.random.default_rng(7)
    left, right = rng.standard_normal((2, 9, 4))
    same = np.eye(9, dtype=bool)
    same[2, 3] = same[3, 2] = True
    loss, left_slope, right_slope = contrastive(left, right, same, 0.2, hardest)
    by_hand = []
    for table, masked in ((unit(left) @ unit(right).T / 0.2, same), (unit(right) @ unit(left).T / 0.2, same.T)):
        for i in range(9):
            others = sorted((table[i, j] for j in range(9) if j != i and not masked[i, j]), reverse=True)[:hardest]
            by_hand.append(np.logaddexp.reduce([table[i, i], *others]) - table[i, i])
    assert loss == pytest.approx(np.mean(by_hand), rel=1e-12)
    for rows, slope in ((left, left_slope), (right, right_slope)):
        for place in np.ndindex(rows.shape):
            expected = _difference(lambda: contrastive(left, right, same, 0.2, hardest)[0], rows, place)
            assert slope[place] == pytest.approx(expected, rel=1e-5, abs=1e-9)


def test_few_hard_negatives_teach_too(task):
    # A quarter of the batch. With the published 5 of 127 nothing is learned from a cold start here.
    settings = dataclasses.replace(SETTINGS, hardest=30)
    x, pairs = task
    found = RecurrentBinarizer(2, 32, hidden=64, training=settings).fit(x, pairs)
    assert _recall(found, x, pairs) > _found(x[pairs[:, 0]], x[pairs[:, 1]]) + 0.5


def test_pairs_of_the_same_thing_are_no_negatives():
    left = right = np.eye(3)
    same = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], bool)
    masked, slope, _ = contrastive(left, right, same, 0.5)
    plain, _, _ = contrastive(left, right, np.eye(3, dtype=bool), 0.5)
    assert masked < plain and slope[0] @ np.array([0, 1.0, 0]) == 0


def test_the_sign_of_zero_is_plus():
    assert sign(np.array([0.0, -0.0, -1.0])).tolist() == [1, 1, -1]


def test_batch_norm_in_use_is_the_running_one():
    rng = np.random.default_rng(0)
    parameters = new_network(rng, 4, 3, 1, 6, np.float64)
    x = rng.standard_normal((400, 4))
    for _ in range(200):
        trained, _ = block(parameters, "sign", x, training=True)
    used, _ = block(parameters, "sign", x, training=False)
    np.testing.assert_allclose(used, trained, atol=1e-6)
    alone, _ = block(parameters, "sign", x[:1], training=False)
    np.testing.assert_allclose(alone, used[:1])


@pytest.fixture(scope="module")
def task():
    """(x, pairs): 2,000 things seen twice, as 16 informative dimensions and 32 louder ones that only distract."""
    rng = np.random.default_rng(5)
    things = rng.standard_normal((THINGS, 16))
    views = [np.concatenate([things, 1.5 * rng.standard_normal((THINGS, 32))], axis=1) for _ in range(2)]
    x = np.concatenate(views).astype(np.float32)
    return x, np.stack([np.arange(THINGS), THINGS + np.arange(THINGS)], axis=1)


def _found(left, right):
    """Share of the first 400 pairs whose right side is the nearest of those."""
    scores = unit(left[:400]) @ unit(right[:400]).T
    return float((scores.argmax(axis=1) == np.arange(400)).mean())


def _recall(binarizer, x, pairs):
    value = binarizer.decode(binarizer.encode(x))
    return _found(value[pairs[:, 0]], value[pairs[:, 1]])


THINGS = 2000
SETTINGS = Training(epochs=15, batch=128, patience=15, learning_rate=3e-3, start="random")


@pytest.fixture(scope="module")
def fitted(task):
    return RecurrentBinarizer(2, 32, hidden=64, training=SETTINGS).fit(*task)


def test_it_learns_what_pairs_have_in_common(task, fitted):
    x, pairs = task
    before = _found(x[pairs[:, 0]], x[pairs[:, 1]])
    assert _recall(fitted, *task) > before + 0.5
    assert len(fitted.recalls) == 15 and fitted.bits_per_vector == 64
    assert max(fitted.recalls) > fitted.recalls[0]


def test_training_is_repeatable_and_depends_on_the_seed(task, fitted):
    again = RecurrentBinarizer(2, 32, hidden=64, training=SETTINGS).fit(*task)
    assert again.recalls == fitted.recalls and (again.encode(task[0]) == fitted.encode(task[0])).all()
    short = Training(epochs=1, batch=120, seed=1, start="random")
    other = RecurrentBinarizer(2, 32, hidden=64, training=short).fit(*task)
    assert (other.encode(task[0]) != fitted.encode(task[0])).any()


def test_it_stops_when_recall_does_not_rise(task):
    # With noise alone there is nothing to learn, so the best epoch comes early and patience ends the run.
    noise = np.random.default_rng(0).standard_normal((400, 8)).astype(np.float32)
    pairs = np.random.default_rng(1).permutation(400).reshape(200, 2)
    settings = Training(epochs=60, batch=90, patience=2, start="random")
    found = RecurrentBinarizer(1, 16, hidden=16, training=settings).fit(noise, pairs)
    # Two epochs may be all, if neither is better than what it began with.
    assert 2 <= len(found.recalls) < 60 and max(found.recalls[-2:]) <= max(found.recalls[:-2], default=1.0)


def test_new_queries_find_old_codes_only_when_trained_to(task, fitted):
    x, pairs = task
    different = dataclasses.replace(SETTINGS, seed=9)
    alone = RecurrentBinarizer(2, 32, hidden=64, training=different).fit(x, pairs)
    with_old = RecurrentBinarizer(2, 32, hidden=64, training=different).fit(x, pairs, compatible_with=fitted)
    old = fitted.decode(fitted.encode(x))[pairs[:, 1]]

    def crossed(new):
        return _found(new.decode(new.encode(x))[pairs[:, 0]], old)

    assert crossed(alone) < 0.05 < 0.5 < crossed(with_old)


def test_a_rotation_to_start_from_gives_the_codes_of_residual_signs():
    rng = np.random.default_rng(4)
    x = unit(rng.standard_normal((500, 12)) @ rng.standard_normal((12, 12)))
    turn = np.linalg.qr(rng.standard_normal((12, 12)))[0]
    for dims in (8, 12):
        parameters = new_network(rng, 12, dims, 2, 24 if dims == 12 else 30, np.float64, turn[:, :dims])
        for _ in range(200):
            forward(parameters, x, 2, training=True)
        (first, second), _ = forward(parameters, x, 2, training=False)
        turned = x @ turn[:, :dims]
        np.testing.assert_allclose(first, _standard(turned), atol=1e-3)
        signs = np.where(first >= 0, 1.0, -1.0)
        # On the way back batch norm scales the signs, or what they stand for where that is not more numbers.
        back = _standard(signs) @ turn[:, :dims].T if dims < 12 else _standard(signs @ turn.T)
        left = turned - unit(back) @ turn[:, :dims]
        assert np.mean((second >= 0) == (left >= left.mean(axis=0))) > 0.99


def _standard(x):
    return (x - x.mean(axis=0)) / x.std(axis=0)


def test_from_a_rotation_training_improves_on_codes_that_are_good_already():
    rng = np.random.default_rng(5)
    things = rng.standard_normal((THINGS, 24))
    views = [things + 0.7 * rng.standard_normal((THINGS, 24)) * np.linspace(0, 2, 24) for _ in range(2)]
    x, pairs = np.concatenate(views).astype(np.float32), np.stack([np.arange(THINGS), THINGS + np.arange(THINGS)], 1)
    untrained = fit_codec("itq:24+recurrent:2", x)
    before = untrained.decode(untrained.encode(x))
    settings = Training(epochs=6, batch=128, learning_rate=3e-3)
    found = RecurrentBinarizer(2, 24, hidden=8, training=settings).fit(x, pairs)
    at_random = RecurrentBinarizer(2, 24, hidden=48, training=dataclasses.replace(settings, start="random"))
    assert found.hidden == 48
    recall = _recall(found, x, pairs)
    assert recall > _found(before[pairs[:, 0]], before[pairs[:, 1]]) + 0.2
    assert recall > _recall(at_random.fit(x, pairs), x, pairs) + 0.2


def test_without_pairs_neighbours_are_kept_together(task):
    x = task[0][:400, :16]
    found = RecurrentBinarizer(
        2, 32, hidden=64, training=Training(epochs=25, batch=60, patience=25, learning_rate=3e-3)
    ).fit(x)
    plain, codes = unit(x), unit(found.decode(found.encode(x)))
    near = plain @ plain.T - 2 * np.eye(len(x))
    order = np.argsort(-(codes @ codes.T - 2 * np.eye(len(x))), axis=1)[:, :10]
    # By chance it would be among the ten nearest in one of forty.
    assert np.mean([near[i].argmax() in order[i] for i in range(len(x))]) > 10 / 40


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, p: RecurrentBinarizer().encode(x), "has not been fitted"),
        (lambda x, p: RecurrentBinarizer(0), "bits_per_dim = 0"),
        (lambda x, p: RecurrentBinarizer(2, -1), "dims = -1"),
        (lambda x, p: RecurrentBinarizer(2, 8).fit(x, p[:5]), "pairs number 5"),
        (lambda x, p: RecurrentBinarizer(2, 8).fit(x, p + 4000), "expected rows of 0 to 3999"),
        (lambda x, p: RecurrentBinarizer(2, 8).fit(x, p.astype(float)), "expected whole numbers"),
        (lambda x, p: RecurrentBinarizer(2, 8).fit(x * np.nan, p), "NaN or infinity"),
        (lambda x, p: RecurrentBinarizer(2, 8).fit(x[:1]), "expected at least 2"),
        (lambda x, p: Training(epochs=0), "epochs = 0"),
        (lambda x, p: Training(learning_rate=float("nan")), "learning_rate = nan"),
        (lambda x, p: Training(temperature=-1), "temperature = -1"),
        (lambda x, p: Training(hardest=0), "hardest = 0"),
        (lambda x, p: Training(start="rotate"), "did you mean 'rotation'"),
    ],
)
def test_bad_input_is_named(task, call, message):
    with pytest.raises(InputError) as error:
        call(*task)
    assert message in str(error.value)


def test_compatible_sizes_are_checked(task, fitted):
    with pytest.raises(InputError, match="has 32 dimensions: expected 16"):
        RecurrentBinarizer(2, 16).fit(*task, compatible_with=fitted)
    with pytest.raises(InputError, match="have 5 dimensions: expected 48"):
        fitted.encode(task[0][:, :5])
