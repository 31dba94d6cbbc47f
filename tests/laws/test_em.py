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
from sklearn_lvm.inference.acceleration import WALKS, Point
from sklearn_lvm.inference.distribute import Walker, cut
from sklearn_lvm.inference.em import ROUNDING, Climb, Watcher, best_of, climb
from sklearn_lvm.inference.stopping import CALM, MEMORY, NOISE, Summit

from .specs import Family, every_family, every_member, plain_objective, seeds

N, D, K = 200, 2, 3
SIZE = 16  # rows in a block: several groups of blocks


def scene(family, seed, extra):
    """Steps, a start, rows (n, d), weights and blocks."""
    rng = np.random.default_rng(seed)
    rows = family.rows(N, D, rng) + 4 * rng.integers(0, K, (N, 1)) * isinstance(family, Family)
    w = rng.uniform(0.1, 2.0, N)
    steps = family.steps(np.full(D, extra))
    resp = rng.dirichlet(np.ones(K), N).T
    start = steps.fit(steps.family.statistics(family.block(rows), resp * w))
    blocks = [(family.block(rows[part]), w[part]) for part in cut(N, SIZE)]
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


every_walk = pytest.mark.parametrize("acceleration", WALKS)


@every_member
@every_walk
@pytest.mark.parametrize("extra", [0.0, 1e-6, 0.2])
@given(seed=seeds)
def test_the_objective_never_falls(family, extra, acceleration, seed):
    """Of the models themselves, by scipy, and not only in the trace."""
    steps, start, rows, w, blocks = scene(family, seed, extra)
    seen = Recorder()
    run(steps, start, blocks, watcher=seen, acceleration=acceleration)
    heights = [plain_objective(now.model, rows, w, extra) for now in [seen.begun[0], *seen.ended]]
    assert len(heights) > 2
    assert (np.diff(heights) > -ROUNDING).all()
    assert heights[-1] > heights[0]
    assert_allclose([seen.begun[0].objective, *(now.objective for now in seen.ended)], heights)


@every_member
@every_walk
@pytest.mark.parametrize("extra", [0.0, 0.2])
@given(seed=seeds, max_iter=st.integers(0, 8))
def test_the_last_entry_belongs_to_the_model(family, extra, acceleration, seed, max_iter):
    steps, start, rows, w, blocks = scene(family, seed, extra)
    end = run(steps, start, blocks, max_iter=max_iter, acceleration=acceleration)
    assert end.n_iter == max_iter >= len(end.trace) - 1
    if acceleration is None:
        assert len(end.trace) == max_iter + 1
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
@every_walk
@pytest.mark.parametrize("tol", [1e-2, 1e-4, 1e-6])
def test_a_climb_ends_where_less_than_the_tolerance_remains(family, acceleration, tol):
    """From a start in the basin of its top, and not on a saddle between two of them."""
    steps, _, rows, w, _ = scene(family, 0, 0.01)
    resp = np.eye(K)[:, np.digitize(rows[:, 0], [2.0, 6.0])]
    start, whole = steps.fit(steps.family.statistics(rows.T, resp * w)), [(rows.T, w)]
    end = run(steps, start, whole, tol=tol, max_iter=500, acceleration=acceleration)
    assert end.converged
    top = run(steps, end.model, whole, max_iter=500)
    assert top.objective - end.objective < tol


@every_family
@every_walk
def test_threads_do_not_change_a_bit(family, acceleration):
    steps, start, _, _, blocks = scene(family, 0, 0.01)
    ends = []
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            ends.append(run(steps, start, blocks, acceleration=acceleration))
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


# -- leaps -------------------------------------------------------------------------------------------


def same_model(one, other):
    assert_array_equal(one.log_weights, other.log_weights)
    assert_array_equal(one.parts.mean, other.parts.mean)
    assert_array_equal(one.parts.covariance.matrix, other.parts.covariance.matrix)


@every_family
def test_without_acceleration_a_climb_is_one_step_after_the_other(family):
    steps, model, _, _, blocks = scene(family, 0, 0.01)
    seen = Recorder()
    run(steps, model, blocks, max_iter=6, acceleration=None, watcher=seen)
    with Walker() as walker:
        for now in seen.ended:
            model = steps.m_step(walker.sum(steps.e_step(model), blocks).statistics)
            same_model(now.model, model)


@every_family
@pytest.mark.parametrize("max_iter", [1, 2])
def test_the_first_two_steps_are_plain(family, max_iter):
    steps, start, _, _, blocks = scene(family, 0, 0.01)
    leaping = run(steps, start, blocks, max_iter=max_iter, acceleration="squarem")
    plain = run(steps, start, blocks, max_iter=max_iter)
    assert leaping.trace == plain.trace
    same_model(leaping.model, plain.model)


@every_family
def test_leaps_reach_the_same_top_in_fewer_steps(family):
    """From one start in clouds that overlap."""
    rng = np.random.default_rng(3)
    centres = 1.8 * np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    rows, w = rng.normal(size=(600, D)) + centres[rng.integers(0, K, 600)], np.ones(600)
    steps, nearest = family.steps(np.full(D, 1e-6)), [rows @ c - c @ c / 2 for c in centres]
    resp = np.eye(K)[:, np.argmax(nearest, axis=0)]
    start = steps.fit(steps.family.statistics(rows.T, resp))
    plain, leaping = (
        run(steps, start, [(rows.T, w)], tol=1e-9, max_iter=20_000, acceleration=acceleration)
        for acceleration in (None, "squarem")
    )
    assert plain.converged
    assert leaping.converged
    assert leaping.n_iter < 0.7 * plain.n_iter
    assert_allclose(leaping.objective, plain.objective, rtol=0, atol=1e-7)


