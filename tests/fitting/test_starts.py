"""Starts are responsibilities: shares of every row, drawn by weight and reproducible."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_lvm.fitting.starts import (
    FEW_ROWS,
    SHORT_RUN_COST,
    STARTS,
    StartStrategy,
    best_start,
)
from sklearn_lvm.inference.em import EMRun

N, K = 60, 3
every_start = pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)


def clusters():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(K), N // K)
    return 20.0 * np.eye(K)[labels] + rng.normal(size=(N, K)), rng.uniform(0.5, 2, N), labels


RUNS, STEPS = 4, 10


def chosen(*objectives):
    """The start among models 0, 1, ... whose short runs end at given objectives; None fails."""
    drawn, begun = iter(range(len(objectives))), []

    def short_run(model):
        begun.append(model)
        if objectives[model] is None:
            raise np.linalg.LinAlgError
        return EMRun(f"end of {model}", (objectives[model],))

    start = best_start(lambda rng: next(drawn), short_run, RUNS, np.random.RandomState(0))
    return start, begun


def test_the_best_of_several_short_runs_is_the_start():
    model, begun = chosen(1.0, 3.0, 2.0, 0.0)
    assert model == "end of 1"
    assert begun == list(range(RUNS))


def test_short_runs_that_fail_are_left_out():
    assert chosen(None, 1.0, None, 0.0)[0] == "end of 1"
    assert chosen(*[None] * RUNS, 0.0)[0] == RUNS


@pytest.mark.parametrize(("n_rows", "runs"), [(100, 1), (333, 1), (334, 2), (10**6, RUNS)])
def test_short_runs_cost_a_few_steps_over_all_rows(n_rows, runs):
    """A single draw, which no run need follow, where rows are few."""
    strategy = StartStrategy(lambda *_: None, n_rows=100, n_runs=RUNS, n_steps=STEPS)
    assert strategy.affordable_runs(100, n_rows) == runs
    assert runs == 1 or runs * STEPS * 100 <= SHORT_RUN_COST * n_rows


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


def test_few_rows_go_to_components_in_turn():
    resp = FEW_ROWS["in turn"].draw(np.zeros((2, 1)), np.ones(2), 5, np.random.RandomState(0))
    assert_array_equal(resp.argmax(axis=1), [0, 1, 0, 1, 0])
    assert_allclose(resp.sum(axis=0), 1.0)
    assert_allclose(resp[::2, 0], 1 / 3)
