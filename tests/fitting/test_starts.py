"""Starts are responsibilities: shares of every row, drawn by weight and reproducible."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_lvm.fitting.starts import FEW_ROWS, STARTS

N, K = 60, 3
every_start = pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)


def clusters():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(K), N // K)
    return 20.0 * np.eye(K)[labels] + rng.normal(size=(N, K)), rng.uniform(0.5, 2, N), labels


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