class Line:
    """Steps of a model that is a number x below its top at 0: x -> rate x, of objective -x^2."""

    def __init__(self, rate, fails=()):
        self.rate, self.fails, self.asked = rate, fails, []

    def e_step(self, model):
        self.asked.append(model)
        if len(self.asked) - 1 in self.fails:
            return self.fail
        return partial(Rung, model, -(model**2))

    def m_step(self, statistics):
        return self.rate * statistics

    def coordinates(self, model):
        return self

    def vector(self, model):
        return np.array([model])

    def model(self, vector, like):
        return float(vector[0])

    def fail(self, block):
        raise NotImplementedError


class Broken(Line):
    def __init__(self, rate, fails, failure):
        super().__init__(rate, fails)
        self.failure = failure

    def fail(self, block):
        if isinstance(self.failure, float):
            return Rung(0.0, self.failure, block)
        raise self.failure


def test_a_leap_finds_the_end_of_a_line():
    end = run(Line(0.7), 1.0, [None], max_iter=3, acceleration="squarem")
    assert_allclose(end.model, 0.0, atol=1e-14)


@pytest.mark.parametrize(
    "failure",
    [np.nan, np.inf, -np.inf, -9.0, np.linalg.LinAlgError("singular"), FloatingPointError("inf")],
    ids=str,
)
def test_a_leap_that_leads_nowhere_is_not_taken(failure):
    """E-steps are of the start, of two steps, of the leap (3), and of the plain step instead."""
    steps, seen = Broken(0.9, (3,), failure), Recorder()
    end = run(steps, 1.0, [None], max_iter=4, acceleration="squarem", watcher=seen)
    assert_allclose([now.model for now in seen.ended], [0.9, 0.81, 0.81, 0.729])
    assert end.n_iter == 4
    assert len(end.trace) == 4
    assert not end.converged


def test_a_plain_step_that_leads_nowhere_is_an_error():
    with pytest.raises(np.linalg.LinAlgError):
        run(Broken(0.9, (1,), np.linalg.LinAlgError()), 1.0, [None], acceleration="squarem")


# -- when it is over ---------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.3, 0.9, 0.99, 0.999])
@pytest.mark.parametrize("tol", [1e-2, 1e-5])
def test_a_plain_climb_ends_when_less_than_the_tolerance_remains(rate, tol):
    """Gains shrink by rate^2 a step, so that the true distance to the top, x^2, is known."""
    seen = Recorder()
    end = run(Line(rate), 1.0, [None], tol=tol, max_iter=10**5, watcher=seen)
    assert end.converged
    left = [now.model**2 for now in seen.ended]
    assert left[-1] < tol
    assert left[-2] < tol * (1 + 1e-9)
    # A step before, one of the two estimates was not yet small, or what the last steps had gained.
    lately = left[max(-1 - MEMORY, -len(left))] - left[-2]
    assert len(left) <= 1 + CALM or max(left[-1 - CALM], lately) >= tol * (1 - 1e-9)


@every_walk
def test_a_tolerance_of_zero_goes_on_to_the_last_step(acceleration):
    end = run(Line(0.99), 1.0, [None], tol=0.0, max_iter=500, acceleration=acceleration)
    assert end.n_iter == 500
    assert not end.converged


def points(*gains_and_rates):
    return [Point(None, None, 0.0, gain, rate) for gain, rate in gains_and_rates]


def test_two_estimates_must_agree():
    summit = Summit(0.1)
    calm, steep = points((0.01, 0.5), (1.0, 0.5))
    found = [summit.reached(point) for point in (calm, steep, calm, calm)]
    assert found == [False, False, False, True]


def test_a_leap_never_counts():
    summit = Summit(0.1)
    (calm,), (leap,) = points((0.01, 0.5)), points((None, 0.5))
    found = [summit.reached(point) for point in (leap, leap, leap, calm, leap, calm)]
    assert found == [False, False, False, False, False, True]


@pytest.mark.parametrize("rate", [-0.5, 0.0, 1.0, 2.0, np.inf, np.nan])
def test_what_remains_is_unknown_where_gains_do_not_shrink(rate):
    summit = Summit(0.1)
    assert not any(summit.reached(point) for point in points(*[(1e-6, rate)] * 5))


def test_the_slowest_rate_of_late_counts():
    summit = Summit(0.1)
    slow, *fast = points((1.0, 0.999), *[(0.01, 0.5)] * (MEMORY + 1))
    assert not summit.reached(slow)
    found = [summit.reached(point) for point in fast]
    assert found == [False] * MEMORY + [True]


def test_as_long_as_leaps_pay_there_is_more():
    """Of points in pairs, of which the second is reached by a plain step that gains next to nothing."""
    summit = Summit(0.1)
    heights = [*np.repeat(np.arange(5.0), 2), *np.full(MEMORY, 4.0)]
    walked = [
        Point(None, None, height, 1e-6 if i % 2 else None, 0.5) for i, height in enumerate(heights)
    ]
    found = [summit.reached(point) for point in walked]
    assert found.index(True) == 8 + MEMORY - 1


def test_a_gain_of_rounding_leaves_nothing():
    summit = Summit(1e-300)
    first, second = points((NOISE, np.inf), (-NOISE, np.nan))
    assert not summit.reached(first)
    assert summit.reached(second)
    summit = Summit(0.0)
    assert not any(summit.reached(point) for point in points(*[(0.0, 0.5)] * 5))


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
    assert (end.model, end.n_iter, end.converged, end.trace) == (1, 2, True, (0.0, 1.0))


def test_a_step_down_by_rounding_is_level():
    end = walk(0.0, 1.0, 1.0 - 1e-12, 1.0 - 2e-12, max_iter=3, tol=1e-3)
    assert end.converged
    assert end.trace == (0.0, 1.0, 1.0, 1.0)


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
