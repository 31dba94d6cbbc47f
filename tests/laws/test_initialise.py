"""Starts are responsibilities: shares of every row, drawn by weight and reproducible."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_lvm.inference.em import Climb
from sklearn_lvm.inference.initialise import EFFORT, STARTS, Policy

N, K = 60, 3
every_start = pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)


def clusters():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(K), N // K)
    return 20.0 * np.eye(K)[labels] + rng.normal(size=(N, K)), rng.uniform(0.5, 2, N), labels


RUNS, STEPS = 4, 10
contested = Policy(lambda *_: None, rows=100, runs=RUNS, steps=STEPS)


def contest(heights, n_rows=10**6, n_drawn=100):
    """Starts 0, 1, ... that climb to the heights given; None fails."""
    drawn, climbed = iter(range(len(heights))), []

    def short(model, max_iter):
        climbed.append((model, max_iter))
        if heights[model] is None:
            raise np.linalg.LinAlgError
        return Climb(f"end of {model}", (heights[model],))

    start = contested.contest(lambda rng: next(drawn), short, n_drawn, n_rows)
    return start(np.random.RandomState(0)), climbed


def test_the_highest_of_several_short_runs_is_the_start():
    model, climbed = contest([1.0, 3.0, 2.0, 0.0])
    assert model == "end of 1"
    assert climbed == [(run, STEPS) for run in range(RUNS)]


def test_short_runs_that_fail_are_left_out():
    assert contest([None, 1.0, None, 0.0])[0] == "end of 1"
    assert contest([None] * RUNS + [0.0])[0] == RUNS


@pytest.mark.parametrize(("n_rows", "runs"), [(100, 0), (333, 0), (334, 2), (10**6, RUNS)])
def test_short_runs_cost_a_few_steps_over_all_rows(n_rows, runs):
    """A single draw, that nothing need be climbed for, where rows are few."""
    model, climbed = contest([0.0] * RUNS, n_rows)
    assert len(climbed) == runs
    assert model == ("end of 0" if runs else 0)
    assert len(climbed) * STEPS * 100 <= EFFORT * n_rows


@every_start
def test_every_row_is_shared_out(start):
    points, weight, _ = clusters()
    resp = start.draw(points, weight, K, np.random.RandomState(0))
    assert resp.shape == (K, N)
    assert (resp >= 0).all()
    assert_allclose(resp.sum(axis=0), 1.0, rtol=1e-14)
    assert (resp.sum(axis=1) > 0).all()


@every_start
def test_the_random_state_decides(start):
    points, weight = np.random.default_rng(0).normal(size=(N, K)), np.ones(N)
    one, two, other = (start.draw(points, weight, K, np.random.RandomState(s)) for s in (0, 0, 1))
    assert_array_equal(one, two)
    assert not np.array_equal(one, other)


def test_k_means_finds_clusters():
    points, weight, labels = clusters()
    resp = STARTS["kmeans"].draw(points, weight, K, np.random.RandomState(0))
    pairs = set(zip(labels, resp.argmax(axis=0), strict=True))
    assert len(pairs) == K


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("weight", "lonely"), [([1.0, 1.0, 1.0], 2), ([1e3, 1e3, 1.0], 0)], ids=["equal", "heavy left"]
)
def test_k_means_weighs_its_rows(weight, lonely, seed):
    """Of rows at 0, 4 and 10 the last is alone, unless the first two are too heavy to share."""
    points = np.array([[0.0], [4.0], [10.0]])
    resp = STARTS["kmeans"].draw(points, np.array(weight), 2, np.random.RandomState(seed))
    alone = resp[resp[:, lonely] == 1.0][0]
    assert_array_equal(alone, np.eye(3)[lonely])


@pytest.mark.parametrize("name", ["k-means++", "random_from_data"])
def test_seeds_are_drawn_by_weight(name):
    """Of two heavy rows among light ones both become seeds."""
    points = np.random.default_rng(0).uniform(-1, 1, size=(N, 1))
    points[:2] = [[-0.5], [0.5]]
    weight = np.full(N, 1e-9)
    weight[:2] = 1.0
    for seed in range(5):
        resp = STARTS[name].draw(points, weight, 2, np.random.RandomState(seed))
        nearest = np.abs(points - [[-0.5, 0.5]]).argmin(axis=1)
        assert len(set(zip(nearest, resp.argmax(axis=0), strict=True))) == 2
