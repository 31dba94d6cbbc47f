"""The loop: its objective never falls, and its last entry is that of the model it returns."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from threadpoolctl import threadpool_limits

from sklearn_lvm.inference.acceleration import ACCELERATIONS
from sklearn_lvm.inference.block_map import ThreadMap
from sklearn_lvm.inference.em import EQUAL
from sklearn_lvm.inference.problem import Problem

from ..helpers import D, K, Recorder, problem_of, run
from .specs import every_fitted, every_gaussian, plain_objective, seeds

every_acceleration = pytest.mark.parametrize("acceleration", ACCELERATIONS)


@every_fitted
@every_acceleration
@pytest.mark.parametrize("added_variance", [0.0, 1e-6, 0.2])
@given(seed=seeds)
def test_the_objective_never_falls(family, added_variance, acceleration, seed):
    """Of the models themselves, by scipy, and not only in the trace."""
    steps, start, rows, w, blocks = problem_of(family, seed, added_variance)
    seen = Recorder()
    run(steps, start, blocks, callback=seen, acceleration=acceleration)
    states = [seen.begun[0], *seen.ended]
    objectives = [plain_objective(family, now.model, rows, w, added_variance) for now in states]
    assert len(objectives) > 2
    assert (np.diff(objectives) > -EQUAL).all()
    assert objectives[-1] > objectives[0]
    assert_allclose([seen.begun[0].objective, *(now.objective for now in seen.ended)], objectives)


@every_fitted
@every_acceleration
@pytest.mark.parametrize("added_variance", [0.0, 0.2])
@given(seed=seeds, max_iter=st.integers(0, 8))
def test_the_last_entry_belongs_to_the_model(family, added_variance, acceleration, seed, max_iter):
    steps, start, rows, w, blocks = problem_of(family, seed, added_variance)
    end = run(steps, start, blocks, max_iter=max_iter, acceleration=acceleration)
    assert end.n_iter == max_iter >= len(end.trace) - 1
    if acceleration is None:
        assert len(end.trace) == max_iter + 1
    assert_allclose(
        end.objective, plain_objective(family, end.model, rows, w, added_variance), rtol=1e-10
    )
    assert_allclose(
        end.trace[0], plain_objective(family, start, rows, w, added_variance), rtol=1e-10
    )


def same_model(family, one, other):
    """Bit for bit."""
    assert_array_equal(one.log_weights, other.log_weights)
    for a, b in zip(family.numbers(one.components), family.numbers(other.components), strict=True):
        assert_array_equal(a, b)


@every_fitted
def test_blocks_equal_the_whole(family):
    steps, start, rows, w, blocks = problem_of(family, 0, 0.01)
    whole, parts = run(steps, start, [(family.block(rows), w)]), run(steps, start, blocks)
    assert_allclose(parts.trace, whole.trace, rtol=1e-11)
    numbers = family.numbers(parts.model.components), family.numbers(whole.model.components)
    for a, b in zip(*numbers, strict=True):
        assert_allclose(a, b, rtol=1e-8, atol=1e-10)


@every_fitted
def test_a_run_in_two_parts_is_one_run(family):
    steps, start, _, _, blocks = problem_of(family, 0, 0.01)
    first = run(steps, start, blocks, max_iter=4)
    second = run(steps, first.model, blocks, max_iter=3)
    whole = run(steps, start, blocks, max_iter=7)
    assert first.trace + second.trace[1:] == whole.trace
    same_model(family, second.model, whole.model)


@every_gaussian
@every_acceleration
@pytest.mark.parametrize("tol", [1e-2, 1e-4, 1e-6])
def test_a_run_ends_where_less_than_the_tolerance_remains(family, acceleration, tol):
    """From a start in the basin of its optimum, and not on a saddle between two of them."""
    steps, _, rows, w, _ = problem_of(family, 0, 0.01)
    resp = np.eye(K)[:, np.digitize(rows[:, 0], [2.0, 6.0])]
    start, whole = steps.m_step(steps.family.statistics(rows.T, resp * w)), [(rows.T, w)]
    end = run(steps, start, whole, tol=tol, max_iter=500, acceleration=acceleration)
    assert end.converged
    top = run(steps, end.model, whole, max_iter=500)
    assert top.objective - end.objective < tol


@every_fitted
@every_acceleration
def test_threads_do_not_change_a_bit(family, acceleration):
    steps, start, _, _, blocks = problem_of(family, 0, 0.01)
    ends = []
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            ends.append(run(steps, start, blocks, acceleration=acceleration))
    one, two = ends
    assert one.trace == two.trace
    same_model(family, one.model, two.model)


@every_fitted
def test_the_likelihood_is_level_at_the_optimum(family):
    """Along any line of models through it, in their coordinates."""
    steps, start, rows, w, _ = problem_of(family, 1, 0.05)
    end = run(steps, start, [(family.block(rows), w)], max_iter=1000).model
    coordinates, rng, h = steps.coordinates(end), np.random.default_rng(0), 1e-4
    at = coordinates.vector(end)
    move = rng.normal(size=len(at))

    def along(t):
        return plain_objective(family, coordinates.model(at + t * move, like=end), rows, w, 0.05)

    assert abs(along(h) - along(-h)) / (2 * h) < 1e-4


# -- accelerations -----------------------------------------------------------------------------------


@every_fitted
def test_without_acceleration_a_run_is_one_step_after_the_other(family):
    steps, model, _, _, blocks = problem_of(family, 0, 0.01)
    seen = Recorder()
    run(steps, model, blocks, max_iter=6, acceleration=None, callback=seen)
    with ThreadMap() as block_map:
        problem = Problem(steps, blocks, block_map)
        for now in seen.ended:
            model = problem.evaluate(model).following
            same_model(family, now.model, model)


@every_fitted
@pytest.mark.parametrize("max_iter", [1, 2])
def test_the_first_two_steps_are_plain(family, max_iter):
    steps, start, _, _, blocks = problem_of(family, 0, 0.01)
    accelerated = run(steps, start, blocks, max_iter=max_iter, acceleration="squarem")
    plain = run(steps, start, blocks, max_iter=max_iter)
    assert accelerated.trace == plain.trace
    same_model(family, accelerated.model, plain.model)


@every_gaussian
def test_extrapolations_reach_the_same_optimum_in_fewer_steps(family):
    """From one start in clouds that overlap."""
    rng = np.random.default_rng(3)
    centers = 1.8 * np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    rows, w = rng.normal(size=(600, D)) + centers[rng.integers(0, K, 600)], np.ones(600)
    steps, nearest = family.steps(np.full(D, 1e-6)), [rows @ c - c @ c / 2 for c in centers]
    resp = np.eye(K)[:, np.argmax(nearest, axis=0)]
    start = steps.m_step(steps.family.statistics(rows.T, resp))
    plain, accelerated = (
        run(steps, start, [(rows.T, w)], tol=1e-9, max_iter=20_000, acceleration=acceleration)
        for acceleration in (None, "squarem")
    )
    assert plain.converged
    assert accelerated.converged
    assert accelerated.n_iter < 0.7 * plain.n_iter
    assert_allclose(accelerated.objective, plain.objective, rtol=0, atol=1e-7)
