"""The loop: its objective never falls, and its last entry is that of the model it returns."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from threadpoolctl import threadpool_limits

from sklearn_lvm.core.gaussian import Gaussians
from sklearn_lvm.core.mixture import Mixture
from sklearn_lvm.inference.distribute import Walker, cut
from sklearn_lvm.inference.em import ROUNDING, Climb, Watcher, best_of, climb

from .specs import every_family, plain_objective, seeds

N, D, K = 200, 2, 3
SIZE = 16  # rows in a block: several groups of blocks


def scene(family, seed, extra):
    """Steps, a start, rows (n, d), weights and blocks."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(N, D)) + 4 * rng.integers(0, K, (N, 1))
    w = rng.uniform(0.1, 2.0, N)
    steps = family.steps(np.full(D, extra))
    start = steps.fit(steps.family.statistics(rows.T, rng.dirichlet(np.ones(K), N).T * w))
    blocks = [(np.ascontiguousarray(rows[part].T), w[part]) for part in cut(N, SIZE)]
    return steps, start, rows, w, blocks


def run(steps, start, blocks, **options):
    with Walker() as walker:
        return climb(steps, start, blocks, walker, **{"max_iter": 15, "tol": 0.0, **options})


class Recorder(Watcher):
    """Keeps every climb that it is shown."""

    def __init__(self, until=np.inf):
        self.begun, self.ended, self.until = [], [], until

    def begin(self, now):
        self.begun.append(now)

    def end(self, now):
        self.ended.append(now)
        return len(self.ended) >= self.until


@every_family
@pytest.mark.parametrize("extra", [0.0, 1e-6, 0.2])
@given(seed=seeds)
def test_the_objective_never_falls(family, extra, seed):
    """Of the models themselves, by scipy, and not only in the trace."""
    steps, start, rows, w, blocks = scene(family, seed, extra)
    seen = Recorder()
    run(steps, start, blocks, watcher=seen)
    heights = [plain_objective(now.model, rows, w, extra) for now in [seen.begun[0], *seen.ended]]
    assert len(heights) > 2
    assert (np.diff(heights) > -ROUNDING).all()
    assert heights[-1] > heights[0]
    assert_allclose([seen.begun[0].objective, *(now.objective for now in seen.ended)], heights)


@every_family
@pytest.mark.parametrize("extra", [0.0, 0.2])
@given(seed=seeds, max_iter=st.integers(0, 5))
def test_the_last_entry_belongs_to_the_model(family, extra, seed, max_iter):
    steps, start, rows, w, blocks = scene(family, seed, extra)
    end = run(steps, start, blocks, max_iter=max_iter)
    assert end.n_iter == max_iter == len(end.trace) - 1
    assert_allclose(end.objective, plain_objective(end.model, rows, w, extra), rtol=1e-10)
    assert_allclose(end.trace[0], plain_objective(start, rows, w, extra), rtol=1e-10)


@every_family
def test_blocks_equal_the_whole(family):
    steps, start, rows, w, blocks = scene(family, 0, 0.01)
    whole, parts = run(steps, start, [(rows.T, w)]), run(steps, start, blocks)
    assert_allclose(parts.trace, whole.trace, rtol=1e-11)
    assert_allclose(parts.model.parts.mean, whole.model.parts.mean, rtol=1e-8, atol=1e-10)


@every_family
def test_a_climb_in_two_legs_is_one_climb(family):
    steps, start, _, _, blocks = scene(family, 0, 0.01)
    first = run(steps, start, blocks, max_iter=4)
    second = run(steps, first.model, blocks, max_iter=3)
    whole = run(steps, start, blocks, max_iter=7)
    assert first.trace + second.trace[1:] == whole.trace
    assert_array_equal(second.model.parts.mean, whole.model.parts.mean)


