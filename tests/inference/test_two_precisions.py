"""A run on float32 blocks goes first, and leaves nothing behind but time saved."""

from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from threadpoolctl import threadpool_limits

from sklearn_lvm.core.mixture import Mixture
from sklearn_lvm.inference.block_map import ThreadMap
from sklearn_lvm.inference.em import EQUAL
from sklearn_lvm.inference.problem import Problem
from sklearn_lvm.inference.two_precisions import MIN_ITER, SinglePrecision, run_em_in_two_precisions

from ..helpers import Recorder, problem_of, run
from ..laws.specs import FAMILIES, every_family, plain_objective

MAX_ITER = 60
FULL = FAMILIES[0]
run_twice = partial(run, how=run_em_in_two_precisions)


class Noting:
    """Steps that note the precision of the rows of every E-step, and may fail in float32."""

    def __init__(self, steps, n_good=np.inf, failure=None):
        self.steps, self.n_good, self.failure = steps, n_good, failure
        self.noted = []

    def e_step(self, model):
        step = self.steps.e_step(model)
        self.noted.append(None)
        return NotingEStep(step, self)

    def __getattr__(self, name):
        return getattr(self.steps, name)


class NotingEStep:
    def __init__(self, step, noting):
        self.step, self.noting = step, noting
        self.condition_number = step.condition_number

    def __call__(self, block):
        noted, dtype = self.noting.noted, block[0].dtype
        noted[-1] = dtype
        if dtype == np.float32 and noted.count(np.float32) > self.noting.n_good:
            raise self.noting.failure
        return self.step(block)

    def statistics(self, total):
        return self.step.statistics(total)


@every_family
def test_float32_goes_first_and_float64_has_the_last_word(family):
    steps, start, rows, w, blocks = problem_of(family, 3, 0.01)
    noting, seen = Noting(steps), Recorder()
    end = run_twice(
        noting, start, blocks, tol=1e-8, max_iter=500, acceleration="squarem", callback=seen
    )
    assert end.converged
    switch = noting.noted.index(np.float64)
    assert set(noting.noted[:switch]) == {np.dtype(np.float32)}
    assert set(noting.noted[switch:]) == {np.dtype(np.float64)}
    assert switch >= 2
    assert end.n_iter == len(noting.noted) - 1 == len(seen.ended)
    assert (np.diff(end.trace) >= 0).all()
    assert_allclose(end.objective, plain_objective(family, end.model, rows, w, 0.01), rtol=1e-10)
    assert len({id(now.model) for now in seen.ended}) > 3


@every_family
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_optimum_is_the_same(family, seed):
    steps, start, _, _, blocks = problem_of(family, seed, 0.05)
    options = {"tol": 1e-10, "max_iter": 2000, "acceleration": "squarem"}
    plain, joined = (how(steps, start, blocks, **options) for how in (run, run_twice))
    assert plain.converged
    assert joined.converged
    assert joined.objective >= plain.objective - 1e-9


@every_family
def test_a_short_run_is_all_in_float64(family):
    steps, start, _, _, blocks = problem_of(family, 0, 0.01)
    noting = Noting(steps)
    run_twice(noting, start, blocks, max_iter=MIN_ITER - 1)
    assert set(noting.noted) == {np.dtype(np.float64)}


@every_family
def test_the_last_steps_are_in_float64_however_few_there_are(family):
    steps, start, rows, w, blocks = problem_of(family, 0, 0.01)
    end = run_twice(steps, start, blocks, max_iter=MIN_ITER + 1)
    assert end.n_iter == MIN_ITER + 1
    assert_allclose(end.objective, plain_objective(family, end.model, rows, w, 0.01), rtol=1e-10)
    plain = run(steps, start, blocks, max_iter=MIN_ITER)  # one model is evaluated a second time
    assert_allclose(end.objective, plain.objective, atol=1e-5)


@every_family
def test_threads_do_not_change_a_bit(family):
    steps, start, _, _, blocks = problem_of(family, 0, 0.01)
    ends = []
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            ends.append(run_twice(steps, start, blocks, tol=1e-7, max_iter=MAX_ITER))
    one, two = ends
    assert one.trace == two.trace
    assert_array_equal(one.model.components.mean, two.model.components.mean)


def evaluated(kind, steps, model, *blocks):
    with ThreadMap() as block_map:
        return kind(steps, blocks, block_map).evaluate(model)


@every_family
@pytest.mark.parametrize(
    ("scale", "place"), [(1e-6, 1.0), (1.0, 1e6)], ids=["tight clusters", "far away"]
)
def test_rows_that_would_lose_digits_are_not_rounded(family, scale, place):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 300)
    rows = (scale * rng.normal(size=(300, 2)) + place * labels[:, None]).T
    steps = family.steps(np.zeros(2))
    start = steps.m_step(steps.family.statistics(rows, np.eye(2)[:, labels]))
    assert steps.e_step(start).condition_number > 1e5
    block = rows, np.ones(300)
    one, two = (evaluated(kind, steps, start, block) for kind in (Problem, SinglePrecision))
    assert one.objective == two.objective


@every_family
def test_rounded_rows_are_as_close_as_promised(family):
    """Log-densities of single rows to 1e-3 nats, and of many to much less."""
    rng = np.random.default_rng(5)
    model = family.mixture(3, 4, rng)
    rows, w = np.ascontiguousarray(3 * rng.normal(size=(4, 500))), rng.uniform(size=500)
    steps = family.steps(np.full(4, 1e-3))
    exact, rounded = (evaluated(k, steps, model, (rows, w)) for k in (Problem, SinglePrecision))
    assert rounded.objective != exact.objective
    assert_allclose(rounded.objective, exact.objective, rtol=0, atol=1e-5)
    step = steps.e_step(model)
    for one, two in zip(
        step((rows.astype(np.float32), w)).arrays, step((rows, w)).arrays, strict=True
    ):
        assert one.dtype == np.float64
        assert_allclose(one, two, rtol=1e-4, atol=1e-4 * np.abs(two).max())


@pytest.mark.parametrize("good", [0, 1, 5])
@pytest.mark.parametrize("failure", [np.linalg.LinAlgError("singular"), FloatingPointError("nan")])
def test_a_float32_run_that_fails_is_continued_where_it_was(good, failure):
    steps, start, rows, w, _ = problem_of(FULL, 0, 0.01)
    noting, seen = Noting(steps, good, failure), Recorder()
    end = run_twice(noting, start, [(rows.T, w)], max_iter=2000, tol=1e-6, callback=seen)
    assert end.converged
    assert len(seen.begun) == len(seen.ended) == end.n_iter
    assert_allclose(end.objective, plain_objective(FULL, end.model, rows, w, 0.01), rtol=1e-10)


def test_rows_that_overflow_in_single_precision_do_not_warn():
    steps, start, _, _, blocks = problem_of(FULL, 0, 0.01)
    far = [(1e30 * Z, w) for Z, w in blocks]
    wide = Mixture(start.log_weights, start.components.rescale(np.zeros(2), np.full(2, 1e30)))
    end = run_twice(steps, wide, far, max_iter=MAX_ITER, tol=1e-6)
    assert np.isfinite(end.objective)


def test_a_trace_is_no_better_than_what_float64_says():
    """Entries of the float32 run above the first exact one are lowered to it."""
    steps, start, _, _, blocks = problem_of(FULL, 4, 0.01)
    end = run_twice(steps, start, blocks, max_iter=300, tol=1e-9)
    assert (np.diff(end.trace) >= 0).all()
    assert end.objective == pytest.approx(
        run(steps, end.model, blocks, max_iter=0).objective, abs=EQUAL
    )
