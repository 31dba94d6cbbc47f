"""Extrapolation on linear maps whose fixed points are known."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_lvm.inference.extrapolation import (
    LIMIT_FACTOR,
    LINEAR_GAIN,
    MAX_DOUBLINGS,
    MAX_PAIRS,
    Extrapolation,
    SecantHistory,
    StepLength,
)


def linear_path(rates, n_steps, seed=0):
    """A fixed point, and a path to it by a linear map with these eigenvalues in random directions."""
    rng = np.random.default_rng(seed)
    Q, _ = np.linalg.qr(rng.normal(size=(len(rates), len(rates))))
    optimum = rng.normal(size=len(rates))
    path = [optimum + Q @ np.ones(len(rates))]
    for _ in range(n_steps):
        path.append(optimum + Q @ (rates * (Q.T @ (path[-1] - optimum))))
    return optimum, path


def with_length(length):
    """Two steps in one direction, whose squared extrapolation has this length."""
    return [np.array([x]) for x in (0.0, 1.0, 2.0 - 1.0 / length)]


def test_the_limit_grows_after_an_accepted_extrapolation_of_full_length():
    step_length = StepLength()
    a, b, c = with_length(1e6)
    r, v = b - a, (c - b) - (b - a)
    for limit in (LIMIT_FACTOR, LIMIT_FACTOR**2):
        assert_allclose(step_length.extrapolate([a, b, c]), a + 2 * limit * r + limit**2 * v)
        step_length.accepted()
    step_length.extrapolate(with_length(LIMIT_FACTOR + 1))
    step_length.accepted()
    assert step_length.limit == LIMIT_FACTOR**3
    step_length.extrapolate([a, b, c])
    step_length.rejected()
    assert step_length.limit == LIMIT_FACTOR**2


def test_an_extrapolation_is_never_shorter_than_two_steps():
    path = with_length(0.5)
    assert_allclose(StepLength().extrapolate(path), path[-1])


def test_a_path_that_stands_still_is_not_extrapolated():
    still = [np.ones(3)] * 3
    extrapolation = Extrapolation()
    for _ in range(4):
        extrapolation.update(still, LINEAR_GAIN / 2)
        assert_array_equal(extrapolation.propose(), np.ones(3))


@pytest.mark.parametrize("rates", [[0.99], [0.99, 0.6], [0.98, 0.8, 0.4], [0.95, 0.8, 0.4, 0.0]])
def test_a_jacobian_extrapolates_all_slow_directions_at_once(rates):
    optimum, path = linear_path(np.array(rates), 2 * len(rates) + 3)
    history = SecantHistory()
    history.add(path)
    jacobian = history.jacobian()
    assert_allclose(jacobian.extrapolate(*path[-2:], MAX_DOUBLINGS), optimum, atol=1e-6)
    assert_allclose(jacobian.spectral_radius, max(rates), rtol=1e-6)


@pytest.mark.parametrize("doublings", [0, 1, 3, 5])
def test_a_jacobian_predicts_many_steps(doublings):
    n_steps = 2**doublings
    for rates in ([0.98, 0.8, 0.4], [1.05, 0.9, 0.5]):
        _, path = linear_path(np.array(rates), 7 + n_steps)
        history = SecantHistory()
        history.add(path[:8])
        assert_allclose(
            history.jacobian().extrapolate(path[6], path[7], doublings), path[-1], atol=1e-6
        )


def test_a_saddle_is_left():
    saddle, path = linear_path(np.array([1.05, 0.9, 0.5]), 6)
    history = SecantHistory()
    history.add(path)
    assert history.jacobian().spectral_radius > 1
    extrapolation = Extrapolation()
    rates = []
    for start in (0, 2, 4):
        rates.append(extrapolation.update(path[start : start + 3], LINEAR_GAIN / 2))
        there = extrapolation.propose()
    assert rates[-1] == np.inf
    assert np.linalg.norm(there - saddle) > np.linalg.norm(path[-1] - saddle)


def test_the_number_of_steps_ahead_doubles_after_an_accepted_extrapolation():
    history = SecantHistory()
    before = history.doublings
    history.accepted()
    assert history.doublings == before + 1
    history.rejected()
    assert history.doublings == before - 1
    assert not history.pairs
    for _ in range(2 * MAX_DOUBLINGS):
        history.accepted()
    assert history.doublings == MAX_DOUBLINGS


def test_no_more_than_so_many_steps_are_kept():
    history = SecantHistory()
    _, path = linear_path(np.array([0.9, 0.5]), 3 * MAX_PAIRS)
    history.add(path)
    assert len(history.pairs) == MAX_PAIRS


def test_only_steps_of_small_gain_are_extrapolated_in_several_directions():
    optimum, path = linear_path(np.array([0.99, 0.9, 0.5]), 8)
    steep, linear = Extrapolation(), Extrapolation()
    for start in (0, 2, 4, 6):
        steep.update(path[start : start + 3], 2 * LINEAR_GAIN)
        linear.update(path[start : start + 3], LINEAR_GAIN / 2)
    assert steep.propose() is not None
    assert steep.last is steep.step_length
    linear.history.doublings = MAX_DOUBLINGS
    assert_allclose(linear.propose(), optimum, atol=1e-6)


def test_a_rejected_extrapolation_clears_the_history():
    _, path = linear_path(np.array([0.99, 0.9, 0.5]), 8)
    extrapolation = Extrapolation()
    for start in (0, 2, 4):
        extrapolation.update(path[start : start + 3], LINEAR_GAIN / 2)
        extrapolation.propose()
    assert extrapolation.last is extrapolation.history
    extrapolation.rejected()
    extrapolation.update(path[6:9], LINEAR_GAIN / 2)
    extrapolation.propose()
    assert extrapolation.last is extrapolation.step_length


def test_gains_shrink_like_those_in_the_slowest_direction():
    _, path = linear_path(np.array([0.99, 0.5]), 8)
    extrapolation = Extrapolation()
    rates = [
        extrapolation.update(path[start : start + 3], LINEAR_GAIN / 2) for start in (0, 2, 4, 6)
    ]
    assert rates[0] < 0.9
    assert_allclose(rates[-1], 0.99**2, rtol=1e-6)