@every_family
def test_the_tolerance_is_the_gain_of_the_last_step(family):
    steps, start, _, _, blocks = scene(family, 0, 0.01)
    for tol in (1e-2, 1e-4):
        end = run(steps, start, blocks, tol=tol, max_iter=500)
        gains = np.diff(end.trace)
        assert end.converged
        assert gains[-1] < tol
        assert (gains[:-1] >= tol).all()


@every_family
def test_threads_do_not_change_a_bit(family):
    steps, start, _, _, blocks = scene(family, 0, 0.01)
    ends = []
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            ends.append(run(steps, start, blocks))
    one, two = ends
    assert one.trace == two.trace
    assert_array_equal(one.model.log_weights, two.model.log_weights)
    assert_array_equal(one.model.parts.mean, two.model.parts.mean)
    assert_array_equal(one.model.parts.covariance.matrix, two.model.parts.covariance.matrix)


@every_family
def test_the_likelihood_is_level_at_the_top(family):
    steps, start, rows, w, _ = scene(family, 1, 0.05)
    end = run(steps, start, [(rows.T, w)], max_iter=1000).model
    move, h = np.random.default_rng(0).normal(size=end.parts.mean.shape), 1e-4

    def along(t):
        parts = Gaussians(end.parts.mean + t * move, end.parts.covariance)
        return plain_objective(Mixture(end.log_weights, parts), rows, w, 0.05)

    assert abs(along(h) - along(-h)) / (2 * h) < 1e-4


# -- the loop alone ----------------------------------------------------------------------------------


class Ladder:
    """Steps of a model that is an index into a list of objectives."""

    def __init__(self, *heights):
        self.heights = heights

    def e_step(self, model):
        return partial(Rung, model, self.heights[model])

    def m_step(self, statistics):
        return statistics + 1


class Rung:
    def __init__(self, model, height, block):
        self.statistics, self.objective = model, height

    def __add__(self, other):
        return self


def walk(*heights, **options):
    return run(Ladder(*heights), 0, [None], **options)


def test_a_watcher_sees_every_step_and_may_end_the_climb():
    seen = Recorder(until=2)
    end = walk(0.0, 1.0, 2.0, 3.0, max_iter=3, watcher=seen)
    assert [now.model for now in seen.begun] == [0, 1]
    assert [now.model for now in seen.ended] == [1, 2]
    assert (end.model, end.stopped, end.converged) == (2, True, False)
    assert end.trace == (0.0, 1.0, 2.0)


def test_a_climb_ends_after_max_iter_steps():
    end = walk(0.0, 1.0, 2.0, 3.0, max_iter=2)
    assert (end.model, end.n_iter, end.converged) == (2, 2, False)


def test_a_climb_without_steps_keeps_the_start():
    end = walk(5.0, 6.0, max_iter=0)
    assert (end.model, end.trace, end.converged) == (0, (5.0,), False)


def test_a_step_down_by_more_than_rounding_is_not_taken():
    end = walk(0.0, 1.0, 1.0 - 1e-6, 9.0, max_iter=3)
    assert (end.model, end.converged, end.trace) == (1, True, (0.0, 1.0, 1.0))


def test_a_step_down_by_rounding_is_level():
    end = walk(0.0, 1.0, 1.0 - 1e-12, max_iter=2, tol=1e-3)
    assert end.converged
    assert end.trace == (0.0, 1.0, 1.0)


@pytest.mark.parametrize("height", [np.nan, np.inf, -np.inf])
def test_an_objective_that_is_no_number_is_an_error(height):
    with pytest.raises(FloatingPointError, match=str(height)):
        walk(0.0, height, max_iter=2)


def test_the_highest_climb_is_chosen_and_the_first_among_equals():
    low, first, second = Climb("low", (1.0,)), Climb("first", (2.0,)), Climb("second", (2.0,))
    assert best_of([low, first, second]).model == "first"
    assert best_of([second, first, low]).model == "second"
    nearly = Climb("nearly", (2.0 + ROUNDING / 10,))
    assert best_of([first, nearly]).model == "first"
