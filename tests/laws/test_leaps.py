"""Leaps: where they go on maps whose fixed points are known."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_lvm.inference.extrapolation import (
    ENDLESS,
    GENTLE,
    GROWTH,
    PAIRS,
    Leaps,
    Reach,
    Secants,
)


def walk(slopes, n_steps, seed=0):
    """A linear map with these slopes in random directions, its fixed point, and a path towards it."""
    rng = np.random.default_rng(seed)
    Q, _ = np.linalg.qr(rng.normal(size=(len(slopes), len(slopes))))
    top = rng.normal(size=len(slopes))
    path = [top + Q @ np.ones(len(slopes))]
    for _ in range(n_steps):
        path.append(top + Q @ (slopes * (Q.T @ (path[-1] - top))))
    return top, path


def with_length(length):
    """Two steps in one direction, whose extrapolation asks for a leap of this length."""
    return [np.array([x]) for x in (0.0, 1.0, 2.0 - 1.0 / length)]


def test_leaps_go_further_once_they_have_paid_at_full_reach():
    reach = Reach()
    a, b, c = with_length(1e6)
    r, v = b - a, (c - b) - (b - a)
    for limit in (GROWTH, GROWTH**2):
        assert_allclose(reach.leap([a, b, c]), a + 2 * limit * r + limit**2 * v)
        reach.paid()
    reach.leap(with_length(GROWTH + 1))
    reach.paid()
    assert reach.limit == GROWTH**3
    reach.leap([a, b, c])
    reach.failed()
    assert reach.limit == GROWTH**2


def test_a_leap_is_never_shorter_than_two_steps():
    path = with_length(0.5)
    assert_allclose(Reach().leap(path), path[-1])


def test_a_path_that_stands_still_leads_nowhere_else():
    still = [np.ones(3)] * 3
    leaps = Leaps()
    for _ in range(4):
        leaps.see(still, GENTLE / 2)
        assert_array_equal(leaps.next(), np.ones(3))


@pytest.mark.parametrize("slopes", [[0.99], [0.99, 0.6], [0.98, 0.8, 0.4], [0.95, 0.8, 0.4, 0.0]])
def test_secants_take_all_slow_directions_at_once(slopes):
    top, path = walk(np.array(slopes), 2 * len(slopes) + 3)
    secants = Secants()
    secants.add(path)
    slope = secants.slope()
    assert_allclose(slope.ahead(*path[-2:], ENDLESS), top, atol=1e-6)
    assert_allclose(slope.slowest, max(slopes), rtol=1e-6)


@pytest.mark.parametrize("doublings", [0, 1, 3, 5])
def test_secants_foretell_many_steps(doublings):
    n_steps = 2**doublings
    for slopes in ([0.98, 0.8, 0.4], [1.05, 0.9, 0.5]):
        _, path = walk(np.array(slopes), 7 + n_steps)
        secants = Secants()
        secants.add(path[:8])
        assert_allclose(secants.slope().ahead(path[6], path[7], doublings), path[-1], atol=1e-6)


def test_secants_see_a_saddle_and_leave_it():
    saddle, path = walk(np.array([1.05, 0.9, 0.5]), 6)
    secants = Secants()
    secants.add(path)
    assert secants.slope().slowest > 1
    leaps = Leaps()
    rates = []
    for start in (0, 2, 4):
        rates.append(leaps.see(path[start : start + 3], GENTLE / 2))
        there = leaps.next()
    assert rates[-1] == np.inf
    assert np.linalg.norm(there - saddle) > np.linalg.norm(path[-1] - saddle)


def test_leaps_go_twice_as_far_after_one_that_paid():
    secants = Secants()
    before = secants.doublings
    secants.paid()
    assert secants.doublings == before + 1
    secants.failed()
    assert secants.doublings == before - 1
    assert not secants.pairs
    for _ in range(2 * ENDLESS):
        secants.paid()
    assert secants.doublings == ENDLESS


def test_secants_remember_no_more_than_so_many_steps():
    secants = Secants()
    _, path = walk(np.array([0.9, 0.5]), 3 * PAIRS)
    secants.add(path)
    assert len(secants.pairs) == PAIRS


def test_only_gentle_steps_leap_in_several_directions():
    top, path = walk(np.array([0.99, 0.9, 0.5]), 8)
    steep, gentle = Leaps(), Leaps()
    for start in (0, 2, 4, 6):
        steep.see(path[start : start + 3], 2 * GENTLE)
        gentle.see(path[start : start + 3], GENTLE / 2)
    assert steep.next() is not None
    assert steep.last is steep.reach
    gentle.secants.doublings = ENDLESS
    assert_allclose(gentle.next(), top, atol=1e-6)


def test_a_leap_that_failed_is_forgotten_by_those_who_made_it():
    _, path = walk(np.array([0.99, 0.9, 0.5]), 8)
    leaps = Leaps()
    for start in (0, 2, 4):
        leaps.see(path[start : start + 3], GENTLE / 2)
        leaps.next()
    assert leaps.last is leaps.secants
    leaps.failed()
    leaps.see(path[6:9], GENTLE / 2)
    leaps.next()
    assert leaps.last is leaps.reach


def test_gains_shrink_like_those_in_the_slowest_direction():
    _, path = walk(np.array([0.99, 0.5]), 8)
    leaps = Leaps()
    rates = [leaps.see(path[start : start + 3], GENTLE / 2) for start in (0, 2, 4, 6)]
    assert rates[0] < 0.9
    assert_allclose(rates[-1], 0.99**2, rtol=1e-6)
